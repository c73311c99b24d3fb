"""The atoms of one row in the order they have after some single tokens were lowered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from workbench.kernels.chain import HIGH, LOW, Atoms
from workbench.kernels.lean import lean
from workbench.kernels.preparing import copy_to
from workbench.kernels.sums import part

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
        left = part(state[t, LOW], state[t, HIGH], k + b)
        atoms.bin_count[t, b] = left * given.bin_count[t, b]
        atoms.bin_spread[t, b], atoms.raw_bin_x[t, b] = given.bin_spread[t, b], given.raw_bin_x[t, b]
        scratch.raw_bins[b] = left * (given.raw_mass[t, k + b + 1] - given.raw_mass[t, k + b])
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
