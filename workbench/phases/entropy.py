"""Mean entropy and length of thinking and of answering, for one trace."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import polars as pl

from workbench.errors import ParameterError, TraceError
from workbench.phases.splitting import Boundary, split

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from workbench.traces import Trace

Kind = Literal["raw", "sampled"]
COLUMN: dict[str, str] = {"raw": "entropy", "sampled": "sampled_entropy"}
"""Where a trace keeps the entropies of each kind."""


@dataclass(frozen=True)
class PhaseEntropy:
    """Mean entropy by phase in nats, over the tokens whose entropy is known; marker tokens are in neither mean."""

    think: float
    """H_think; 0 where n_think is 0, as in the paper."""
    answer: float
    """H_ans; 0 where n_answer is 0, as in the paper."""
    n_think: int
    """Tokens H_think is the mean of."""
    n_answer: int
    """Tokens H_ans is the mean of."""
    kind: Kind
    """raw (the model's own distribution) or sampled (the one really drawn from)."""
    closings: int
    """Closing think markers seen."""
    openings: int
    """Opening think markers seen."""
    begins_thinking: bool
    """The first token is thought already: the prompt opened the block, or a closing marker alone tells."""
    unfinished: bool
    """Still thinking at the end."""
    unknown: int
    """Tokens of either phase without a known entropy; they are in no mean."""
    boundary: Boundary

    @property
    def no_marker(self) -> bool:
        """Neither an opening nor a closing marker was seen, and the text does not begin in thought."""
        return not (self.closings or self.openings or self.begins_thinking)

    @property
    def empty_answer(self) -> bool:
        """No token of the answer has an entropy."""
        return self.n_answer == 0

    def to_frame(self) -> pl.DataFrame:
        """A row a phase: phase, mean entropy (null without tokens), tokens, kind."""
        means = [self.think if self.n_think else None, self.answer if self.n_answer else None]
        return pl.DataFrame(
            {
                "phase": ["think", "answer"],
                "entropy": pl.Series(means, dtype=pl.Float64),
                "tokens": pl.Series([self.n_think, self.n_answer], dtype=pl.Int32),
                "kind": [self.kind] * 2,
            }
        )


def phase_entropy(trace: Trace, *, kind: Kind = "raw", boundary: Boundary = "labels") -> PhaseEntropy:
    """H_think = mean of H_t over thinking, H_ans = mean of H_t over the answer, in nats.

    With one closing marker at k this is H_think = Σ_{t<k} H_t / (k − 1) and H_ans = Σ_{t>k} H_t / (T − k) (PEAR,
    arXiv 2510.08026), marker tokens left out of both. The mean of an empty phase is 0, as the paper defines it for the
    answer; `n_think` and `n_answer` tell an empty phase from a certain one.

    Args:
        trace: recorded, scored or imported.
        kind: "raw" or "sampled"; the paper's is raw.
        boundary: "labels", or the paper's single boundary at the "first" or "last" closing marker; see `split`.

    Raises:
        ParameterError: another kind or boundary.
        TraceError: a trace that knows no entropy of this kind, or not every token's phase.
    """
    H = _entropies(trace, kind)
    parts = split(trace, boundary=boundary)
    (think, n_think), (answer, n_answer) = (_mean(H[parts.rows(phase)]) for phase in ("think", "answer"))
    spoken = parts.rows("think").size + parts.rows("answer").size
    return PhaseEntropy(
        think=think,
        answer=answer,
        n_think=n_think,
        n_answer=n_answer,
        kind=kind,
        closings=len(parts.closings),
        openings=parts.openings,
        begins_thinking=parts.begins_thinking,
        unfinished=parts.unfinished,
        unknown=spoken - n_think - n_answer,
        boundary=boundary,
    )


def _entropies(trace: Trace, kind: Kind) -> NDArray[np.float64]:
    """(T,) nats, NaN where not known."""
    if kind not in COLUMN:
        raise ParameterError(f"kind={kind!r}: take raw or sampled.")
    column = trace.tokens[COLUMN[kind]]
    if len(column) and column.null_count() == len(column):
        other = (
            "Nothing was drawn when it was scored or imported; take kind='raw', or record it with wb.record."
            if kind == "sampled"
            else "Record it with wb.record, or score its text with wb.score."
        )
        raise TraceError(f"This trace knows no {kind} entropy of any token. {other}")
    return column.cast(pl.Float64).to_numpy()


def _mean(values: NDArray[np.float64]) -> tuple[float, int]:
    """Mean of what is known and its count; 0 and 0 of nothing."""
    known = values[~np.isnan(values)]
    return (float(known.mean()), len(known)) if len(known) else (0.0, 0)
