"""What a step keeps of every row.

What a sketch leaves open is carried along. Besides the best estimate (low, high) each row has the atoms that surely
survive and those that may: a rule is asked again at the corners of what the totals can be, and every answer widens or
narrows those two. Where both agree the kept set is certain.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from workbench.kernels.atoms import DOUBT, Row, along
from workbench.kernels.bounding import UNBOUNDED, Bounds, settled, widen
from workbench.kernels.chain import (
    BLUR,
    HIGH,
    LOW,
    MAY_HIGH,
    MAY_LOW,
    MEAN,
    MEMORY,
    READS_ENTROPY,
    READS_SHAPE,
    SURE_HIGH,
    SURE_LOW,
    TOKEN_X,
    TOTAL,
    UNSEEN,
    Atoms,
)
from workbench.kernels.lean import lean
from workbench.kernels.sums import ranges_of, set_totals, sums_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@lean
def row_of(
    atoms: Atoms,
    t: int,
    low: float,
    high: float,
    total: float,
    mean: float,
    uniform: float,
    memory: NDArray[np.float64],
) -> Row:
    """Row t as a rule sees it."""
    k, n = atoms.size[t], atoms.size[t] + atoms.bin_x.shape[1] + 1
    return Row(
        atoms.ids[t][:k], atoms.x[t][:k], atoms.bin_x[t], atoms.bin_count[t], atoms.bin_spread[t],
        atoms.mass[t][:n], atoms.tokens[t], low, high, total, mean,
        atoms.origin[t], atoms.width[t], atoms.floor[t], uniform, memory,
    )  # fmt: skip


@lean
def remember(memory: NDArray[np.float64]) -> tuple[float, float, float, float]:
    """What a rule's memory holds, to be put back after asking it what would be if."""
    return memory[0], memory[1], memory[2], memory[3]


@lean
def restore(memory: NDArray[np.float64], remembered: tuple[float, float, float, float]) -> None:
    """Undo what a rule wrote."""
    memory[0], memory[1], memory[2], memory[3] = remembered


@lean
def cut(atoms: Atoms, state: NDArray[np.float64], t: int, low: float, high: float, bounds: Bounds) -> None:
    """Keep atoms low to high of row t; what surely is left, and what may be, was so before."""
    sure_low, sure_high = max(bounds.sure_low, state[t, SURE_LOW]), min(bounds.sure_high, state[t, SURE_HIGH])
    unchanged = low == state[t, LOW] and high == state[t, HIGH] and sure_low == state[t, SURE_LOW]
    unchanged = unchanged and sure_high == state[t, SURE_HIGH]
    state[t, LOW], state[t, HIGH] = low, high
    state[t, SURE_LOW], state[t, SURE_HIGH] = sure_low, max(sure_low, sure_high)
    state[t, MAY_LOW] = max(bounds.may_low, state[t, MAY_LOW])
    state[t, MAY_HIGH] = min(bounds.may_high, state[t, MAY_HIGH])
    if not unchanged:
        total, first = sums_of(atoms, t, low, high)
        set_totals(state, t, total, first)


@lean
def something(atoms: Atoms, t: int, low: float, high: float, kept_low: float, kept_high: float) -> tuple[float, float]:
    """A rule's answer within low to high; where it keeps nothing, the first atom with any weight."""
    kept_low, kept_high = max(low, kept_low), min(high, kept_high)
    if kept_low < kept_high and along(atoms.mass[t], kept_high) > along(atoms.mass[t], kept_low):
        return kept_low, kept_high
    if kept_low < kept_high and sums_of(atoms, t, kept_low, kept_high)[0] > 0.0:  # lost in rounding, not nothing
        return kept_low, kept_high
    end = math.floor(low) + 1.0
    while end < high and sums_of(atoms, t, low, end)[0] <= 0.0:
        end += 1.0
    return low, min(high, end)


