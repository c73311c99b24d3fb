"""The least entropy that scores of a given size allow (sigma-Reparam, arXiv 2303.06296, Theorem 3.1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import polars as pl

from workbench.errors import ParameterError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from workbench.attention.head_stats import HeadStats

Source = Literal["row norm", "spectral norms"]
TOLERANCE = 1e-4
"""Nats by which a float32 entropy may fall below its bound."""


def entropy_bound(sigma: ArrayLike, support: ArrayLike) -> NDArray[np.float64]:
    """ln(1 + (n-1) b) + sigma sqrt(n (n-1)) b / (1 + (n-1) b),  b = exp(-sigma sqrt(n / (n-1))), in nats.

    No softmax over n scores of centred norm sigma has less entropy, and scores (sigma sqrt((n-1)/n), -sigma /
    sqrt(n (n-1)), ...) have exactly this much. For n = 1 it is 0.

    Args:
        sigma: Norms of score rows, head scale included; centred norms give the best bound.
        support: n, how many keys each row sees; broadcasts with `sigma`.

    Raises:
        ParameterError: a negative norm, or a support below 1.
    """
    norm, n = np.broadcast_arrays(np.asarray(sigma, np.float64), np.asarray(support, np.float64))
    if (norm < 0).any() or (n < 1).any():
        raise ParameterError("A norm is at least 0 and a support at least 1.")
    others = np.maximum(n - 1, 1.0)
    b = np.exp(-norm * np.sqrt(n / others))
    bound = np.log1p(others * b) + norm * np.sqrt(n * others) * b / (1 + others * b)
    return np.asarray(np.where(n > 1, bound, 0.0))


@dataclass(frozen=True, eq=False, repr=False)
class EntropyBounds:
    """Every row's entropy beside the least its own scores allow; NaN where a row is left out."""

    layers: tuple[int, ...]
    sigma: NDArray[np.float32]
    """(L, H, T): the norm of each row's scores around their mean, head scale included, or a limit of it."""
    entropy: NDArray[np.float32]
    """(L, H, T) nats."""
    bound: NDArray[np.float64]
    """(L, H, T) nats."""
    source: Source = "row norm"
    """What `sigma` is from: the row's own scores, or the spectral norms of the weights."""

    @property
    def violations(self) -> int:
        """Rows whose entropy is below the bound by more than `TOLERANCE`; anything but 0 is a defect of ours."""
        return int((self.entropy < self.bound - TOLERANCE).sum())

    def __repr__(self) -> str:
        rows = int((~np.isnan(self.bound)).sum())
        return f"EntropyBounds({rows} rows by {self.source}, {self.violations} below their bound)"

    def to_frame(self) -> pl.DataFrame:
        """A row a head: layer, head, means over its rows of sigma, entropy and bound, and the smallest gap, in nats."""
        there = ~np.isnan(self.bound).all(axis=-1)
        at, head = np.nonzero(there)
        places = {"layer": np.array(self.layers, np.int32)[at], "head": head.astype(np.int32)}
        means = {name: np.nanmean(getattr(self, name)[there], axis=-1) for name in ("sigma", "entropy", "bound")}
        gap = np.nanmin((self.entropy - self.bound)[there], axis=-1)
        return pl.DataFrame({**places, **means, "smallest_gap": gap})


def entropy_bounds(stats: HeadStats) -> EntropyBounds:
    """The bound of every row that means are over, from its own scores' centred norm.

    `spectral_bounds` gives the wider one that the weights alone allow.
    """
    support = np.maximum(stats.support, 1)[:, None]
    sigma = np.where(stats.used, stats.values("row_norm"), np.float32(np.nan))
    entropy = np.where(stats.used, stats.values("entropy"), np.float32(np.nan))
    bound = entropy_bound(np.nan_to_num(stats.values("row_norm")), support)
    return EntropyBounds(stats.layers, sigma, entropy, np.where(np.isnan(sigma), np.nan, bound))
