// The strip itself. Pointer and keys change the page first and tell Python afterwards, so nothing waits for the kernel.
import { Card, element, formatted, summary } from "./card.js";
import { isDark, phaseColour, rampOf, Scale, watchTheme } from "./colour.js";
import { Header } from "./header.js";
import { Layout, LINE_HEIGHT } from "./layout.js";
import { bytesOf, tokensOf, visible } from "./tokens.js";

const OVERSCAN = 8; // lines kept in the document above and below the visible ones
const ASK_AFTER = 60; // ms a token must be looked at before Python is asked for its alternatives
const TELL_AFTER = 40; // ms: at most 25 cursor messages a second
const READ_AFTER = 300; // ms: screen readers hear where the cursor rests, not each token it passes
const HINT = "Point at a token for its alternatives, click to pin it. Keys: ← → ↑ ↓ Home End move, Esc lets go.";

class Strip {
  constructor(model, el) {
    this.model = model;
    this.uid = `ewb-${Math.random().toString(36).slice(2, 10)}`;
    this.timers = {};
    this.lines = new Map(); // line -> element
    this.pointed = -1; // the token under this view's pointer
    this.root = element("div", "ewb-strip");
    this.header = new Header(this.root, (name) => this.tell("colour_by", name));
    this.scroller = element("div", "ewb-scroller");
    this.scroller.tabIndex = 0;
    this.scroller.setAttribute("role", "listbox");
    this.scroller.setAttribute("aria-label", "Tokens of the trace");
    this.sizer = element("div", "ewb-sizer");
    this.scroller.append(this.sizer);
    this.foot = element("div", "ewb-foot");
    this.live = element("div", "ewb-live");
    this.live.setAttribute("aria-live", "polite");
    this.root.append(this.scroller, this.foot, this.live);
    this.card = new Card(this.root);
    el.append(this.root);
    this.ends = [watchTheme(() => this.restyle())];
    this.listen();
    this.adopt();
  }

  listen() {
    const on = (target, name, handler, options) => {
      target.addEventListener(name, handler, options);
      this.ends.push(() => target.removeEventListener(name, handler, options));
    };
    on(this.scroller, "pointermove", (event) => this.point(event));
    on(this.scroller, "pointerleave", () => this.look(-1));
    on(this.scroller, "click", (event) => this.click(event));
    on(this.scroller, "scroll", () => this.scrolled());
    on(this.scroller, "focus", () => this.showCard());
    on(this.scroller, "blur", () => this.showCard());
    on(this.scroller, "keydown", (event) => this.key(event));
    // The notebook's one-letter shortcuts must not fire from inside; Ctrl, Alt and Cmd combinations may.
    on(this.root, "keydown", (event) => event.ctrlKey || event.metaKey || event.altKey || event.stopPropagation());
    on(document, "scroll", (event) => event.target !== this.scroller && this.showCard(), { capture: true, passive: true });
    const resize = new ResizeObserver(() => this.resized());
    resize.observe(this.scroller);
    this.ends.push(() => resize.disconnect());
    const changes = {
      _columns: () => this.adopt(),
      _answers: () => this.showCard(),
      colour_by: () => this.restyle(),
      cursor: () => this.cursorMoved(),
      hover: () => this.hovered(),
      marked: () => this.remark(),
      marked_label: () => this.remark(),
      max_height: () => this.resized(),
    };
    for (const [name, handler] of Object.entries(changes)) {
      this.model.on(`change:${name}`, handler);
      this.ends.push(() => this.model.off(`change:${name}`, handler));
    }
  }

  // Takes the model's tokens: at the start, and when Python replaces them.
  adopt() {
    this.tokens?.listeners.delete(this);
    this.tokens = tokensOf(this.model);
    this.tokens.listeners.add(this);
    this.layout = new Layout(this.tokens);
    this.pointed = -1;
    this.card.hide();
    this.scroller.scrollTop = 0;
    this.remark();
    this.restyle();
    this.resized(true);
  }

