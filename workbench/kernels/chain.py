"""A sampler's steps over all rows of a trace: divide by a temperature, cut, and measure what is left.

What a sketch leaves open is carried along. Besides the best estimate (low, high) each row has the atoms that surely
survive and those that may: a rule is asked again at the corners of what the totals can be, and every answer widens or
narrows those two. Where both agree the kept set is certain.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numba import njit

from workbench.kernels.atoms import DOUBT, Row, along, with_ties
from workbench.kernels.exp import LOWEST_EXP64, exp_in_range64, exp_nonpositive64

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Columns of the state. TOTAL and MEAN are of the best estimate; KNOWN says that they are exact, tail included.
LOW, HIGH, SURE_LOW, SURE_HIGH, MAY_LOW, MAY_HIGH, TOTAL, MEAN, KNOWN = range(9)
SCALE, HIGHEST, TOKEN_X, TOKEN_AT, BLUR, UNSEEN, REORDERED = range(9, 16)
# What Σ weight and Σ weight x can be over LOW to HIGH, where RANGED says that they have been worked out.
RANGED, LEAST, MOST, FIRST_LEAST, FIRST_MOST = range(16, 21)
# By how much Σ exp(x) over all bins may be off.
OPEN = 21
STATE = 22
# Columns of what is measured.
KEPT, KEPT_LOW, KEPT_HIGH, KEPT_MASS, ENTROPY, LOGPROB, SURVIVES, BOUND, ENTROPY_BOUND, DIVERGENCE = range(10)
MEASURED = 10
MEMORY = 4
"""Numbers a rule can carry from token to token."""
READS_SHAPE, READS_TOTAL, READS_ENTROPY = 1, 2, 4
"""What a rule looks at besides the atoms themselves, as the number of corners at which it has to be asked."""

_NEGLIGIBLE = -45.0  # exp of it times a vocabulary is about the rounding of a sum of at least 1
_NOTHING = 1e-300
_COLDEST = 1e-6  # below this temperature the most likely token has all the mass in float64 already


class Atoms(NamedTuple):
    """All rows' atoms at the temperature so far; x is measured from each row's largest logit."""

    ids: NDArray[np.int32]  # (T, K); ties by falling id
    x: NDArray[np.float64]  # (T, K)
    size: NDArray[np.int64]  # (T,) entries of a row of x that are atoms
    bin_x: NDArray[np.float64]  # (T, B)
    bin_count: NDArray[np.float64]  # (T, B)
    bin_spread: NDArray[np.float64]  # (T, B)
    origin: NDArray[np.float64]  # (T,)
    width: NDArray[np.float64]  # (T,)
    floor: NDArray[np.float64]  # (T,)
    mass: NDArray[np.float64]  # (T, K + B + 1): Σ exp(x) over all tokens before each atom, up to MAY_HIGH
    tokens: NDArray[np.float64]  # (T, B + 1): tokens of all bins before each
    raw_x: NDArray[np.float64]  # (T, K): at T = 1, before any penalty, from the raw maximum
    raw_bin_x: NDArray[np.float64]  # (T, B)
    raw_mass: NDArray[np.float64]  # (T, K + B + 1): as `mass`
    raw_total: NDArray[np.float64]  # (T,)


@njit
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


@njit
def part(low: float, high: float, i: int) -> float:
    """The share of atom i between two positions."""
    return max(0.0, min(1.0, high - i) - max(0.0, low - i))


@njit
def sums_of(atoms: Atoms, t: int, low: float, high: float) -> tuple[float, float]:
    """Σ exp(x) and Σ exp(x) x over atoms low to high."""
    k, stop, x, mass = atoms.size[t], math.ceil(high), atoms.x[t], atoms.mass[t]
    total, first = along(mass, high) - along(mass, low), 0.0
    exact = low == 0.0 or total > 1e-3 * mass[int(low)]
    if not exact:  # the difference of two nearly equal sums: add up what is left of it instead
        total = 0.0
    for i in range(int(low), min(k, stop)):
        w = mass[i + 1] - mass[i] if exact else exp_nonpositive64(x[i])
        total += 0.0 if exact else w
        first += w * x[i]
    for i in range(max(k, int(low)), stop):
        w = part(low, high, i) * (mass[i + 1] - mass[i])
        total += 0.0 if exact else w
        first += w * tilted(atoms, t, i - k)
    return total, first


@njit
def tilted(atoms: Atoms, t: int, b: int) -> float:
    """Mean of x in bin b under exp(x), to first order in the variance."""
    half = half_variance(atoms, t, b)
    return atoms.bin_x[t, b] + 2.0 * half / (1.0 + half)


@njit
def half_variance(atoms: Atoms, t: int, b: int) -> float:
    """Half the variance of x in bin b, at most what its width allows; 0 where the last bin is too wide to expand."""
    width = atoms.width[t]
    opened = b == atoms.bin_x.shape[1] - 1 and reach_of(atoms, t, b) > width
    return 0.0 if opened else 0.5 * min(atoms.bin_spread[t, b], 0.25 * width * width)


@njit
def ranges_of(
    atoms: Atoms, state: NDArray[np.float64], t: int, low: float, high: float
) -> tuple[float, float, float, float]:
    """Least and most that Σ weight can be over atoms low to high, and Σ weight x likewise."""
    if state[t, LOW] == low and state[t, HIGH] == high:
        if state[t, KNOWN] == 1.0:
            total, first = state[t, TOTAL], state[t, TOTAL] * state[t, MEAN]
            return total, total, first, first
        if state[t, RANGED] == 1.0:
            return state[t, LEAST], state[t, MOST], state[t, FIRST_LEAST], state[t, FIRST_MOST]
    k, stop = atoms.size[t], math.ceil(high)
    total, first = sums_of(atoms, t, min(low, float(k)), min(high, float(k)))
    least, most, first_least, first_most = ranges_of_bins(atoms, t, low, high)
    if state[t, UNSEEN] > 0.0 and k > 0 and stop > k:  # penalised, but in which bin is not known
        lost = min(least, state[t, UNSEEN] * exp_nonpositive64(atoms.x[t, k - 1]))
        least -= lost
        first_most = min(0.0, first_most - lost * atoms.floor[t])
    if state[t, LOW] == low and state[t, HIGH] == high:
        state[t, RANGED] = 1.0
        state[t, LEAST], state[t, MOST] = total + least, total + most
        state[t, FIRST_LEAST], state[t, FIRST_MOST] = first + first_least, first + first_most
    return total + least, total + most, first + first_least, first + first_most


@njit
def ranges_of_bins(atoms: Atoms, t: int, low: float, high: float) -> tuple[float, float, float, float]:
    """As `ranges_of`, for the bins alone."""
    k, n_bins, width = atoms.size[t], atoms.bin_x.shape[1], atoms.width[t]
    start, stop = max(0, math.floor(low) - k), math.ceil(high) - k
    least, most, first_least, first_most = 0.0, 0.0, 0.0, 0.0
    slope, upper = math.expm1(-width) / width, atoms.origin[t] - start * width
    # exp(upper) from one bin to the next by a factor, without another exp.
    at_upper, factor = exp_nonpositive64(min(upper, 0.0)), math.exp(-width)
    weights = np.empty(max(0, stop - start))
    weigh(atoms.bin_x[t][start : max(start, stop)], weights)
    for b in range(start, stop):
        upper = atoms.origin[t] - b * width
        if upper < _NEGLIGIBLE:  # all that lies deeper at once
            rest = (atoms.tokens[t, n_bins] - atoms.tokens[t, b]) * at_upper
            return least, most + rest, first_least + rest * min(atoms.floor[t], upper), first_most
        if atoms.bin_count[t, b] > 0.0:
            share, count = part(low, high, k + b), atoms.bin_count[t, b]
            reach = reach_of(atoms, t, b)
            bin_least = count * weights[b - start]
            depth = min(max(upper - atoms.bin_x[t, b], 0.0), reach)
            chord = slope if reach == width else math.expm1(-reach) / reach
            bin_most = max(bin_least, count * at_upper * (1.0 + depth * chord))
            least += share * bin_least
            most += share * bin_most
            first_least += share * bin_most * (upper - reach)
            first_most += share * bin_least * min(upper, 0.0)
        at_upper *= factor if upper <= 0.0 else 1.0
    return least, most, first_least, first_most


@njit
def settled(atoms: Atoms, state: NDArray[np.float64], t: int) -> bool:
    """Whether nothing is uncertain about row t as it stands: its atoms, its totals, its temperature."""
    same = state[t, SURE_LOW] == state[t, MAY_LOW] and state[t, SURE_HIGH] == state[t, MAY_HIGH]
    return bool(same and (state[t, KNOWN] == 1.0 or state[t, HIGH] <= atoms.size[t]))


@njit
def widen(
    atoms: Atoms,
    state: NDArray[np.float64],
    t: int,
    low: float,
    high: float,
    given_low: float,
    given_high: float,
    bounds: NDArray[np.float64],
) -> None:
    """Take one possible answer of a rule into account: bounds are sure low, sure high, may low, may high."""
    k, n = atoms.size[t], atoms.size[t] + atoms.bin_x.shape[1]
    sure_low, sure_high = math.ceil(low), math.floor(high)
    may_low, may_high = math.floor(low), math.ceil(high)
    if 0 < high <= k < n and atoms.x[t, int(high) - 1] == atoms.x[t, k - 1]:
        beyond = next_bin(atoms, t, k)
        if beyond > k:  # tokens of the bins may equal the last single ones, among which the cut falls
            sure_high, may_high = tie_start(atoms, t, k), beyond
    if high > k and (low != given_low or high != given_high):
        around = max(0, math.floor(high) - 1)
        open_mass = state[t, OPEN] + atoms.mass[t, min(math.ceil(given_high), around + 3)] - atoms.mass[t, around]
        if high != given_high:
            sure_high, may_high = (
                min(sure_high, before(atoms, t, high, open_mass)),
                after(atoms, t, high, open_mass, math.ceil(given_high)),
            )
        if low != given_low:
            may_low, sure_low = (
                before(atoms, t, low, open_mass),
                max(sure_low, after(atoms, t, low, open_mass, math.ceil(given_high))),
            )
    bounds[0], bounds[1] = max(bounds[0], sure_low), min(bounds[1], sure_high)
    bounds[2], bounds[3] = min(bounds[2], max(may_low, given_low)), max(bounds[3], min(may_high, math.ceil(given_high)))


@njit
def before(atoms: Atoms, t: int, position: float, mass: float) -> int:
    """A position above a cut by an atom at least, and by that mass."""
    i, here = math.floor(position), along(atoms.mass[t], position)
    i = max(0, i - 1)
    while i > 0 and here - atoms.mass[t, i] < mass:
        i -= 1
    return i


@njit
def after(atoms: Atoms, t: int, position: float, mass: float, n: int) -> int:
    """A position below a cut by an atom at least, and by that mass; n is as far as it can be."""
    here = along(atoms.mass[t], position)
    i = min(n, math.ceil(position) + 1)
    while i < n and atoms.mass[t, i] - here < mass:
        i += 1
    return i


@njit
def tie_start(atoms: Atoms, t: int, k: int) -> int:
    """The first of the single tokens whose logit equals that of the last one."""
    i = k - 1
    while i > 0 and atoms.x[t, i - 1] == atoms.x[t, k - 1]:
        i -= 1
    return i


@njit
def next_bin(atoms: Atoms, t: int, k: int) -> int:
    """The position after the first bin that holds a token; k where there is none."""
    for b in range(atoms.bin_x.shape[1]):
        if atoms.bin_count[t, b] > 0.0:
            return k + b + 1
    return k


@njit
def cut(atoms: Atoms, state: NDArray[np.float64], t: int, low: float, high: float, bounds: NDArray[np.float64]) -> None:
    """Keep atoms low to high of row t."""
    unchanged = low == state[t, LOW] and high == state[t, HIGH] and bounds[0] == state[t, SURE_LOW]
    unchanged = unchanged and bounds[1] == state[t, SURE_HIGH]
    state[t, LOW], state[t, HIGH] = low, high
    state[t, SURE_LOW], state[t, SURE_HIGH] = bounds[0], max(bounds[0], bounds[1])
    state[t, MAY_LOW], state[t, MAY_HIGH] = bounds[2], bounds[3]
    if not unchanged:
        total, first = sums_of(atoms, t, low, high)
        set_totals(state, t, total, first)


@njit
def set_totals(state: NDArray[np.float64], t: int, total: float, first: float) -> None:
    """Sums over what is left; where all of it is too far down to have any weight, a number that stands for it."""
    if total <= 0.0:
        total, first, state[t, BLUR] = _NOTHING, 0.0, math.inf
    state[t, TOTAL], state[t, MEAN], state[t, KNOWN], state[t, RANGED] = total, first / total, 0.0, 0.0


@njit
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


@njit
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
    bounds = np.array([-math.inf, math.inf, math.inf, -math.inf])
    if kept_low == low and kept_high == high and settled(atoms, state, t):
        bounds[:] = state[t, SURE_LOW : MAY_HIGH + 1]
    else:
        widen(atoms, state, t, kept_low, kept_high, low, high, bounds)
        if not settled(atoms, state, t):
            corners(atoms, state, t, rule, parameters, reads, uniform, memory.copy(), bounds)
    cut(atoms, state, t, kept_low, kept_high, bounds)


@njit
def corners(
    atoms: Atoms,
    state: NDArray[np.float64],
    t: int,
    rule: Any,
    parameters: NDArray[np.float64],
    reads: int,
    uniform: float,
    memory: NDArray[np.float64],
    bounds: NDArray[np.float64],
) -> None:
    """Widen bounds by the rule's answers for the least and the most that is left, and the ends of their totals."""
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
            widen(atoms, state, t, kept_low, kept_high, low, high, bounds)


