// Five megabytes of plotly.js are sent, parsed and run once a page, whoever asks first.
const place = Symbol.for("entropy-workbench plotly PLOTLY_VERSION");

function plotly(owner) {
  return globalThis[place] ??= load(owner).catch((problem) => { delete globalThis[place]; throw problem; });
}

async function load(owner) {
  // The small widgets beside a chart first: while this is parsed, none of them can begin.
  await new Promise((done) => globalThis.requestIdleCallback ? requestIdleCallback(done, { timeout: 300 }) : done());
  const url = URL.createObjectURL(new Blob([owner.get("code")], { type: "text/javascript" }));
  try { return await import(url); } finally { URL.revokeObjectURL(url); }
}
