"""Logit sketches by torch, for tensors on an accelerator; the same numbers as the compiled kernel gives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from workbench.blocks import raise_for_status
from workbench.entropies_torch import add_moments, distribution_statistics, row_blocks, row_status, to_numpy, widest
from workbench.kernels.entropy import ENTROPY, HIGH, LOG_Z, LOW, MEAN, STD, VARENTROPY
from workbench.kernels.sketch import MAX_BINS
from workbench.traces.sketch import LogitSketch

if TYPE_CHECKING:
    from numpy.typing import NDArray

_ID_BITS = 32
_SMALLEST_INT = -(2**31)


def sketch_tensor(logits: torch.Tensor, token_ids: NDArray[np.int32], *, top: int, bin_width: float) -> LogitSketch:
    """The sketch of (T, V) logits and (T,) realised tokens, -1 for none, computed where the tensor lies.

    Raises:
        LogitsError: NaN, +inf or nothing but -inf in a row, which is named.
    """
    k = min(top, logits.shape[1])
    parts = []
    for start, block in row_blocks(logits):
        rows = block.float()
        raise_for_status(row_status(rows), start)
        ids = torch.from_numpy(token_ids[start : start + len(rows)]).to(rows.device)
        parts.append(_sketch_block(rows, ids, k, bin_width))
    return LogitSketch.concatenate(parts or [_nothing(logits.shape[1], k, bin_width)])


def _sketch_block(rows: torch.Tensor, ids: torch.Tensor, k: int, bin_width: float) -> LogitSketch:
    statistics = distribution_statistics(rows)
    count = add_moments(statistics, rows)
    order = top_indices(rows, k)
    arrays: dict[str, NDArray[Any]] = {
        "token_ids": ids.cpu().numpy(),
        "top_ids": order.cpu().numpy().astype(np.int32),
        "top_logits": rows.gather(1, order).cpu().numpy(),
        "count": count.cpu().numpy().astype(np.int32),
        "low": statistics[:, LOW].float().cpu().numpy(),
    }
    columns = {"log_z": LOG_Z, "entropy": ENTROPY, "varentropy": VARENTROPY, "mean": MEAN, "std": STD}
    arrays |= {name: to_numpy(statistics[:, column]) for name, column in columns.items()}
    realised = rows.gather(1, ids.clamp(min=0).long()[:, None])
    rank = (rows > realised).sum(-1).masked_fill(ids < 0, -1)
    arrays["token_logit"] = realised[:, 0].masked_fill(ids < 0, torch.nan).cpu().numpy()
    arrays["token_rank"] = rank.cpu().numpy().astype(np.int32)
    arrays |= _tail(rows, order, statistics[:, HIGH], bin_width)
    return LogitSketch(**arrays, vocabulary=rows.shape[1], bin_width=bin_width)


def top_indices(rows: torch.Tensor, k: int) -> torch.Tensor:
    """(T, k) indices by (-logit, token id). torch.topk leaves open which of several equals it takes, so it is given
    integers that are all different: the logit's order in the high half, the token id in the low half.
    """
    bits = rows.contiguous().view(torch.int32).long()
    key = torch.where(bits >= 0, bits, _SMALLEST_INT - bits)
    code = (key << _ID_BITS) - torch.arange(rows.shape[1], device=rows.device)
    return code.topk(k, dim=-1).indices


def _tail(rows: torch.Tensor, order: torch.Tensor, high: torch.Tensor, bin_width: float) -> dict[str, NDArray[Any]]:
    wide = widest(rows.device)
    depth = high[:, None] - rows.to(wide)
    bins = (depth * (1.0 / bin_width)).clamp(max=MAX_BINS - 1).long()
    left_out = (rows == -torch.inf).scatter_(1, order, value=True)
    u = torch.where(left_out, 0.0, depth - bins.to(wide) * bin_width)
    bins.masked_fill_(left_out, MAX_BINS)  # one bin more, thrown away
    sums = torch.zeros(3, len(rows), MAX_BINS + 1, dtype=wide, device=rows.device)
    for total, values in zip(sums, (torch.ones_like(u), u, u * u), strict=True):
        total.scatter_add_(1, bins, values)
    count, first, second = to_numpy(sums[:, :, :MAX_BINS])
    used = int(np.flatnonzero(count.any(0)).max(initial=-1)) + 1
    n, largest = np.maximum(count, 1), np.finfo(np.float32).max
    mean, mean_square = np.clip(first / n, 0, largest), np.minimum(second / n, largest)
    return {
        "tail_count": count[:, :used].astype(np.int32),
        "tail_mean": mean[:, :used].astype(np.float32),
        "tail_mean_square": mean_square[:, :used].astype(np.float32),
    }


def _nothing(vocabulary: int, k: int, bin_width: float) -> LogitSketch:
    integer, single, double = np.empty(0, np.int32), np.empty(0, np.float32), np.empty(0)
    return LogitSketch(
        token_ids=integer, top_ids=integer.reshape(0, k), top_logits=single.reshape(0, k),
        log_z=double, entropy=double, varentropy=double, mean=double, std=double, low=single, count=integer,
        token_logit=single, token_rank=integer, tail_count=integer.reshape(0, 0), tail_mean=single.reshape(0, 0),
        tail_mean_square=single.reshape(0, 0), vocabulary=vocabulary, bin_width=bin_width,
    )  # fmt: skip