@njit(nogil=True, cache=True)
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


@njit(nogil=True, cache=True)
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
            memory[t + 1, 1:] = memory[t, 1:]
            learn(memory[t + 1], parameters, tokens[t], before, math.log(state[t, TOTAL]) - state[t, TOKEN_X])


@njit
def reach_of(atoms: Atoms, t: int, b: int) -> float:
    """From the upper end of x in bin b to its lower one; the last bin goes down to the smallest logit."""
    if b < atoms.bin_x.shape[1] - 1:
        return atoms.width[t]
    return max(atoms.width[t], atoms.origin[t] - b * atoms.width[t] - atoms.floor[t])


@njit(fastmath={"contract"})
def weigh(x: NDArray[np.float64], weight: NDArray[np.float64]) -> None:
    """exp(x), the part that vectorises; of x > 0, which only a bin's edge can be, 1."""
    for i in range(x.shape[0]):
        d = min(x[i], 0.0)
        e = exp_in_range64(max(LOWEST_EXP64, d))
        weight[i] = e if d >= LOWEST_EXP64 else 0.0


@njit
def add_bins(atoms: Atoms, t: int, bins: int, factor: float) -> float:
    """Sums of row t over its bins, n exp(m) (1 + v / 2) times `factor`, m and v mean and variance of x; Σ exp(x) x."""
    k, masses = atoms.size[t], atoms.mass[t]
    mass, moment, used = masses[k], 0.0, max(0, min(bins, atoms.bin_x.shape[1]))
    weights = np.empty(used)
    weigh(atoms.bin_x[t][:used], weights)
    for b in range(used):
        if atoms.bin_count[t, b] > 0.0 and weights[b] > 0.0:
            x, half = atoms.bin_x[t, b], half_variance(atoms, t, b)
            weight = factor * atoms.bin_count[t, b] * weights[b]
            mass += weight * (1.0 + half)
            moment += weight * (x * (1.0 + half) + 2.0 * half)
        masses[k + b + 1] = mass
    return moment


