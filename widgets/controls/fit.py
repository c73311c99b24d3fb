"""Keeps charts as wide as the place they are in."""

from __future__ import annotations

import anywidget

_ESM = """
function render({ el }) {
  el.style.width = "100%";
  // plotly measures a chart before it is in the page, then listens to the window only, which sidebars do not resize.
  const observer = new ResizeObserver(() => requestAnimationFrame(() => window.dispatchEvent(new Event("resize"))));
  observer.observe(el);
  return () => observer.disconnect();
}

export default { render };
"""


class Fit(anywidget.AnyWidget):
    """Put it beside a chart: an empty line that tells plotly whenever its width changes, the first time included."""

    _esm = _ESM
