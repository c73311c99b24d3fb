"""Entropy, varentropy and log Z of logits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from workbench.blocks import BLOCK_BYTES, blocks, is_tensor, raise_for_status
from workbench.kernels.entropy import (
    ALL_EXCLUDED,
    ENTROPY,
    HAS_INFINITY,
    HAS_NAN,
    LOG_Z,
    STATISTICS,
    VARENTROPY,
    entropy_rows,
)
from workbench.kernels.parallel import over_rows

if TYPE_CHECKING:
    import torch
    from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True)
class Entropies:
    """(T,) each, float64, nats."""

    entropy: NDArray[np.float64]
    """H = -Σ p ln p; exp(H) is the effective number of choices."""
    varentropy: NDArray[np.float64]
    """V = Σ p (ln p + H)², the variance of the surprisal; nats squared."""
    log_z: NDArray[np.float64]
    """ln Σ exp(z)."""

    def to_frame(self) -> pl.DataFrame:
        """A row a token."""
        return pl.DataFrame({"entropy": self.entropy, "varentropy": self.varentropy, "log_z": self.log_z})


def entropy(logits: ArrayLike | torch.Tensor) -> Entropies:
    """H, V and log Z of softmax(logits) over the last dimension of (T, V), or of (V,), in nats.

    A logit of -inf has no probability and contributes nothing. bfloat16 and float16 are widened to float32, a block of
    rows at a time; float64 (and integers) are computed in float64, which is slower. Tensors on an accelerator are
    computed there.

    Raises:
        LogitsError: NaN, +inf or nothing but -inf in a row, which is named; no entries, or too many dimensions.
    """
    rows = blocks(logits)
    if is_tensor(rows.array):
        if rows.array.device.type != "cpu":
            from workbench.entropies_torch import entropy_tensor  # noqa: PLC0415  -- torch only where a tensor came in

            return Entropies(*entropy_tensor(rows.array))
        if rows.array.element_size() == np.dtype(np.float64).itemsize:
            return _in_float64(rows.array.numpy())
    elif rows.array.dtype.kind in "iu" or rows.array.dtype.itemsize > np.dtype(np.float32).itemsize:
        return _in_float64(rows.array)
    length, vocabulary = rows.shape
    statistics, status = np.empty((length, STATISTICS)), np.zeros(length, np.uint8)
    counts: Any = np.empty(0, np.int32)
    for start, block in rows:
        part = slice(start, start + len(block))
        over_rows(entropy_rows, len(block), vocabulary, block, False, statistics[part], counts, status[part])
        raise_for_status(status[part], start)
    return _picked(statistics)


def _in_float64(array: NDArray[Any]) -> Entropies:
    """The same by numpy, for logits whose digits float32 would cut off."""
    length, vocabulary = array.shape
    statistics = np.empty((length, STATISTICS))
    step = max(1, BLOCK_BYTES // (8 * vocabulary))
    for start in range(0, length, step):
        z = array[start : start + step].astype(np.float64)
        high = z.max(1)  # NaN where there is one
        status = HAS_NAN * np.isnan(high) + HAS_INFINITY * np.isposinf(high) + ALL_EXCLUDED * np.isneginf(high)
        raise_for_status(status.astype(np.uint8), start)
        depth = z - high[:, None]
        at_top = depth == 0
        weight = np.exp(depth)
        depth[weight == 0] = 0.0  # -inf would make 0 · inf
        count, rest = at_top.sum(1), np.where(at_top, 0.0, weight).sum(1)
        log_total = np.log(count) + np.log1p(rest / count)
        weight /= (count + rest)[:, None]
        mean = (weight * depth).sum(1)
        part = statistics[start : start + step]
        part[:, LOG_Z], part[:, ENTROPY] = high + log_total, log_total - mean
        part[:, VARENTROPY] = (weight * (depth - mean[:, None]) ** 2).sum(1)
    return _picked(statistics)


def _picked(statistics: NDArray[np.float64]) -> Entropies:
    entropy, varentropy, log_z = (statistics[:, column].copy() for column in (ENTROPY, VARENTROPY, LOG_Z))
    return Entropies(entropy, varentropy, log_z)
