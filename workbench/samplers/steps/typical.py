"""Locally typical sampling: tokens whose surprisal is near the entropy, not the most likely ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numba import njit

from workbench.kernels.atoms import DOUBT, edges_of, ends, mass_between, x_of
from workbench.kernels.rules import keeps
from workbench.samplers.parameters import choice, number
from workbench.samplers.step import Step

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from workbench.kernels.atoms import Row


@njit(forceinline=True)
def first_within(row: Row, x: float, start: int, stop: int) -> int:
    """The first atom in [start, stop) whose x is at most this."""
    while start < stop:
        middle = (start + stop) // 2
        if x_of(row, middle) > x:
            start = middle + 1
        else:
            stop = middle
    return start


@njit(forceinline=True)
def interval(row: Row, distance: float) -> tuple[int, int]:
    """The atoms within this distance of E[x]; distances that differ by rounding alone are one."""
    start, stop = ends(row)
    reach = distance + 1e-12 * max(1.0, distance)
    low = first_within(row, row.mean + reach, start, stop)
    return low, first_within(row, np.nextafter(row.mean - reach, -np.inf), low, stop)


@njit(forceinline=True)
def mass_of(row: Row, low: int, high: int) -> float:
    """Σ weight of what is left of these atoms."""
    return mass_between(row, max(row.low, float(low)), max(row.low, min(row.high, float(high))))


@njit(forceinline=True)
def weight_at(row: Row, i: int) -> float:
    """Σ exp(x) of atom i."""
    return row.mass[i + 1] - row.mass[i]


@njit(forceinline=True)
def nearest_reaching(row: Row, target: float) -> float:
    """The smallest distance from E[x] of any atom within which the weights reach the target.

    Atoms above the mean and below it are two lists by rising distance: a selection from both at once, halving one of
    them at each turn, and a step or two at the end.
    """
    start, stop = ends(row)
    centre = first_within(row, row.mean, start, stop)
    above, below = 0, 0  # surely needed
    most_above, most_below = centre - start, stop - centre
    while above < most_above and below < most_below:
        i, j = (above + most_above) // 2, (below + most_below) // 2
        far, near = x_of(row, centre - 1 - i) - row.mean, row.mean - x_of(row, centre + j)
        if mass_of(row, centre - 1 - i, centre + j + 1) < target:
            above, below = (i + 1, below) if far <= near else (above, j + 1)
        else:
            most_above, most_below = (i, most_below) if far > near else (most_above, j)
    # One list is done; its next atom, where it was left out, is at the distance sought or beyond.
    limit = row.mean - x_of(row, centre + below) if below < stop - centre else np.inf
    while above < most_above:
        i = (above + most_above) // 2
        near = x_of(row, centre - 1 - i) - row.mean < limit
        short = near and mass_of(row, centre - 1 - i, centre + below) < target
        above, most_above = (i + 1, most_above) if short else (above, i)
    limit = x_of(row, centre - 1 - above) - row.mean if above < centre - start else np.inf
    while below < most_below:
        j = (below + most_below) // 2
        near = row.mean - x_of(row, centre + j) < limit
        short = near and mass_of(row, centre - above, centre + j + 1) < target
        below, most_below = (j + 1, most_below) if short else (below, j)
    while mass_of(row, centre - above, centre + below) < target:
        if above == centre - start and below == stop - centre:
            return np.inf
        far = x_of(row, centre - 1 - above) - row.mean if above < centre - start else np.inf
        near = row.mean - x_of(row, centre + below) if below < stop - centre else np.inf
        above, below = (above + 1, below) if far <= near else (above, below + 1)
    far = x_of(row, centre - above) - row.mean if above else 0.0
    near = row.mean - x_of(row, centre + below - 1) if below else 0.0
    return max(far, near)


@njit(forceinline=True)
def first_bin_reaches(row: Row, x: float) -> bool:
    """Whether tokens of the first bin may be nearer to E[x] than its mean, and within the interval that ends at x."""
    b = 0
    while b + 1 < row.bin_count.shape[0] and row.bin_count[b] == 0.0:
        b += 1
    return edges_of(row, b)[0] >= x


@njit(forceinline=True)
def low_is_open(row: Row, b: int) -> bool:
    """Whether it depends on where in bin b, or its neighbours, the interval ends which likely tokens are within it."""
    upper, lower = edges_of(row, b)
    start, stop = ends(row)
    near = first_within(row, 2.0 * row.mean - upper - 2.0 * row.width, start, stop)
    return near != first_within(row, 2.0 * row.mean - lower + 2.0 * row.width, start, stop)


@keeps
def typical(row: Row, parameters: NDArray[np.float64]) -> tuple[float, float]:
    """The interval around x = E[x], where -log p equals the entropy, that has the mass."""
    if parameters[0] >= 1.0:
        return row.low, row.high
    target, k = parameters[0] * row.total, row.x.shape[0]
    distance = nearest_reaching(row, target)
    if distance == np.inf:
        return row.low, row.high
    low, high = interval(row, distance)
    spare = mass_of(row, low, high) - target
    if high == k and k < row.high and first_bin_reaches(row, row.mean - distance):
        return max(row.low, float(low)), min(row.high, k + 1e-6)
    if high > k and high < row.high and low_is_open(row, high - 1 - k):
        row.memory[DOUBT] = 1.0
    above = x_of(row, low) - row.mean >= distance - 1e-12 * max(1.0, distance)
    if parameters[1] == 1.0:  # of atoms at that distance no more than are needed, those below the mean go first
        while (
            high - 1 > low
            and high <= k
            and spare >= weight_at(row, high - 1)
            and row.mean - row.x[high - 1] >= distance
        ):
            spare -= weight_at(row, high - 1)
            high -= 1
        while (
            above and low + 1 < high and low < k and spare >= weight_at(row, low) and row.x[low] - row.mean >= distance
        ):
            spare -= weight_at(row, low)
            low += 1
    # Of a bin that is reached last only a share is needed.
    if above and low >= k and weight_at(row, low) > 0.0:
        return max(row.low, low + min(1.0, max(0.0, spare / weight_at(row, low)))), min(row.high, float(high))
    if not above and high - 1 >= k and weight_at(row, high - 1) > 0.0:
        share = min(1.0, max(0.0, spare / weight_at(row, high - 1)))
        return max(row.low, float(low)), min(row.high, high - share)
    return max(row.low, float(low)), min(row.high, float(high))


@dataclass(frozen=True)
class LocallyTypical(Step):
    """Order tokens by |-log p - H| and keep the shortest prefix whose probability reaches the mass.

    The most likely token may be dropped. As -log p - H = E[x] - x for logits x, what is kept is one interval of ranks
    around E[x]. Ties in distance all stay in transformers; llama.cpp cuts at the token that reaches the mass.
    """

    name = "typical_p"
    title = "Locally typical"
    source = "Meister et al., arXiv 2202.00666, section 4; transformers, TypicalLogitsWarper"
    keeps = typical
    engines = {"transformers": {"typical_p": "mass"}, "llamacpp": {"--typical": "mass"}}

    mass: float = number(
        0.9, "The probability that the kept tokens reach together; 1 keeps all.", low=0, high=1, open_low=True,
        slider=(0.05, 1.0), step=0.005,
    )  # fmt: skip
    variant: str = choice(
        ("transformers", "llama.cpp"), "Whether ties in distance stay (transformers) or not (llama.cpp)."
    )

    def lost(self, engine: str) -> tuple[str, ...]:
        """Ties."""
        if (engine == "llamacpp") == (self.variant == "llama.cpp"):
            return ()
        return ("Ties in distance " + ("are cut there." if engine == "llamacpp" else "are kept there."),)
