"""What is left of every row at the end of a chain, and by how much that may be off."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from workbench.kernels.atoms import along
from workbench.kernels.bounding import settled
from workbench.kernels.chain import (
    BLUR,
    BOUND,
    DIVERGENCE,
    ENTROPY,
    ENTROPY_BOUND,
    HIGH,
    KEPT,
    KEPT_HIGH,
    KEPT_LOW,
    KEPT_MASS,
    LOGPROB,
    LOW,
    MAY_HIGH,
    MAY_LOW,
    MEAN,
    REORDERED,
    SCALE,
    SURE_HIGH,
    SURE_LOW,
    SURVIVES,
    TOKEN_AT,
    TOKEN_X,
    TOTAL,
    Atoms,
)
from workbench.kernels.exp import exp_nonpositive64
from workbench.kernels.lean import lean
from workbench.kernels.sums import part, ranges_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@lean
def tokens_between(atoms: Atoms, t: int, low: float, high: float) -> float:
    """Tokens from one position to another."""
    k = float(atoms.size[t])
    singles = min(high, k) - min(low, k)
    return max(0.0, singles + along(atoms.tokens[t], max(0.0, high - k)) - along(atoms.tokens[t], max(0.0, low - k)))


@lean
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


@lean(nogil=True, cache=True)
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
        end = float(atoms.size[t] + atoms.bin_x.shape[1])
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
        if state[t, BLUR] == math.inf:  # any of the tokens, and one at least
            out[t, KEPT_LOW], out[t, KEPT_HIGH], out[t, SURVIVES] = 1.0, tokens_between(atoms, t, 0.0, end), math.nan
        bounds_of(atoms, state, t, entropy, out)


@lean
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
