"""DiffAdapt's labels in the difficulty panel: thresholds on sliders, counts, and the scatter they cut."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import ipywidgets
import polars as pl

from widgets.controls.settings_sliders import SettingsSliders
from widgets.controls.soon import Soon
from widgets.figures.difficulty_scatter import scatter_figure
from widgets.panels.difficulty_words import label_words
from widgets.panels.settings_panel import alert
from workbench.difficulty.labels import Thresholds, label_problems, problem_means, suggest_thresholds
from workbench.errors import WorkbenchError

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    import plotly.graph_objects as go
    from numpy.typing import NDArray

    from widgets.controls.parameter_control import NumberControl
    from widgets.figures.palette import Theme
    from workbench.difficulty.labels import Labels

_MEANS = {"problem": pl.String, "accuracy": pl.Float64, "entropy": pl.Float64, "samples": pl.Int32}
_DIGITS = 4
"""Of a suggested β: what its box has room for."""


class LabelTab:
    """The thresholds (`side` is to be placed), and the labels they make.

    Args:
        changed: called after every change of the labels.
    """

    def __init__(self, changed: Callable[[], None]) -> None:
        self._changed = changed
        self._soon = Soon(self.relabel)
        self.labels: Labels | None = None
        self.problem = ""
        """Why there are none."""
        self.means = pl.DataFrame(schema=_MEANS)
        """A row a problem: accuracy and entropy, nested as DiffAdapt does, whatever the curve is."""
        self._entropy = "entropy"
        self.sliders: SettingsSliders[Thresholds] = SettingsSliders(
            Thresholds(), self._soon.ask, presets={"Defaults": (Thresholds(), "Ours; the paper gives none")}
        )
        self.suggest = ipywidgets.Button(
            description="Suggest", tooltip="Thresholds for labels of about equal number", layout={"width": "auto"}
        )
        self.suggest.on_click(lambda _: self.take_suggestion())
        self.words = ipywidgets.HTML()
        self._buttons = ipywidgets.HBox([self.sliders.buttons, self.suggest])
        self.side = ipywidgets.VBox([self.sliders, self._buttons, self.words])

    @property
    def thresholds(self) -> Thresholds:
        """Where the sliders are."""
        return self.sliders.settings

    def use(self, frame: pl.DataFrame, entropy: str) -> None:
        """Label the problems of other responses."""
        self.means, self.problem, self._entropy = pl.DataFrame(schema=_MEANS), "", entropy
        try:
            self.means = problem_means(frame, entropy=entropy).drop_nulls("entropy")
        except WorkbenchError as problem:
            self.problem = str(problem)
        if len(self.means):
            _span(self.sliders.controls["beta"], self.means["entropy"].to_numpy())
        self.relabel()

    def relabel(self) -> None:
        """Labels by the thresholds as they are; where there can be none, say why."""
        self._soon.cancel()
        self.labels, problem = None, self.problem
        if not problem:
            try:
                self.labels = label_problems(self.means, self.thresholds)
            except WorkbenchError as error:
                problem = str(error)
        said = alert(problem) if self.labels is None else label_words(self.labels)
        self.words.value = (alert(self.sliders.invalid) if self.sliders.invalid else "") + said
        self._changed()

    def settle(self) -> None:
        """Do now what was asked for."""
        if self._soon.due:
            self.relabel()

    def take_suggestion(self) -> None:
        """Put the thresholds where the labels are about equally frequent."""
        if self.labels is not None and len(self.means):
            found = suggest_thresholds(self.means)
            # β no longer than its box shows, and never below the problem it was taken from
            beta = math.ceil(found.beta * 10**_DIGITS) / 10**_DIGITS
            self.sliders.settings = Thresholds(alpha=found.alpha, beta=beta, gamma=found.gamma)

    def draw(self, problem: str | None, theme: Theme) -> go.Figure:
        """The scatter, with a ring around a problem."""
        return scatter_figure(
            self.means, None if self.labels is None else self.labels.label.tolist(),
            thresholds=self.thresholds.to_dict(), problem=problem,
            kind="sampled" if self._entropy.startswith("sampled") else "raw", theme=theme,
        )  # fmt: skip

    def frame(self) -> pl.DataFrame:
        """A row a problem with its label."""
        return pl.DataFrame() if self.labels is None else self.labels.to_frame()

    def close(self) -> None:
        """Close the sliders."""
        self._soon.cancel()
        for part in (self.sliders, self.suggest, self.words, self._buttons, self.side):
            part.close()


def _span(control: NumberControl, values: NDArray[np.float64]) -> None:
    """Let a slider go over the values there are, in 100 to 1000 steps: 0.2 nats are as usual as 2."""
    low, high = float(values.min()), float(values.max())
    digits = 2 - math.floor(math.log10(max(high - low, 0.01)))
    step, coarse = 10.0**-digits, 10.0 ** (1 - digits)
    low, high = (round(end * coarse, digits) for end in (math.floor(low / coarse), math.ceil(high / coarse)))
    if control.parameter.slider == (low, high):
        return
    control.parameter = replace(control.parameter, slider=(low, high), step=step)
    slider = control.slider
    # wider, then narrower: ends out of order are refused, and an end beyond the slider's place would move it
    slider.min, slider.max = min(slider.min, low), max(slider.max, high)
    control.show(control.value)
    slider.min, slider.max, slider.step = low, high, step