  onAppend() {
    if (this.timers.append) return;
    this.timers.append = requestAnimationFrame(() => {
      this.timers.append = 0;
      const follows = this.scroller.scrollTop + this.scroller.clientHeight >= this.layout.height - LINE_HEIGHT;
      const from = this.layout.width ? this.layout.extend() : 0;
      for (const line of [...this.lines.keys()]) if (line >= from) this.drop(line);
      if (this.scale?.stale(this.tokens.length) ?? true) this.restyle();
      this.header.totals(this.tokens, this.marked, this.model.get("marked_label"));
      this.paint();
      if (follows) this.scroller.scrollTop = this.layout.height;
    });
  }

  onAnswer(token) {
    if (token === this.shown()) this.showCard();
  }

  resized(force = false) {
    this.scroller.style.maxHeight = `${this.model.get("max_height")}px`;
    const style = getComputedStyle(this.sizer);
    const width = this.sizer.clientWidth;
    if (width && (force || width !== this.layout.width)) {
      const top = this.layout.lines ? this.layout.span(Math.floor(this.scroller.scrollTop / LINE_HEIGHT))[0] : 0;
      this.layout.reset(width, `${style.fontWeight} ${style.fontSize} ${style.fontFamily}`);
      this.clear();
      this.paint();
      const token = this.tokens.pieces.token[top ?? 0];
      if (token) this.scroller.scrollTop = this.layout.lineOf(token) * LINE_HEIGHT;
    }
    this.paint();
  }

  // Builds the lines near the viewport and drops the others.
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

  clear() {
    for (const line of [...this.lines.keys()]) this.drop(line);
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
      else this.describe(box, token[p]);
      this.dress(box, token[p]);
      node.append(box);
    }
    this.sizer.append(node);
    this.lines.set(line, node);
  }

  describe(box, i) {
    box.id = `${this.uid}-${i}`;
    box.setAttribute("role", "option");
    box.setAttribute("aria-posinset", i + 1);
    box.setAttribute("aria-setsize", this.tokens.length);
    const value = this.layer ? `, ${this.layer.label} ${formatted(this.layer, this.tokens.value(this.index, i))} ${this.layer.unit}` : "";
    box.setAttribute("aria-label", `token ${i}, ${visible(this.tokens.text(i))}, ${this.tokens.phase(i)}${value}`);
  }

  // Colours, mark, cursor and hover of one box.
  dress(box, i) {
    const code = this.tokens.codes[i];
    const level = this.layer ? this.scale.level(this.tokens.value(this.index, i)) : -1;
    const colour = this.layer ? this.ramp[level] : phaseColour(this.tokens.phase(i), code, this.dark);
    box.style.backgroundColor = colour?.paper ?? "";
    box.style.color = colour?.ink ?? "";
    if (this.layer) delete box.dataset.phase;
    else box.dataset.phase = this.tokens.phase(i);
    box.classList.toggle("ewb-missing", Boolean(this.layer) && level < 0);
    box.classList.toggle("ewb-marked", this.marked.has(i));
    box.classList.toggle("ewb-cursor", i === this.model.get("cursor"));
    box.classList.toggle("ewb-hover", i === this.model.get("hover"));
    if (box.id) box.setAttribute("aria-selected", i === this.model.get("cursor"));
  }

  dressAll() {
    for (const box of this.sizer.querySelectorAll(".ewb-token")) {
      if (box.id) this.describe(box, Number(box.dataset.i));
      this.dress(box, Number(box.dataset.i));
    }
  }

  restyle() {
    this.dark = isDark();
    this.root.classList.toggle("ewb-dark", this.dark);
    this.ramp = rampOf(this.dark);
    this.index = this.tokens.layerNamed(this.model.get("colour_by"));
    this.layer = this.tokens.layers[this.index];
    this.scale = this.layer && new Scale(this.tokens, this.index);
    this.header.choices(this.tokens, this.layer ? this.layer.name : "phase");
    if (this.layer) this.header.scale(this.layer, this.scale, this.dark);
    else this.header.phases(this.tokens, this.dark);
    this.dressAll();
  }

  remark() {
    this.marked = new Set(new Uint32Array(bytesOf(this.model.get("marked")).buffer));
    this.header.totals(this.tokens, this.marked, this.model.get("marked_label"));
    if (this.layout?.width) this.dressAll();
    this.readOut();
  }
}
