// The tokens of one model, shared by all its views: decoded once, grown by what Python appends.

const KEPT_ANSWERS = 512;
const CONTROL = /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]|[\u{e0000}-\u{e007f}]/gu;

// Text that cannot hide or reorder anything: control and direction characters become visible signs.
export function visible(text) {
  if (text === "") return "∅";
  return text.replace(CONTROL, (character) => {
    const code = character.codePointAt(0);
    if (code === 10) return "↵";
    if (code === 9) return "⇥";
    return `‹U+${code.toString(16).toUpperCase().padStart(4, "0")}›`;
  });
}

export const withSpaces = (text) => visible(text).replace(/ /g, "·");

export function bytesOf(buffer) {
  // Message buffers may start at an odd offset, where a Float32Array cannot lie: copy.
  if (buffer instanceof ArrayBuffer) return new Uint8Array(buffer.slice(0));
  return new Uint8Array(buffer.buffer.slice(buffer.byteOffset, buffer.byteOffset + buffer.byteLength));
}

function grown(array, length) {
  if (array.length >= length) return array;
  const larger = new array.constructor(Math.max(length, 2 * array.length));
  larger.set(array);
  return larger;
}

class Tokens {
  constructor(raw) {
    this.raw = raw;
    this.layers = raw.layers;
    this.codes = bytesOf(raw.codes);
    this.values = new Float32Array(bytesOf(raw.values).buffer, 0, raw.texts.length * raw.layers.length);
    this.answers = new Map(); // token -> {items, error}
    this.listeners = new Set();
    this.waiting = false;
    this.pieces = { token: [], text: [], newline: [], opens: [] };
    this.split(0);
  }

  get length() {
    return this.raw.texts.length;
  }

  text(i) {
    return this.raw.texts[i];
  }

  phase(i) {
    return this.raw.phases[this.codes[i]];
  }

  value(layer, i) {
    return this.values[i * this.layers.length + layer];
  }

  layerNamed(name) {
    return this.layers.findIndex((layer) => layer.name === name);
  }

  // A token is one piece, unless it goes on after a line break: then a piece a line.
  split(from) {
    const { token, text, newline, opens } = this.pieces;
    let glued = from > 0 && !/\s$/.test(this.text(from - 1));
    for (let i = from; i < this.length; i++) {
      const parts = this.text(i).match(/[^\n]*\n+|[^\n]+/g) ?? [""];
      for (const part of parts) {
        token.push(i);
        text.push(visible(part));
        newline.push(part.endsWith("\n"));
        opens.push(!glued || /^\s/.test(part)); // a line may break before this piece
        glued = !/[\s\-—/\u3000-\u9fff\uac00-\ud7af]$/.test(part);
      }
    }
  }

  // Python's messages. A gap (a message lost while the page loaded) is asked for again, once.
  receive(content, buffers, model) {
    if (content.epoch !== this.raw.epoch) return;
    if (content.type === "alternatives") {
      if (this.answers.size >= KEPT_ANSWERS) this.answers.delete(this.answers.keys().next().value);
      this.answers.set(content.token, { items: content.items, error: content.error });
      this.listeners.forEach((listener) => listener.onAnswer(content.token));
    } else if (content.type === "append" && content.start > this.length) {
      if (!this.waiting) model.send({ type: "sync", epoch: this.raw.epoch, from: this.length });
      this.waiting = true;
    } else if (content.type === "append") {
      this.waiting = false;
      this.append(content, bytesOf(buffers[0]), new Float32Array(bytesOf(buffers[1]).buffer));
    }
  }

  append(content, codes, values) {
    const known = this.length - content.start; // a repeated message brings what is already here
    if (known >= content.texts.length) return;
    const before = this.length;
    const width = this.layers.length;
    this.raw.phases = content.phases;
    for (let i = known; i < content.texts.length; i++) this.raw.texts.push(content.texts[i]);
    this.codes = grown(this.codes, this.length);
    this.codes.set(codes.subarray(known), before);
    this.values = grown(this.values, this.length * width);
    this.values.set(values.subarray(known * width), before * width);
    // The model's own state stays whole, so that a saved notebook and a later view hold every token.
    this.raw.codes = new DataView(this.codes.buffer);
    this.raw.values = new DataView(this.values.buffer);
    this.split(before);
    this.listeners.forEach((listener) => listener.onAppend());
  }
}

const shared = new WeakMap();

export function tokensOf(model) {
  const raw = model.get("_columns");
  if (!shared.has(raw)) shared.set(raw, new Tokens(raw));
  return shared.get(raw);
}
