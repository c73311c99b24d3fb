"""Weights and sums over a row's atoms, and what these can be where a sketch leaves them open."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from workbench.kernels.atoms import along
from workbench.kernels.chain import (
    BLUR,
    FIRST_LEAST,
    FIRST_MOST,
    HIGH,
    KNOWN,
    LEAST,
    LOW,
    MAY_HIGH,
    MEAN,
    MOST,
    OPEN,
    RANGED,
    TOTAL,
    UNSEEN,
    Atoms,
)
from workbench.kernels.exp import LOWEST_EXP64, exp_in_range64, exp_nonpositive64
from workbench.kernels.lean import lean

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_NOTHING = 1e-300


@lean
def part(low: float, high: float, i: int) -> float:
    """The share of atom i between two positions."""
    return max(0.0, min(1.0, high - i) - max(0.0, low - i))


@lean
def weight_at(x: float) -> float:
    """exp(x), the part that vectorises; of x > 0, which only a bin's edge can be, 1."""
    d = min(x, 0.0)
    return exp_in_range64(max(LOWEST_EXP64, d)) if d >= LOWEST_EXP64 else 0.0


@lean(fastmath={"contract", "reassoc"})
def weigh_singles(x: NDArray[np.float64], weight: NDArray[np.float64]) -> float:
    """exp(x) of each; returns Σ exp(x) x."""
    moment = 0.0
    for i in range(x.shape[0]):
        one = weight_at(x[i])
        weight[i] = one
        moment += one * x[i]
    return moment


@lean(fastmath={"contract", "reassoc"})
def weigh_whole_bins(
    count: NDArray[np.float64],
    x: NDArray[np.float64],
    spread: NDArray[np.float64],
    widest: float,
    factor: float,
    weight: NDArray[np.float64],
) -> float:
    """Each bin's weight, n exp(m) (1 + v / 2) times `factor`, m and v mean and variance of x; returns Σ exp(x) x."""
    moment = 0.0
    for b in range(count.shape[0]):
        half = 0.5 * (min(widest, spread[b]))
        one = factor * count[b] * weight_at(x[b])
        weight[b] = one * (1.0 + half)
        moment += one * (x[b] * (1.0 + half) + 2.0 * half)
    return moment


@lean
def cumulate(mass: NDArray[np.float64], before: float) -> None:
    """Weights 1 to n become `before` plus all up to each; by fours, since an addition waits for the one before it."""
    n, total = mass.shape[0] - 1, before
    mass[0] = before
    for i in range(0, n - n % 4, 4):
        one, two, three = mass[i + 1], mass[i + 1] + mass[i + 2], mass[i + 3]
        both = two + (three + mass[i + 4])
        mass[i + 1], mass[i + 2], mass[i + 3] = total + one, total + two, total + (two + three)
        total += both
        mass[i + 4] = total
    for i in range(n - n % 4, n):
        total += mass[i + 1]
        mass[i + 1] = total


@lean
def reach_of(atoms: Atoms, t: int, b: int) -> float:
    """From the upper end of x in bin b to its lower one; the last bin goes down to the smallest logit."""
    if b < atoms.bin_x.shape[1] - 1:
        return atoms.width[t]
    return max(atoms.width[t], atoms.origin[t] - b * atoms.width[t] - atoms.floor[t])


@lean
def half_variance(atoms: Atoms, t: int, b: int) -> float:
    """Half the variance of x in bin b, at most what its width allows; 0 where the last bin is too wide to expand."""
    width = atoms.width[t]
    opened = b == atoms.bin_x.shape[1] - 1 and reach_of(atoms, t, b) > width
    return 0.0 if opened else 0.5 * min(atoms.bin_spread[t, b], 0.25 * width * width)


@lean
def tilted(atoms: Atoms, t: int, b: int) -> float:
    """Mean of x in bin b under exp(x), to first order in the variance."""
    half = half_variance(atoms, t, b)
    return atoms.bin_x[t, b] + 2.0 * half / (1.0 + half)


@lean
def add_bins(atoms: Atoms, t: int, bins: int, factor: float) -> float:
    """Sums of row t over its bins, n exp(m) (1 + v / 2) times `factor`, m and v mean and variance of x; Σ exp(x) x."""
    k, n = atoms.size[t], min(bins, atoms.bin_x.shape[1])
    if n <= 0:
        return 0.0
    masses, widest = atoms.mass[t][k : k + n + 1], 0.25 * atoms.width[t] * atoms.width[t]
    moment = weigh_whole_bins(
        atoms.bin_count[t][:n], atoms.bin_x[t][:n], atoms.bin_spread[t][:n], widest, factor, masses[1:]
    )
    b, x = n - 1, atoms.bin_x[t, n - 1]
    if half_variance(atoms, t, b) == 0.0:  # the last bin may be too wide to expand
        one, half = factor * atoms.bin_count[t, b] * weight_at(x), 0.5 * min(atoms.bin_spread[t, b], widest)
        moment -= one * (x * half + 2.0 * half)
        masses[n] = one
    cumulate(masses, masses[0])
    return moment


@lean(fastmath={"contract", "reassoc"})
def moment_of_masses(x: NDArray[np.float64], mass: NDArray[np.float64]) -> float:
    """Σ weight x, the weights as steps of their cumulative sums; in the order that vectorises."""
    moment = 0.0
    for i in range(x.shape[0]):
        moment += (mass[i + 1] - mass[i]) * x[i]
    return moment


