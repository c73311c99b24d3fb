"""Rolling mean and standard deviation of a per-token series, and how such series are read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import polars as pl
from numpy.typing import NDArray

from workbench.errors import ParameterError

Floats: TypeAlias = NDArray[np.float64]
SeriesLike: TypeAlias = pl.Series | NDArray[np.floating] | Sequence[float | None]


@dataclass(frozen=True)
class Rolling:
    """Mean and spread around every token."""

    mean: Floats
    """(T,) mean of the known values in the window; NaN where the window has none."""
    sd: Floats
    """(T,) population standard deviation of the same values (0 for a single one); NaN where there are none."""
    window: int
    """Tokens in a full window."""

    def to_frame(self) -> pl.DataFrame:
        """A row a token: position, mean, sd; unknown is null."""
        return pl.DataFrame({"position": np.arange(len(self.mean)), "mean": self.mean, "sd": self.sd}).fill_nan(None)


def rolling(values: SeriesLike, window: int = 51) -> Rolling:
    """Centred rolling mean m_t and population standard deviation s_t of `values` (T,), in their own unit.

    The window of token t is [t − ⌊w/2⌋, t + ⌈w/2⌉ − 1]: symmetric for odd w, one token longer to the left for even w.
    At both ends it is cut off rather than padded, so the first mean covers only ⌈w/2⌉ tokens. Nulls and NaNs
    take no part: mean and deviation are those of the known values. O(T) by prefix sums of the values less their mean;
    deviations below about 1e-7 of the series' spread drown in rounding. The default of 51 tokens is that of SRGen's
    plots (2020-qqtcg/SRGen, analysis/plot_entropy.py).

    Raises:
        ParameterError: a window below 1, or values that are not one finite-or-missing number a token.
    """
    x, w = as_floats(values), whole(window, "window")
    known = ~np.isnan(x)
    centre = float(x[known].mean()) if known.any() else 0.0
    d = np.where(known, x - centre, 0.0)  # taking the mean off first keeps the squares' cancellation small
    start = np.maximum(np.arange(len(x)) - w // 2, 0)
    stop = np.minimum(np.arange(len(x)) + (w + 1) // 2, len(x))

    def total(terms: NDArray[np.generic]) -> Floats:
        prefix = np.concatenate([[0.0], np.cumsum(terms, dtype=np.float64)])
        return np.asarray(prefix[stop] - prefix[start])

    count = total(known)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = total(d) / count
        variance = np.maximum(total(d * d) / count - mean * mean, 0.0)
    return Rolling(mean=mean + centre, sd=np.sqrt(variance), window=w)


def as_floats(values: SeriesLike) -> Floats:
    """`values` as a float64 array (T,) with NaN for what is missing.

    Raises:
        ParameterError: more than one dimension, an infinity, or something that is no number.
    """
    try:
        x = (
            values.cast(pl.Float64).to_numpy()
            if isinstance(values, pl.Series)
            else np.asarray(values, dtype=np.float64)
        )
    except (TypeError, ValueError, pl.exceptions.PolarsError) as problem:
        raise ParameterError(f"Expected one number a token, missing ones as null or NaN: {problem}") from problem
    if x.ndim != 1:
        raise ParameterError(f"Expected one number a token, an array (T,); got the shape {x.shape}.")
    if np.isinf(x).any():
        at = int(np.flatnonzero(np.isinf(x))[0])
        raise ParameterError(f"The value of token {at} is infinite; mark what is not known as null or NaN.")
    return np.asarray(x, dtype=np.float64)


def whole(number: int, name: str) -> int:
    """`number` as an int of at least 1.

    Raises:
        ParameterError: it is smaller, or has a fractional part.
    """
    if int(number) != number or number < 1:
        raise ParameterError(f"{name} must be a whole number of at least 1, not {number!r}.")
    return int(number)