@njit
def add_up(atoms: Atoms, t: int, bins: int) -> float:
    """The cumulative sums of row t over its single tokens and this many bins; Σ exp(x) x over all of these."""
    k = atoms.size[t]
    masses, x, weights = atoms.mass[t], atoms.x[t], np.empty(k)
    weigh(x[:k], weights)
    mass, moment = 0.0, 0.0
    masses[0] = 0.0
    for i in range(k):
        mass += weights[i]
        moment += weights[i] * x[i]
        masses[i + 1] = mass
    return moment + add_bins(atoms, t, bins, 1.0)


@njit
def weigh_row(atoms: Atoms, state: NDArray[np.float64], t: int) -> None:
    """Weights and sums of row t from its x, and the totals over what is left."""
    k = atoms.size[t]
    total, first = 0.0, add_up(atoms, t, math.ceil(state[t, MAY_HIGH]) - k)
    if state[t, LOW] == 0.0 and k <= state[t, HIGH] == math.ceil(state[t, MAY_HIGH]):
        total = atoms.mass[t, math.ceil(state[t, MAY_HIGH])]
    else:
        total, first = sums_of(atoms, t, state[t, LOW], state[t, HIGH])
    set_totals(state, t, total, first)
    state[t, OPEN] = 0.0
    if state[t, MAY_HIGH] > k:
        least, most, first_least, first_most = ranges_of_bins(atoms, t, float(k), math.ceil(state[t, MAY_HIGH]))
        state[t, OPEN] = most - least
        if state[t, LOW] <= k and state[t, HIGH] == math.ceil(state[t, MAY_HIGH]) and state[t, UNSEEN] == 0.0:
            total, first = sums_of(atoms, t, state[t, LOW], float(k))
            state[t, LEAST], state[t, MOST] = total + least, total + most
            state[t, FIRST_LEAST], state[t, FIRST_MOST] = first + first_least, first + first_most
            state[t, RANGED] = 1.0


