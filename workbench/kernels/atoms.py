"""A row of logits as weighted atoms, as a sampling rule sees it: the largest logits one by one, the rest in bins.

Atoms fall in logit. Positions on them are floats: all atoms before `high` are left, and of a bin in which `high` lies,
that share. `low` counts in the same way from above, for rules that drop the most likely tokens.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from numba import njit

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Row(NamedTuple):
    """One row before a step of the chain. Nats; x is measured from the row's largest logit, so that x <= 0."""

    ids: NDArray[np.int32]
    """(k,) the tokens with the largest logits."""
    x: NDArray[np.float64]
    """(k,) their logits, falling, at the temperature so far."""
    weight: NDArray[np.float64]
    """(k,) exp(x)."""
    bin_x: NDArray[np.float64]
    """(b,) mean x of the tokens in each bin below them."""
    bin_weight: NDArray[np.float64]
    """(b,) Σ exp(x) over the bin."""
    bin_count: NDArray[np.float64]
    """(b,) tokens in the bin."""
    bin_spread: NDArray[np.float64]
    """(b,) variance of x within the bin."""
    low: float
    high: float
    """What earlier steps left: atoms low to high, of k + b."""
    total: float
    """Σ weight over what is left, so that p = weight / total."""
    mean: float
    """E[x] over what is left, under p: the entropy is log(total) - mean."""
    origin: float
    """x at the upper edge of the first bin."""
    width: float
    """Of a bin."""
    floor: float
    """x of the smallest logit: where the last bin ends."""
    uniform: float
    """A number in [0, 1) drawn for this token, the same in decoding and in replay."""
    memory: NDArray[np.float64]
    """What a rule carries from token to token, zeros before the first; memory[0] is this token's alone, to be shown."""


@njit
def x_of(row: Row, i: int) -> float:
    """Mean x of atom i."""
    k = row.x.shape[0]
    return row.x[i] if i < k else row.bin_x[i - k]


@njit
def tokens_of(row: Row, i: int) -> float:
    """Tokens of atom i that are left."""
    k = row.x.shape[0]
    if i < k:
        return 1.0
    return part_of(row, i) * row.bin_count[i - k]


@njit
def weight_of(row: Row, i: int) -> float:
    """Σ exp(x) over the tokens of atom i that are left."""
    k = row.x.shape[0]
    if i < k:
        return row.weight[i]
    return part_of(row, i) * row.bin_weight[i - k]


@njit
def part_of(row: Row, i: int) -> float:
    """The share of atom i that is left."""
    return max(0.0, min(1.0, row.high - i) - max(0.0, row.low - i))


@njit
def ends(row: Row) -> tuple[int, int]:
    """First atom that is left, at least in part, and the one after the last."""
    return int(row.low), int(math.ceil(row.high))


@njit
def entropy_of(row: Row) -> float:
    """H = log Σ w - E[x] in nats."""
    return max(0.0, math.log(row.total) - row.mean)


@njit
def varentropy_of(row: Row) -> float:
    """Variance of the surprisal over what is left, in nats²."""
    start, stop = ends(row)
    k = row.x.shape[0]
    second = 0.0
    for i in range(start, stop):
        d = x_of(row, i) - row.mean
        second += weight_of(row, i) * (d * d + (row.bin_spread[i - k] if i >= k else 0.0))
    return second / row.total


@njit
def edges_of(row: Row, b: int) -> tuple[float, float]:
    """Upper and lower end of x in bin b; the last bin reaches down to the smallest logit."""
    upper = row.origin - b * row.width
    lower = upper - row.width
    if b == row.bin_x.shape[0] - 1:
        lower = min(lower, row.floor)
    if row.x.shape[0] > 0:
        upper = min(upper, row.x[row.x.shape[0] - 1])
    return max(upper, lower), lower


@njit
def position_of(row: Row, threshold: float) -> float:
    """How many atoms from the very first on have x >= threshold; in a bin, the share of its width above it."""
    first, last = 0, row.x.shape[0]
    k = last
    while first < last:
        middle = (first + last) // 2
        if row.x[middle] >= threshold:
            first = middle + 1
        else:
            last = middle
    if first < k:
        return float(first)
    for b in range(row.bin_x.shape[0]):
        if row.bin_count[b] == 0.0:
            continue
        upper, lower = edges_of(row, b)
        if threshold > upper:
            return float(k + b)
        if threshold > lower:
            return k + b + (upper - threshold) / (upper - lower)
    return float(k + row.bin_x.shape[0])


@njit
def keep_above(row: Row, threshold: float) -> tuple[float, float]:
    """All tokens with x >= threshold, and never fewer than the most likely one and its ties."""
    limit = min(threshold, x_of(row, int(row.low)))
    return row.low, min(row.high, position_of(row, limit))


@njit
def within(row: Row, i: int, share: float) -> float:
    """The position at which this share of what is left of atom i has been passed; a single token is passed whole."""
    if i < row.x.shape[0]:
        return i + 1.0
    start, stop = max(row.low, float(i)), min(row.high, i + 1.0)
    return start + (stop - start) * max(0.0, min(1.0, share))


@njit
def prefix_reaching(row: Row, mass: float) -> float:
    """End of the shortest run of atoms from row.low on whose weights reach `mass`."""
    start, stop = ends(row)
    seen = 0.0
    for i in range(start, stop):
        weight = weight_of(row, i)
        if seen + weight >= mass and weight > 0.0:
            return within(row, i, (mass - seen) / weight)
        seen += weight
    return row.high


@njit
def prefix_counting(row: Row, tokens: float) -> float:
    """End of the run of atoms from row.low on that holds this many tokens."""
    start, stop = ends(row)
    seen = 0.0
    for i in range(start, stop):
        count = tokens_of(row, i)
        if seen + count >= tokens and count > 0.0:
            return within(row, i, (tokens - seen) / count)
        seen += count
    return row.high


@njit
def with_ties(row: Row, high: float) -> float:
    """`high`, moved on past single tokens whose logit equals that of the last one before it."""
    k = row.x.shape[0]
    i = int(high)
    if i >= k or high != i:
        return high
    while 0 < i < min(k, row.high) and row.x[i] == row.x[i - 1]:
        i += 1
    return float(i)


@njit
def tokens_left(row: Row) -> float:
    """How many tokens are left."""
    start, stop = ends(row)
    tokens = 0.0
    for i in range(start, stop):
        tokens += tokens_of(row, i)
    return tokens


@njit
def deviation_of(row: Row) -> float:
    """Population standard deviation of x over the tokens that are left, each counted once."""
    start, stop = ends(row)
    k = row.x.shape[0]
    tokens, first, second = 0.0, 0.0, 0.0
    for i in range(start, stop):
        count = tokens_of(row, i)
        tokens += count
        first += count * x_of(row, i)
    mean = first / tokens
    for i in range(start, stop):
        d = x_of(row, i) - mean
        second += tokens_of(row, i) * (d * d + (row.bin_spread[i - k] if i >= k else 0.0))
    return math.sqrt(second / tokens)
