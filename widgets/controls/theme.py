"""The look of a panel: its style sheet, and which of JupyterLab's themes is on, as a trait that follows the choice."""

from __future__ import annotations

from pathlib import Path

import anywidget
import traitlets

_ESM = """
const dark = () => {
  const light = document.body.dataset.jpThemeLight;
  return light === undefined ? matchMedia("(prefers-color-scheme: dark)").matches : light === "false";
};

function render({ model, el }) {
  el.hidden = true;
  const tell = () => { model.set("dark", dark()); model.save_changes(); };
  const observer = new MutationObserver(tell);
  observer.observe(document.body, { attributes: true, attributeFilter: ["data-jp-theme-light"] });
  tell();
  return () => observer.disconnect();
}

export default { render };
"""


class Theme(anywidget.AnyWidget):
    """Put it anywhere in a panel; it shows nothing, brings the style sheet along and keeps `dark` current."""

    _esm = _ESM
    _css = Path(__file__).with_name("panel.css").read_text(encoding="utf-8")
    dark = traitlets.Bool(default_value=False).tag(sync=True)

    @property
    def name(self) -> str:
        """Light or dark, as the figures' templates are called."""
        return "dark" if self.dark else "light"