@njit
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


@njit(nogil=True, cache=True)
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
            coldest, hottest = extremes(given, state, t, rule, parameters, uniforms[t], memory[t].copy())
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
            bounds = np.array([-math.inf, math.inf, math.inf, -math.inf])
            widen(atoms, state, t, last - 1.0, last, state[t, LOW], state[t, HIGH], bounds)
            cut(atoms, state, t, last - 1.0, last, bounds)


@njit
def extremes(
    atoms: Atoms,
    state: NDArray[np.float64],
    t: int,
    rule: Any,
    parameters: NDArray[np.float64],
    uniform: float,
    memory: NDArray[np.float64],
) -> tuple[float, float]:
    """Lowest and highest temperature the rule gives at the corners of what row t can be."""
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
    return coldest, hottest


@njit
def tokens_between(atoms: Atoms, t: int, low: float, high: float) -> float:
    """Tokens from one position to another."""
    k = float(atoms.size[t])
    singles = min(high, k) - min(low, k)
    return max(0.0, singles + along(atoms.tokens[t], max(0.0, high - k)) - along(atoms.tokens[t], max(0.0, low - k)))


@njit
def raw_depth(atoms: Atoms, state: NDArray[np.float64], t: int, low: float, high: float) -> float:
    """Mean raw x over atoms low to high under their weights."""
    if state[t, REORDERED] == 0.0:
        return state[t, MEAN] / state[t, SCALE]
    k, depth = atoms.size[t], 0.0
    for i in range(int(low), min(k, math.ceil(high))):
        depth += exp_nonpositive64(atoms.x[t, i]) * atoms.raw_x[t, i]
    for i in range(max(k, int(low)), math.ceil(high)):
        depth += part(low, high, i) * (atoms.mass[t, i + 1] - atoms.mass[t, i]) * atoms.raw_bin_x[t, i - k]
    return depth / state[t, TOTAL]


