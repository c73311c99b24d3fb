"""Entropy After </Think> along one trace, with what the model would have answered: all that sliders need."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from workbench.errors import TraceError
from workbench.phases.stopping import EatStop, Variant, ema_stop

if TYPE_CHECKING:
    from numpy.typing import NDArray

SCHEMA = pl.Schema(
    {
        "name": pl.String(),
        "boundary": pl.Int32(),
        "kept": pl.Int32(),
        "entropy": pl.Float64(),
        "answer": pl.String(),
        "answer_tokens": pl.Int32(),
        "correct": pl.Boolean(),
        "start": pl.Int32(),
        "thinking": pl.Int32(),
        "tokens": pl.Int32(),
        "full_correct": pl.Boolean(),
        "closing": pl.String(),
        "closing_tokens": pl.Int32(),
        "every": pl.String(),
    }
)
"""A run as a table, a row a boundary."""


@dataclass(frozen=True, repr=False)
class EatRun:
    """What was read after a closing marker at each of B boundaries of one trace's thinking."""

    name: str
    """Which trace."""
    kept: NDArray[np.int64]
    """(B,) tokens of the text before the closing marker, ascending."""
    entropy: NDArray[np.float64]
    """(B,) raw entropy of the first token after it, nats."""
    start: int
    """Tokens before the thinking: its opening marker, and what comes before that."""
    thinking: int
    """Tokens of the text up to the end of the whole thinking."""
    tokens: int
    """Tokens of the whole text."""
    closing: str
    """What was appended: a closing marker, and what may come with it."""
    closing_tokens: int
    every: str
    """What ends a step."""
    answers: tuple[str, ...] | None = None
    """(B,) what the model goes on with; None until `forced_answers` has asked."""
    answer_tokens: NDArray[np.int64] | None = None
    """(B,) how many tokens that took."""
    correct: NDArray[np.bool_] | None = None
    """(B,) whether it is right."""
    full_correct: bool | None = None
    """Whether the text as it was written is right."""

    def __len__(self) -> int:
        return len(self.kept)

    def stop(
        self,
        *,
        alpha: float = 0.2,
        delta: float = 1e-3,
        min_distance: int | None = None,
        variant: Variant = "paper",
    ) -> EatStop:
        """Where to stop by these settings; see `ema_stop`."""
        return ema_stop(self.entropy, alpha=alpha, delta=delta, min_distance=min_distance, variant=variant)

    def to_frame(self) -> pl.DataFrame:
        """A row a boundary; the columns of SCHEMA. Unknown answers and verdicts are null."""
        constant = ("name", "start", "thinking", "tokens", "full_correct", "closing", "closing_tokens", "every")
        columns = {
            "boundary": np.arange(len(self)),
            "kept": self.kept,
            "entropy": self.entropy,
            "answer": list(self.answers) if self.answers is not None else [None] * len(self),
            "answer_tokens": self.answer_tokens if self.answer_tokens is not None else [None] * len(self),
            "correct": self.correct if self.correct is not None else [None] * len(self),
        }
        values = columns | {name: [getattr(self, name)] * len(self) for name in constant}
        return pl.DataFrame({name: pl.Series(values[name], dtype=dtype) for name, dtype in SCHEMA.items()})

    @classmethod
    def from_frame(cls, frame: pl.DataFrame) -> EatRun:
        """The run that `to_frame` wrote; several at once are read by `runs_from_frame`.

        Raises:
            TraceError: a column is missing, there is no row, or the rows are of several runs.
        """
        _check(frame)
        rows = frame.sort("boundary")
        if rows.is_empty() or rows["name"].n_unique() != 1 or rows["boundary"].to_list() != list(range(len(rows))):
            raise TraceError(
                "This table is not one run: a row a boundary from 0, one name. Read several with runs_from_frame."
            )
        first = rows.row(0, named=True)
        asked = rows["correct"].null_count() == 0
        constant = ("name", "start", "thinking", "tokens", "closing", "closing_tokens", "every", "full_correct")
        return cls(
            kept=rows["kept"].cast(pl.Int64).to_numpy(),
            entropy=rows["entropy"].cast(pl.Float64).to_numpy(),
            answers=tuple(rows["answer"].to_list()) if asked else None,
            answer_tokens=rows["answer_tokens"].cast(pl.Int64).to_numpy() if asked else None,
            correct=rows["correct"].to_numpy() if asked else None,
            **{name: first[name] for name in constant},
        )

    def __repr__(self) -> str:
        asked = "" if self.correct is None else f", {int(self.correct.sum())} answers right"
        return f"EatRun({self.name!r}, {len(self)} boundaries in {self.thinking - self.start} thinking tokens{asked})"


def runs_from_frame(frame: pl.DataFrame) -> tuple[EatRun, ...]:
    """The runs of several `to_frame` tables stacked, in the order of their names' first rows.

    Raises:
        TraceError: a column is missing, or a name's rows are not one run.
    """
    _check(frame)
    return tuple(EatRun.from_frame(part) for part in frame.partition_by("name", maintain_order=True))


def _check(frame: pl.DataFrame) -> None:
    if missing := [name for name in SCHEMA if name not in frame.columns]:
        raise TraceError(f"The table lacks the columns {missing} of an EatRun; write it with run.to_frame().")
