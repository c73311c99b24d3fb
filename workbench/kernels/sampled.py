"""What a sampler made of one row: entropy after it, how many tokens it kept, and their raw probability mass."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numba import njit

from workbench.kernels.entropy import (
    BLOCK,
    ENTROPY,
    FINE,
    LOG_Z,
    STATISTICS,
    SUMS,
    entropy_row,
    float_from_key,
    key_range,
    row_status,
)
from workbench.kernels.exp import LOWEST_EXP, exp_in_range

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Columns of the result.
SAMPLED_LOG_Z, SAMPLED_ENTROPY, KEPT, KEPT_MASS = range(4)
SAMPLED = 4

_ZERO = np.float32(0.0)
_ZERO_INT, _ONE_INT = np.int32(0), np.int32(1)
_NEGATIVE_INFINITY_BITS = np.int32(-0x00800000)


@njit(fastmath=SUMS)
def kept_sums(
    raw: NDArray[np.float32], processed_bits: NDArray[np.int32], high: np.float32
) -> tuple[int, float, float]:
    """How many logits survive, Σ exp(z - high) over the survivors' raw logits, and over all raw logits."""
    kept, mass, total = 0, 0.0, 0.0
    for start in range(0, raw.shape[0], BLOCK):
        block, bits = raw[start : start + BLOCK], processed_bits[start : start + BLOCK]
        s, a, n = _ZERO, _ZERO, _ZERO_INT
        for i in range(block.shape[0]):
            d = block[i] - high
            e = exp_in_range(max(LOWEST_EXP, d))
            e = e if d >= LOWEST_EXP else _ZERO
            survives = bits[i] != _NEGATIVE_INFINITY_BITS
            a += e
            s += e if survives else _ZERO
            n = np.int32(n + (_ONE_INT if survives else _ZERO_INT))
        kept += int(n)
        mass += float(s)
        total += float(a)
    return kept, mass, total


@njit(nogil=True, cache=True)
def sampled_rows(
    start: int,
    stop: int,
    raw: NDArray[np.float32],  # (B, V), contiguous
    processed: NDArray[np.float32],  # (B, V), contiguous; dropped tokens are -inf
    result: NDArray[np.float64],  # (B, SAMPLED); NaN where a row defines no distribution
) -> None:
    """Log Z and entropy of the processed row in nats, the number of its finite logits, their raw mass."""
    statistics = np.empty(STATISTICS)
    for b in range(start, stop):
        bits = processed[b].view(np.int32)
        high, low = key_range(bits)
        raw_high, raw_low = key_range(raw[b].view(np.int32))
        if row_status(high, low) != FINE or row_status(raw_high, raw_low) != FINE:
            result[b] = math.nan
            continue
        entropy_row(processed[b], float_from_key(high), statistics)
        kept, mass, total = kept_sums(raw[b], bits, float_from_key(raw_high))
        result[b, SAMPLED_LOG_Z] = statistics[LOG_Z]
        result[b, SAMPLED_ENTROPY] = statistics[ENTROPY]
        result[b, KEPT] = kept
        result[b, KEPT_MASS] = mass / total
