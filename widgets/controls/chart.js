// Follows plotly_bundle.js. anywidget gives a widget two seconds to initialize, after which it never hears its kernel
// again: on a busy machine plotly.js may take longer. So nothing waits, and what the kernel says in the meantime is said
// again afterwards. plotly's widget notes every change for views to come, and what a change leaves alone it notes as
// "_undefined_", which no view can draw: it is told undefined. A drawing under way goes on when its chart is removed, and
// at its end still asks for a layout and for listeners.
const SAID = ["addTraces", "deleteTraces", "moveTraces", "restyle", "relayout", "update", "animate",
  "removeLayoutProps", "removeTraceProps"].map((name) => `_py2js_${name}`);

function defined(value) {
  if (value === "_undefined_") return undefined;
  if (Array.isArray(value)) return value.map(defined);
  if (value?.constructor !== Object || "dtype" in value) return value;
  return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, defined(part)]));
}

async function loaded(context) {
  const { model } = context;
  const said = [];
  const listeners = SAID.map((name) => [`change:${name}`, () => said.push([name, model.get(name)])]);
  for (const listener of listeners) model.on(...listener);
  const owner = await model.widget_manager.get_model(model.get("_bundle").slice("IPY_MODEL_".length));
  const inner = (await plotly(owner)).default();
  for (const listener of listeners) model.off(...listener);

  const again = {}, heard = {};
  const told = {
    ...model,
    get: (name) => SAID.includes(name) ? defined(name in again ? again[name] : model.get(name)) : model.get(name),
    on: (event, callback) => { (heard[event] ??= []).push(callback); model.on(event, callback); },
  };
  inner.initialize({ ...context, model: told });
  for (const [name, value] of said) {
    again[name] = value;
    for (const callback of heard[`change:${name}`] ?? []) callback();
    delete again[name];
  }
  return inner;
}

export default () => {
  let inner;
  return {
    initialize(context) { inner = loaded(context); },
    async render(context) {
      const remove = (await inner).render(context);
      return () => {
        remove();
        Object.assign(context.el, { _fullLayout: { _redrawFromAutoMarginCount: 1 }, on() {} });
      };
    },
  };
};
