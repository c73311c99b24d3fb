"""Penalties on tokens that have been seen: single logits fall, the atoms of the row are put in order again."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

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
from workbench.kernels.preparing import copy_to, count_tokens, place_token
from workbench.kernels.sums import part, weigh_row

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Scratch(NamedTuple):
    """Of one row at a time, written anew for each."""

    logits: NDArray[np.float64]
    """(K,) of the single tokens, the marked ones' lowered."""
    moved: NDArray[np.bool_]
    """(K,) which of them are marked."""
    order: NDArray[np.int64]
    """(K,) the marked ones by falling logit, ties by falling id."""
    raw_bins: NDArray[np.float64]
    """(B,) raw weight of each bin."""


@lean
def goes_before(i: int, j: int, logits: NDArray[np.float64], ids: NDArray[np.int32]) -> bool:
    """Whether single token i comes before j: the larger logit, of ties the larger id."""
    return bool(logits[i] > logits[j] or (logits[i] == logits[j] and ids[i] > ids[j]))


@lean
def lower(
    given: Atoms,
    t: int,
    low: int,
    stop: int,
    highest: float,
    penalise: Any,
    parameters: NDArray[np.float64],
    amount: NDArray[np.float64],
    scratch: Scratch,
) -> int:
    """The logits of single tokens low to stop after the penalty, and the marked ones put in order; how many they are.

    A penalty mostly keeps the order of those it lowers, so that inserting them one by one moves few.
    """
    ids, logits, order, found = given.ids[t], scratch.logits, scratch.order, 0
    for i in range(low, stop):
        logits[i] = highest + given.x[t, i]
        mark = amount[ids[i]]
        scratch.moved[i] = mark > 0.0
        if mark > 0.0:
            # In float32, as while decoding.
            logits[i] = np.float64(np.float32(penalise(logits[i], mark, parameters)))
            j = found
            while j > 0 and goes_before(i, order[j - 1], logits, ids):
                order[j] = order[j - 1]
                j -= 1
            order[j] = i
            found += 1
    return found


@lean
def next_unmoved(i: int, stop: int, moved: NDArray[np.bool_]) -> int:
    """The first single token from i on that is not marked; `stop` where there is none."""
    while i < stop and moved[i]:
        i += 1
    return i


@lean
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


@lean
def take_bins(given: Atoms, atoms: Atoms, state: NDArray[np.float64], t: int, by: float, scratch: Scratch) -> None:
    """The bins of row t without what earlier steps dropped, measured from a maximum that is lower by this much."""
    k = given.size[t]
    for b in range(given.bin_x.shape[1]):
        atoms.bin_x[t, b] = given.bin_x[t, b] + by
        atoms.bin_count[t, b] = given.bin_count[t, b] * part(state[t, LOW], state[t, HIGH], k + b)
        atoms.bin_spread[t, b], atoms.raw_bin_x[t, b] = given.bin_spread[t, b], given.raw_bin_x[t, b]
        scratch.raw_bins[b] = given.raw_mass[t, k + b + 1] - given.raw_mass[t, k + b]
    atoms.origin[t] = given.origin[t] + by
    atoms.floor[t] = given.floor[t] + by


@lean
def merge(
    given: Atoms, atoms: Atoms, t: int, low: int, stop: int, found: int, highest: float, least: float, scratch: Scratch
) -> int:
    """Single tokens low to stop in their new order, those below `least` into bins; how many stay single."""
    logits, order, kept, j = scratch.logits, scratch.order, 0, 0
    i = next_unmoved(low, stop, scratch.moved)
    while i < stop or j < found:
        if j < found and (i == stop or goes_before(order[j], i, logits, given.ids[t])):
            one = order[j]
            j += 1
        else:
            one = i
            i = next_unmoved(i + 1, stop, scratch.moved)
        x, raw_x = logits[one] - highest, given.raw_x[t, one]
        raw_weight = given.raw_mass[t, one + 1] - given.raw_mass[t, one]
        if logits[one] < least:
            add_to_bin(atoms, t, x, raw_x, raw_weight, scratch.raw_bins)
            continue
        atoms.ids[t, kept], atoms.x[t, kept], atoms.raw_x[t, kept] = given.ids[t, one], x, raw_x
        atoms.raw_mass[t, kept + 1] = raw_weight  # `add_up_raw` adds them up
        kept += 1
    return kept


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
def place_empty_bins(atoms: Atoms, t: int) -> None:
    """Bins without a token get an x between their neighbours', so that x falls along all atoms."""
    k = atoms.size[t]
    for b in range(atoms.bin_x.shape[1]):
        if atoms.bin_count[t, b] == 0.0:
            x = atoms.origin[t] - b * atoms.width[t]
            atoms.bin_x[t, b] = min(x, atoms.x[t, k - 1]) if k > 0 else x


@lean
def add_up_raw(atoms: Atoms, t: int, bins: NDArray[np.float64]) -> None:
    """The cumulative raw weights of row t in its new order, from those of single tokens where the sums will be."""
    mass, k = 0.0, atoms.size[t]
    atoms.raw_mass[t, 0] = 0.0
    for i in range(k):
        mass += atoms.raw_mass[t, i + 1]
        atoms.raw_mass[t, i + 1] = mass
    for b in range(len(bins)):
        mass += bins[b]
        atoms.raw_mass[t, k + b + 1] = mass


@lean
def copy_row(given: Atoms, atoms: Atoms, t: int) -> None:
    """Row t as it was."""
    atoms.size[t], atoms.origin[t], atoms.floor[t] = given.size[t], given.origin[t], given.floor[t]
    copy_to(atoms.ids[t], given.ids[t])
    copy_to(atoms.x[t], given.x[t])
    copy_to(atoms.bin_x[t], given.bin_x[t])
    copy_to(atoms.bin_count[t], given.bin_count[t])
    copy_to(atoms.bin_spread[t], given.bin_spread[t])
    copy_to(atoms.mass[t], given.mass[t])
    copy_to(atoms.tokens[t], given.tokens[t])
    copy_to(atoms.raw_x[t], given.raw_x[t])
    copy_to(atoms.raw_bin_x[t], given.raw_bin_x[t])
    copy_to(atoms.raw_mass[t], given.raw_mass[t])


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
