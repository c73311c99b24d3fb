"""SRGen's dynamic threshold: mean and spread of the entropies just before a token, and whether the token exceeds it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from numba import njit

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@njit
def window_threshold(
    window: NDArray[np.float64], k: float, freedom: int, minimal_std: float, minimal_threshold: float
) -> float:
    """max(μ + k max(σ, minimal_std), minimal_threshold), σ² = Σ (x - μ)² / (N - freedom).

    The mean is taken of the differences from the first entry, so that a constant window has exactly its value for a
    mean and 0 for a spread.
    """
    if math.isinf(k):
        return math.inf  # also where σ = 0
    total, square = 0.0, 0.0
    for x in window:
        total += x - window[0]
    mean = window[0] + total / len(window)
    for x in window:
        square += (x - mean) ** 2
    spread = math.sqrt(square / (len(window) - freedom))
    return max(mean + k * max(spread, minimal_std), minimal_threshold)


@njit(nogil=True, cache=True)
def reflective_rows(
    start: int,
    stop: int,
    spent: int,
    entropies: NDArray[np.float64],  # (T,)
    window: int,  # N, at least 2
    k: float,
    freedom: int,  # 0: σ of the window itself, 1: the unbiased estimate
    minimal_std: float,
    minimal_threshold: float,
    warm_up: float,  # the threshold of the first N tokens
    limit: int,
    thresholds: NDArray[np.float64],  # (T,)
    triggered: NDArray[np.bool_],  # (T,)
) -> int:
    """Thresholds and triggers of tokens start to stop; `spent` triggers came before, `limit` are allowed in all.

    Returns:
        How many triggers there have been up to `stop`.
    """
    for t in range(start, stop):
        if t < window:
            thresholds[t] = warm_up
        else:
            before = entropies[t - window : t]
            thresholds[t] = window_threshold(before, k, freedom, minimal_std, minimal_threshold)
        triggered[t] = entropies[t] > thresholds[t] and spent < limit
        if triggered[t]:
            spent += 1
    return spent
