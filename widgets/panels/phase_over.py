"""A sweep in the phase panel: its sequences as points, PEAR's rewards, and length against entropy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from widgets.controls.job import Job
from widgets.figures.phase_distribution import phase_distribution
from widgets.figures.phase_length import phase_length
from widgets.figures.phase_sweep import SweepPoints
from workbench.errors import ParameterError
from workbench.phases import length_correlation, pear_rewards, reward_curve

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy.typing as npt
    import plotly.graph_objects as go

    from widgets.figures.template import Theme
    from widgets.panels.phase_settings import PhaseView
    from widgets.panels.sweep_rows import SweepRows
    from workbench.phases import LengthCorrelation, PearRewards, RewardCurve

    Graded = tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.bool_]]
    Key = tuple[str, ...]

ALPHAS = np.round(np.linspace(-1, 3, 81), 2)
_KINDS = ("", "sampled_")
NUMBERS = (
    *(f"{kind}{phase}entropy" for kind in _KINDS for phase in ("", "think_", "answer_")),
    *("tokens", "think_tokens", "answer_tokens", "closings", "difficulty"),
)
"""Columns that hold numbers, where a frame has them."""


def names(kind: str) -> list[str]:
    """Columns of the mean entropy of thinking and of the answer."""
    return [f"{'sampled_' if kind == 'sampled' else ''}{phase}_entropy" for phase in ("think", "answer")]


class SweepPhases:
    """What the panel shows of the rows that are chosen; worked out once for each choice.

    Args:
        rows: the sweep's.
        found: called when a correlation, which takes a while, has been found.

    Raises:
        ParameterError: a column that must hold numbers, or verdicts, holds something else.
    """

    def __init__(self, rows: SweepRows, found: Callable[[], None]) -> None:
        _check(rows.frame)
        self.rows, self._told = rows, found
        self._graded: dict[Key, Graded | None] = {}
        self._curve: tuple[tuple[object, ...], RewardCurve] | None = None
        self.problem = ""
        """Why there is no correlation."""
        self._correlations: dict[Key, LengthCorrelation | None] = {}
        self._job: Job[tuple[Key, LengthCorrelation]] = Job(self._found, self._failed)

    def key(self, view: PhaseView) -> Key:
        """What the points depend on: model, sampler, and raw or sampled."""
        return (*self.rows.chosen.values(), view.kind)

    def points(self, view: PhaseView) -> SweepPoints | None:
        """For the figures; None where there is no row."""
        return SweepPoints(self.rows.frame, view.kind) if len(self.rows.frame) else None

    def place(self, row: Mapping[str, Any] | None) -> int | None:
        """Number of a row among those that are chosen; None where it is not one of them."""
        if row is None or any(row.get(name) != value for name, value in self.rows.chosen.items()):
            return None
        frame = self.rows.frame
        found = ((frame["problem"] == row["problem"]) & (frame["sample"] == row["sample"])).arg_true()
        return int(found[0]) if len(found) else None

    def draw_pairs(self, view: PhaseView, row: Mapping[str, Any] | None, theme: Theme) -> go.Figure:
        """Thinking against answer, the row ringed."""
        return phase_distribution(self.points(view), chosen=self.place(row), theme=theme)

    def draw_length(self, view: PhaseView, row: Mapping[str, Any] | None, theme: Theme) -> go.Figure:
        """Length against entropy, the row ringed."""
        return phase_length(self.points(view), self.correlation(view), chosen=self.place(row), theme=theme)

    def table(self) -> pl.DataFrame:
        """The rows, without columns of lists."""
        flat = [name for name, dtype in self.rows.frame.schema.items() if not dtype.is_nested()]
        return self.rows.frame.select(flat)

    # --- rewards --------------------------------------------------------------------------------------------------

    def graded(self, view: PhaseView) -> Graded | None:
        """Entropies and verdicts of those that have one, an empty phase 0 as the paper has it; None of none."""
        key = self.key(view)
        if key not in self._graded:
            self._graded[key] = _graded(self.rows.frame, names(view.kind))
        return self._graded[key]

    def rewards(self, view: PhaseView) -> PearRewards | None:
        """At the view's α; None without a verdict."""
        graded = self.graded(view)
        if graded is None:
            return None
        return pear_rewards(*graded, alpha=view.alpha, s=view.s, format_reward=view.format_reward)

    def curve(self, view: PhaseView) -> RewardCurve | None:
        """At all α; None without a verdict."""
        graded = self.graded(view)
        if graded is None:
            return None
        key = (*self.key(view), view.s, view.format_reward)
        if self._curve is None or self._curve[0] != key:
            self._curve = key, reward_curve(*graded, ALPHAS, s=view.s, format_reward=view.format_reward)
        return self._curve[1]

    # --- correlation ----------------------------------------------------------------------------------------------

    def correlation(self, view: PhaseView) -> LengthCorrelation | None:
        """Length against mean entropy; None until it is found, in the background."""
        key, frame = self.key(view), self.rows.frame
        if key not in self._correlations and len(frame) and "tokens" in frame.columns:
            self._correlations[key] = None  # asked for
            points = SweepPoints(frame, view.kind)
            self._job.start(lambda _: (key, _correlation(points)))
        return self._correlations.get(key)

    def wait(self, seconds: float = 60) -> bool:
        """Wait for a correlation under way; True when there is none left."""
        return self._job.wait(seconds)

    def _found(self, found: tuple[Key, LengthCorrelation]) -> None:
        # what was asked for and overtaken is asked for again when it is next looked at
        self._correlations = {key: known for key, known in self._correlations.items() if known is not None}
        self._correlations[found[0]] = found[1]
        self.problem = ""
        self._told()

    def _failed(self, problem: Exception) -> None:
        self.problem = str(problem)
        self._told()

    def close(self) -> None:
        """Nobody is told of what is still under way."""
        self._told = lambda: None
        self._job.stop()


def _correlation(points: SweepPoints) -> LengthCorrelation:
    table = points.table
    known = "difficulty" in table.columns and not table["difficulty"].null_count()
    return length_correlation(
        table["tokens"].cast(pl.Float64).to_numpy(), points.entropy(),
        difficulty=table["difficulty"].to_numpy() if known else None,
        problem=table["problem"].to_numpy() if "problem" in table.columns else None,
    )  # fmt: skip


def _graded(frame: pl.DataFrame, wanted: list[str]) -> Graded | None:
    if not {*wanted, "correct"} <= set(frame.columns):
        return None
    held = frame.filter(pl.col("correct").is_not_null())
    if not len(held):
        return None
    think, answer = (held[name].cast(pl.Float64).fill_nan(None).fill_null(0.0).to_numpy() for name in wanted)
    return think, answer, held["correct"].cast(pl.Boolean).to_numpy()


def _check(frame: pl.DataFrame) -> None:
    for name in set(NUMBERS) & set(frame.columns):
        if not (frame[name].dtype.is_numeric() or frame[name].dtype == pl.Null):
            raise ParameterError(
                f"The results' column {name!r} holds {frame[name].dtype} where numbers are needed; "
                f"frame.with_columns(pl.col({name!r}).cast(pl.Float64)) makes them numbers."
            )
    if "correct" in frame.columns and frame["correct"].dtype not in (pl.Boolean, pl.Null):
        raise ParameterError(
            f"The results' column 'correct' holds {frame['correct'].dtype} where true, false or null is needed; "
            "frame.with_columns(pl.col('correct').cast(pl.Boolean)) makes verdicts of 0 and 1."
        )
