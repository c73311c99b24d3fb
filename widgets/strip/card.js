// The tooltip: what is known of one token, and the alternatives Python answers with.
import { visible, withSpaces } from "./tokens.js";

const GAP = 8; // pixels between token and card
const SHOWN = 8; // alternatives

// All text goes in as text nodes: a token is never markup.
export function element(tag, className, text) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text !== undefined) node.textContent = text;
  return node;
}

const formats = new Map(); // digits -> format; making one takes longer than a hundred uses

function formatOf(digits) {
  if (!formats.has(digits)) {
    formats.set(digits, new Intl.NumberFormat("en", { minimumFractionDigits: digits, maximumFractionDigits: digits }));
  }
  return formats.get(digits);
}

export function formatted(layer, value) {
  if (Number.isNaN(value)) return "missing";
  if (!Number.isFinite(value)) return value < 0 ? "−∞" : "∞";
  const text = formatOf(layer.digits).format(Math.abs(value));
  return value < 0 && Number(text) !== 0 ? `−${text}` : text;
}

export function percent(p) {
  if (p === 0) return "0 %";
  if (p < 0.0001) return `${(100 * p).toExponential(0).replace("-", "−")} %`;
  return `${(100 * p).toFixed(p < 0.01 ? 2 : 1)} %`;
}

export class Card {
  constructor(root) {
    this.node = element("div", "ewb-card");
    this.node.setAttribute("role", "tooltip");
    this.node.hidden = true;
    // The top layer: neither the cell's edge nor its scrolling cuts the card off.
    this.node.popover = "manual";
    root.append(this.node);
  }

  hide() {
    if (this.node.hidden) return;
    this.node.hidden = true;
    this.node.hidePopover?.();
    this.node.replaceChildren();
  }

  show(tokens, token, { answers, title, anchor }) {
    const answer = tokens.answers.get(token);
    this.node.replaceChildren(heading(tokens, token), numbers(tokens, token));
    if (answers) this.node.append(alternatives(tokens, token, answer, title));
    if (this.node.hidden) {
      this.node.hidden = false;
      this.node.showPopover?.();
    }
    this.place(anchor);
  }

  place(anchor) {
    const { width, height } = this.node.getBoundingClientRect();
    const below = anchor.bottom + GAP;
    const fits = below + height <= window.innerHeight - GAP;
    const top = fits ? below : Math.max(GAP, anchor.top - GAP - height);
    const left = Math.max(GAP, Math.min(anchor.left, window.innerWidth - width - GAP));
    this.node.style.transform = `translate(${Math.round(left)}px, ${Math.round(top)}px)`;
  }
}

function heading(tokens, token) {
  const head = element("div", "ewb-card-head");
  head.append(
    element("bdi", "ewb-card-text", withSpaces(tokens.text(token))),
    element("span", "ewb-card-where", `${tokens.phase(token)} · token ${token.toLocaleString("en")}`),
  );
  return head;
}

function numbers(tokens, token) {
  const list = element("div", "ewb-card-numbers");
  tokens.layers.forEach((layer, index) => {
    const value = tokens.value(index, token);
    const cell = element("span", "ewb-card-value", formatted(layer, value));
    if (layer.unit && Number.isFinite(value)) cell.append(element("span", "ewb-unit", ` ${layer.unit}`));
    list.append(element("span", "ewb-card-name", layer.label), cell);
  });
  return list;
}

// Which of the alternatives was drawn: the one at the token's rank, or (ties, no rank) the first with its text.
function realised(tokens, token, items) {
  const rank = tokens.layerNamed("rank");
  const at = rank < 0 ? NaN : tokens.value(rank, token);
  if (items[at]?.[0] === tokens.text(token)) return at;
  return items.findIndex(([text]) => text === tokens.text(token));
}

function alternatives(tokens, token, answer, title) {
  const box = element("div", "ewb-card-alternatives");
  box.append(element("div", "ewb-card-title", title));
  if (!answer) box.append(element("div", "ewb-card-note ewb-waiting", "…"));
  else if (answer.error) box.append(element("div", "ewb-card-note", `Not available: ${answer.error}`));
  else if (!answer.items.length) box.append(element("div", "ewb-card-note", "None recorded"));
  else box.append(...rows(tokens, token, answer.items));
  return box;
}

function rows(tokens, token, items) {
  const drawn = realised(tokens, token, items);
  const shown = items.slice(0, SHOWN).map(([text, p], k) => row(withSpaces(text), p, k === drawn));
  let mass = items.slice(0, SHOWN).reduce((sum, [, p]) => sum + p, 0);
  if (drawn >= SHOWN) {
    shown.push(row(withSpaces(items[drawn][0]), items[drawn][1], true));
    mass += items[drawn][1];
  } else if (drawn < 0) {
    const p = probability(tokens, token);
    shown.push(row(withSpaces(tokens.text(token)), p, true));
    mass += Number.isNaN(p) ? 0 : p;
  }
  const rest = Math.max(0, 1 - mass);
  const last = row("all others", rest < 1e-6 ? 0 : rest, false);
  last.classList.add("ewb-rest");
  return [...shown, last];
}

function probability(tokens, token) {
  const [logprob, surprisal] = ["logprob", "surprisal"].map((name) => tokens.layerNamed(name));
  if (logprob < 0 && surprisal < 0) return NaN;
  const layer = tokens.layers[logprob < 0 ? surprisal : logprob];
  const value = logprob < 0 ? -tokens.value(surprisal, token) : tokens.value(logprob, token);
  return Math.exp(value * (layer.unit === "bits" ? Math.LN2 : 1));
}

function row(text, p, drawn) {
  const line = element("div", drawn ? "ewb-alt ewb-drawn" : "ewb-alt");
  const bar = element("span", "ewb-alt-bar");
  bar.style.width = `${Number.isNaN(p) ? 0 : Math.min(100, 100 * p)}%`;
  line.append(bar, element("bdi", "ewb-alt-text", text));
  if (drawn) line.append(element("span", "ewb-alt-drawn", "drawn"));
  line.append(element("span", "ewb-alt-p", Number.isNaN(p) ? "?" : percent(p)));
  return line;
}

// One line about a token, for the foot of the strip and for screen readers.
export function summary(tokens, token, marked, markedLabel) {
  // The two marks isolate the token's text: right-to-left letters must not turn the rest of the line around.
  const text = `“\u2068${visible(tokens.text(token))}\u2069”`;
  const parts = [`Token ${token.toLocaleString("en")} ${text}`, tokens.phase(token)];
  tokens.layers.forEach((layer, index) => {
    const value = formatted(layer, tokens.value(index, token));
    parts.push(`${layer.label} ${value}${layer.unit && value !== "missing" ? ` ${layer.unit}` : ""}`);
  });
  if (marked) parts.push(markedLabel);
  return parts.join(" · ");
}
