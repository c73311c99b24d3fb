"""Statistics of rows of attention scores, two passes over a row and nothing kept of it.

With d = s - max over the keys a row sees, e = exp(d) and Z' = Σ e:  A = e / Z',  H = ln Z' - Σ e d / Z', both terms of
one sign, so that nothing cancels, and a row with all its scores far below one of them has entropy 0 exactly. Scores
equal to the maximum are counted: ln Z' = ln n + log1p(rest / n). Float32 sums run over short blocks that are added in
float64.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numba import njit

from workbench.kernels.entropy import SUMS, float_from_key, key_range
from workbench.kernels.exp import LOWEST_EXP, exp_in_range, exp_nonpositive

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Rows of the output, one number each a row of attention.
ENTROPY, HIGHEST, DISTANCE, SINK, PREVIOUS, SAME, INDUCTION, NORM = range(8)
ROW_STATISTICS = 8
NO_KEY = -1
"""Stands for a key that is not there: no sink, no key before the first."""

_BLOCK = 1024
_ZERO = np.float32(0.0)
_ZERO_INT, _ONE_INT = np.int32(0), np.int32(1)


@njit(fastmath=SUMS)
def weighted_sums(
    row: NDArray[np.float32],
    positions: NDArray[np.float32],
    ids: NDArray[np.int32],
    before: NDArray[np.int32],
    high: np.float32,
    at: np.float32,
    token: np.int32,
) -> tuple[int, float, float, float, float, float, float, float]:
    """Over a row's keys: how many have the maximum; Σ e of the others; Σ e d, Σ e (at - position); Σ e where the key's
    token, and where the one before it, is `token`; Σ d and Σ d².
    """
    at_top, rest, moment, distance, same, induction, first, second = 0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for start in range(0, row.shape[0], _BLOCK):
        stop = min(start + _BLOCK, row.shape[0])
        block, where = row[start:stop], positions[start:stop]
        own, previous = ids[start:stop], before[start:stop]
        n, s0, s1, s2, s3, s4, s5, s6 = _ZERO_INT, _ZERO, _ZERO, _ZERO, _ZERO, _ZERO, _ZERO, _ZERO
        for i in range(block.shape[0]):
            d = block[i] - high
            x = max(LOWEST_EXP, d)
            e = exp_in_range(x)
            e = e if d >= LOWEST_EXP else _ZERO
            below = d < _ZERO
            n = np.int32(n + (_ZERO_INT if below else _ONE_INT))
            s0 += e if below else _ZERO
            s1 += e * x
            s2 += e * (at - where[i])
            s3 += e if own[i] == token else _ZERO
            s4 += e if previous[i] == token else _ZERO
            s5 += d
            s6 += d * d
        at_top += int(n)
        rest += float(s0)
        moment += float(s1)
        distance += float(s2)
        same += float(s3)
        induction += float(s4)
        first += float(s5)
        second += float(s6)
    return at_top, rest, moment, distance, same, induction, first, second


@njit
def key_weight(row: NDArray[np.float32], key: int, start: int, stop: int, high: np.float32) -> float:
    """exp(d) of one key, 0 where the row does not see it."""
    return float(exp_nonpositive(row[key] - high)) if start <= key < stop else 0.0


@njit(fastmath=SUMS)
def centred_square(row: NDArray[np.float32], high: np.float32, centre: np.float32) -> float:
    """Σ (d - centre)²."""
    total = 0.0
    for start in range(0, row.shape[0], _BLOCK):
        stop = min(start + _BLOCK, row.shape[0])
        block, s = row[start:stop], _ZERO
        for i in range(block.shape[0]):
            x = (block[i] - high) - centre
            s += x * x
        total += float(s)
    return total


@njit
def attention_row(
    row: NDArray[np.float32],
    start: int,
    stop: int,
    own: int,
    sink: int,
    positions: NDArray[np.float32],
    ids: NDArray[np.int32],
    before: NDArray[np.int32],
    at: np.float32,
    token: np.int32,
    out: NDArray[np.float32],
) -> None:
    """Write the statistics of one row that sees keys start to stop; NaN throughout when it sees none."""
    out[:] = np.nan
    if stop <= start:
        return
    seen, high = stop - start, float_from_key(key_range(row[start:stop].view(np.int32))[0])
    at_top, rest, moment, distance, same, induction, first, second = weighted_sums(
        row[start:stop], positions[start:stop], ids[start:stop], before[start:stop], high, at, token
    )
    if not math.isfinite(first):
        return
    total, mean = at_top + rest, first / seen
    own_weight = key_weight(row, own, start, stop, high)
    out[ENTROPY] = math.log(at_top) + math.log1p(rest / at_top) - moment / total
    out[HIGHEST] = 1.0 / total
    out[DISTANCE] = distance / total
    if start <= sink < stop:
        out[SINK] = key_weight(row, sink, start, stop, high) / total
    out[PREVIOUS] = key_weight(row, own - 1, start, stop, high) / total
    has_own = start <= own < stop
    out[SAME] = max(0.0, same - (own_weight if has_own and ids[own] == token else 0.0)) / total
    out[INDUCTION] = max(0.0, induction - (own_weight if has_own and before[own] == token else 0.0)) / total
    square = second - seen * mean * mean
    if square < 0.25 * second:  # the subtraction ate digits: once more, around the mean
        square = centred_square(row[start:stop], high, np.float32(mean))
    out[NORM] = math.sqrt(max(0.0, square))


@njit(nogil=True, cache=True)
def attention_rows(
    first: int,
    last: int,
    scores: NDArray[np.float32],  # (R, K), contiguous; row r belongs to query r % Q
    starts: NDArray[np.int64],  # (Q,): the first key a query sees
    stops: NDArray[np.int64],  # (Q,): and the one after the last
    own: NDArray[np.int64],  # (Q,): the column of the query's own token, NO_KEY where it has none
    sink: int,  # the column of the sequence's first token, or NO_KEY
    positions: NDArray[np.float32],  # (K,)
    ids: NDArray[np.int32],  # (K,): the keys' tokens
    before: NDArray[np.int32],  # (K,): the tokens before them
    at: NDArray[np.float32],  # (Q,): the queries' positions
    tokens: NDArray[np.int32],  # (Q,): the queries' tokens
    out: NDArray[np.float32],  # (R, ROW_STATISTICS)
) -> None:
    """The statistics of rows first to last of a block of scaled scores; entropies in nats."""
    queries = starts.shape[0]
    for r in range(first, last):
        q = r % queries
        attention_row(scores[r], starts[q], stops[q], own[q], sink, positions, ids, before, at[q], tokens[q], out[r])
