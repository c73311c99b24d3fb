"""Two things only the page knows: which arrow key was pressed, and whether anybody sees the panel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anywidget
import traitlets

if TYPE_CHECKING:
    from collections.abc import Callable

_KEYS = """
const STEPS = { ArrowUp: [1, 0], ArrowDown: [-1, 0], ArrowRight: [0, 1], ArrowLeft: [0, -1] };

function render({ model, el }) {
  el.hidden = true;
  const listen = () => {
    const place = el.closest(".workbench-heads-map")?.querySelector(".js-plotly-plot")?.parentElement;
    if (!place || place.dataset.keys) return Boolean(place);
    place.dataset.keys = "heard";
    place.tabIndex = 0;
    place.setAttribute("role", "application");
    place.setAttribute("aria-label", "Heads by layer; arrow keys move the chosen head");
    place.addEventListener("click", () => place.focus({ preventScroll: true }));
    place.addEventListener("keydown", (event) => {
      const step = STEPS[event.key];
      if (!step || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      event.stopPropagation();
      model.send({ step });
    });
    return true;
  };
  if (listen()) return;
  const observer = new MutationObserver(() => listen() && observer.disconnect());
  observer.observe(document.body, { childList: true, subtree: true });
  return () => observer.disconnect();
}

export default { render };
"""

_SEEN = """
function render({ model, el }) {
  el.style.cssText = "width: 100%; height: 1px; margin: 0 0 -1px";
  const observer = new IntersectionObserver(([entry]) => {
    model.set("seen", entry.isIntersecting);
    model.save_changes();
  });
  observer.observe(el);
  return () => observer.disconnect();
}

export default { render };
"""


class Keys(anywidget.AnyWidget):
    """Beside a heatmap in a box of class workbench-heads-map: arrow keys there call `stepped` with (up, right)."""

    _esm = _KEYS

    def __init__(self, stepped: Callable[[int, int], None]) -> None:
        self._stepped = stepped
        super().__init__()
        self.on_msg(self._receive)

    def _receive(self, _widget: object, content: dict[str, Any], _buffers: object) -> None:
        up, right = content.get("step", (0, 0))
        self._stepped(int(up), int(right))


class Seen(anywidget.AnyWidget):
    """A line without height: `seen` while it is in sight, and not while its tab is closed or scrolled away."""

    _esm = _SEEN
    seen = traitlets.Bool(default_value=False).tag(sync=True)