@njit(nogil=True, cache=True)
def measure_rows(
    start: int,
    stop: int,
    atoms: Atoms,
    state: NDArray[np.float64],  # (T, STATE)
    out: NDArray[np.float64],  # (T, MEASURED)
) -> None:
    """What is left of rows start to stop: see `workbench.samplers.replaying.Replay` for the columns' meaning."""
    for t in range(start, stop):
        low, high, total, mean = state[t, LOW], state[t, HIGH], state[t, TOTAL], state[t, MEAN]
        mass = along(atoms.raw_mass[t], high) - along(atoms.raw_mass[t], low)
        log_total = math.log(total)
        entropy = max(0.0, log_total - mean)
        out[t, KEPT] = tokens_between(atoms, t, low, high)
        out[t, KEPT_LOW] = tokens_between(atoms, t, state[t, SURE_LOW], state[t, SURE_HIGH])
        out[t, KEPT_HIGH] = tokens_between(atoms, t, state[t, MAY_LOW], state[t, MAY_HIGH])
        out[t, KEPT_MASS] = min(1.0, max(0.0, mass / atoms.raw_total[t]))
        out[t, ENTROPY] = entropy
        out[t, DIVERGENCE] = max(0.0, math.log(atoms.raw_total[t]) - entropy - raw_depth(atoms, state, t, low, high))
        at = state[t, TOKEN_AT]
        surely = state[t, SURE_LOW] <= at < state[t, SURE_HIGH]
        maybe = state[t, MAY_LOW] <= at < state[t, MAY_HIGH]
        out[t, SURVIVES] = 1.0 if surely else (math.nan if maybe else 0.0)
        out[t, LOGPROB] = state[t, TOKEN_X] - log_total if maybe and low <= at < high else -math.inf
        bounds_of(atoms, state, t, entropy, out)


