// Which pieces lie on which line. Lines are broken here, from measured widths, so that the place of every token is known
// without any of them being in the document: that is what makes 32 000 tokens scroll like a hundred.

export const LINE_HEIGHT = 26; // pixels; strip.css sets its boxes inside it
const SPACING = 4; // padding and gap of a box, as in strip.css
const KEPT_WIDTHS = 50_000;

export class Layout {
  constructor(tokens) {
    this.tokens = tokens;
    this.starts = []; // first piece of each line
    this.width = 0;
    this.widths = new Map();
    this.context = document.createElement("canvas").getContext("2d");
  }

  get lines() {
    return this.starts.length;
  }

  get height() {
    return this.lines * LINE_HEIGHT;
  }

  reset(width, font) {
    if (this.font !== font) {
      this.font = this.context.font = font;
      this.widths.clear();
    }
    this.width = width;
    this.starts = [];
    return this.extend();
  }

  // Lays out what has come since; returns the first line that may have changed.
  extend() {
    const { opens, newline, text } = this.tokens.pieces;
    const changed = Math.max(0, this.lines - 1);
    let start = this.lines ? this.starts[changed] : 0;
    if (!this.lines && text.length) this.starts.push(0);
    let [x, canBreak] = [0, -1];
    for (let p = start; p < text.length; p++) {
      if (p > start && (newline[p - 1] || x + this.measure(text[p]) > this.width)) {
        // Rather before the word than inside it, unless the word fills the line.
        const wraps = !newline[p - 1] && !opens[p] && canBreak > start;
        start = wraps ? canBreak : p;
        this.starts.push(start);
        [x, canBreak] = [0, -1];
        for (let q = start; q < p; q++) x += this.measure(text[q]);
        if (start < p && x + this.measure(text[p]) > this.width) {
          start = p; // a word longer than a line
          this.starts.push(start);
          x = 0;
        }
      }
      if (opens[p]) canBreak = p;
      x += this.measure(text[p]);
    }
    return changed;
  }

  measure(text) {
    let width = this.widths.get(text);
    if (width === undefined) {
      if (this.widths.size > KEPT_WIDTHS) this.widths.clear();
      width = this.context.measureText(text).width + SPACING;
      this.widths.set(text, width);
    }
    return Math.min(width, this.width); // a longer one is cut off with an ellipsis
  }

  // The pieces of a line: [from, to).
  span(line) {
    return [this.starts[line], this.starts[line + 1] ?? this.tokens.pieces.text.length];
  }

  lineOf(token) {
    const piece = lowerBound(this.tokens.pieces.token, token);
    return Math.max(0, lowerBound(this.starts, piece + 1) - 1);
  }

  // Where on its line a token's middle lies, in pixels; with tokenAt, for moving up and down.
  placeOf(token) {
    const [from, to] = this.span(this.lineOf(token));
    let [x, place] = [0, 0];
    for (let p = from; p < to; p++) {
      if (this.tokens.pieces.token[p] === token) place = x + this.measure(this.tokens.pieces.text[p]) / 2;
      x += this.measure(this.tokens.pieces.text[p]);
    }
    return place;
  }

  tokenAt(line, place) {
    const [from, to] = this.span(line);
    let x = 0;
    for (let p = from; p < to; p++) {
      x += this.measure(this.tokens.pieces.text[p]);
      if (place < x) return this.tokens.pieces.token[p];
    }
    return this.tokens.pieces.token[to - 1];
  }
}

// First index whose entry is not smaller than the value, in an ascending array.
function lowerBound(ascending, value) {
  let [low, high] = [0, ascending.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (ascending[middle] < value) low = middle + 1;
    else high = middle;
  }
  return low;
}
