"""What stopping early would have cost and saved over several traces, without running the model again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workbench.phases.eat_run import EatRun
    from workbench.phases.stopping import Variant

SCHEMA = pl.Schema(
    {
        "name": pl.String(),
        "boundaries": pl.Int32(),
        "stop": pl.Int32(),
        "thinking_used": pl.Int32(),
        "thinking_full": pl.Int32(),
        "tokens_used": pl.Int32(),
        "tokens_full": pl.Int32(),
        "correct": pl.Boolean(),
        "full_correct": pl.Boolean(),
    }
)


@dataclass(frozen=True, repr=False)
class EatOutcome:
    """Accuracy and tokens at the stopping points, against thinking to the end. A run that never stops counts as is."""

    runs: pl.DataFrame
    """A row a run: name, boundaries, stop (null where it never stops), thinking tokens used and in full, all tokens
    used (null where the forced answers are not known) and in full, whether the answer there and the full text are
    right (null where not known)."""
    alpha: float
    delta: float
    min_distance: int | None
    variant: str

    @property
    def n(self) -> int:
        """Runs."""
        return len(self.runs)

    @property
    def stopped(self) -> int:
        """Runs that stop early."""
        return self.n - self.runs["stop"].null_count()

    @property
    def accuracy(self) -> float:
        """Share of right answers with stopping, over the runs with both verdicts; NaN of none."""
        return self._share("correct")

    @property
    def full_accuracy(self) -> float:
        """Share of right answers of the texts as they were written, over the same runs; NaN of none."""
        return self._share("full_correct")

    @property
    def graded(self) -> int:
        """Runs with both verdicts."""
        return len(self._graded())

    @property
    def thinking_saved(self) -> float:
        """1 − Σ thinking tokens used / Σ thinking tokens in full; NaN without thinking."""
        return _saved(self.runs, "thinking")

    @property
    def tokens_saved(self) -> float:
        """1 − Σ tokens used / Σ tokens in full, closings and answers included, where known; NaN of none.

        Below zero where forced answers run on for longer than the thinking they replace.
        """
        return _saved(self.runs, "tokens")

    def describe(self) -> str:
        """In words: "stops early in 7 of 10; accuracy 80 % against 90 %; 41 % of tokens saved"."""
        said = [f"stops early in {self.stopped} of {self.n}"]
        if self.graded:
            said.append(f"accuracy {self.accuracy:.0%} against {self.full_accuracy:.0%}")
        for share, what in ((self.tokens_saved, "tokens"), (self.thinking_saved, "thinking tokens")):
            if np.isfinite(share):
                said.append(f"{share:.0%} of {what} saved")
                break
        return "; ".join(said)

    def to_frame(self) -> pl.DataFrame:
        """A row a run."""
        return self.runs

    def _graded(self) -> pl.DataFrame:
        return self.runs.drop_nulls(["correct", "full_correct"])

    def _share(self, name: str) -> float:
        mean = self._graded()[name].mean()
        return float(mean) if isinstance(mean, float) else float("nan")

    def __repr__(self) -> str:
        return f"EatOutcome({self.describe()})"


def eat_outcome(
    runs: Sequence[EatRun],
    *,
    alpha: float = 0.2,
    delta: float = 1e-3,
    min_distance: int | None = None,
    variant: Variant = "paper",
) -> EatOutcome:
    """Stop every run where `ema_stop` with these settings says, and count.

    A run stopped at boundary b has used the text up to there, the closing and the forced answer.

    Raises:
        ParameterError: as `ema_stop`.
    """
    settings = {"alpha": alpha, "delta": delta, "min_distance": min_distance, "variant": variant}
    rows = [_row(run, run.stop(**settings).index) for run in runs]  # type: ignore[arg-type]
    frame = pl.DataFrame(rows, schema=SCHEMA, orient="row")
    return EatOutcome(frame, alpha, delta, min_distance, variant)


def _row(run: EatRun, at: int | None) -> tuple[object, ...]:
    full = run.thinking - run.start
    if at is None:
        return run.name, len(run), None, full, full, run.tokens, run.tokens, run.full_correct, run.full_correct
    kept = int(run.kept[at])
    tokens = None if run.answer_tokens is None else kept + run.closing_tokens + int(run.answer_tokens[at])
    correct = None if run.correct is None else bool(run.correct[at])
    return run.name, len(run), at, kept - run.start, full, tokens, run.tokens, correct, run.full_correct


def _saved(runs: pl.DataFrame, what: str) -> float:
    known = runs.drop_nulls([f"{what}_used"])
    full = int(known[f"{what}_full"].sum())
    return 1 - int(known[f"{what}_used"].sum()) / full if full else float("nan")
