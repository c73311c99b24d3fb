"""Steps of trainings: a run and a step to look at, and two of them, or two texts, against each other."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import ipywidgets
import polars as pl

from widgets.controls.closing import close_tree
from widgets.figures.heads_history import history_figure
from widgets.panels.heads_grid import STATISTICS, HeadGrid
from widgets.panels.heads_scene import said_figure
from workbench.attention import HeadHistory
from workbench.errors import ParameterError

if TYPE_CHECKING:
    from collections.abc import Callable

    import plotly.graph_objects as go

    from widgets.panels.heads_scene import HeadScene

_NARROW = {"description_width": "initial"}


def history_of(given: Any) -> HeadHistory | None:  # noqa: ANN401  -- whatever a user gave
    """A history as it is, or read from its file.

    Raises:
        ParameterError: neither, or without a step.
        AttentionError: the file is no history.
    """
    if isinstance(given, (str, Path)):
        return HeadHistory.load(given)
    if given is not None and not isinstance(given, HeadHistory):
        raise ParameterError(
            f"A history is a HeadHistory or its file, not a {type(given).__name__}; wb.attention.head_history(...) or "
            "HeadLogger makes one, wb.attention.training_runs() is bundled."
        )
    if given is not None and not given.runs:
        raise ParameterError("This history holds no step yet: measure one first.")
    return given


class StepChooser(ipywidgets.HBox):
    """One step of one run of a history.

    Args:
        history: with at least one run.
        changed: called when another is chosen.
        last: begin with the last step, else with the first.
        play: whether the steps can run by themselves.
    """

    def __init__(
        self, history: HeadHistory, changed: Callable[[], None], *, last: bool = True, play: bool = False
    ) -> None:
        self._history, self._changed, self._quiet = history, changed, False
        self.run = ipywidgets.Dropdown(
            options=history.runs, tooltip="Which training", layout={"width": "190px"},
        )  # fmt: skip
        steps = history.steps(history.runs[0])
        self.step = ipywidgets.SelectionSlider(
            options=steps, value=steps[-1 if last else 0], description="step", style=_NARROW,
            layout={"flex": "1 1 200px", "width": "auto", "min_width": "120px"}, tooltip="Step of the training",
        )  # fmt: skip
        self.player = ipywidgets.Play(
            self.step.index, min=0, max=len(steps) - 1, interval=400, show_repeat=False, layout={"width": "84px"},
            tooltip="Run through the steps",
        )  # fmt: skip
        self._link = ipywidgets.jslink((self.player, "value"), (self.step, "index")) if play else None
        super().__init__(
            [self.run, *([self.player] if play else []), self.step],
            layout={"align_items": "center", "flex": "1 1 auto", "min_width": "0"},
        )
        self.run.observe(lambda _: self._turn(), "value")
        self.step.observe(lambda _: self._moved(), "value")

    @property
    def chosen(self) -> tuple[str, int]:
        """Run and step."""
        return self.run.value, self.step.value

    def grid(self) -> HeadGrid:
        """The heads at that step."""
        return HeadGrid(self._history.at(*self.chosen), f"of {self.run.value}, step {self.step.value:,}")

    def _turn(self) -> None:
        """Another run: its step nearest to the one before."""
        steps, before = self._history.steps(self.run.value), self.step.value
        self._quiet = True
        self.step.options = steps
        self.step.value = min(steps, key=lambda step: abs(step - before))
        self.player.max, self.player.value = len(steps) - 1, self.step.index
        self._quiet = False
        self._moved()

    def _moved(self) -> None:
        if not self._quiet:
            self._changed()

    def close(self) -> None:
        """Close the controls."""
        close_tree(self.player)  # in no box without `play`
        for part in (*([self._link] if self._link else []), self.run, self.step):
            part.close()
        super().close()


class TrainingTab:
    """Loss and a statistic by step, and the step that the heatmap shows.

    Args:
        history: with at least one run.
        scene: the panel as it is now.
        moved: called when another run or step is chosen.
    """

    def __init__(self, history: HeadHistory, scene: Callable[[], HeadScene], moved: Callable[[], None]) -> None:
        self.history, self._scene = history, scene
        self.steps = StepChooser(history, moved, play=True)
        self.above = self.steps

    def draw(self) -> go.Figure:
        """All runs side by side, a line at the step."""
        scene = self._scene()
        if scene.column not in self.history.frame.columns:
            return said_figure(f"The history does not have {STATISTICS.get(scene.column, scene.column)}.", scene.theme)
        return history_figure(self.history, column=scene.column, step=self.steps.chosen[1], theme=scene.theme)

    def frame(self) -> pl.DataFrame:
        """A row a run, step and layer: the mean over its heads."""
        column = self._scene().column
        return self.history.by_layer(column) if column in self.history.frame.columns else pl.DataFrame()

    def colours(self, column: str) -> tuple[float, float] | None:
        """The smallest and largest number of any head at any step, so that colours mean the same at each."""
        known = self.history.frame[column].drop_nulls().drop_nans().to_numpy()
        low, high = float(known.min(initial=0.0)), float(known.max(initial=0.0))
        return (low, high) if low < high else None

    def close(self) -> None:
        """Close the controls."""
        self.steps.close()
