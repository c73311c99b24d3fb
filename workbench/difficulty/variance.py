"""How much entropy differs between problems rather than between responses, and correlation given length."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from scipy import stats

from workbench.difficulty.regression import Data, Floats
from workbench.errors import DifficultyError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from workbench.difficulty.curves import DifficultyCurve


@dataclass(frozen=True)
class VarianceSplit:
    """Sums of squares of the responses' entropies; levels + problems + responses = total."""

    levels: float
    """Between levels, nats²: what difficulty could explain at most, as these bins cut it."""
    problems: float
    """Between the problems of a level."""
    responses: float
    """Between the responses to a problem: sampling noise."""
    intraclass: float
    """Correlation of two responses to one problem, from the analysis of variance; NaN without repeated responses."""
    n_problems: int
    n_sequences: int

    @property
    def total(self) -> float:
        """Sum of squares about the mean of all responses."""
        return self.levels + self.problems + self.responses

    @property
    def between(self) -> float:
        """Share of the total between problems, levels included; NaN where nothing varies."""
        return (self.levels + self.problems) / self.total if self.total > 0 else float("nan")

    def to_frame(self) -> pl.DataFrame:
        """A row a source: sum_of_squares and its share."""
        parts = {name: getattr(self, name) for name in ("levels", "problems", "responses")}
        total = self.total or float("nan")
        frame = pl.DataFrame({"source": list(parts), "sum_of_squares": list(parts.values())})
        return frame.with_columns((pl.col("sum_of_squares") / total).fill_nan(None).alias("share"))


@dataclass(frozen=True)
class PartialCorrelation:
    """r of the residuals, its two-sided p and degrees of freedom."""

    r: float
    p_value: float
    df: int
    n: int

    def to_frame(self) -> pl.DataFrame:
        """One row."""
        return pl.DataFrame({"r": self.r, "p_value": self.p_value, "df": self.df, "n": self.n})


def variance_split(curve: DifficultyCurve) -> VarianceSplit:
    """Split Σ (H − H̄)² over responses into levels, problems within a level, and responses within a problem.

    The three sums are exact whatever the numbers of responses. The intraclass correlation is
    (MSB − MSW) / (MSB + (n₀ − 1) MSW) with n₀ = (N − Σ n_i² / N) / (P − 1); it may be slightly negative.
    """
    H = curve.sequences["entropy"].to_numpy() - curve.sequences["entropy"][0]
    problem = np.unique(curve.sequences["problem"].to_numpy(), return_inverse=True)[1]
    by_problem, by_level = _group_means(H, problem), _group_means(H, curve.sequences["bin"].to_numpy())
    n = np.bincount(problem).astype(np.float64)
    N, P = len(H), len(n)
    levels, problems, responses = (
        float(part @ part) for part in (by_level - H.mean(), by_problem - by_level, H - by_problem)
    )
    intraclass = float("nan")
    if N > P > 1 and levels + problems + responses > 0:
        between, within = (levels + problems) / (P - 1), responses / (N - P)
        size = (N - float(n @ n) / N) / (P - 1)
        intraclass = (between - within) / (between + (size - 1) * within)
    return VarianceSplit(levels, problems, responses, intraclass, P, N)


def partial_correlation(x: ArrayLike, y: ArrayLike, given: ArrayLike) -> PartialCorrelation:
    """Correlation of what is left of x and y after a linear regression of each on `given` (n,) or (n, k).

    t = r √(df / (1 − r²)) with df = n − 2 − k. r is NaN, and p 1, where `given` explains x or y wholly.

    Raises:
        DifficultyError: numbers that are not finite, or fewer than 3 + k observations.
    """
    data = Data.of(x, y, given)
    n, k = data.covariates.shape
    if (df := n - 2 - k) < 1:
        raise DifficultyError(
            f"{n} observation(s) are too few for a correlation given {k} variable(s); {k + 3} suffice."
        )
    design = np.column_stack([np.ones(n), data.covariates])
    left = [values - design @ np.linalg.lstsq(design, values)[0] for values in (data.x, data.y)]
    spread = [np.linalg.norm(part) for part in left]
    if any(size <= 1e-12 * np.linalg.norm(values) for size, values in zip(spread, (data.x, data.y), strict=True)):
        return PartialCorrelation(float("nan"), 1.0, df, n)
    r = float(np.clip(left[0] @ left[1] / (spread[0] * spread[1]), -1.0, 1.0))
    t = np.inf if abs(r) == 1 else abs(r) * np.sqrt(df / (1 - r**2))
    return PartialCorrelation(r, float(2 * stats.t.sf(t, df)), df, n)


def _group_means(values: Floats, codes: np.ndarray) -> Floats:
    """Mean of its group for every value (n,)."""
    return (np.bincount(codes, values) / np.bincount(codes).clip(min=1))[codes]
