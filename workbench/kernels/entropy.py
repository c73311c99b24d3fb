"""Entropy, varentropy, log Z and moments of rows of float32 logits.

With d = z - max and Z' = Σ exp(d):  log Z = max + ln Z',  H = ln Z' - Σ exp(d) d / Z',
V = Σ exp(d) d² / Z' - (Σ exp(d) d / Z')².  Every term of H has the same sign, so nothing cancels. Logits equal to the
maximum are counted, not summed: ln Z' = ln n + log1p(rest / n) keeps its digits when one token has nearly all the mass.
Float32 sums run over blocks short enough to be exact to about 1e-7, and the blocks are added in float64.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numba import njit

from workbench.kernels.exp import LOWEST_EXP, exp_in_range, float_from_bits

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Columns of the statistics array.
LOG_Z, ENTROPY, VARENTROPY, HIGH, MEAN, STD, LOW = range(7)
STATISTICS = 7
# What a row's status says.
FINE, HAS_NAN, HAS_INFINITY, ALL_EXCLUDED = range(4)

# Sums may be reordered and vectorised; NaN and infinities keep their meaning.
SUMS = {"reassoc", "contract", "nsz", "arcp"}
BLOCK = 2048

_ZERO = np.float32(0.0)
_ZERO_INT, _ONE_INT = np.int32(0), np.int32(1)
_SMALLEST_INT, _LARGEST_INT = np.int32(-(2**31)), np.int32(2**31 - 1)
_NEGATIVE_INFINITY_BITS = np.int32(-0x00800000)
INFINITY_KEY = np.int32(0x7F800000)


@njit
def order_key(bits: np.int32) -> np.int32:
    """An int32 ordered like the float32 with these bits; -0 and 0 share one, NaNs lie outside ±INFINITY_KEY."""
    return bits if bits >= 0 else np.int32(_SMALLEST_INT - bits)


@njit
def float_from_key(key: np.int32) -> np.float32:
    """The float32 that has this order key."""
    return float_from_bits(key if key >= 0 else np.int32(_SMALLEST_INT - key))


@njit
def key_range(bits: NDArray[np.int32]) -> tuple[np.int32, np.int32]:
    """Largest and smallest order key: integers, because a float maximum that minds NaN does not vectorise."""
    high, low = _SMALLEST_INT, _LARGEST_INT
    for i in range(bits.shape[0]):
        key = order_key(bits[i])
        high = max(high, key)
        low = min(low, key)
    return high, low


@njit(fastmath=SUMS)
def exponential_sums(row: NDArray[np.float32], high: np.float32) -> tuple[int, float, float, float]:
    """How many logits equal the maximum, and over all others Σ exp(d), Σ exp(d) d, Σ exp(d) d²."""
    at_top, mass, first, second = 0, 0.0, 0.0, 0.0
    for start in range(0, row.shape[0], BLOCK):
        block = row[start : start + BLOCK]
        s0, s1, s2, n = _ZERO, _ZERO, _ZERO, _ZERO_INT
        for i in range(block.shape[0]):
            d = block[i] - high
            x = max(LOWEST_EXP, d)  # -inf would make 0 · inf below
            e = exp_in_range(x)
            e = e if LOWEST_EXP <= d < _ZERO else _ZERO
            w = e * x
            s0 += e
            s1 += w
            s2 += w * x
            n = np.int32(n + (_ONE_INT if d == _ZERO else _ZERO_INT))
        at_top += int(n)
        mass += float(s0)
        first += float(s1)
        second += float(s2)
    return at_top, mass, first, second


@njit(fastmath=SUMS)
def centred_sums(row: NDArray[np.float32], high: np.float32, centre: np.float32) -> tuple[float, float]:
    """Σ exp(d) (d - centre) and Σ exp(d) (d - centre)² over the logits below the maximum."""
    first, second = 0.0, 0.0
    for start in range(0, row.shape[0], BLOCK):
        block = row[start : start + BLOCK]
        s1, s2 = _ZERO, _ZERO
        for i in range(block.shape[0]):
            d = block[i] - high
            x = max(LOWEST_EXP, d)
            e = exp_in_range(x)
            e = e if LOWEST_EXP <= d < _ZERO else _ZERO
            x = x - centre
            w = e * x
            s1 += w
            s2 += w * x
        first += float(s1)
        second += float(s2)
    return first, second


@njit
def entropy_row(row: NDArray[np.float32], high: np.float32, statistics: NDArray[np.float64]) -> None:
    """Write log Z, entropy and varentropy of a row whose maximum is finite and which holds no NaN."""
    at_top, mass, first, second = exponential_sums(row, high)
    total = at_top + mass
    log_total = math.log(at_top) + math.log1p(mass / at_top)
    mean = first / total
    varentropy = second / total - mean * mean
    if varentropy < 0.25 * mean * mean:  # the subtraction ate digits: once more, around the mean
        centre = np.float64(np.float32(mean))
        first, second = centred_sums(row, high, np.float32(mean))
        first = (first - at_top * centre) / total
        varentropy = max(0.0, (second + at_top * centre * centre) / total - first * first)
    statistics[LOG_Z] = high + log_total
    statistics[ENTROPY] = log_total - mean
    statistics[VARENTROPY] = varentropy
    statistics[HIGH] = high


@njit(fastmath=SUMS)
def finite_sum(row: NDArray[np.float32], bits: NDArray[np.int32]) -> tuple[int, float, np.int32]:
    """Count, sum and smallest order key of the logits that are not -inf."""
    count, total, low = 0, 0.0, _LARGEST_INT
    for start in range(0, row.shape[0], BLOCK):
        block, block_bits = row[start : start + BLOCK], bits[start : start + BLOCK]
        s, n = _ZERO, _ZERO_INT
        for i in range(block.shape[0]):
            kept = block_bits[i] != _NEGATIVE_INFINITY_BITS
            s += block[i] if kept else _ZERO
            n = np.int32(n + (_ONE_INT if kept else _ZERO_INT))
            low = min(low, order_key(block_bits[i]) if kept else _LARGEST_INT)
        count += int(n)
        total += float(s)
    return count, total, low


@njit(fastmath=SUMS)
def centred_moments(row: NDArray[np.float32], bits: NDArray[np.int32], centre: np.float32) -> tuple[float, float]:
    """Σ (z - centre) and Σ (z - centre)² over the logits that are not -inf."""
    first, second = 0.0, 0.0
    for start in range(0, row.shape[0], BLOCK):
        block, block_bits = row[start : start + BLOCK], bits[start : start + BLOCK]
        s1, s2 = _ZERO, _ZERO
        for i in range(block.shape[0]):
            x = block[i] - centre if block_bits[i] != _NEGATIVE_INFINITY_BITS else _ZERO
            s1 += x
            s2 += x * x
        first += float(s1)
        second += float(s2)
    return first, second


@njit
def wide_moments(row: NDArray[np.float32], bits: NDArray[np.int32], count: int) -> tuple[float, float]:
    """Mean and standard deviation in float64, for logits whose squares leave float32's range."""
    mean = 0.0
    for i in range(row.shape[0]):
        if bits[i] != _NEGATIVE_INFINITY_BITS:
            mean += np.float64(row[i]) / count
    square = 0.0
    for i in range(row.shape[0]):
        if bits[i] != _NEGATIVE_INFINITY_BITS:
            square += (np.float64(row[i]) - mean) ** 2 / count
    return mean, math.sqrt(square)


