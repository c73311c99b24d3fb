"""A sampler's settings as text: to copy for this workbench and other engines, and to load again."""

from __future__ import annotations

import json
from html import escape
from typing import TYPE_CHECKING, Any

import ipywidgets

from widgets.controls.copy_button import CopyButton
from workbench.errors import ParameterError, WorkbenchError
from workbench.samplers import Sampler

if TYPE_CHECKING:
    from collections.abc import Callable

JSON = "JSON"


ENGINES: dict[str, Callable[[Sampler], Any]] = {
    "transformers": lambda sampler: sampler.to_transformers(),
    "vLLM": lambda sampler: sampler.to_vllm(),
    "llama.cpp": lambda sampler: sampler.to_llamacpp(),
}
"""An engine's name -> the settings in its words."""


def in_every_engine(sampler: Sampler) -> dict[str, dict[str, Any]]:
    """An engine's name -> the text of the settings and what is lost, or why there is no text; JSON-able."""
    found = {}
    for name, give in ENGINES.items():
        try:
            export = give(sampler)
        except WorkbenchError as problem:
            found[name] = {"text": "", "lost": [str(problem)]}
        else:
            found[name] = {"text": export.text, "lost": list(export.lost)}
    return found


def sampler_from_text(text: str) -> Sampler:
    """The sampler of some JSON: settings as shown here, GenerationConfig's names, or a file that the panel exported.

    Raises:
        ParameterError: not JSON, or no settings of a sampler.
    """
    if not text.strip():
        raise ParameterError("There is nothing to load: paste settings as JSON first.")
    try:
        given = json.loads(text)
    except json.JSONDecodeError as problem:
        raise ParameterError(f"These sampler settings are not JSON: {problem}.") from problem
    if isinstance(given, dict) and isinstance(given.get("sampler"), dict):
        given = given["sampler"]
    try:
        return Sampler.from_dict(given)
    except (TypeError, AttributeError) as problem:  # the right names around things of the wrong kind
        raise ParameterError(f"These are no sampler settings: {problem}.") from problem


class SettingsExport(ipywidgets.VBox):
    """The settings in the words of one engine, with what it cannot do, beside a place to paste settings.

    Args:
        sampler: asked for the settings on show.
        load: called with the sampler that somebody pasted.
    """

    def __init__(self, sampler: Callable[[], Sampler], load: Callable[[Sampler], None]) -> None:
        self._sampler, self._load = sampler, load
        self.engine = ipywidgets.ToggleButtons(
            options=[JSON, *ENGINES], value=JSON, style={"button_width": "108px"},
            tooltip="Whose words the settings are shown in", layout={"width": "auto"},
        )  # fmt: skip
        area = {"width": "100%", "height": "104px"}
        self.text = ipywidgets.Textarea(layout=area, tooltip="Copy the settings from here")
        self.text.add_class("workbench-code")
        self.copy = CopyButton()
        self.lost = ipywidgets.HTML()
        self.pasted = ipywidgets.Textarea(
            placeholder="Paste settings as JSON, as on the left or as exported, then load them",
            layout=area, tooltip="Settings to load",
        )  # fmt: skip
        self.pasted.add_class("workbench-code")
        self.load = ipywidgets.Button(
            description="Load settings", icon="sign-in", layout={"width": "140px"}, tooltip="Make these sampler A"
        )
        self.status = ipywidgets.HTML()
        row = {"align_items": "center", "flex_flow": "row wrap"}
        half = {"flex": "1 1 320px", "min_width": "0"}
        out = [ipywidgets.HBox([self.engine, self.copy], layout=row), self.text, self.lost]
        back = [ipywidgets.HBox([self.load], layout=row), self.pasted, self.status]
        super().__init__(
            [ipywidgets.HBox([ipywidgets.VBox(out, layout=half), ipywidgets.VBox(back, layout=half)], layout=row)]
        )
        self.children[0].layout.align_items = "flex-start"
        self.add_class("workbench-settings")
        self.engine.observe(lambda _: self.refresh(), "value")
        self.load.on_click(lambda _: self._paste())
        self.refresh()

    def refresh(self) -> None:
        """Show the settings as they are now."""
        sampler = self._sampler()
        if self.engine.value == JSON:
            text, lost = json.dumps(sampler.to_dict(), indent=2), []
        else:
            found = in_every_engine(sampler)[self.engine.value]
            text, lost = found["text"], found["lost"]
        self.text.value = self.copy.text = text
        items = "".join(f"<li>{escape(one)}</li>" for one in lost)
        title = f"<b>⚠ {escape(self.engine.value)} cannot take everything along:</b>"
        self.lost.value = f"{title}<ul>{items}</ul>" if items else ""

    def _paste(self) -> None:
        try:
            sampler = sampler_from_text(self.pasted.value)
        except WorkbenchError as problem:
            self.status.value = f'<span role="alert">⚠ {escape(str(problem))}</span>'
            return
        self._load(sampler)
        self.status.value = f"loaded {len(sampler.steps)} step{'' if len(sampler.steps) == 1 else 's'}"

    def close(self) -> None:
        """Close the texts and buttons."""
        for part in (self.engine, self.text, self.copy, self.lost, self.pasted, self.load, self.status, *self.children):
            part.close()
        super().close()
