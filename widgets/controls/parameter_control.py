"""One field of a settings class as a control, built from what its `Parameter` says and nothing else."""

from __future__ import annotations

import math
import time
from collections import deque
from typing import TYPE_CHECKING, Any

import ipywidgets

if TYPE_CHECKING:
    from collections.abc import Callable

    from workbench.samplers.parameters import Parameter

LABEL_WIDTH = "96px"
_LATE = 5.0  # seconds after which no answer of the page is awaited


class ParameterControl(ipywidgets.HBox):
    """Base of the three kinds: what a parameter is set to, as the user left it and unchecked.

    Args:
        parameter: name, range, scale, unit and help of the field.
        value: what it shows at first.
        changed: called after every change a user makes, with each position of a drag.
    """

    def __init__(self, parameter: Parameter, value: Any, changed: Callable[[], None]) -> None:  # noqa: ANN401
        self.parameter, self._changed = parameter, changed
        self._quiet = False
        self.value = value
        self.words = parameter.name.replace("_", " ")
        self.about = f"{parameter.help}\n{self.words}: {parameter.range_text()}"
        super().__init__(self._parts(), layout={"width": "100%", "align_items": "center", "overflow": "hidden"})
        self.show(value)

    def show(self, value: Any) -> None:  # noqa: ANN401
        """Take on a value without telling anybody."""
        self.value, self._quiet = value, True
        try:
            self._draw(value)
        finally:
            self._quiet = False

    def _parts(self) -> list[ipywidgets.Widget]:
        raise NotImplementedError

    def _draw(self, value: Any) -> None:  # noqa: ANN401
        raise NotImplementedError

    def _moved(self, value: Any) -> None:  # noqa: ANN401
        if not self._quiet:
            self.value = value
            self._changed()

    def close(self) -> None:
        """Close the control and its parts."""
        for part in self.children:
            part.close()
        super().close()


class NumberControl(ParameterControl):
    """A slider over the usual range, linear or logarithmic, and a box for any number exactly."""

    def _parts(self) -> list[ipywidgets.Widget]:
        p = self.parameter
        self._placed: deque[tuple[float, float]] = deque(maxlen=20)  # where the slider was put from here, and when
        look = {
            "description": self.words, "tooltip": self.about, "readout": False,
            "style": {"description_width": LABEL_WIDTH},
            "layout": {"flex": "1 1 auto", "width": "auto", "min_width": "0"},
        }  # fmt: skip
        low, high = p.slider
        if p.scale == "log":
            self.slider = ipywidgets.FloatLogSlider(
                high, base=10, min=math.log10(low), max=math.log10(high), step=p.step, **look
            )
        elif p.whole:
            self.slider = ipywidgets.IntSlider(int(low), min=int(low), max=int(high), step=max(1, int(p.step)), **look)
        else:
            self.slider = ipywidgets.FloatSlider(low, min=low, max=high, step=p.step, **look)
        kind = ipywidgets.IntText if p.whole else ipywidgets.FloatText
        step = 1 if p.whole else p.step if p.scale == "linear" else None
        self.box = kind(self.value, step=step, tooltip=self.about, layout={"width": "66px", "flex": "0 0 auto"})
        self.slider.observe(lambda change: self._dragged(change["old"], change["new"]), "value")
        self.box.observe(lambda change: self._typed(change["new"]), "value")
        return [self.slider, self.box]

    def _draw(self, value: float) -> None:
        self.box.value = value
        self._place(value)

    def _place(self, value: float) -> None:
        """Move the slider to where it can stand nearest to a number; beyond its range it stands at the end."""
        p = self.parameter
        low, high = map(self._along, p.slider)
        along = self._along(min(max(value, p.slider[0]), p.slider[1])) if math.isfinite(value) else low
        stands = min(low + round((along - low) / p.step) * p.step, high)
        self._placed.append((stands, time.monotonic()))
        self.slider.value = round(stands) if p.whole and p.scale == "linear" else self._number(stands)

    def _dragged(self, old: float, new: float) -> None:
        if self._quiet or self._answers(self._along(old), self._along(new)):
            return
        self._placed.clear()
        value = self._rounded(new)
        self._quiet = True
        self.box.value = value
        self._quiet = False
        self._moved(value)

    def _typed(self, number: float) -> None:
        if self._quiet:
            return
        self._quiet = True
        self._place(number)
        self._quiet = False
        self._moved(number)

    def _answers(self, old: float, new: float) -> bool:
        """Whether the page only says where it put a slider that was placed from here: it rounds, and sends that back.

        Nobody moves a slider by less than its step; an answer may also be late, when it has been placed anew.
        """
        near = self.parameter.step / 2
        since = time.monotonic() - _LATE
        return abs(new - old) < near or any(abs(new - at) < near for at, when in self._placed if when > since)

    def _along(self, value: float) -> float:
        """A number as a length along the slider."""
        return math.log10(value) if self.parameter.scale == "log" else value

    def _number(self, along: float) -> float:
        """The number at a length along the slider."""
        return 10**along if self.parameter.scale == "log" else along

    def _rounded(self, position: float) -> float:
        """The number a position stands for: no more digits than the slider's step can mean."""
        if self.parameter.whole:
            return round(position)
        return float(f"{position:.3g}") if self.parameter.scale == "log" else round(position, 10)


class ChoiceControl(ParameterControl):
    """One of several words."""

    def _parts(self) -> list[ipywidgets.Widget]:
        self.dropdown = ipywidgets.Dropdown(
            options=self.parameter.options, description=self.words, tooltip=self.about,
            style={"description_width": LABEL_WIDTH}, layout={"width": "100%"},
        )  # fmt: skip
        self.dropdown.observe(lambda change: self._moved(change["new"]), "value")
        return [self.dropdown]

    def _draw(self, value: str) -> None:
        self.dropdown.value = value


class SwitchControl(ParameterControl):
    """On or off."""

    def _parts(self) -> list[ipywidgets.Widget]:
        self.checkbox = ipywidgets.Checkbox(description=self.words, tooltip=self.about, indent=False)
        self.checkbox.observe(lambda change: self._moved(change["new"]), "value")
        return [self.checkbox]

    def _draw(self, value: bool) -> None:  # noqa: FBT001  -- a value like any other
        self.checkbox.value = value


def parameter_control(parameter: Parameter, value: Any, changed: Callable[[], None]) -> ParameterControl:  # noqa: ANN401
    """The control that fits: words give a dropdown, a truth value a checkbox, numbers a slider with a box."""
    if parameter.options:
        return ChoiceControl(parameter, value, changed)
    if isinstance(parameter.default, bool):
        return SwitchControl(parameter, value, changed)
    return NumberControl(parameter, value, changed)