@lean
def sums_of(atoms: Atoms, t: int, low: float, high: float) -> tuple[float, float]:
    """Σ exp(x) and Σ exp(x) x over atoms low to high."""
    k, stop, x, mass = atoms.size[t], math.ceil(high), atoms.x[t], atoms.mass[t]
    total, first = along(mass, high) - along(mass, low), 0.0
    exact = low == 0.0 or total > 1e-3 * mass[int(low)]
    if not exact:  # the difference of two nearly equal sums: add up what is left of it instead
        total = 0.0
    start, end = int(low), min(k, stop)
    if exact and start < end:
        first = moment_of_masses(x[start:end], mass[start : end + 1])
    elif not exact:
        for i in range(start, end):
            w = exp_nonpositive64(x[i])
            total += w
            first += w * x[i]
    for i in range(max(k, int(low)), stop):
        w = part(low, high, i) * (mass[i + 1] - mass[i])
        total += 0.0 if exact else w
        first += w * tilted(atoms, t, i - k)
    return total, first


@lean
def set_totals(state: NDArray[np.float64], t: int, total: float, first: float) -> None:
    """Sums over what is left; where all of it is too far down to have any weight, a number that stands for it."""
    if total <= 0.0:
        total, first, state[t, BLUR] = _NOTHING, 0.0, math.inf
    state[t, TOTAL], state[t, MEAN], state[t, KNOWN], state[t, RANGED] = total, first / total, 0.0, 0.0


@lean
def weigh_row(atoms: Atoms, state: NDArray[np.float64], t: int) -> None:
    """Weights and sums of row t from its x, and the totals over what is left."""
    k, end = atoms.size[t], math.ceil(state[t, MAY_HIGH])
    moment = weigh_singles(atoms.x[t][:k], atoms.mass[t][1 : k + 1])
    cumulate(atoms.mass[t][: k + 1], 0.0)
    above, below = atoms.mass[t, k], add_bins(atoms, t, end - k, 1.0)
    if state[t, LOW] == 0.0 and k <= state[t, HIGH] == end:
        total, first = atoms.mass[t, end], moment + below
    else:
        total, first = sums_of(atoms, t, state[t, LOW], state[t, HIGH])
    set_totals(state, t, total, first)
    state[t, OPEN] = 0.0
    if end > k:
        least, most, first_least, first_most = ranges_of_bins(atoms, t, float(k), end)
        state[t, OPEN] = most - least
        if state[t, LOW] <= k and state[t, HIGH] == end and state[t, UNSEEN] == 0.0:
            if state[t, LOW] > 0.0:
                above, moment = sums_of(atoms, t, state[t, LOW], float(k))
            state[t, LEAST], state[t, MOST] = above + least, above + most
            state[t, FIRST_LEAST], state[t, FIRST_MOST] = moment + first_least, moment + first_most
            state[t, RANGED] = 1.0


@lean
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


@lean
def ranges_of_bins(atoms: Atoms, t: int, low: float, high: float) -> tuple[float, float, float, float]:
    """As `ranges_of`, for the bins alone."""
    k, n_bins, width, origin = atoms.size[t], atoms.bin_x.shape[1], atoms.width[t], atoms.origin[t]
    start, stop = max(0, math.floor(low) - k), math.ceil(high) - k
    least, most, first_least, first_most = 0.0, 0.0, 0.0, 0.0
    if start < stop and (low > k + start or start == n_bins - 1 or high < k + start + 1):
        least, most, first_least, first_most = range_of_bin(atoms, t, start, part(low, high, k + start))
        start += 1
    if start < stop and (high < k + stop or stop == n_bins):
        stop -= 1
        last = range_of_bin(atoms, t, stop, part(low, high, k + stop))
        least, most = least + last[0], most + last[1]
        first_least, first_most = first_least + last[2], first_most + last[3]
    if start < stop:
        inner = ranges_of_whole_bins(
            atoms.bin_count[t][start:stop], atoms.bin_x[t][start:stop], origin - start * width, width
        )
        least, most = least + inner[0], most + inner[1]
        first_least, first_most = first_least + inner[2], first_most + inner[3]
    return least, most, first_least, first_most


@lean
def range_of_bin(atoms: Atoms, t: int, b: int, share: float) -> tuple[float, float, float, float]:
    """As `ranges_of` for a share of bin b alone, which can be wider than the others: exp is convex."""
    upper, reach = atoms.origin[t] - b * atoms.width[t], reach_of(atoms, t, b)
    count = share * atoms.bin_count[t, b]
    least = count * weight_at(atoms.bin_x[t, b])
    depth = min(max(upper - atoms.bin_x[t, b], 0.0), reach)
    most = max(least, count * weight_at(upper) * (1.0 + depth * math.expm1(-reach) / reach))
    return least, most, most * (upper - reach), least * min(upper, 0.0)


@lean(fastmath={"contract", "reassoc"})
def ranges_of_whole_bins(
    count: NDArray[np.float64], x: NDArray[np.float64], upper: float, width: float
) -> tuple[float, float, float, float]:
    """As `range_of_bin`, summed over bins of one width that are left whole; `upper` is the first one's upper end."""
    least, most, first_least, first_most = 0.0, 0.0, 0.0, 0.0
    slope = math.expm1(-width) / width
    for i in range(count.shape[0]):
        edge = upper - i * width
        depth = edge - x[i]
        depth = max(0.0, depth)
        depth = min(width, depth)
        bin_least = count[i] * weight_at(x[i])
        bin_most = count[i] * weight_at(edge) * (1.0 + depth * slope)
        bin_most = max(bin_least, bin_most)
        least += bin_least
        most += bin_most
        first_least += bin_most * (edge - width)
        first_most += bin_least * (min(0.0, edge))
    return least, most, first_least, first_most
