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

from workbench.kernels.atoms import Row, with_ties
from workbench.kernels.exp import exp_nonpositive64

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Columns of the state. TOTAL and MEAN are of the best estimate; KNOWN says that they are exact, tail included.
LOW, HIGH, SURE_LOW, SURE_HIGH, MAY_LOW, MAY_HIGH, TOTAL, MEAN, KNOWN = range(9)
SCALE, HIGHEST, TOKEN_X, TOKEN_AT, BLUR, UNSEEN = range(9, 15)
STATE = 15
# Columns of what is measured.
KEPT, KEPT_LOW, KEPT_HIGH, KEPT_MASS, ENTROPY, LOGPROB, SURVIVES, BOUND, ENTROPY_BOUND, DIVERGENCE = range(10)
MEASURED = 10
MEMORY = 4
"""Numbers a rule can carry from token to token."""

_COLDEST = 1e-6  # below this temperature the most likely token has all the mass in float64 already


class Atoms(NamedTuple):
    """All rows' atoms at the temperature so far; x is measured from each row's largest logit."""

    ids: NDArray[np.int32]  # (T, K); ties by falling id
    x: NDArray[np.float64]  # (T, K)
    weight: NDArray[np.float64]  # (T, K)
    size: NDArray[np.int64]  # (T,) entries of a row of x that are atoms
    bin_x: NDArray[np.float64]  # (T, B)
    bin_tilt: NDArray[np.float64]  # (T, B): mean of x under exp(x)
    bin_weight: NDArray[np.float64]  # (T, B)
    bin_least: NDArray[np.float64]  # (T, B): by Jensen's inequality no less than this
    bin_most: NDArray[np.float64]  # (T, B): by convexity no more than this
    bin_count: NDArray[np.float64]  # (T, B)
    bin_spread: NDArray[np.float64]  # (T, B)
    origin: NDArray[np.float64]  # (T,)
    width: NDArray[np.float64]  # (T,)
    floor: NDArray[np.float64]  # (T,)
    raw_x: NDArray[np.float64]  # (T, K): at T = 1, before any penalty, from the raw maximum
    raw_bin_x: NDArray[np.float64]  # (T, B)
    raw_weight: NDArray[np.float64]  # (T, K)
    raw_bin_weight: NDArray[np.float64]  # (T, B)
    raw_total: NDArray[np.float64]  # (T,)


@njit
def row_of(  # noqa: PLR0917  -- numba passes by position
    atoms: Atoms, t: int, low: float, high: float, total: float, mean: float, uniform: float, memory: NDArray[np.float64]
) -> Row:
    """Row t as a rule sees it."""
    k = atoms.size[t]
    return Row(
        atoms.ids[t][:k], atoms.x[t][:k], atoms.weight[t][:k], atoms.bin_x[t], atoms.bin_weight[t], atoms.bin_count[t],
        atoms.bin_spread[t], low, high, total, mean, atoms.origin[t], atoms.width[t], atoms.floor[t], uniform, memory,
    )  # fmt: skip


@njit
def part(low: float, high: float, i: int) -> float:
    """The share of atom i between two positions."""
    return max(0.0, min(1.0, high - i) - max(0.0, low - i))


@njit
def sums_of(atoms: Atoms, t: int, low: float, high: float) -> tuple[float, float]:
    """Σ weight and Σ weight x over atoms low to high."""
    k, stop = atoms.size[t], int(math.ceil(high))
    total, first = 0.0, 0.0
    for i in range(int(low), min(k, stop)):
        w = atoms.weight[t, i]
        total += w
        first += w * atoms.x[t, i]
    for i in range(max(k, int(low)), stop):
        w = part(low, high, i) * atoms.bin_weight[t, i - k]
        total += w
        first += w * atoms.bin_tilt[t, i - k]
    return total, first


