"""The sliders of the entropy chart."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import ipywidgets

from widgets.figures.entropy_series import EntropyView

if TYPE_CHECKING:
    from collections.abc import Callable

# control -> roles of the entropy chart that follow it; a control that is not here changes all of them
FOLLOWS: dict[str, frozenset[str]] = {
    "window": frozenset({"mean", "band"}),
    "percentile": frozenset({"forking"}),
    "hwe_window": frozenset({"high_window"}),
    "hwe_percentile": frozenset({"high_window"}),
    "hwe_variant": frozenset({"high_window"}),
}


class EntropyControls(ipywidgets.VBox):
    """Controls named like the fields of `EntropyView`.

    Args:
        changed: called after every change with the new view and the name of the control that moved.
    """

    def __init__(self, changed: Callable[[EntropyView, str], None]) -> None:
        self._changed = changed
        self._quiet = False
        self.view = EntropyView()
        self.controls = _controls(self.view)
        self.reset = ipywidgets.Button(
            description="Reset", tooltip="Back to the defaults", icon="undo", layout={"width": "auto"}
        )
        self.reset.on_click(lambda _: self.restore(EntropyView()))
        for name, control in self.controls.items():
            control.observe(lambda change, name=name: self._moved(name, change["new"]), "value")
        first = [self.controls[name] for name in ("unit", "window", "percentile")]
        second = [self.controls[name] for name in ("hwe_window", "hwe_percentile", "hwe_variant")]
        third = [self.controls[name] for name in ("surprisal", "sampled")]
        wrap = {"flex_flow": "row wrap", "align_items": "center"}
        super().__init__(
            [ipywidgets.HBox([*first, *third], layout=wrap), ipywidgets.HBox([*second, self.reset], layout=wrap)]
        )

    def settings(self) -> dict[str, Any]:
        """The controls' values by name, as JSON-able values."""
        return {name: value for name, value in asdict(self.view).items() if name in self.controls}

    def restore(self, view: EntropyView) -> None:
        """Set all controls at once; one change is told."""
        self._quiet = True
        try:
            for name, control in self.controls.items():
                control.value = getattr(view, name)
        finally:
            self._quiet = False
        self.view = replace(view, visible=self.view.visible, points=self.view.points)
        self._changed(self.view, "all")

    def _moved(self, name: str, value: object) -> None:
        if self._quiet:
            return
        self.view = replace(self.view, **{name: value})
        self._changed(self.view, name)


def _controls(view: EntropyView) -> dict[str, ipywidgets.ValueWidget]:
    style = {"description_width": "initial"}

    def slider(name: str, label: str, limits: tuple[float, float, float], tooltip: str) -> Any:  # noqa: ANN401
        low, high, step = limits
        kind = ipywidgets.IntSlider if isinstance(low, int) else ipywidgets.FloatSlider
        return kind(
            getattr(view, name), min=low, max=high, step=step, description=label, tooltip=tooltip, style=style,
            layout={"width": "250px"},
        )  # fmt: skip

    return {
        "unit": ipywidgets.ToggleButtons(
            options=["nats", "bits"], value=view.unit, style={"button_width": "58px"}, layout={"width": "auto"}
        ),
        "window": slider("window", "rolling mean of", (1, 201, 2), "Tokens in the centred rolling mean"),
        "percentile": slider(
            "percentile", "forking above", (50.0, 99.5, 0.5),
            "Forking tokens have a raw entropy above this percentile of the trace (arXiv 2506.01939 takes 80)",
        ),
        "hwe_window": slider(
            "hwe_window", "high-window of", (1, 32, 1), "Tokens whose mean entropy is compared (ARES, arXiv 2510.08457)"
        ),
        "hwe_percentile": slider(
            "hwe_percentile", "above", (80.0, 99.5, 0.5),
            "Percentile of the threshold: of token entropies (paper), of window means (reference)",
        ),
        "hwe_variant": ipywidgets.Dropdown(
            options=[("as in the paper", "paper"), ("as in its code", "reference")], value=view.hwe_variant,
            description="variant", tooltip="Where ARES' paper and code differ", style=style, layout={"width": "190px"},
        ),
        "surprisal": ipywidgets.Checkbox(
            view.surprisal, description="surprisal", indent=False, layout={"width": "auto"},
            tooltip="Overlay the raw surprisal of the realised tokens",
        ),
        "sampled": ipywidgets.Checkbox(
            view.sampled, description="sampled entropy", indent=False, layout={"width": "auto"},
            tooltip="Overlay the entropy of the distribution really drawn from",
        ),
    }  # fmt: skip
