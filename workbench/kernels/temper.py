"""Log Z, entropy and varentropy at another temperature, from a sketch's K + B weighted atoms."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numba import njit

from workbench.kernels.entropy import SUMS
from workbench.kernels.exp import LOWEST_EXP64, exp_in_range64, exp_nonpositive64
from workbench.kernels.sketch import MAX_BINS

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Columns of the output.
LOG_Z, ENTROPY, VARENTROPY, BOUND, CORRECTION = range(5)
COLUMNS = 5


@njit(fastmath=SUMS)
def top_sums(top: NDArray[np.float32], high: float, inverse: float) -> tuple[int, float, float, float]:
    """How many atoms equal the maximum, and over the others Σ e, Σ e d, Σ e d², d = (z - high) / T, e = exp(d)."""
    at_top, mass, first, second = 0, 0.0, 0.0, 0.0
    for i in range(top.shape[0]):
        d = (np.float64(top[i]) - high) * inverse
        x = max(LOWEST_EXP64, d)
        e = exp_in_range64(x)
        e = e if LOWEST_EXP64 <= d < 0.0 else 0.0
        w = e * x
        mass += e
        first += w
        second += w * x
        at_top += d == 0.0
    return at_top, mass, first, second


@njit
def tail_sums(
    count: NDArray[np.int32],
    mean: NDArray[np.float32],
    mean_square: NDArray[np.float32],
    span: float,
    inverse: float,
    bin_width: float,
) -> tuple[float, float, float, float, float]:
    """Sums over the bins, e = exp(-depth / T) at a bin's mean depth, x = -depth / T, v the variance within / T².

    Returns Σ n e; what the bound adds to it; Σ n e v / 2; and the first two moments of x under n e (1 + v / 2), which
    are the derivatives of that sum with respect to ln(1 / T), so that dH / dT = V / T holds between them.
    """
    mass, excess, correction, first, second = 0.0, 0.0, 0.0, 0.0, 0.0
    closed_slope = math.expm1(-bin_width * inverse) / bin_width
    for b in range(count.shape[0]):
        if count[b] == 0:
            continue
        u, opened = np.float64(mean[b]), b == MAX_BINS - 1
        width = max(bin_width, span - b * bin_width) if opened else bin_width
        # Convexity: of all values in [0, width] with mean u, those at the two ends have the largest mean exp(-v / T).
        slope = math.expm1(-width * inverse) / width if opened else closed_slope
        ends = 1.0 + min(u, width) * slope
        x = -(b * bin_width + u) * inverse
        weight = count[b] * exp_nonpositive64(x)
        excess += max(0.0, count[b] * exp_nonpositive64(-b * bin_width * inverse) * ends - weight)
        if weight == 0.0:
            continue
        variance = np.float64(mean_square[b]) - u * u
        # The open bin is too wide for an expansion around its mean.
        half = 0.0 if opened else 0.5 * min(max(variance, 0.0), 0.25 * width * width) * inverse * inverse
        mass += weight
        correction += weight * half
        first += weight * (x * (1.0 + half) + 2.0 * half)
        second += weight * (x * x * (1.0 + half) + (4.0 * x + 2.0) * half)
    return mass, excess, correction, first, second


@njit(nogil=True, cache=True)
def temper_rows(
    start: int,
    stop: int,
    temperature: float,
    top_logits: NDArray[np.float32],  # (T, K), sorted descending
    tail_count: NDArray[np.int32],  # (T, B)
    tail_mean: NDArray[np.float32],  # (T, B)
    tail_mean_square: NDArray[np.float32],  # (T, B)
    low: NDArray[np.float32],  # (T,): smallest finite logit
    bin_width: float,
    out: NDArray[np.float64],  # (T, COLUMNS)
) -> None:
    """Statistics at this temperature of rows start to stop, in nats.

    Log Z with every tail logit at its bin's mean; entropy and varentropy with the variance within the bins; by how
    much log Z may fall short of the truth at most, and by how much it does to second order.
    """
    inverse = 1.0 / temperature
    for t in range(start, stop):
        high = np.float64(top_logits[t, 0])
        at_top, mass, first, second = top_sums(top_logits[t], high, inverse)
        tail, excess, correction, tail_first, tail_second = tail_sums(
            tail_count[t], tail_mean[t], tail_mean_square[t], high - np.float64(low[t]), inverse, bin_width
        )
        lowest = at_top + mass + tail
        total = lowest + correction
        log_total = math.log(at_top) + math.log1p((mass + tail + correction) / at_top)
        mean = (first + tail_first) / total
        out[t, LOG_Z] = high * inverse + math.log(at_top) + math.log1p((mass + tail) / at_top)
        out[t, ENTROPY] = max(0.0, log_total - mean)
        out[t, VARENTROPY] = max(0.0, (second + tail_second) / total - mean * mean)
        out[t, BOUND] = math.log1p(excess / lowest)
        out[t, CORRECTION] = math.log1p(correction / lowest)
