"""The sampler panel's upper rows: presets, with or without, undo, the sampler to compare with, the unit."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

import ipywidgets

from widgets.controls.sampler_words import in_words
from widgets.panels.sampler_presets import PRESETS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from widgets.panels.sampler_presets import Preset
    from workbench.samplers import Sampler

_ROW = {"flex_flow": "row wrap", "align_items": "center"}


class SamplerToolbar(ipywidgets.VBox):
    """Buttons without a state of their own, and two that have one: `active` (with or without the chain) and `unit`.

    Args:
        preset: called with the preset that somebody pressed.
        actions: what the buttons do, by name: undo, redo, keep (A as B), swap, forget (B).
    """

    def __init__(self, preset: Callable[[Preset], None], actions: Mapping[str, Callable[[], None]]) -> None:
        self.presets = {one.name: _preset_button(one, preset) for one in PRESETS}
        self.active = ipywidgets.ToggleButtons(
            options=[("with", True), ("without", False)], value=True, style={"button_width": "76px"},
            tooltips=["Show what the chain does", "Show the raw distribution; the chain stays as it is"],
            layout={"width": "auto"},
        )  # fmt: skip
        self.unit = ipywidgets.ToggleButtons(
            options=["nats", "bits"], style={"button_width": "56px"}, layout={"width": "auto"},
            tooltips=["Entropies in nats", "Entropies in bits"],
        )  # fmt: skip
        self.undo = _button("", "Undo the last change of the settings", "undo")
        self.redo = _button("", "Redo it", "repeat")
        self.keep = _button("Keep as B", "Freeze these settings as B, to compare A with", "thumb-tack")
        self.swap = _button("Swap", "Make B the settings on the sliders, and these B", "exchange")
        self.forget = _button("Forget B", "Compare no longer", "times")
        for name in ("undo", "redo", "keep", "swap", "forget"):
            getattr(self, name).on_click(lambda _, act=actions[name]: act())
        self.headline = ipywidgets.HTML(layout={"flex": "1 1 300px", "min_height": "36px", "margin": "0 0 0 12px"})
        """What the sampler does, or what is wrong, in one place, so that nothing jumps."""
        presets = ipywidgets.HBox([ipywidgets.Label("Presets"), *self.presets.values()], layout=_ROW)
        presets.add_class("workbench-presets")
        settings = [self.active, self.undo, self.redo, self.keep, self.swap, self.forget, self.unit, self.headline]
        super().__init__([presets, ipywidgets.HBox(settings, layout=_ROW)])
        self.add_class("workbench-toolbar")

    def show(self, *, undo: bool, redo: bool, b: Sampler | None) -> None:
        """Enable what can be done now."""
        self.undo.disabled, self.redo.disabled = not undo, not redo
        self.swap.disabled = self.forget.disabled = b is None
        about = "no B yet" if b is None else f"B: {in_words(b)}"
        self.swap.tooltip = f"Make B the settings on the sliders, and these B ({about})"

    def alert(self, text: str) -> None:
        """Say what is wrong in place of the headline."""
        self.headline.value = f'<span role="alert">⚠ {escape(text)}</span>'

    def close(self) -> None:
        """Close the buttons."""
        for row in self.children:
            for part in row.children:
                part.close()
        for part in self.children:
            part.close()
        super().close()


def _button(text: str, tooltip: str, icon: str) -> ipywidgets.Button:
    return ipywidgets.Button(description=text, tooltip=tooltip, icon=icon, layout={"width": "auto" if text else "34px"})


def _preset_button(preset: Preset, pressed: Callable[[Preset], None]) -> Any:  # noqa: ANN401  -- a Button
    button = ipywidgets.Button(
        description=preset.name, tooltip=f"{in_words(preset.sampler)}\n{preset.source}", layout={"width": "auto"}
    )
    button.on_click(lambda _: pressed(preset))
    return button
