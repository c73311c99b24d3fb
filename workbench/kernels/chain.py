"""A chain of sampler steps at work on the rows of a trace: the atoms of every row, and the columns of its state."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np
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
    raw_mass: NDArray[np.float64]  # (T, K + B + 1): as `mass`, and on to the last bin
    raw_total: NDArray[np.float64]  # (T,)
