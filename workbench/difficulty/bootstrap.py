"""Cluster bootstrap over problems, and Wilson's interval."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import stats

if TYPE_CHECKING:
    from workbench.difficulty.regression import Floats

_CELLS = 2_000_000  # draws x problems held at once


def resampled_sums(values: Floats, *, draws: int, generator: np.random.Generator) -> Floats:
    """Sums (draws, c) of the rows of `values` (P, c) over P rows drawn with replacement, in one product a block.

    A row is a problem with all its responses, so that what it adds is drawn as a whole: responses to one problem are
    alike, and drawing them one by one would make the intervals too short.
    """
    problems = len(values)
    block = max(1, min(draws, _CELLS // problems))
    sums = np.empty((draws, values.shape[1]))
    for start in range(0, draws, block):
        rows = min(block, draws - start)
        # narrow indices are drawn faster
        chosen = generator.integers(0, problems, (rows, problems), dtype=np.int32)
        chosen = chosen.astype(np.int64) + np.arange(rows)[:, None] * problems
        counts = np.bincount(chosen.ravel(), minlength=rows * problems).reshape(rows, problems)
        sums[start : start + rows] = counts.astype(np.float64) @ values
    return sums


def percentile_interval(estimates: Floats, level: float) -> tuple[Floats, Floats]:
    """The central `level` share of `estimates` (draws, …), down the first axis."""
    low, high = np.quantile(estimates, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return low, high


def wilson_interval(successes: Floats, n: Floats, level: float) -> tuple[Floats, Floats]:
    """Wilson's score interval of a proportion: the p for which |p̂ − p| ≤ z √(p (1 − p) / n)."""
    z = stats.norm.isf((1 - level) / 2)
    share, weight = successes / n, 1 + z**2 / n
    centre = (share + z**2 / (2 * n)) / weight
    half = z / weight * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    # where nothing or everything succeeds an end is exactly 0 or 1, but for rounding
    return np.clip(centre - half, 0.0, share), np.clip(centre + half, share, 1.0)
