// The widget. Pointer and keys change the page first and tell Python afterwards, so nothing waits for the kernel.
import { Card, element, summary } from "./card.js";
import { isDark, rampOf, Scale, watchTheme } from "./colour.js";
import { Header } from "./header.js";
import { Page } from "./page.js";
import { bytesOf, tokensOf } from "./tokens.js";

const ASK_AFTER = 60; // ms a token must be looked at before Python is asked for its alternatives
const READ_AFTER = 300; // ms: screen readers hear where the cursor rests, not each token it passes
const HINT = "Point at a token for details, click to pin it. In the strip, arrow keys, Home and End move; Esc lets go.";

class Strip {
  constructor(model, el) {
    this.model = model;
    this.timers = {};
    this.pointed = -1; // the token under this view's own pointer
    this.look = { cursor: model.get("cursor"), hover: model.get("hover"), marked: new Set() };
    this.root = element("div", "ewb-strip");
    this.header = new Header(this.root, (name) => this.tell("colour_by", name));
    this.page = new Page(this.root, this.look);
    this.foot = element("div", "ewb-foot");
    this.live = element("div", "ewb-live");
    this.live.setAttribute("aria-live", "polite");
    this.root.append(this.foot, this.live);
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
    const { scroller } = this.page;
    on(scroller, "pointermove", (event) => this.pointer(event));
    on(scroller, "pointerleave", () => this.point(-1));
    on(scroller, "click", (event) => this.pin(tokenUnder(event)));
    on(scroller, "scroll", () => this.scrolled());
    on(scroller, "focus", () => this.showCard());
    on(scroller, "blur", () => this.showCard());
    on(scroller, "keydown", (event) => this.key(event));
    // The notebook's one-letter shortcuts must not fire from inside; Ctrl, Alt and Cmd combinations may.
    on(this.root, "keydown", (event) => event.ctrlKey || event.metaKey || event.altKey || event.stopPropagation());
    on(document, "scroll", (event) => event.target !== scroller && this.showCard(), { capture: true, passive: true });
    const resize = new ResizeObserver(() => {
      this.page.fit();
      this.showCard();
    });
    resize.observe(scroller);
    this.ends.push(() => resize.disconnect());
    const changes = {
      _columns: () => this.adopt(),
      _answers: () => this.showCard(),
      colour_by: () => this.restyle(),
      cursor: () => this.moved("cursor"),
      hover: () => this.moved("hover"),
      marked: () => this.remark(),
      marked_label: () => this.remark(),
      max_height: () => this.size(),
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
    this.pointed = -1;
    Object.assign(this.look, { cursor: this.model.get("cursor"), hover: this.model.get("hover"), marked: this.marked() });
    this.header.choices(this.tokens);
    this.measure();
    this.size();
    this.page.adopt(this.tokens);
    this.header.totals(this.tokens, this.look.marked, this.model.get("marked_label"));
    this.page.reveal(this.look.cursor);
    this.showCard();
    this.readOut();
  }

  size() {
    this.page.scroller.style.maxHeight = `${this.model.get("max_height")}px`;
  }

  marked() {
    return new Set(new Uint32Array(bytesOf(this.model.get("marked")).buffer));
  }

  // Layer, scale and theme, and the legend that explains them.
  measure() {
    const dark = isDark();
    const index = this.tokens.layerNamed(this.model.get("colour_by"));
    const layer = this.tokens.layers[index];
    const scale = layer && new Scale(this.tokens, index);
    Object.assign(this.look, { dark, index, layer, scale, ramp: rampOf(dark) });
    this.root.classList.toggle("ewb-dark", dark);
    this.header.select.value = layer ? layer.name : "phase";
    if (layer) this.header.scale(layer, scale, dark);
    else this.header.phases(this.tokens, dark);
  }

  restyle() {
    this.measure();
    this.page.dressAll();
  }

  remark() {
    this.look.marked = this.marked();
    this.header.totals(this.tokens, this.look.marked, this.model.get("marked_label"));
    this.page.remark();
    this.readOut();
  }

  onAppend() {
    this.timers.append ??= requestAnimationFrame(() => {
      this.timers.append = undefined;
      if (!this.look.layer || this.look.scale.stale(this.tokens.length)) this.restyle();
      this.header.totals(this.tokens, this.look.marked, this.model.get("marked_label"));
      this.page.extend();
    });
  }

  onAnswer(token) {
    if (token === this.shown()) this.showCard();
  }

  // A change made here: painted at once in every view on the page, told to Python a moment later.
  tell(name, value) {
    if (this.model.get(name) === value) return;
    this.model.set(name, value);
    // At once: ipywidgets holds back what the kernel is not ready for, and then knows to drop the kernel's echo of older
    // values. A change kept back here would be undone by that echo.
    this.model.save_changes();
  }

  moved(name) {
    const [before, now] = [this.look[name], this.model.get(name)];
    this.look[name] = now;
    if (name === "cursor" || now !== this.pointed) this.page.reveal(now);
    this.page.repoint(before, now);
    this.readOut();
    this.showCard();
  }

  pointer(event) {
    // Scrolling under a resting pointer also sends moves; only real ones count, or keys could not lead.
    if (event.clientX === this.lastX && event.clientY === this.lastY) return;
    [this.lastX, this.lastY] = [event.clientX, event.clientY];
    this.point(tokenUnder(event));
  }

  point(token) {
    if (token === this.pointed) return;
    this.pointed = token;
    this.tell("hover", token);
    this.showCard();
  }

  pin(token) {
    this.keyed = false;
    if (token >= 0) this.tell("cursor", token === this.look.cursor ? -1 : token);
  }

  scrolled() {
    this.page.paint();
    if (this.pointed >= 0) this.point(-1);
    else this.showCard();
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.shiftKey) return;
    const target = this.page.target(event.key);
    if (target === undefined) return;
    event.preventDefault();
    this.keyed = true;
    this.point(-1);
    this.tell("cursor", target);
  }

