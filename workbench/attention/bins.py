"""Heads by how much of the entropy they could have: collapsed at the bottom, overloaded at the top."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from workbench.errors import ParameterError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    from workbench.attention.head_stats import HeadStats, Normalizer

EDGES = (0.25, 0.5, 0.75)
MARGIN = 0.2


@dataclass(frozen=True, eq=False)
class EntropyBins:
    """Shares of each layer's heads by normalised entropy (arXiv 2501.03489; Nandan91/entropy-guided-attention-llm)."""

    layers: tuple[int, ...]
    edges: tuple[float, ...]
    """The inner edges; a bin holds its lower edge and not its upper one."""
    normalizer: Normalizer
    of_head: NDArray[np.int8]
    """(L, H): each head's bin, 0 the lowest; -1 where a layer has no such head."""

    @property
    def shares(self) -> NDArray[np.float64]:
        """(L, B): the share of a layer's heads in each bin."""
        there = (self.of_head >= 0).sum(axis=1, keepdims=True)
        counts = np.stack([(self.of_head == b).sum(axis=1) for b in range(len(self.edges) + 1)], axis=1)
        return np.asarray(counts / np.maximum(there, 1))

    @property
    def collapse(self) -> NDArray[np.float64]:
        """(L,): the share of heads in the lowest bin."""
        return np.asarray(self.shares[:, 0])

    @property
    def overload(self) -> NDArray[np.float64]:
        """(L,): the share of heads in the highest bin."""
        return np.asarray(self.shares[:, -1])

    def to_frame(self) -> pl.DataFrame:
        """A row a layer and bin: layer, bin, low, high, share, normalizer."""
        bins, layers = len(self.edges) + 1, len(self.layers)
        low, high = [0.0, *self.edges], [*self.edges, 1.0]
        return pl.DataFrame(
            {
                "layer": np.repeat(np.array(self.layers, np.int32), bins),
                "bin": np.tile(np.arange(bins, dtype=np.int32), layers),
                "low": low * layers,
                "high": high * layers,
                "share": self.shares.ravel(),
                "normalizer": [self.normalizer] * (bins * layers),
            }
        )


def entropy_bins(
    stats: HeadStats, *, normalizer: Normalizer = "support", edges: Sequence[float] = EDGES
) -> EntropyBins:
    """Put every head into a bin of its mean entropy relative to the maximum.

    The paper's maximum is ln T ("length"), which a uniform causal head does not reach: at T = 128 it has 0.80 of it, at
    T = 32 no longer three quarters. By "support" a uniform head is 1 and a one-hot head 0 at any length.

    Raises:
        ParameterError: edges that do not rise within (0, 1), or a normaliser without a maximum.
    """
    if normalizer == "none":
        raise ParameterError("Bins are shares of the largest entropy: take normalizer='support' or 'length'.")
    if any(a >= b for a, b in zip((0.0, *edges), (*edges, 1.0), strict=True)):
        raise ParameterError(f"edges={tuple(edges)}: they must rise between 0 and 1.")
    value = stats.entropy_over(normalizer)
    of_head = np.where(np.isnan(value), -1, np.digitize(value + 1e-6, edges))  # a float32 entropy may fall just short
    return EntropyBins(stats.layers, tuple(edges), normalizer, of_head.astype(np.int8))


@dataclass(frozen=True, eq=False)
class EntropyPenalty:
    """How far heads are from the entropies wanted of them (arXiv 2501.03489)."""

    layers: tuple[int, ...]
    deviation: NDArray[np.float64]
    """(L, H): delta = E - theta; nats by "length", shares of the maximum by "support"."""
    penalty: NDArray[np.float64]
    """(L, H): delta² where |delta| exceeds the margin, else 0."""
    margin: float
    """gamma times the maximum, in the unit of `deviation`."""
    normalizer: Normalizer

    @property
    def mean(self) -> float:
        """The penalty a loss would add, before its weight lambda: the mean over all heads."""
        return float(np.nanmean(self.penalty))

    def to_frame(self) -> pl.DataFrame:
        """A row a head: layer, head, deviation, penalty."""
        layers, heads = self.penalty.shape
        frame = pl.DataFrame(
            {
                "layer": np.repeat(np.array(self.layers, np.int32), heads),
                "head": np.tile(np.arange(heads, dtype=np.int32), layers),
                "deviation": self.deviation.ravel(),
                "penalty": self.penalty.ravel(),
            }
        )
        return frame.filter(pl.col("penalty").is_not_nan())


def entropy_penalty(
    stats: HeadStats, thresholds: ArrayLike, *, margin: float = MARGIN, normalizer: Normalizer = "length"
) -> EntropyPenalty:
    """Penalty = delta² if |delta| > gamma E_max, else 0, with delta = E - w E_max of each head.

    The mean over positions and heads, as the paper writes it; its code sums over batch and positions instead, and takes
    the first layer's thresholds for all. The penalty jumps at the margin: it is no hinge.

    Args:
        stats: Whose entropies E are judged.
        thresholds: w in [0, 1]: one for all, (L, 1) by layer, or (L, H).
        margin: gamma in [0, 1].
        normalizer: "length" is the paper's, E in nats and E_max = ln T; "support" takes E over ln of each row's
            support, whose maximum is 1.

    Raises:
        ParameterError: thresholds of another shape or out of range, a margin out of range, or a normaliser without a
            maximum.
    """
    weights = np.asarray(thresholds, dtype=np.float64)
    shape = stats.entropy.shape
    fits = weights.ndim <= 2 and all(a in {1, b} for a, b in zip(weights.shape[::-1], shape[::-1], strict=False))
    if not fits or not ((weights >= 0) & (weights <= 1)).all():
        raise ParameterError(f"Thresholds are shares of the largest entropy, 0 to 1: one, (L, 1) or {shape}.")
    if not 0 <= margin <= 1 or normalizer not in {"support", "length"}:
        raise ParameterError("The margin is 0 to 1, and the normaliser support or length.")
    most = 1.0 if normalizer == "support" else float(np.log(stats.length))
    value = stats.entropy_over("support") if normalizer == "support" else stats.entropy
    deviation = value - weights * most
    penalty = np.where(np.abs(deviation) > margin * most, deviation**2, 0.0)
    penalty = np.where(np.isnan(value), np.nan, penalty)
    return EntropyPenalty(stats.layers, deviation, penalty, margin * most, normalizer)
