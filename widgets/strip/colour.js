// Colours: a ramp even in OKLab (perceptual) steps for numbers, tints with a pattern for phases.

const LEVELS = 256;
// Stops of [lightness, chroma, hue in degrees] from low to high. Low values sink into the page, so that the text stays calm and
// what stands out is high. Lightness alone orders the colours: no hue need be told from another.
const RAMPS = {
  light: [[0.99, 0.008, 90], [0.75, 0.135, 65], [0.44, 0.15, 28]],
  dark: [[0.21, 0.006, 50], [0.52, 0.125, 42], [0.92, 0.12, 95]],
};
const PHASE_TINTS = {
  light: { think: [0.92, 0.045, 250], answer: [0.92, 0.07, 75], marker: [0.93, 0, 0] },
  dark: { think: [0.36, 0.06, 250], answer: [0.38, 0.065, 75], marker: [0.32, 0, 0] },
};
const OTHER_HUES = [330, 190, 140, 20];
const phaseColours = new Map();

function oklab([lightness, chroma, hue]) {
  const angle = (hue * Math.PI) / 180;
  return [lightness, chroma * Math.cos(angle), chroma * Math.sin(angle)];
}

// OKLab to sRGB, after Björn Ottosson, "A perceptual color space for image processing" (2020).
function srgb([lightness, a, b]) {
  const l = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3;
  const m = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3;
  const s = (lightness - 0.0894841775 * a - 1.291485548 * b) ** 3;
  const linear = [
    4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s,
    -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s,
    -0.0041960863 * l - 0.7034186147 * m + 1.707614701 * s,
  ];
  return linear.map((c) => {
    const bounded = Math.min(1, Math.max(0, c));
    return Math.round(255 * (bounded <= 0.0031308 ? 12.92 * bounded : 1.055 * bounded ** (1 / 2.4) - 0.055));
  });
}

function luminance(rgb) {
  const [r, g, b] = rgb.map((c) => (c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

function contrast(one, other) {
  const [low, high] = [luminance(one), luminance(other)].sort((x, y) => x - y);
  return (high + 0.05) / (low + 0.05);
}

// Soft ink where it reads well (WCAG AA, 4.5:1); black or white, of which one always does, elsewhere.
function painted(lab) {
  const paper = srgb(lab);
  const inks = [[32, 33, 36], [236, 237, 240], [0, 0, 0], [255, 255, 255]];
  const ink = inks.find((candidate) => contrast(paper, candidate) >= 4.5);
  return { paper: `rgb(${paper.join(" ")})`, ink: `rgb(${ink.join(" ")})` };
}

// Points at equal distances in OKLab along the line through the stops.
function ramp(stops) {
  const line = [];
  for (let k = 0; k < 1000; k++) {
    const [from, share] = [Math.floor(k / 500), (k % 500) / 500];
    line.push(oklab(stops[from].map((low, c) => low + (stops[from + 1][c] - low) * share)));
  }
  line.push(oklab(stops[2]));
  const along = [0];
  for (let k = 1; k < line.length; k++) along.push(along[k - 1] + Math.hypot(...line[k].map((x, c) => x - line[k - 1][c])));
  let at = 0;
  return Array.from({ length: LEVELS }, (_, level) => {
    while (at < line.length - 1 && along[at] < (along[line.length - 1] * level) / (LEVELS - 1) - 1e-12) at++;
    return painted(line[at]);
  });
}

const ramps = { light: ramp(RAMPS.light), dark: ramp(RAMPS.dark) };

export function rampOf(dark) {
  return dark ? ramps.dark : ramps.light;
}

export function phaseColour(name, index, dark) {
  const tints = dark ? PHASE_TINTS.dark : PHASE_TINTS.light;
  const key = Object.hasOwn(tints, name) ? name : index % OTHER_HUES.length;
  const lch = tints[key] ?? [...(dark ? [0.36, 0.06] : [0.92, 0.05]), OTHER_HUES[index % OTHER_HUES.length]];
  const cached = `${dark} ${key}`;
  if (!phaseColours.has(cached)) phaseColours.set(cached, painted(oklab(lch)));
  return phaseColours.get(cached);
}

function niceAbove(x) {
  const power = 10 ** Math.floor(Math.log10(x));
  return power * [1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10].find((step) => step * power >= x * (1 - 1e-9));
}

// From a layer's values to levels of the ramp.
export class Scale {
  constructor(tokens, index) {
    const layer = tokens.layers[index];
    const finite = [];
    this.missing = 0;
    for (let i = 0; i < tokens.length; i++) {
      const value = tokens.value(index, i);
      if (Number.isFinite(value)) finite.push(value);
      else if (Number.isNaN(value)) this.missing++;
    }
    const sorted = Float32Array.from(finite).sort();
    const top = sorted.length ? sorted[Math.min(sorted.length - 1, Math.floor(0.99 * sorted.length))] : 1;
    const bottom = sorted.length ? Math.min(0, sorted[Math.floor(0.01 * sorted.length)]) : 0;
    this.low = layer.range?.[0] ?? (bottom < 0 ? -niceAbove(-bottom) : 0);
    this.high = layer.range?.[1] ?? (top > 0 ? niceAbove(top) : Math.max(0, this.low + 1));
    this.clips = sorted.length > 0 && sorted[sorted.length - 1] > this.high;
    this.log = layer.scale === "log";
    this.seen = tokens.length;
  }

  // Worth computing again: a tenth more tokens have come, or the first few.
  stale(length) {
    return length !== this.seen && (length < 64 || length > 1.1 * this.seen);
  }

  // 0 to 255, or -1 for missing.
  level(value) {
    if (Number.isNaN(value)) return -1;
    const bounded = Math.min(this.high, Math.max(this.low, value));
    const share = this.log
      ? Math.log1p(bounded - this.low) / Math.log1p(this.high - this.low)
      : (bounded - this.low) / (this.high - this.low);
    return Math.round(share * (LEVELS - 1));
  }
}

export function isDark() {
  const flag = document.body.dataset.jpThemeLight;
  if (flag !== undefined) return flag === "false";
  return window.matchMedia("(prefers-color-scheme: dark)").matches;
}

// Calls back when the theme changes; returns what ends it.
export function watchTheme(callback) {
  const observer = new MutationObserver(callback);
  observer.observe(document.body, { attributes: true, attributeFilter: ["data-jp-theme-light", "data-jp-theme-name"] });
  const query = window.matchMedia("(prefers-color-scheme: dark)");
  query.addEventListener("change", callback);
  return () => {
    observer.disconnect();
    query.removeEventListener("change", callback);
  };
}
