"""Between which atoms a cut surely lies: what a sketch leaves open about it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from workbench.kernels.atoms import along
from workbench.kernels.chain import HIGH, KNOWN, MAY_HIGH, MAY_LOW, OPEN, SURE_HIGH, SURE_LOW, Atoms
from workbench.kernels.lean import lean

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Bounds(NamedTuple):
    """Between which positions all that is kept surely lies, and between which it may."""

    sure_low: float
    sure_high: float
    may_low: float
    may_high: float


UNBOUNDED = Bounds(-math.inf, math.inf, math.inf, -math.inf)
"""Before any answer."""


@lean
def settled(atoms: Atoms, state: NDArray[np.float64], t: int) -> bool:
    """Whether nothing is uncertain about row t as it stands: its atoms, its totals, its temperature."""
    same = state[t, SURE_LOW] == state[t, MAY_LOW] and state[t, SURE_HIGH] == state[t, MAY_HIGH]
    return bool(same and (state[t, KNOWN] == 1.0 or state[t, HIGH] <= atoms.size[t]))


@lean
def widen(
    atoms: Atoms,
    state: NDArray[np.float64],
    t: int,
    low: float,
    high: float,
    given_low: float,
    given_high: float,
    bounds: Bounds,
) -> Bounds:
    """The bounds with one possible answer of a rule taken into account."""
    k, n = atoms.size[t], atoms.size[t] + atoms.bin_x.shape[1]
    sure_low, sure_high = math.ceil(low), math.floor(high)
    may_low, may_high = math.floor(low), math.ceil(high)
    if 0 < high <= k < n and atoms.x[t, int(high) - 1] == atoms.x[t, k - 1]:
        beyond = next_bin(atoms, t, k)
        if beyond > k:  # tokens of the bins may equal the last single ones, among which the cut falls
            sure_high, may_high = tie_start(atoms, t, k), beyond
    if high > k and (low != given_low or high != given_high):
        end, open_mass = math.ceil(given_high), state[t, OPEN] + mass_around(atoms, t, high, given_high)
        if high != given_high:
            sure_high = min(sure_high, before(atoms, t, high, open_mass))
            may_high = after(atoms, t, high, open_mass, end)
        if low != given_low:
            if low > k:
                open_mass = max(open_mass, state[t, OPEN] + mass_around(atoms, t, low, given_high))
            may_low = before(atoms, t, low, open_mass)
            sure_low = max(sure_low, after(atoms, t, low, open_mass, end))
    return Bounds(
        max(bounds.sure_low, sure_low),
        min(bounds.sure_high, sure_high),
        min(bounds.may_low, max(may_low, given_low)),
        max(bounds.may_high, min(may_high, math.ceil(given_high))),
    )


@lean
def mass_around(atoms: Atoms, t: int, position: float, end: float) -> float:
    """Σ exp(x) from the atom before a cut to the one after it."""
    first = max(0, math.floor(position) - 1)
    return float(atoms.mass[t, min(math.ceil(end), first + 3)] - atoms.mass[t, first])


@lean
def before(atoms: Atoms, t: int, position: float, mass: float) -> int:
    """A position above a cut by an atom at least, and by that mass."""
    i, here = math.floor(position), along(atoms.mass[t], position)
    i = max(0, i - 1)
    while i > 0 and here - atoms.mass[t, i] < mass:
        i -= 1
    return i


@lean
def after(atoms: Atoms, t: int, position: float, mass: float, n: int) -> int:
    """A position below a cut by an atom at least, and by that mass; n is as far as it can be."""
    here = along(atoms.mass[t], position)
    i = min(n, math.ceil(position) + 1)
    while i < n and atoms.mass[t, i] - here < mass:
        i += 1
    return i


@lean
def tie_start(atoms: Atoms, t: int, k: int) -> int:
    """The first of the single tokens whose logit equals that of the last one."""
    i = k - 1
    while i > 0 and atoms.x[t, i - 1] == atoms.x[t, k - 1]:
        i -= 1
    return i


@lean
def next_bin(atoms: Atoms, t: int, k: int) -> int:
    """The position after the first bin that holds a token; k where there is none."""
    for b in range(atoms.bin_x.shape[1]):
        if atoms.bin_count[t, b] > 0.0:
            return k + b + 1
    return k
