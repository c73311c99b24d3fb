"""Which of two models decodes each token, from a rolling mean of entropies."""

from __future__ import annotations

from typing import TYPE_CHECKING

from numba import njit

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SMALL, LARGE = 0, 1


@njit(nogil=True, cache=True)
def window_mean(stream: NDArray[np.float64], end: int, window: int) -> float:
    """Mean of the last `window` of stream[:end], summed from the oldest on; of all of them where there are fewer."""
    start = max(0, end - window)
    total = 0.0
    for i in range(start, end):
        total += stream[i]
    return total / (end - start)


@njit(nogil=True, cache=True)
def next_model(mean: float, active: int, since: int, up: float, down: float, dwell: int) -> int:
    """The model of the next token, `active` having made the last `since` tokens."""
    if since < dwell:
        return active
    if mean > up:
        return LARGE
    return SMALL if mean <= down else active


@njit(nogil=True, cache=True)
def route_tokens(
    small: NDArray[np.float64],  # (T,)
    large: NDArray[np.float64],  # (T,)
    monitor_small: bool,
    start: int,
    window: int,
    up: float,
    down: float,
    dwell: int,
    active_out: NDArray[np.int8],  # (T,)
    stream_out: NDArray[np.float64],  # (T,)
    mean_out: NDArray[np.float64],  # (T,)
) -> None:
    """For every token its model, the entropy that enters the window, and the mean of the window that ends with it."""
    active, since = start, 0
    for t in range(small.shape[0]):
        active_out[t] = active
        stream_out[t] = small[t] if monitor_small or active == SMALL else large[t]
        mean_out[t] = window_mean(stream_out, t + 1, window)
        since += 1
        following = next_model(mean_out[t], active, since, up, down, dwell)
        if following != active:
            active, since = following, 0
