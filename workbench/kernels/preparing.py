"""From a sketch to atoms: the state of every row before the first step of a chain."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from workbench.kernels.chain import (
    HIGH,
    HIGHEST,
    KNOWN,
    MAY_HIGH,
    MEAN,
    SCALE,
    SURE_HIGH,
    TOKEN_AT,
    TOKEN_X,
    TOTAL,
    Atoms,
)
from workbench.kernels.lean import lean
from workbench.kernels.sums import add_bins, ranges_of_bins, weigh_row

if TYPE_CHECKING:
    from numpy.typing import NDArray


@lean
def fill_top(ids: NDArray[np.int32], logits: NDArray[np.float32], atoms: Atoms, t: int) -> None:
    """The single tokens of row t; ties, which a sketch has by rising id, by falling id."""
    k = 0
    while k < logits.shape[0] and logits[k] > -math.inf:
        k += 1
    atoms.size[t] = k
    start = 0
    while start < k:
        end = start + 1
        while end < k and logits[end] == logits[start]:
            end += 1
        for i in range(start, end):
            atoms.ids[t, i] = ids[end - 1 - (i - start)]
            atoms.x[t, i] = np.float64(logits[start]) - np.float64(logits[0])
        start = end


@lean
def position_in_bins(atoms: Atoms, t: int, x: float) -> float:
    """Where a token that is none of the single ones stands."""
    k, n_bins = atoms.size[t], atoms.bin_x.shape[1]
    if n_bins == 0 or x < atoms.floor[t]:
        return k + n_bins + 1.0
    b = int(min(max((atoms.origin[t] - x) / atoms.width[t], 0.0), n_bins - 1.0))
    upper = atoms.origin[t] - b * atoms.width[t]
    lower = min(upper - atoms.width[t], atoms.floor[t]) if b == n_bins - 1 else upper - atoms.width[t]
    return k + b + min(max((upper - x) / (upper - lower), 0.0), 1.0 - 1e-9)


@lean
def place_token(atoms: Atoms, t: int, token: int, x: float) -> float:
    """The position of a token whose logit is x; past the end where it has none."""
    if token < 0 or math.isnan(x) or x == -math.inf:
        return atoms.size[t] + atoms.bin_x.shape[1] + 1.0
    for i in range(atoms.size[t]):
        if atoms.ids[t, i] == token:
            return float(i)
    return position_in_bins(atoms, t, x)


@lean(nogil=True, cache=True)
def prepare_rows(
    start: int,
    stop: int,
    top_ids: NDArray[np.int32],  # (T, K), ties by rising id
    top_logits: NDArray[np.float32],  # (T, K)
    tail_count: NDArray[np.int32],  # (T, B)
    tail_mean: NDArray[np.float32],  # (T, B)
    tail_mean_square: NDArray[np.float32],  # (T, B)
    bin_width: float,
    log_z: NDArray[np.float64],  # (T,)
    entropy: NDArray[np.float64],  # (T,)
    lowest: NDArray[np.float32],  # (T,)
    tokens: NDArray[np.int32],  # (T,)
    token_logit: NDArray[np.float32],  # (T,)
    atoms: Atoms,
    state: NDArray[np.float64],  # (T, STATE)
) -> None:
    """Fill atoms and state of rows start to stop at T = 1; their totals come from the exact log Z and entropy."""
    for t in range(start, stop):
        fill_top(top_ids[t], top_logits[t], atoms, t)
        k, high = atoms.size[t], np.float64(top_logits[t, 0])
        atoms.origin[t], atoms.width[t], atoms.floor[t] = 0.0, bin_width, np.float64(lowest[t]) - high
        end = k
        for b in range(tail_count.shape[1]):
            u = np.float64(tail_mean[t, b])
            atoms.bin_count[t, b] = tail_count[t, b]
            # An empty bin above the smallest single token takes its place, so that x falls along all atoms.
            atoms.bin_x[t, b] = (
                min(-(b * bin_width + u), atoms.x[t, k - 1]) if tail_count[t, b] == 0 else -(b * bin_width + u)
            )
            atoms.bin_spread[t, b] = max(0.0, np.float64(tail_mean_square[t, b]) - u * u)
            end = k + b + 1 if tail_count[t, b] > 0 else end
        state[t] = 0.0
        state[t, HIGH] = state[t, SURE_HIGH] = state[t, MAY_HIGH] = end
        state[t, SCALE], state[t, HIGHEST] = 1.0, high
        state[t, TOKEN_X] = np.float64(token_logit[t]) - high
        state[t, TOKEN_AT] = place_token(atoms, t, tokens[t], state[t, TOKEN_X])
        count_tokens(atoms, t)
        weigh_row(atoms, state, t)
        use_exact_totals(atoms, state, t, log_z[t] - high, entropy[t])
        atoms.raw_total[t] = state[t, TOTAL]
        copy_to(atoms.raw_x[t], atoms.x[t])
        copy_to(atoms.raw_bin_x[t], atoms.bin_x[t])
        copy_to(atoms.raw_mass[t], atoms.mass[t])
        for i in range(end + 1, atoms.raw_mass.shape[1]):  # a penalty may lower a token into an empty bin
            atoms.raw_mass[t, i] = atoms.raw_mass[t, end]


@lean
def copy_to(there: NDArray[np.float64], here: NDArray[np.float64]) -> None:
    """An assignment of one slice to another makes room for a copy, in case they overlap."""
    for i in range(len(here)):
        there[i] = here[i]


@lean
def count_tokens(atoms: Atoms, t: int) -> None:
    """How many tokens lie in the bins before each."""
    atoms.tokens[t, 0] = 0.0
    for b in range(atoms.bin_x.shape[1]):
        atoms.tokens[t, b + 1] = atoms.tokens[t, b] + atoms.bin_count[t, b]


@lean
def use_exact_totals(atoms: Atoms, state: NDArray[np.float64], t: int, log_total: float, entropy: float) -> None:
    """Have the bins of row t add up to what the exact log Z leaves for them."""
    state[t, KNOWN] = 1.0
    k, high = atoms.size[t], state[t, HIGH]
    if high == k:
        return  # no tail: the sums over the single tokens are exact already
    above = atoms.mass[t, k]
    least, most, _, _ = ranges_of_bins(atoms, t, float(k), high)
    tail = min(max(math.exp(log_total) - above, least), most)
    estimate = atoms.mass[t, int(high)] - above
    if estimate > 0.0:
        add_bins(atoms, t, int(high) - k, tail / estimate)  # the moment follows from the entropy
    state[t, TOTAL] = above + tail
    state[t, MEAN] = math.log(above + tail) - entropy
