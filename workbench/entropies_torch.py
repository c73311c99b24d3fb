"""Statistics of logits by torch, for tensors on an accelerator; the same numbers as the compiled kernels give."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from workbench.blocks import raise_for_status
from workbench.kernels.entropy import (
    ALL_EXCLUDED,
    ENTROPY,
    HAS_INFINITY,
    HAS_NAN,
    HIGH,
    LOG_Z,
    LOW,
    MEAN,
    STATISTICS,
    STD,
    VARENTROPY,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

BLOCK_LOGITS = 2**22
"""Logits widened and worked on at a time: 16 MiB of float32, and arrays of up to twice that size beside it."""
# Below this exp is 0 in float32; -inf itself would make 0 · inf.
_LOWEST = -104.0


def entropy_tensor(logits: torch.Tensor) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Entropy, varentropy and log Z of the rows of (T, V), in nats, computed where the tensor lies.

    Raises:
        LogitsError: NaN, +inf or nothing but -inf in a row, which is named.
    """
    found = np.empty((len(logits), STATISTICS))
    for start, rows in row_blocks(logits):
        raise_for_status(row_status(rows), start)
        found[start : start + len(rows)] = to_numpy(distribution_statistics(rows))
    return found[:, ENTROPY].copy(), found[:, VARENTROPY].copy(), found[:, LOG_Z].copy()


def row_blocks(logits: torch.Tensor) -> Iterator[tuple[int, torch.Tensor]]:
    """(first row, block of rows), widened to float32 a block at a time; float64 stays float64."""
    step = max(1, BLOCK_LOGITS // logits.shape[1])
    for start in range(0, len(logits), step):
        rows = logits[start : start + step]
        yield start, rows if rows.dtype == torch.float64 else rows.float()


def row_status(rows: torch.Tensor) -> NDArray[np.uint8]:
    """(T,) what every row says about itself, as the kernels put it."""
    high = rows.amax(-1)  # NaN where there is one
    status = HAS_NAN * high.isnan() + HAS_INFINITY * (high == torch.inf) + ALL_EXCLUDED * (high == -torch.inf)
    found: NDArray[np.uint8] = status.cpu().numpy().astype(np.uint8)
    return found


def widest(device: torch.device) -> torch.dtype:
    """What sums are kept in: float64, where the device has it."""
    return torch.float32 if device.type == "mps" else torch.float64


def to_numpy(values: torch.Tensor) -> NDArray[np.float64]:
    """In memory, as float64."""
    found: NDArray[np.float64] = values.cpu().numpy().astype(np.float64)
    return found


def distribution_statistics(rows: torch.Tensor) -> torch.Tensor:
    """(T, STATISTICS) of fine rows; log Z, entropy, varentropy and maximum are filled.

    As in kernels/entropy.py: logits equal to the maximum are counted, the varentropy is summed around the mean.
    """
    wide = widest(rows.device)
    high = rows.amax(-1, keepdim=True)
    depth = (rows - high).clamp_(min=_LOWEST)
    at_top = depth == 0
    weight = depth.exp().masked_fill_(depth <= _LOWEST, 0.0)
    count = at_top.sum(-1).to(wide)
    rest = weight.masked_fill(at_top, 0.0).sum(-1, dtype=wide)
    total = count + rest
    log_total = count.log() + (rest / count).log1p()
    mean = (weight * depth).sum(-1, dtype=wide) / total
    centre = mean.to(rows.dtype)
    centred = depth.sub_(centre[:, None])
    shift = (weight * centred).sum(-1, dtype=wide) / total
    found = torch.zeros(len(rows), STATISTICS, dtype=wide, device=rows.device)
    found[:, HIGH] = high[:, 0].to(wide)
    found[:, LOG_Z] = found[:, HIGH] + log_total
    found[:, ENTROPY] = log_total - mean
    found[:, VARENTROPY] = ((weight * centred.square_()).sum(-1, dtype=wide) / total - shift.square()).clamp(min=0.0)
    return found


def add_moments(found: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    """Fill in mean, population standard deviation and minimum of the finite logits; returns their number (T,)."""
    wide = widest(rows.device)
    finite = rows != -torch.inf
    count = finite.sum(-1)
    mean = rows.masked_fill(~finite, 0.0).sum(-1, dtype=wide) / count
    centred = (rows - mean.to(rows.dtype)[:, None]).masked_fill_(~finite, 0.0).to(wide)
    shift = centred.sum(-1) / count
    found[:, MEAN] = mean.to(rows.dtype).to(wide) + shift
    found[:, STD] = (centred.square_().sum(-1) / count - shift.square()).clamp(min=0.0).sqrt()
    found[:, LOW] = rows.masked_fill(~finite, torch.inf).amin(-1).to(wide)
    return count
