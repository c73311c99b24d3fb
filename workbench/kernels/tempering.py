"""Rows divided by a temperature."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from workbench.kernels.atoms import with_ties
from workbench.kernels.bounding import UNBOUNDED, settled, widen
from workbench.kernels.chain import (
    BLUR,
    HIGH,
    HIGHEST,
    KNOWN,
    LOW,
    MAY_HIGH,
    MAY_LOW,
    MEAN,
    SCALE,
    SURE_HIGH,
    SURE_LOW,
    TOKEN_X,
    TOTAL,
    Atoms,
)
from workbench.kernels.cutting import cut, remember, restore, row_of
from workbench.kernels.lean import lean
from workbench.kernels.sums import ranges_of, weigh_row

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_COLDEST = 1e-6  # below this temperature the most likely token has all the mass in float64 already


@lean
def divide(given: Atoms, atoms: Atoms, state: NDArray[np.float64], t: int, inverse: float) -> None:
    """Row t of `given` with x times `inverse`, written to `atoms`."""
    k = given.size[t]
    for i in range(k):
        atoms.x[t, i] = given.x[t, i] * inverse
    for b in range(max(0, math.ceil(state[t, MAY_HIGH]) - k)):
        atoms.bin_x[t, b] = given.bin_x[t, b] * inverse
        atoms.bin_spread[t, b] = given.bin_spread[t, b] * (inverse * inverse)
    atoms.origin[t] = given.origin[t] * inverse
    atoms.width[t] = given.width[t] * inverse
    atoms.floor[t] = given.floor[t] * inverse
    state[t, SCALE] *= inverse
    state[t, HIGHEST] *= inverse
    state[t, TOKEN_X] *= inverse


@lean(nogil=True, cache=True)
def temper_rows(
    start: int,
    stop: int,
    rule: Any,
    parameters: NDArray[np.float64],
    given: Atoms,
    uniforms: NDArray[np.float64],  # (T,)
    memory: NDArray[np.float64],  # (T, MEMORY)
    state: NDArray[np.float64],  # (T, STATE), changed in place
    atoms: Atoms,  # as `given`; the arrays that a temperature changes are written
) -> None:
    """Divide rows start to stop by a rule's temperature; at 0 only the most likely token stays, the first of ties."""
    for t in range(start, stop):
        row = row_of(given, t, state[t, LOW], state[t, HIGH], state[t, TOTAL], state[t, MEAN], uniforms[t], memory[t])
        temperature = rule(row, parameters)
        blur = 0.0
        if not settled(given, state, t):
            coldest, hottest = extremes(given, state, t, rule, parameters, uniforms[t], memory[t])
            if coldest < hottest:
                blur = max(hottest - temperature, temperature - coldest) / max(coldest, _COLDEST)
        # Ties stand by falling id, and greedy decoding takes the smallest.
        last = with_ties(row, float(int(state[t, LOW]) + 1))
        inverse = 1.0 / temperature if temperature > _COLDEST else 1.0
        known = state[t, KNOWN] == 1.0 and inverse == 1.0
        total, mean = state[t, TOTAL], state[t, MEAN]
        divide(given, atoms, state, t, inverse)
        weigh_row(atoms, state, t)
        if known:
            state[t, TOTAL], state[t, MEAN], state[t, KNOWN] = total, mean, 1.0
        state[t, BLUR] += blur
        if temperature <= _COLDEST:
            bounds = widen(atoms, state, t, last - 1.0, last, state[t, LOW], state[t, HIGH], UNBOUNDED)
            cut(atoms, state, t, last - 1.0, last, bounds)


@lean
def extremes(
    atoms: Atoms,
    state: NDArray[np.float64],
    t: int,
    rule: Any,
    parameters: NDArray[np.float64],
    uniform: float,
    memory: NDArray[np.float64],
) -> tuple[float, float]:
    """Lowest and highest temperature the rule gives at the corners of what row t can be; the memory stays as it is."""
    remembered = remember(memory)
    coldest, hottest = math.inf, -math.inf
    same = state[t, SURE_LOW] == state[t, MAY_LOW] and state[t, SURE_HIGH] == state[t, MAY_HIGH]
    for case in range(1 if same else 2):
        low = state[t, SURE_LOW] if case == 0 else state[t, MAY_LOW]
        high = state[t, SURE_HIGH] if case == 0 else state[t, MAY_HIGH]
        if high <= low:
            continue
        least, most, first_least, first_most = ranges_of(atoms, state, t, low, high)
        if least <= 0.0:
            state[t, BLUR] = math.inf
            continue
        for corner in range(4):
            total = least if corner % 2 == 0 else most
            mean = first_least / least if corner < 2 else first_most / most
            found = rule(row_of(atoms, t, low, high, total, mean, uniform, memory), parameters)
            coldest, hottest = min(coldest, found), max(hottest, found)
    restore(memory, remembered)
    return coldest, hottest
