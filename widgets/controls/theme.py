"""Which of JupyterLab's themes is on, light or dark, as a trait that follows the user's choice."""

from __future__ import annotations

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
    """Put it anywhere in a panel; it shows nothing and keeps `dark` current."""

    _esm = _ESM
    dark = traitlets.Bool(default_value=False).tag(sync=True)

    @property
    def name(self) -> str:
        """Light or dark, as the figures' templates are called."""
        return "dark" if self.dark else "light"
