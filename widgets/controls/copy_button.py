"""A button that puts a text into the clipboard, which only the page can do."""

from __future__ import annotations

import anywidget
import traitlets

_ESM = """
function render({ model, el }) {
  const button = document.createElement("button");
  button.className = "jupyter-button widget-button";
  button.type = "button";
  button.style.width = "auto";
  const say = (text) => (button.textContent = text);
  say("Copy");
  button.title = "Copy the text";
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(model.get("text"));
      say("Copied");
    } catch {
      say("Copy it by hand"); // the page may not write to the clipboard
    }
    setTimeout(() => say("Copy"), 1500);
  });
  el.append(button);
}

export default { render };
"""


class CopyButton(anywidget.AnyWidget):
    """Copies `text` when pressed."""

    _esm = _ESM
    text = traitlets.Unicode().tag(sync=True)
