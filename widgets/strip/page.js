// The scrolling text: holds boxes only for the lines near the viewport and dresses them.
import { element, formatted } from "./card.js";
import { phaseColour } from "./colour.js";
import { Layout, LINE_HEIGHT } from "./layout.js";
import { visible } from "./tokens.js";

const OVERSCAN = 8; // lines kept in the document above and below the visible ones

export class Page {
  // `look` is what the boxes are dressed by: {cursor, hover, marked, layer, index, scale, ramp, dark}, kept by the strip.
  constructor(root, look) {
    this.look = look;
    this.uid = `ewb-${Math.random().toString(36).slice(2, 10)}`;
    this.lines = new Map(); // line -> element
    this.scroller = element("div", "ewb-scroller");
    this.scroller.tabIndex = 0;
    this.scroller.setAttribute("role", "listbox");
    this.scroller.setAttribute("aria-label", "Tokens of the trace");
    this.sizer = element("div", "ewb-sizer");
    this.scroller.append(this.sizer);
    root.append(this.scroller);
  }

  adopt(tokens) {
    this.tokens = tokens;
    this.layout = new Layout(tokens);
    this.scroller.scrollTop = 0;
    this.fit();
  }

  // Breaks the lines anew when the width has changed, and keeps the token at the top where it was.
  fit() {
    const width = this.sizer.clientWidth;
    if (width && width !== this.layout.width) {
      const first = !this.layout.width;
      const { lines } = this.layout;
      const line = Math.min(Math.floor(this.scroller.scrollTop / LINE_HEIGHT), lines - 1);
      const top = lines && line ? this.tokens.pieces.token[this.layout.span(line)[0]] : 0;
      const style = getComputedStyle(this.sizer);
      this.layout.reset(width, `${style.fontWeight} ${style.fontSize} ${style.fontFamily}`);
      this.clear(0);
      this.paint();
      if (top) this.scroller.scrollTop = this.layout.lineOf(top) * LINE_HEIGHT;
      if (first) this.reveal(this.look.cursor);
    }
    this.paint();
  }

  // New tokens at the end: stays at the bottom if it was there.
  extend() {
    if (!this.layout.width) return; // not on the page yet: laid out when it is
    const follows = this.scroller.scrollTop + this.scroller.clientHeight >= this.layout.height - LINE_HEIGHT;
    this.clear(this.layout.extend());
    this.paint();
    if (follows) this.scroller.scrollTop = this.layout.height;
  }

  paint() {
    this.sizer.style.height = `${this.layout.height}px`;
    const top = this.scroller.scrollTop;
    const first = Math.max(0, Math.floor(top / LINE_HEIGHT) - OVERSCAN);
    const last = Math.min(this.layout.lines, Math.ceil((top + this.scroller.clientHeight) / LINE_HEIGHT) + OVERSCAN);
    for (const line of [...this.lines.keys()]) if (line < first || line >= last) this.drop(line);
    for (let line = first; line < last; line++) if (!this.lines.has(line)) this.build(line);
    this.scroller.toggleAttribute("data-empty", this.tokens.length === 0);
    this.activate();
  }

  clear(from) {
    for (const line of [...this.lines.keys()]) if (line >= from) this.drop(line);
  }

  drop(line) {
    this.lines.get(line).remove();
    this.lines.delete(line);
  }

  build(line) {
    const { token, text } = this.tokens.pieces;
    const [from, to] = this.layout.span(line);
    const node = element("div", "ewb-line");
    node.setAttribute("role", "presentation");
    node.style.top = `${line * LINE_HEIGHT}px`;
    for (let p = from; p < to; p++) {
      const box = element("span", "ewb-token", text[p]);
      box.dataset.i = token[p];
      if (p > 0 && token[p - 1] === token[p]) box.setAttribute("aria-hidden", "true");
      else box.id = `${this.uid}-${token[p]}`;
      box.classList.toggle("ewb-long", this.layout.measure(text[p]) >= this.layout.width);
      this.dress(box);
      node.append(box);
    }
    this.sizer.append(node);
    this.lines.set(line, node);
  }

