// The strip's head: what colours the tokens, the legend, and how many tokens there are.
import { element, formatted } from "./card.js";
import { phaseColour, rampOf } from "./colour.js";

export class Header {
  constructor(root, choose) {
    this.node = element("div", "ewb-head");
    this.select = element("select", "ewb-select");
    this.select.addEventListener("change", () => choose(this.select.value));
    const label = element("label", "ewb-choice", "Colour by ");
    label.append(this.select);
    this.legend = element("div", "ewb-legend");
    this.count = element("div", "ewb-count");
    this.node.append(label, this.legend, this.count);
    root.append(this.node);
  }

  choices(tokens) {
    const offered = tokens.layers.filter((layer) => layer.selectable).map((layer) => [layer.name, layer.label]);
    this.select.replaceChildren(
      ...[...offered, ["phase", "phase"]].map(([name, label]) => {
        const option = element("option", "", label);
        option.value = name;
        return option;
      }),
    );
  }

  totals(tokens, marked, markedLabel) {
    const parts = [];
    if (marked.size) {
      const sign = element("span", "ewb-mark-sign");
      parts.push(sign, element("span", "", `${marked.size.toLocaleString("en")} ${markedLabel}`), element("span", "", "·"));
    }
    parts.push(element("span", "", `${tokens.length.toLocaleString("en")} ${tokens.length === 1 ? "token" : "tokens"}`));
    this.count.replaceChildren(...parts);
  }

  scale(layer, scale, dark) {
    const bar = element("span", "ewb-bar");
    const stops = rampOf(dark).filter((_, k) => k % 15 === 0).map(({ paper }) => paper);
    bar.style.background = `linear-gradient(to right, ${stops.join(", ")})`;
    const end = (value) => formatted({ digits: Number.isInteger(value) ? 0 : 1 }, value);
    const high = `${scale.clips ? "≥ " : ""}${end(scale.high)}${layer.unit ? ` ${layer.unit}` : ""}${scale.log ? " (log)" : ""}`;
    const parts = [element("span", "", end(scale.low)), bar, element("span", "", high)];
    if (scale.missing) parts.push(element("span", "ewb-swatch ewb-missing"), element("span", "", "missing"));
    if (layer.description) parts.push(element("span", "ewb-description", layer.description));
    this.legend.replaceChildren(...parts);
    this.legend.title = layer.description;
  }

  phases(tokens, dark) {
    const counts = new Array(tokens.raw.phases.length).fill(0);
    for (let i = 0; i < tokens.length; i++) counts[tokens.codes[i]]++;
    const entries = tokens.raw.phases.map((name, code) => {
      const entry = element("span", "ewb-phase-entry");
      const swatch = element("span", "ewb-swatch");
      swatch.dataset.phase = name;
      swatch.style.backgroundColor = phaseColour(name, code, dark).paper;
      entry.append(swatch, element("bdi", "", `${name} ${counts[code].toLocaleString("en")}`));
      return entry;
    });
    this.legend.replaceChildren(...entries);
    this.legend.title = "";
  }
}
