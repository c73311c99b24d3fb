"""Penalties on tokens that have been seen: single logits fall, the atoms of the row are put in order again."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numba import njit

from workbench.kernels.chain import (
    BLUR,
    HIGH,
    HIGHEST,
    LOW,
    MAY_HIGH,
    MAY_LOW,
    REORDERED,
    SURE_HIGH,
    SURE_LOW,
    TOKEN_AT,
    TOKEN_X,
    UNSEEN,
    Atoms,
)
from workbench.kernels.preparing import count_tokens, place_token
from workbench.kernels.sums import part, weigh_row

if TYPE_CHECKING:
    from numpy.typing import NDArray


@njit
def order_of(logits: NDArray[np.float64], ids: NDArray[np.int32]) -> NDArray[np.int64]:
    """Indices by falling logit, ties by falling id."""
    order = np.argsort(-logits, kind="mergesort")
    for i in range(1, len(order)):
        j = i
        while j > 0 and logits[order[j - 1]] == logits[order[j]] and ids[order[j - 1]] < ids[order[j]]:
            order[j - 1], order[j] = order[j], order[j - 1]
            j -= 1
    return order


@njit
def add_to_bin(atoms: Atoms, t: int, x: float, raw_x: float, raw_weight: float, raw_bins: NDArray[np.float64]) -> None:
    """One more token in the bin that x lies in."""
    b = int(min(max((atoms.origin[t] - x) / atoms.width[t], 0.0), atoms.bin_x.shape[1] - 1.0))
    n = atoms.bin_count[t, b]
    d = x - atoms.bin_x[t, b] if n > 0 else 0.0
    atoms.bin_count[t, b] = n + 1.0
    atoms.bin_x[t, b] = atoms.bin_x[t, b] + d / (n + 1.0) if n > 0 else x
    atoms.bin_spread[t, b] = (n * atoms.bin_spread[t, b] + d * d * n / (n + 1.0)) / (n + 1.0) if n > 0 else 0.0
    atoms.raw_bin_x[t, b] += (raw_x - atoms.raw_bin_x[t, b]) / (n + 1.0)
    raw_bins[b] += raw_weight
    atoms.floor[t] = min(atoms.floor[t], x)


@njit
def raise_bins(atoms: Atoms, t: int, by: float) -> None:
    """Measure the bins of row t from a maximum that is lower by this much."""
    atoms.bin_x[t] += by
    atoms.origin[t] += by
    atoms.floor[t] += by


@njit
def penalise_row(
    atoms: Atoms,
    state: NDArray[np.float64],
    t: int,
    token: int,
    penalise: Any,
    parameters: NDArray[np.float64],
    amount: NDArray[np.float64],
    marked: int,
) -> None:
    """Lower the marked logits of row t, drop what earlier steps dropped, and sort again."""
    k, tail = atoms.size[t], state[t, HIGH] > atoms.size[t]
    stop = int(min(float(k), state[t, HIGH]))
    low = min(stop, int(state[t, LOW]))
    for b in range(atoms.bin_x.shape[1]):
        atoms.bin_count[t, b] *= part(state[t, LOW], state[t, HIGH], k + b)
    was_left = state[t, MAY_LOW] <= state[t, TOKEN_AT] < state[t, MAY_HIGH]
    if state[t, SURE_LOW] != state[t, MAY_LOW] or state[t, SURE_HIGH] != state[t, MAY_HIGH]:
        state[t, BLUR] = math.inf  # which tokens are sorted anew is itself uncertain
    highest, found = state[t, HIGHEST], 0
    ids = atoms.ids[t, low:stop].copy()
    raw_x, raw_weight = atoms.raw_x[t, low:stop].copy(), np.diff(atoms.raw_mass[t, low : stop + 1])
    raw_bins = np.diff(atoms.raw_mass[t][k : k + atoms.bin_x.shape[1] + 1])
    raw_singles = np.empty(stop - low)
    logits = highest + atoms.x[t, low:stop]
    lowest_single = logits[-1] if stop > low else math.inf
    for i in range(stop - low):
        if amount[ids[i]] > 0.0:
            found += 1
            # In float32, as while decoding.
            logits[i] = np.float64(np.float32(penalise(logits[i], amount[ids[i]], parameters)))
    if token >= 0 and amount[token] > 0.0:
        lowered = np.float64(np.float32(penalise(highest + state[t, TOKEN_X], amount[token], parameters)))
        state[t, TOKEN_X] = lowered - highest
    order = order_of(logits, ids)
    highest_now = logits[order[0]] if len(order) else highest
    state[t, HIGHEST] = highest_now
    state[t, TOKEN_X] += highest - highest_now
    raise_bins(atoms, t, highest - highest_now)
    kept = 0
    for i in order:
        if tail and logits[i] < lowest_single:
            add_to_bin(atoms, t, logits[i] - highest_now, raw_x[i], raw_weight[i], raw_bins)
            continue
        atoms.ids[t, kept], atoms.x[t, kept] = ids[i], logits[i] - highest_now
        atoms.raw_x[t, kept], raw_singles[kept] = raw_x[i], raw_weight[i]
        kept += 1
    atoms.size[t] = kept
    if tail:
        state[t, UNSEEN] += marked - found
        state[t, HIGH] = kept + last_bin(atoms, t)
        if atoms.origin[t] - first_bin(atoms, t) * atoms.width[t] > 1e-12 or kept == 0:
            state[t, BLUR] = math.inf  # the most likely token may be in a bin now
    else:
        state[t, HIGH] = kept
    state[t, REORDERED] = 1.0
    place_empty_bins(atoms, t)
    count_tokens(atoms, t)
    add_up_raw(atoms, t, raw_singles[:kept], raw_bins)
    state[t, LOW] = state[t, SURE_LOW] = state[t, MAY_LOW] = 0.0
    state[t, SURE_HIGH] = state[t, MAY_HIGH] = state[t, HIGH]
    at = place_token(atoms, t, token, state[t, TOKEN_X])
    state[t, TOKEN_AT] = at if was_left else kept + atoms.bin_x.shape[1] + 1.0


@njit
def place_empty_bins(atoms: Atoms, t: int) -> None:
    """Bins without a token get an x between their neighbours', so that x falls along all atoms."""
    k = atoms.size[t]
    for b in range(atoms.bin_x.shape[1]):
        if atoms.bin_count[t, b] == 0.0:
            x = atoms.origin[t] - b * atoms.width[t]
            atoms.bin_x[t, b] = min(x, atoms.x[t, k - 1]) if k > 0 else x


