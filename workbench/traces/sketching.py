"""Making logit sketches: of whole arrays, and step by step while a model decodes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.blocks import blocks, is_tensor, raise_for_status
from workbench.errors import LogitsError, ParameterError
from workbench.kernels.entropy import ENTROPY, LOG_Z, LOW, MEAN, STATISTICS, STD, VARENTROPY, entropy_rows
from workbench.kernels.parallel import over_rows
from workbench.kernels.sketch import BINS, COUNTS, FINITE, MAX_BINS, RANK, sketch_rows
from workbench.traces.sketch import LogitSketch

if TYPE_CHECKING:
    import torch
    from numpy.typing import ArrayLike, NDArray


def sketch_logits(
    logits: ArrayLike | torch.Tensor,
    token_ids: ArrayLike | torch.Tensor | None = None,
    *,
    top: int = 256,
    bin_width: float = 0.25,
) -> LogitSketch:
    """The sketch of raw logits (T, V), or (V,) for one token, and of the realised tokens (T,) where given.

    Tensors on an accelerator are sketched there. All logits are held as float32: bfloat16 and float16 are widened a
    block of rows at a time, float64 is rounded.

    Raises:
        LogitsError: NaN, +inf or nothing but -inf in a row, which is named; no entry or too many dimensions.
        ParameterError: a token outside the vocabulary, or a top or bin width that is not positive.
    """
    _check(top, bin_width)
    rows = blocks(logits)
    length, vocabulary = rows.shape
    ids = _token_ids(token_ids, length, vocabulary)
    if is_tensor(logits) and rows.array.device.type != "cpu":
        from workbench.traces.sketch_torch import sketch_tensor  # noqa: PLC0415  -- torch only where a tensor came in

        return sketch_tensor(rows.array, ids, top=top, bin_width=bin_width)
    writer = SketchWriter(length, vocabulary, top=top, bin_width=bin_width)
    for start, block in rows:
        writer.append(block, ids[start : start + len(block)])
    return writer.finish()


class SketchWriter:
    """Arrays that sketches are written into, a block of rows at a time; they double when they are full.

    Args:
        capacity: rows to make room for at first.
        vocabulary: V.
        top: K; V where V is smaller. None keeps the statistics alone, exact as ever, and spends no time on the rest.
        bin_width: of the tail's histogram, in nats.
    """

    def __init__(self, capacity: int, vocabulary: int, *, top: int | None = 256, bin_width: float = 0.25) -> None:
        _check(1 if top is None else top, bin_width)
        self.vocabulary, self.bin_width = vocabulary, float(bin_width)
        self.rows = 0
        k = min(top or 0, vocabulary)
        bins = 0 if k in {0, vocabulary} else MAX_BINS
        n = max(capacity, 1)
        self.token_ids = np.empty(n, np.int32)
        self.top_ids, self.top_logits = np.empty((n, k), np.int32), np.empty((n, k), np.float32)
        self.tail_count = np.zeros((n, bins), np.int32)
        self.tail_mean, self.tail_mean_square = np.zeros((n, bins), np.float32), np.zeros((n, bins), np.float32)
        self.statistics, self.counts = np.empty((n, STATISTICS)), np.empty((n, COUNTS), np.int32)
        self.token_logits, self.status = np.empty(n, np.float32), np.empty(n, np.uint8)

    def append(self, logits: NDArray[np.float32], token_ids: NDArray[np.int32]) -> None:
        """Sketch rows (R, V), contiguous float32, whose realised tokens are (R,) int32, -1 for none.

        Raises:
            LogitsError: a row that defines no distribution; it is named by its place among all rows.
        """
        count, end = len(logits), self.rows + len(logits)
        if end > len(self.token_ids):
            self._grow(max(end, 2 * len(self.token_ids)))
        self.token_ids[self.rows : end] = token_ids
        if self.top_ids.shape[1]:
            over_rows(
                sketch_rows, count, self.vocabulary, logits, token_ids, self.bin_width, self.rows,
                self.top_ids, self.top_logits, self.tail_count, self.tail_mean, self.tail_mean_square,
                self.statistics, self.counts, self.token_logits, self.status,
            )  # fmt: skip
        else:
            self._measure(slice(self.rows, end), logits, token_ids)
        if self.status[self.rows : end].any():
            raise_for_status(self.status[self.rows : end], self.rows)
        self.rows = end

    def _measure(self, rows: slice, logits: NDArray[np.float32], token_ids: NDArray[np.int32]) -> None:
        """Statistics, count, realised logit and rank, and nothing of the distributions' shape."""
        count, known = len(logits), token_ids >= 0
        finite = np.zeros(count, np.int32)
        over_rows(entropy_rows, count, self.vocabulary, logits, True, self.statistics[rows], finite, self.status[rows])
        realised = np.where(known, logits[np.arange(count), token_ids], np.float32(np.nan))
        self.token_logits[rows] = realised
        larger = np.count_nonzero(logits > realised[:, None], axis=1)
        self.counts[rows, FINITE], self.counts[rows, BINS] = finite, 0
        self.counts[rows, RANK] = np.where(known, larger, -1)

    def finish(self, rows: slice | NDArray[np.int64] | None = None) -> LogitSketch:
        """The sketch of all rows so far, or of those named; its arrays are copies."""
        chosen = np.arange(self.rows)[slice(None) if rows is None else rows]
        bins = int(self.counts[chosen, BINS].max(initial=0))
        statistics = self.statistics[chosen]
        return LogitSketch(
            token_ids=self.token_ids[chosen],
            top_ids=self.top_ids[chosen],
            top_logits=self.top_logits[chosen],
            log_z=statistics[:, LOG_Z].copy(),
            entropy=statistics[:, ENTROPY].copy(),
            varentropy=statistics[:, VARENTROPY].copy(),
            mean=statistics[:, MEAN].copy(),
            std=statistics[:, STD].copy(),
            low=statistics[:, LOW].astype(np.float32),
            count=self.counts[chosen, FINITE],
            token_logit=self.token_logits[chosen],
            token_rank=self.counts[chosen, RANK],
            tail_count=self.tail_count[chosen, :bins],
            tail_mean=self.tail_mean[chosen, :bins],
            tail_mean_square=self.tail_mean_square[chosen, :bins],
            vocabulary=self.vocabulary,
            bin_width=self.bin_width,
        )

    def _grow(self, capacity: int) -> None:
        for name, array in vars(self).items():
            if isinstance(array, np.ndarray):
                larger: Any = np.zeros((capacity, *array.shape[1:]), array.dtype)
                larger[: self.rows] = array[: self.rows]
                setattr(self, name, larger)


def _check(top: int, bin_width: float) -> None:
    if top < 1:
        raise ParameterError(f"top={top}: a sketch holds at least one logit a token; 256 is usual.")
    if not (np.isfinite(bin_width) and bin_width > 0):
        raise ParameterError(f"bin_width={bin_width}: choose a width in nats above 0; 0.25 is usual.")


def _token_ids(given: ArrayLike | torch.Tensor | None, length: int, vocabulary: int) -> NDArray[np.int32]:
    if given is None:
        return np.full(length, -1, np.int32)
    array: Any = given
    ids = np.asarray(array.cpu() if is_tensor(given) else array, dtype=np.int64).reshape(-1)
    if len(ids) != length:
        raise LogitsError(f"{length} rows of logits but {len(ids)} token ids: there must be one token a row.")
    outside = np.flatnonzero((ids < -1) | (ids >= vocabulary))
    if len(outside):
        where = int(outside[0])
        raise ParameterError(f"Token {ids[where]} at step {where} is outside the vocabulary of {vocabulary}.")
    return ids.astype(np.int32)