@njit
def ranges_of(
    atoms: Atoms, state: NDArray[np.float64], t: int, low: float, high: float
) -> tuple[float, float, float, float]:
    """Least and most that Σ weight can be over atoms low to high, and Σ weight x likewise."""
    k, stop = atoms.size[t], int(math.ceil(high))
    total, first = 0.0, 0.0
    for i in range(int(low), min(k, stop)):
        w = atoms.weight[t, i]
        total += w
        first += w * atoms.x[t, i]
    least, most, first_least, first_most = 0.0, 0.0, 0.0, 0.0
    for i in range(max(k, int(low)), stop):
        b = i - k
        if atoms.bin_count[t, b] == 0.0:
            continue
        share = part(low, high, i)
        upper = atoms.origin[t] - b * atoms.width[t]
        lower = min(upper - atoms.width[t], atoms.floor[t]) if b == atoms.bin_x.shape[1] - 1 else upper - atoms.width[t]
        least += share * atoms.bin_least[t, b]
        most += share * atoms.bin_most[t, b]
        first_least += share * atoms.bin_most[t, b] * lower
        first_most += share * atoms.bin_least[t, b] * min(upper, 0.0)
    if state[t, UNSEEN] > 0.0 and k > 0:  # penalised, but in which bin is not known
        lost = min(least, state[t, UNSEEN] * atoms.weight[t, k - 1])
        least -= lost
        first_most = min(0.0, first_most - lost * (atoms.floor[t] if stop > k else 0.0))
    return total + least, total + most, first + first_least, first + first_most


@njit
def is_whole(state: NDArray[np.float64], t: int, low: float, high: float) -> bool:
    """Whether atoms low to high are what TOTAL and MEAN were taken over, and these are exact."""
    return bool(state[t, KNOWN] == 1.0 and low == state[t, LOW] and high == state[t, HIGH])


@njit
def settled(atoms: Atoms, state: NDArray[np.float64], t: int) -> bool:
    """Whether nothing is uncertain about row t as it stands: its atoms, its totals, its temperature."""
    same = state[t, SURE_LOW] == state[t, MAY_LOW] and state[t, SURE_HIGH] == state[t, MAY_HIGH]
    return bool(same and (state[t, KNOWN] == 1.0 or state[t, HIGH] <= atoms.size[t]))


@njit
def widen(atoms: Atoms, t: int, low: float, high: float, bounds: NDArray[np.float64]) -> None:
    """Take one possible answer of a rule into account: bounds are sure low, sure high, may low, may high."""
    k, n = atoms.size[t], atoms.size[t] + atoms.bin_x.shape[1]
    sure_low, sure_high = math.ceil(low), math.floor(high)
    may_low, may_high = math.floor(low), math.ceil(high)
    if 0 < high <= k < n and atoms.x[t, int(high) - 1] == atoms.x[t, k - 1]:
        beyond = next_bin(atoms, t, k)
        if beyond > k:  # tokens of the bins may equal the last single ones, among which the cut falls
            sure_high, may_high = tie_start(atoms, t, k), beyond
    bounds[0], bounds[1] = max(bounds[0], sure_low), min(bounds[1], sure_high)
    bounds[2], bounds[3] = min(bounds[2], may_low), max(bounds[3], may_high)


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
        state[t, TOTAL], state[t, MEAN], state[t, KNOWN] = total, first / total, 0.0


@njit
def keep_row(  # noqa: PLR0917  -- numba passes by position
    atoms: Atoms,
    state: NDArray[np.float64],
    t: int,
    rule: Any,  # noqa: ANN401  -- a compiled rule
    parameters: NDArray[np.float64],
    uniform: float,
    memory: NDArray[np.float64],
) -> None:
    """Ask a rule what row t keeps: for the best estimate, and where something is open also for its corners."""
    low, high = state[t, LOW], state[t, HIGH]
    row = row_of(atoms, t, low, high, state[t, TOTAL], state[t, MEAN], uniform, memory)
    kept_low, kept_high = rule(row, parameters)
    kept_low, kept_high = max(low, kept_low), min(high, kept_high)
    bounds = np.array([-math.inf, math.inf, math.inf, -math.inf])
    if kept_low == low and kept_high == high and settled(atoms, state, t):
        bounds[:] = state[t, SURE_LOW : MAY_HIGH + 1]
    else:
        widen(atoms, t, kept_low, kept_high, bounds)
        if not settled(atoms, state, t):
            corners(atoms, state, t, rule, parameters, uniform, memory.copy(), bounds)
    cut(atoms, state, t, kept_low, kept_high, bounds)


@njit
def corners(  # noqa: PLR0917  -- numba passes by position
    atoms: Atoms,
    state: NDArray[np.float64],
    t: int,
    rule: Any,  # noqa: ANN401  -- a compiled rule
    parameters: NDArray[np.float64],
    uniform: float,
    memory: NDArray[np.float64],
    bounds: NDArray[np.float64],
) -> None:
    """Widen bounds by the rule's answers for the least and the most that is left, and the ends of their totals."""
    for case in range(2):
        low = state[t, SURE_LOW] if case == 0 else state[t, MAY_LOW]
        high = state[t, SURE_HIGH] if case == 0 else state[t, MAY_HIGH]
        if high <= low:
            continue
        if is_whole(state, t, low, high):
            least = most = state[t, TOTAL]
            first_least = first_most = state[t, TOTAL] * state[t, MEAN]
        else:
            least, most, first_least, first_most = ranges_of(atoms, state, t, low, high)
        for corner in range(4):
            total = least if corner % 2 == 0 else most
            mean = first_least / least if corner < 2 else first_most / most
            row = row_of(atoms, t, low, high, total, mean, uniform, memory)
            kept_low, kept_high = rule(row, parameters)
            widen(atoms, t, max(low, kept_low), min(high, kept_high), bounds)