@njit
def add_up_raw(atoms: Atoms, t: int, singles: NDArray[np.float64], bins: NDArray[np.float64]) -> None:
    """The cumulative raw weights of row t in its new order."""
    mass = 0.0
    for i in range(len(singles)):
        mass += singles[i]
        atoms.raw_mass[t, i + 1] = mass
    for b in range(len(bins)):
        mass += bins[b]
        atoms.raw_mass[t, len(singles) + b + 1] = mass


@njit
def first_bin(atoms: Atoms, t: int) -> int:
    """The first bin that holds a token."""
    for b in range(atoms.bin_x.shape[1]):
        if atoms.bin_count[t, b] > 0.0:
            return b
    return atoms.bin_x.shape[1]


@njit
def last_bin(atoms: Atoms, t: int) -> int:
    """One past the last bin that holds a token."""
    last = 0
    for b in range(atoms.bin_x.shape[1]):
        if atoms.bin_count[t, b] > 0.0:
            last = b + 1
    return last


@njit(nogil=True, cache=True)
def penalise_rows(
    start: int,
    stop: int,
    mark: Any,
    penalise: Any,
    parameters: NDArray[np.float64],
    history: NDArray[np.int32],  # prompt and realised tokens
    first: int,  # row t has seen history[: first + t]
    tokens: NDArray[np.int32],  # (T,) realised
    vocabulary: int,
    atoms: Atoms,  # changed in place
    state: NDArray[np.float64],  # (T, STATE), changed in place
) -> None:
    """Penalise the seen tokens of rows start to stop."""
    amount = np.zeros(vocabulary)
    for t in range(start, stop):
        mark(history, first + t, parameters, amount)
        marked = 0
        for i in range(first + t):
            if amount[history[i]] > 0.0:
                marked += 1
                amount[history[i]] = -amount[history[i]]  # counted
        for i in range(first + t):
            amount[history[i]] = abs(amount[history[i]])
        if marked:
            penalise_row(atoms, state, t, tokens[t], penalise, parameters, amount, marked)
            weigh_row(atoms, state, t)
        for i in range(first + t):
            amount[history[i]] = 0.0


@njit(nogil=True, cache=True)
def penalise_logits(
    mark: Any,
    penalise: Any,
    parameters: NDArray[np.float64],
    history: NDArray[np.int32],
    amount: NDArray[np.float64],  # (V,) zeros, and zeros again afterwards
    logits: NDArray[np.float32],  # (V,), changed in place
) -> None:
    """Penalise the seen tokens in a whole row of logits."""
    mark(history, len(history), parameters, amount)
    for token in history:
        if amount[token] > 0.0:
            logits[token] = np.float32(penalise(np.float64(logits[token]), amount[token], parameters))
            amount[token] = 0.0