@njit
def bounds_of(atoms: Atoms, state: NDArray[np.float64], t: int, entropy: float, out: NDArray[np.float64]) -> None:
    """By how much the log-probability and the entropy of row t may be off."""
    if settled(atoms, state, t) and state[t, BLUR] == 0.0:
        out[t, BOUND] = out[t, ENTROPY_BOUND] = 0.0
        return
    if state[t, SURE_HIGH] <= state[t, SURE_LOW] or state[t, BLUR] == math.inf:
        out[t, BOUND] = out[t, ENTROPY_BOUND] = math.inf
        return
    log_total = math.log(state[t, TOTAL])
    least, _, _, least_first = ranges_of(atoms, state, t, state[t, SURE_LOW], state[t, SURE_HIGH])
    _, most, most_first, _ = ranges_of(atoms, state, t, state[t, MAY_LOW], state[t, MAY_HIGH])
    if least <= 0.0:
        out[t, BOUND] = out[t, ENTROPY_BOUND] = math.inf
        return
    blur = state[t, BLUR] * (abs(state[t, MEAN]) + abs(state[t, TOKEN_X]))
    out[t, BOUND] = max(math.log(most) - log_total, log_total - math.log(least)) + blur
    highest = math.log(most) - most_first / least
    lowest = math.log(least) - least_first / most
    out[t, ENTROPY_BOUND] = max(highest - entropy, entropy - lowest, 0.0) + state[t, BLUR] * entropy