  // The token the card is about: under the pointer, else the pinned one while keys move it. A click alone leaves no card
  // behind: it would cover the chart that the click was to move.
  shown() {
    if (this.pointed >= 0) return this.pointed;
    return this.keyed && document.activeElement === this.page.scroller ? this.look.cursor : -1;
  }

  showCard() {
    const token = this.shown();
    const anchor = this.page.rect(token);
    if (!anchor) return this.card.hide();
    const answers = this.model.get("_answers");
    this.card.show(this.tokens, token, { answers, title: this.model.get("alternatives_label"), anchor });
    if (answers && !this.tokens.answers.has(token)) this.ask(token);
  }

  ask(token) {
    if (this.asked === token && this.timers.ask) return;
    clearTimeout(this.timers.ask);
    this.asked = token;
    this.timers.ask = setTimeout(() => {
      this.timers.ask = undefined;
      if (token === this.shown()) this.model.send({ type: "alternatives", epoch: this.tokens.raw.epoch, token });
    }, ASK_AFTER);
  }

  readOut() {
    const { cursor, hover, marked } = this.look;
    const token = hover >= 0 ? hover : cursor;
    const about = (i) => summary(this.tokens, i, marked.has(i), this.model.get("marked_label"));
    this.foot.textContent = token >= 0 ? about(token) : HINT;
    this.foot.classList.toggle("ewb-hint", token < 0);
    clearTimeout(this.timers.read);
    this.timers.read = setTimeout(() => (this.live.textContent = cursor >= 0 ? about(cursor) : ""), READ_AFTER);
  }

  dispose() {
    this.tokens.listeners.delete(this);
    if (this.pointed >= 0) this.point(-1);
    cancelAnimationFrame(this.timers.append);
    clearTimeout(this.timers.ask);
    clearTimeout(this.timers.read);
    this.ends.forEach((end) => end());
    this.card.hide();
    this.root.remove();
  }
}

function tokenUnder(event) {
  const box = event.target.closest?.(".ewb-token");
  return box ? Number(box.dataset.i) : -1;
}

// Once a model: takes Python's messages for all views, and asks for what was appended while the page loaded.
function initialize({ model }) {
  const receive = (content, buffers) => tokensOf(model).receive(content, buffers, model);
  model.on("msg:custom", receive);
  model.send({ type: "sync", epoch: model.get("_columns").epoch, from: tokensOf(model).length });
  return () => model.off("msg:custom", receive);
}

function render({ model, el }) {
  const strip = new Strip(model, el);
  return () => strip.dispose();
}

export default { initialize, render };