@njit(nogil=True, cache=True)
def keep_rows(  # noqa: PLR0917  -- numba passes by position
    start: int,
    stop: int,
    rule: Any,  # noqa: ANN401  -- a compiled rule: (row, parameters) -> (low, high)
    parameters: NDArray[np.float64],
    atoms: Atoms,
    uniforms: NDArray[np.float64],  # (T,)
    memory: NDArray[np.float64],  # (T, MEMORY)
    state: NDArray[np.float64],  # (T, STATE), changed in place
) -> None:
    """Cut rows start to stop, each on its own."""
    for t in range(start, stop):
        keep_row(atoms, state, t, rule, parameters, uniforms[t], memory[t])


@njit(nogil=True, cache=True)
def keep_in_turn(  # noqa: PLR0917  -- numba passes by position
    rule: Any,  # noqa: ANN401  -- a compiled rule: (row, parameters) -> (low, high)
    learn: Any,  # noqa: ANN401  -- a compiled rule: (memory, parameters, token, before, after)
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
        keep_row(atoms, state, t, rule, parameters, uniforms[t], memory[t])
        if t + 1 < len(state):
            memory[t + 1, 1:] = memory[t, 1:]
            learn(memory[t + 1], parameters, tokens[t], before, math.log(state[t, TOTAL]) - state[t, TOKEN_X])


@njit
def weigh_bin(
    mean: float, count: float, spread: float, upper: float, width: float, opened: bool
) -> tuple[float, float, float, float]:
    """Least, estimated and most Σ exp(x) of a bin, and the mean of x under exp(x)."""
    least = count * exp_nonpositive64(min(mean, 0.0))
    # Convexity: of all values in [upper - width, upper] with this mean, those at the two ends have the largest sum.
    depth = min(max(upper - mean, 0.0), width)
    slope = math.expm1(-width) / width if width > 0.0 else -1.0
    most = max(least, count * exp_nonpositive64(min(upper, 0.0)) * (1.0 + depth * slope))
    half = 0.0 if opened else 0.5 * min(max(spread, 0.0), 0.25 * width * width)
    estimate = min(most, least * (1.0 + half))
    return least, estimate, most, mean + 2.0 * half / (1.0 + half)


@njit
def weigh_row(atoms: Atoms, state: NDArray[np.float64], t: int) -> None:
    """Weights of row t from its x, and the totals over what is left."""
    k, n_bins = atoms.size[t], atoms.bin_x.shape[1]
    for i in range(int(state[t, MAY_LOW]), min(k, int(math.ceil(state[t, MAY_HIGH])))):
        atoms.weight[t, i] = exp_nonpositive64(atoms.x[t, i])
    for b in range(n_bins):
        if atoms.bin_count[t, b] == 0.0:
            atoms.bin_weight[t, b] = atoms.bin_least[t, b] = atoms.bin_most[t, b] = atoms.bin_tilt[t, b] = 0.0
            continue
        upper = atoms.origin[t] - b * atoms.width[t]
        opened = b == n_bins - 1
        width = max(atoms.width[t], upper - atoms.floor[t]) if opened else atoms.width[t]
        least, estimate, most, tilt = weigh_bin(
            atoms.bin_x[t, b], atoms.bin_count[t, b], atoms.bin_spread[t, b], upper, width, opened
        )
        atoms.bin_least[t, b], atoms.bin_weight[t, b], atoms.bin_most[t, b] = least, estimate, most
        atoms.bin_tilt[t, b] = tilt
    total, first = sums_of(atoms, t, state[t, LOW], state[t, HIGH])
    state[t, TOTAL], state[t, MEAN], state[t, KNOWN] = total, first / total, 0.0


@njit
def divide(given: Atoms, atoms: Atoms, state: NDArray[np.float64], t: int, inverse: float) -> None:
    """Row t of `given` with x times `inverse`, written to `atoms`."""
    k = given.size[t]
    for i in range(k):
        atoms.x[t, i] = given.x[t, i] * inverse
    for b in range(given.bin_x.shape[1]):
        atoms.bin_x[t, b] = given.bin_x[t, b] * inverse
        atoms.bin_spread[t, b] = given.bin_spread[t, b] * inverse * inverse
    atoms.origin[t] = given.origin[t] * inverse
    atoms.width[t] = given.width[t] * inverse
    atoms.floor[t] = given.floor[t] * inverse
    state[t, SCALE] *= inverse
    state[t, HIGHEST] *= inverse
    state[t, TOKEN_X] *= inverse


@njit(nogil=True, cache=True)
def temper_rows(  # noqa: PLR0917  -- numba passes by position
    start: int,
    stop: int,
    rule: Any,  # noqa: ANN401  -- a compiled rule: (row, parameters) -> T
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
            widen(atoms, t, last - 1.0, last, bounds)
            cut(atoms, state, t, last - 1.0, last, bounds)


@njit
def extremes(  # noqa: PLR0917  -- numba passes by position
    atoms: Atoms,
    state: NDArray[np.float64],
    t: int,
    rule: Any,  # noqa: ANN401  -- a compiled rule
    parameters: NDArray[np.float64],
    uniform: float,
    memory: NDArray[np.float64],
) -> tuple[float, float]:
    """Lowest and highest temperature the rule gives at the corners of what row t can be."""
    coldest, hottest = math.inf, -math.inf
    for case in range(2):
        low = state[t, SURE_LOW] if case == 0 else state[t, MAY_LOW]
        high = state[t, SURE_HIGH] if case == 0 else state[t, MAY_HIGH]
        if high <= low:
            continue
        least, most, first_least, first_most = ranges_of(atoms, state, t, low, high)
        for corner in range(4):
            total = least if corner % 2 == 0 else most
            mean = first_least / least if corner < 2 else first_most / most
            found = rule(row_of(atoms, t, low, high, total, mean, uniform, memory), parameters)
            coldest, hottest = min(coldest, found), max(hottest, found)
    return coldest, hottest


@njit
def tokens_between(atoms: Atoms, t: int, low: float, high: float) -> float:
    """Tokens from one position to another."""
    k = atoms.size[t]
    count = max(0.0, min(high, float(k)) - min(low, float(k)))
    for i in range(max(k, int(low)), int(math.ceil(high))):
        count += part(low, high, i) * atoms.bin_count[t, i - k]
    return count


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
        k = atoms.size[t]
        mass, depth = 0.0, 0.0
        for i in range(int(low), min(k, int(math.ceil(high)))):
            mass += atoms.raw_weight[t, i]
            depth += atoms.weight[t, i] * atoms.raw_x[t, i]
        for i in range(max(k, int(low)), int(math.ceil(high))):
            share = part(low, high, i)
            mass += share * atoms.raw_bin_weight[t, i - k]
            depth += share * atoms.bin_weight[t, i - k] * atoms.raw_bin_x[t, i - k]
        log_total = math.log(total)
        entropy = max(0.0, log_total - mean)
        out[t, KEPT] = tokens_between(atoms, t, low, high)
        out[t, KEPT_LOW] = tokens_between(atoms, t, state[t, SURE_LOW], state[t, SURE_HIGH])
        out[t, KEPT_HIGH] = tokens_between(atoms, t, state[t, MAY_LOW], state[t, MAY_HIGH])
        out[t, KEPT_MASS] = min(1.0, mass / atoms.raw_total[t])
        out[t, ENTROPY] = entropy
        out[t, DIVERGENCE] = max(0.0, -entropy - depth / total + math.log(atoms.raw_total[t]))
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
    if state[t, SURE_HIGH] <= state[t, SURE_LOW]:
        out[t, BOUND] = out[t, ENTROPY_BOUND] = math.inf
        return
    log_total = math.log(state[t, TOTAL])
    least, _, _, least_first = ranges_of(atoms, state, t, state[t, SURE_LOW], state[t, SURE_HIGH])
    _, most, most_first, _ = ranges_of(atoms, state, t, state[t, MAY_LOW], state[t, MAY_HIGH])
    blur = state[t, BLUR] * (abs(state[t, MEAN]) + abs(state[t, TOKEN_X]))
    out[t, BOUND] = max(math.log(most) - log_total, log_total - math.log(least)) + blur
    highest = math.log(most) - most_first / least
    lowest = math.log(least) - least_first / most
    out[t, ENTROPY_BOUND] = max(highest - entropy, entropy - lowest, 0.0) + state[t, BLUR] * entropy
