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
from workbench.kernels.lean import lean
from workbench.kernels.preparing import count_tokens, place_token
from workbench.kernels.reordering import (
    Scratch,
    add_up_raw,
    copy_row,
    lower,
    merge,
    next_unmoved,
    place_empty_bins,
    take_bins,
)
from workbench.kernels.sums import weigh_row

if TYPE_CHECKING:
    from numpy.typing import NDArray


@lean
def penalise_row(
    given: Atoms,
    atoms: Atoms,
    state: NDArray[np.float64],
    t: int,
    token: int,
    penalise: Any,
    parameters: NDArray[np.float64],
    amount: NDArray[np.float64],
    marked: int,
    scratch: Scratch,
) -> None:
    """Lower the marked logits of row t, drop what earlier steps dropped, and put the rest in order."""
    tail = state[t, HIGH] > given.size[t]
    stop = int(min(float(given.size[t]), state[t, HIGH]))
    low = min(stop, int(state[t, LOW]))
    was_left = state[t, MAY_LOW] <= state[t, TOKEN_AT] < state[t, MAY_HIGH]
    if state[t, SURE_LOW] != state[t, MAY_LOW] or state[t, SURE_HIGH] != state[t, MAY_HIGH]:
        state[t, BLUR] = math.inf  # which tokens are sorted anew is itself uncertain
    highest = state[t, HIGHEST]
    least = highest + given.x[t, stop - 1] if tail and stop > low else -math.inf
    found = lower(given, t, low, stop, highest, penalise, parameters, amount, scratch)
    if token >= 0 and amount[token] > 0.0:
        lowered = np.float64(np.float32(penalise(highest + state[t, TOKEN_X], amount[token], parameters)))
        state[t, TOKEN_X] = lowered - highest
    highest_now, first = highest, next_unmoved(low, stop, scratch.moved)
    if stop > low:
        unmoved = scratch.logits[first] if first < stop else -math.inf
        highest_now = max(unmoved, scratch.logits[scratch.order[0]] if found else -math.inf)
    state[t, HIGHEST] = highest_now
    state[t, TOKEN_X] += highest - highest_now
    take_bins(given, atoms, state, t, highest - highest_now, scratch)
    kept = merge(given, atoms, t, low, stop, found, highest_now, least, scratch)
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
    add_up_raw(atoms, t, scratch.raw_bins)
    state[t, LOW] = state[t, SURE_LOW] = state[t, MAY_LOW] = 0.0
    state[t, SURE_HIGH] = state[t, MAY_HIGH] = state[t, HIGH]
    at = place_token(atoms, t, token, state[t, TOKEN_X])
    state[t, TOKEN_AT] = at if was_left else kept + atoms.bin_x.shape[1] + 1.0


@lean
def first_bin(atoms: Atoms, t: int) -> int:
    """The first bin that holds a token."""
    for b in range(atoms.bin_x.shape[1]):
        if atoms.bin_count[t, b] > 0.0:
            return b
    return atoms.bin_x.shape[1]


@lean
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
    given: Atoms,
    state: NDArray[np.float64],  # (T, STATE), changed in place
    atoms: Atoms,  # as `given`; the arrays that a penalty changes are written
) -> None:
    """Penalise the seen tokens of rows start to stop."""
    k, bins = given.x.shape[1], given.bin_x.shape[1]
    scratch = Scratch(np.empty(k), np.empty(k, np.bool_), np.empty(k, np.int64), np.empty(bins))
    amount, known = np.zeros(vocabulary), np.zeros(vocabulary, np.bool_)
    seen, count, read = np.empty(len(history), np.int32), 0, 0  # each token of the history once
    for t in range(start, stop):
        while read < first + t:
            if not known[history[read]]:
                known[history[read]] = True
                seen[count] = history[read]
                count += 1
            read += 1
        mark(history, first + t, parameters, amount)
        marked = 0
        for i in range(count):
            marked += amount[seen[i]] > 0.0
        if marked:
            penalise_row(given, atoms, state, t, tokens[t], penalise, parameters, amount, marked, scratch)
            weigh_row(atoms, state, t)
        else:
            copy_row(given, atoms, t)
        for i in range(count):
            amount[seen[i]] = 0.0


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
