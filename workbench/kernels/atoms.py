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


DOUBT = 3
"""See `Row.memory`."""


class Row(NamedTuple):
    """One row before a step of the chain. Nats; x is measured from the row's largest logit, so that x <= 0."""

    ids: NDArray[np.int32]
    """(k,) the tokens with the largest logits."""
    x: NDArray[np.float64]
    """(k,) their logits, falling, at the temperature so far."""
    bin_x: NDArray[np.float64]
    """(b,) mean x of the tokens in each bin below them."""
    bin_count: NDArray[np.float64]
    """(b,) tokens in the bin."""
    bin_spread: NDArray[np.float64]
    """(b,) variance of x within the bin."""
    mass: NDArray[np.float64]
    """(k + b + 1,) Σ exp(x) over all tokens before each atom, dropped ones included."""
    tokens: NDArray[np.float64]
    """(b + 1,) tokens of all bins before each."""
    low: float
    high: float
    """What earlier steps left: atoms low to high, of k + b."""
    total: float
    """Σ exp(x) over what is left, so that p = exp(x) / total."""
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
    """What a rule carries from token to token, zeros before the first. memory[0] is this token's alone, to be shown;
    memory[DOUBT] set to 1 says that the answer depends on what the bins do not tell."""


@njit(forceinline=True)
def x_of(row: Row, i: int) -> float:
    """Mean x of atom i."""
    k = row.x.shape[0]
    return row.x[i] if i < k else row.bin_x[i - k]


@njit(forceinline=True)
def along(cumulative: NDArray[np.float64], position: float) -> float:
    """A cumulative sum over atoms, read at a position; inside an atom by its share."""
    i = int(position)
    share = position - i
    return cumulative[i] if share == 0.0 else cumulative[i] + share * (cumulative[i + 1] - cumulative[i])


@njit(forceinline=True)
def mass_between(row: Row, low: float, high: float) -> float:
    """Σ exp(x) from one position to another."""
    return along(row.mass, high) - along(row.mass, low)


@njit(forceinline=True)
def moment_between(row: Row, low: float, high: float) -> float:
    """Σ exp(x) x from one position to another, added up."""
    k, moment = row.x.shape[0], 0.0
    for i in range(int(low), min(k, math.ceil(high))):
        moment += math.exp(row.x[i]) * row.x[i]  # a difference of sums has lost what is below 1e-16 of them
    for i in range(max(k, int(low)), math.ceil(high)):
        share = max(0.0, min(1.0, high - i) - max(0.0, low - i))
        moment += share * (row.mass[i + 1] - row.mass[i]) * row.bin_x[i - k]
    return moment


@njit(forceinline=True)
def tokens_before(row: Row, position: float) -> float:
    """How many tokens lie before a position."""
    k = float(row.x.shape[0])
    return position if position <= k else k + along(row.tokens, position - k)


@njit(forceinline=True)
def tokens_left(row: Row) -> float:
    """How many tokens are left."""
    return tokens_before(row, row.high) - tokens_before(row, row.low)


@njit(forceinline=True)
def entropy_of(row: Row) -> float:
    """H = log Σ w - E[x] in nats."""
    return max(0.0, math.log(row.total) - row.mean)


@njit(forceinline=True)
def ends(row: Row) -> tuple[int, int]:
    """First atom that is left, at least in part, and the one after the last."""
    return int(row.low), math.ceil(row.high)


@njit(forceinline=True)
def part_of(row: Row, i: int) -> float:
    """The share of atom i that is left."""
    return max(0.0, min(1.0, row.high - i) - max(0.0, row.low - i))


@njit(forceinline=True)
def varentropy_of(row: Row) -> float:
    """Variance of the surprisal over what is left, in nats²."""
    start, stop = ends(row)
    k = row.x.shape[0]
    second = 0.0
    for i in range(start, min(k, stop)):
        d = row.x[i] - row.mean
        second += (row.mass[i + 1] - row.mass[i]) * d * d
    for i in range(max(k, start), stop):
        d = row.bin_x[i - k] - row.mean
        second += part_of(row, i) * (row.mass[i + 1] - row.mass[i]) * (d * d + row.bin_spread[i - k])
    return second / row.total