  dress(box) {
    const i = Number(box.dataset.i);
    const { cursor, marked, layer, index, scale, ramp, dark } = this.look;
    const phase = this.tokens.phase(i);
    const level = layer ? scale.level(this.tokens.value(index, i)) : -1;
    const colour = layer ? ramp[level] : phaseColour(phase, this.tokens.codes[i], dark);
    box.style.backgroundColor = colour?.paper ?? "";
    box.style.color = colour?.ink ?? "";
    if (layer) delete box.dataset.phase;
    else box.dataset.phase = phase;
    box.classList.toggle("ewb-missing", Boolean(layer) && level < 0);
    box.classList.toggle("ewb-marked", marked.has(i));
    this.point(box, i);
    if (!box.id) return;
    box.setAttribute("role", "option");
    box.setAttribute("aria-posinset", i + 1);
    box.setAttribute("aria-setsize", this.tokens.length);
    box.setAttribute("aria-selected", i === cursor);
    const value = layer ? `, ${layer.label} ${formatted(layer, this.tokens.value(index, i))} ${layer.unit}` : "";
    box.setAttribute("aria-label", `token ${i}, ${visible(this.tokens.text(i))}, ${phase}${value}`);
  }

  point(box, i) {
    box.classList.toggle("ewb-cursor", i === this.look.cursor);
    box.classList.toggle("ewb-hover", i === this.look.hover);
  }

  dressAll() {
    for (const box of this.sizer.querySelectorAll(".ewb-token")) this.dress(box);
  }

  // Only the marks: what a slider's every move changes.
  remark() {
    const { marked } = this.look;
    for (const box of this.sizer.querySelectorAll(".ewb-token")) box.classList.toggle("ewb-marked", marked.has(Number(box.dataset.i)));
  }

  // Only what cursor and hover left and reached: the quick way, for every key press.
  repoint(...tokens) {
    for (const i of tokens) {
      for (const box of this.boxes(i)) {
        this.point(box, i);
        if (box.id) box.setAttribute("aria-selected", i === this.look.cursor);
      }
    }
    this.activate();
  }

  activate() {
    const id = `${this.uid}-${this.look.cursor}`;
    if (this.look.cursor >= 0 && document.getElementById(id)) this.scroller.setAttribute("aria-activedescendant", id);
    else this.scroller.removeAttribute("aria-activedescendant");
  }

  boxes(i) {
    return i < 0 ? [] : this.sizer.querySelectorAll(`[data-i="${i}"]`);
  }

  // Where a token is on the screen; null when it is scrolled away.
  rect(i) {
    const box = this.boxes(i)[0]?.getBoundingClientRect();
    if (!box) return null;
    const view = this.scroller.getBoundingClientRect();
    return box.bottom > view.top && box.top < view.bottom ? box : null;
  }

  // Scrolls as little as needed, or to the middle when the token is far away.
  reveal(i) {
    if (i < 0 || !this.layout.width) return;
    const { scrollTop, clientHeight } = this.scroller;
    const top = this.layout.lineOf(i) * LINE_HEIGHT;
    const [above, below] = [scrollTop - top, top + LINE_HEIGHT - scrollTop - clientHeight];
    if (above <= 0 && below <= 0) return;
    if (Math.max(above, below) > clientHeight) this.scroller.scrollTop = top - (clientHeight - LINE_HEIGHT) / 2;
    else this.scroller.scrollTop = above > 0 ? top : scrollTop + below;
    this.paint();
  }

  // The token a key leads to, -1 to let go; undefined for keys that mean nothing here.
  target(key) {
    const [last, at] = [this.tokens.length - 1, this.look.cursor];
    if (last < 0) return undefined;
    if (key === "Escape") return -1;
    if (key === "Home") return 0;
    if (key === "End") return last;
    const page = Math.max(1, Math.floor(this.scroller.clientHeight / LINE_HEIGHT) - 1);
    const lines = { ArrowUp: -1, ArrowDown: 1, PageUp: -page, PageDown: page }[key];
    const step = { ArrowLeft: -1, ArrowRight: 1 }[key];
    if (step === undefined && lines === undefined) return undefined;
    if (at < 0) return this.tokens.pieces.token[this.layout.span(Math.ceil(this.scroller.scrollTop / LINE_HEIGHT))[0]];
    return step === undefined ? this.vertically(at, lines) : Math.max(0, Math.min(last, at + step));
  }

  // The token so many lines further down (or up), under the same place.
  vertically(i, lines) {
    const line = Math.max(0, Math.min(this.layout.lines - 1, this.layout.lineOf(i) + lines));
    return this.layout.tokenAt(line, this.layout.placeOf(i));
  }
}