@lean
def keep_row(
    atoms: Atoms,
    state: NDArray[np.float64],
    t: int,
    rule: Any,
    parameters: NDArray[np.float64],
    reads: int,
    uniform: float,
    memory: NDArray[np.float64],
) -> None:
    """Ask a rule what row t keeps: for the best estimate, and where something is open also for its corners."""
    low, high = state[t, LOW], state[t, HIGH]
    row = row_of(atoms, t, low, high, state[t, TOTAL], state[t, MEAN], uniform, memory)
    memory[DOUBT] = 0.0
    kept_low, kept_high = rule(row, parameters)
    # An entropy between those of what surely and what possibly is left can cut elsewhere than either.
    if memory[DOUBT] == 1.0 or (reads == READS_ENTROPY and state[t, SURE_HIGH] != state[t, MAY_HIGH]):
        state[t, BLUR] = math.inf
    kept_low, kept_high = something(atoms, t, low, high, kept_low, kept_high)
    if kept_low == low and kept_high == high and settled(atoms, state, t):
        bounds = Bounds(state[t, SURE_LOW], state[t, SURE_HIGH], state[t, MAY_LOW], state[t, MAY_HIGH])
    else:
        bounds = widen(atoms, state, t, kept_low, kept_high, low, high, UNBOUNDED)
        if not settled(atoms, state, t):
            bounds = corners(atoms, state, t, rule, parameters, reads, uniform, memory, bounds)
    cut(atoms, state, t, kept_low, kept_high, bounds)


@lean
def corners(
    atoms: Atoms,
    state: NDArray[np.float64],
    t: int,
    rule: Any,
    parameters: NDArray[np.float64],
    reads: int,
    uniform: float,
    memory: NDArray[np.float64],
    bounds: Bounds,
) -> Bounds:
    """The bounds with the rule's answers for the least and the most that is left, and the ends of their totals.

    The memory is left as it is.
    """
    remembered = remember(memory)
    same = state[t, SURE_LOW] == state[t, MAY_LOW] and state[t, SURE_HIGH] == state[t, MAY_HIGH]
    for case in range(1 if same else 2):
        low = state[t, SURE_LOW] if case == 0 else state[t, MAY_LOW]
        high = state[t, SURE_HIGH] if case == 0 else state[t, MAY_HIGH]
        if high <= low:
            continue
        if reads == READS_SHAPE and case == 0 and low == state[t, LOW] and high == state[t, HIGH]:
            continue  # what was asked already
        least, most, first_least, first_most = ranges_of(atoms, state, t, low, high)
        if least <= 0.0:
            state[t, BLUR] = math.inf
            continue
        for corner in range(reads):
            total = least if corner % 2 == 0 else most
            mean = first_least / least if corner < 2 else first_most / most
            row = row_of(atoms, t, low, high, total, mean, uniform, memory)
            kept_low, kept_high = rule(row, parameters)
            kept_low, kept_high = something(atoms, t, low, high, kept_low, kept_high)
            bounds = widen(atoms, state, t, kept_low, kept_high, low, high, bounds)
    restore(memory, remembered)
    return bounds


@lean(nogil=True, cache=True)
def keep_rows(
    start: int,
    stop: int,
    rule: Any,
    parameters: NDArray[np.float64],
    reads: int,
    spread_matters: bool,
    atoms: Atoms,
    uniforms: NDArray[np.float64],  # (T,)
    memory: NDArray[np.float64],  # (T, MEMORY)
    state: NDArray[np.float64],  # (T, STATE), changed in place
) -> None:
    """Cut rows start to stop, each on its own."""
    for t in range(start, stop):
        # Where in the bins penalised tokens lie is not known, nor how many of a bin are left that was cut.
        if spread_matters and (state[t, UNSEEN] > 0.0 or state[t, SURE_HIGH] != state[t, MAY_HIGH]):
            state[t, BLUR] = math.inf
        keep_row(atoms, state, t, rule, parameters, reads, uniforms[t], memory[t])


@lean(nogil=True, cache=True)
def keep_in_turn(
    rule: Any,
    learn: Any,
    parameters: NDArray[np.float64],
    atoms: Atoms,
    tokens: NDArray[np.int32],  # (T,) realised
    uniforms: NDArray[np.float64],  # (T,)
    memory: NDArray[np.float64],  # (T, MEMORY)
    state: NDArray[np.float64],  # (T, STATE), changed in place
) -> None:
    """Cut the rows of one sequence in order; after each the rule learns from the token that was realised."""
    for t in range(len(state)):
        before = math.log(state[t, TOTAL]) - state[t, TOKEN_X]
        keep_row(atoms, state, t, rule, parameters, READS_ENTROPY, uniforms[t], memory[t])
        if t + 1 < len(state):
            for i in range(1, MEMORY):
                memory[t + 1, i] = memory[t, i]
            learn(memory[t + 1], parameters, tokens[t], before, math.log(state[t, TOTAL]) - state[t, TOKEN_X])