@njit
def moments_row(row: NDArray[np.float32], bits: NDArray[np.int32], statistics: NDArray[np.float64]) -> int:
    """Write mean, population standard deviation and minimum of the finite logits; return their number."""
    count, total, low = finite_sum(row, bits)
    centre = np.float32(total / count)
    first, second = centred_moments(row, bits, centre)
    first, second = first / count, second / count
    mean, std = np.float64(centre) + first, math.sqrt(max(0.0, second - first * first))
    if not math.isfinite(first + second):  # max() above hides a NaN
        mean, std = wide_moments(row, bits, count)
    statistics[MEAN] = mean
    statistics[STD] = std
    statistics[LOW] = float_from_key(low)
    return count


@njit
def row_status(high: np.int32, low: np.int32) -> int:
    """What a row's largest and smallest order keys say about it: FINE, or why it defines no distribution."""
    if high > INFINITY_KEY or low < -INFINITY_KEY:
        return HAS_NAN
    if high == INFINITY_KEY:
        return HAS_INFINITY
    if high == -INFINITY_KEY:
        return ALL_EXCLUDED
    return FINE


@njit(nogil=True, cache=True)
def entropy_rows(
    start: int,
    stop: int,
    logits: NDArray[np.float32],  # (T, V), contiguous
    with_moments: bool,
    statistics: NDArray[np.float64],  # (T, STATISTICS); rows that are not fine stay as they were
    counts: NDArray[np.int32],  # (T,): finite logits, written with the moments only
    status: NDArray[np.uint8],  # (T,)
) -> None:
    """Log Z, entropy, varentropy and maximum, and if asked the moments, of rows start to stop, in nats."""
    for t in range(start, stop):
        row = logits[t]
        bits = row.view(np.int32)
        high, low = key_range(bits)
        status[t] = row_status(high, low)
        if status[t] == FINE:
            entropy_row(row, float_from_key(high), statistics[t])
            if with_moments:
                counts[t] = moments_row(row, bits, statistics[t])