@njit(forceinline=True)
def deviation_of(row: Row) -> float:
    """Population standard deviation of x over the tokens that are left, each counted once."""
    start, stop = ends(row)
    k = row.x.shape[0]
    first, second = 0.0, 0.0
    for i in range(start, min(k, stop)):
        first += row.x[i]
        second += row.x[i] * row.x[i]
    for i in range(max(k, start), stop):
        count, x = part_of(row, i) * row.bin_count[i - k], row.bin_x[i - k]
        first += count * x
        second += count * (x * x + row.bin_spread[i - k])
    tokens = tokens_left(row)
    return math.sqrt(max(0.0, second / tokens - (first / tokens) ** 2))


@njit(forceinline=True)
def edges_of(row: Row, b: int) -> tuple[float, float]:
    """Upper and lower end of x in bin b; the last bin reaches down to the smallest logit."""
    upper = row.origin - b * row.width
    lower = upper - row.width
    if b == row.bin_x.shape[0] - 1:
        lower = min(lower, row.floor)
    if row.x.shape[0] > 0:
        upper = min(upper, row.x[row.x.shape[0] - 1])
    return max(upper, lower), lower


@njit(forceinline=True)
def first_below(x: NDArray[np.float64], threshold: float, first: int, last: int) -> int:
    """The first index in [first, last) of falling values whose value is below the threshold; last where none is."""
    while first < last:
        middle = (first + last) // 2
        if x[middle] >= threshold:
            first = middle + 1
        else:
            last = middle
    return first


@njit(forceinline=True)
def position_of(row: Row, threshold: float) -> float:
    """How many atoms from the very first on have x >= threshold; in a bin, the share of its width above it."""
    k, n_bins = row.x.shape[0], row.bin_x.shape[0]
    first = first_below(row.x, threshold, 0, k)
    if first < k or n_bins == 0:
        return float(first)
    b = int(max(0.0, min((row.origin - threshold) / row.width, n_bins - 1.0)))
    upper, lower = edges_of(row, b)
    if row.bin_count[b] == 0.0 or threshold > upper:
        return float(k + b)
    if threshold <= lower:
        return k + b + 1.0
    return k + b + (upper - threshold) / (upper - lower)


@njit(forceinline=True)
def keep_above(row: Row, threshold: float) -> tuple[float, float]:
    """All tokens with x >= threshold, and never fewer than the most likely one and its ties."""
    limit = min(threshold, x_of(row, int(row.low)))
    return row.low, min(row.high, position_of(row, limit))


@njit(forceinline=True)
def prefix_reaching(row: Row, mass: float) -> float:
    """End of the shortest run of atoms from row.low on whose weights reach `mass`."""
    target = along(row.mass, row.low) + mass
    first, last = ends(row)
    while first < last:
        middle = (first + last) // 2
        if row.mass[middle + 1] < target:
            first = middle + 1
        else:
            last = middle
    return min(row.high, within(row, first, row.mass, target))


@njit(forceinline=True)
def prefix_counting(row: Row, tokens: float) -> float:
    """End of the run of atoms from row.low on that holds this many tokens."""
    k = row.x.shape[0]
    target = tokens_before(row, row.low) + tokens
    if target <= k:
        return min(row.high, math.ceil(target))
    first, last = 0, row.bin_x.shape[0]
    while first < last:
        middle = (first + last) // 2
        if k + row.tokens[middle + 1] < target:
            first = middle + 1
        else:
            last = middle
    if first == row.bin_x.shape[0]:
        return row.high
    return min(row.high, k + first + min(1.0, (target - k - row.tokens[first]) / row.bin_count[first]))


@njit(forceinline=True)
def within(row: Row, i: int, cumulative: NDArray[np.float64], target: float) -> float:
    """The position in atom i at which a cumulative sum reaches `target`; a single token is passed whole."""
    if i < row.x.shape[0]:
        return i + 1.0
    if i + 1 >= cumulative.shape[0]:
        return float(i)
    step = cumulative[i + 1] - cumulative[i]
    return i + (min(1.0, max(0.0, (target - cumulative[i]) / step)) if step != 0.0 else 1.0)


@njit(forceinline=True)
def with_ties(row: Row, high: float) -> float:
    """`high`, moved on past single tokens whose logit equals that of the last one before it."""
    k = row.x.shape[0]
    i = int(high)
    if i >= k or high != i:
        return high
    while 0 < i < min(k, row.high) and row.x[i] == row.x[i - 1]:
        i += 1
    return float(i)
