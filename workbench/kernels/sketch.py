"""The K largest logits of a row and a histogram of the rest.

One scalar pass counts logits by depth below the maximum. The bin in which the count reaches K bounds the K-th logit
from below; the few logits above that bound are gathered, and bisection over (logit, token id) picks exactly K. A row
of 151 936 float32 stays in a core's L2 cache, so that only the first pass over it waits for memory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numba import njit

from workbench.kernels.entropy import (
    FINE,
    HIGH,
    entropy_row,
    float_from_key,
    key_range,
    moments_row,
    row_status,
)
from workbench.kernels.selection import ID_BITS, gather_above, kth_code, rank_of, write_top

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_BINS = 256
# Columns of the counts array: finite logits, rank of the realised token (-1: none), bins in use.
FINITE, RANK, BINS = range(3)
COUNTS = 3

_LANES = 4  # histograms filled in turn, so that one addition need not wait for the last
_STRETCH = 512
_EXCLUDED = np.int32(MAX_BINS)
_BIN_MASK = 2 * MAX_BINS - 1  # tells the compiler that a bin is no negative index
_NEGATIVE_INFINITY = np.float32(-np.inf)
_LARGEST = np.finfo(np.float32).max


@njit
def depth_bin(depth: float, bin_width: float) -> int:
    """Index of the bin that holds a logit this far below the maximum; the last bin is open."""
    return int(min(depth * (1.0 / bin_width), MAX_BINS - 1.0))


@njit
def bins_and_offsets(
    block: NDArray[np.float32], high: float, bin_width: float, bins: NDArray[np.int32], offsets: NDArray[np.float64]
) -> None:
    """The bin b of each logit (_EXCLUDED for -inf) and u = depth - b · bin_width: the part that vectorises."""
    inverse = 1.0 / bin_width
    for i in range(block.shape[0]):
        kept = block[i] != _NEGATIVE_INFINITY
        depth = high - np.float64(block[i]) if kept else 0.0
        b = np.int32(min(depth * inverse, MAX_BINS - 1.0))
        offsets[i] = depth - b * bin_width
        bins[i] = b if kept else _EXCLUDED


@njit
def depth_histogram(
    row: NDArray[np.float32], high: float, bin_width: float, lanes: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Count, Σ u and Σ u² in each bin over the finite logits: a view of lanes, (MAX_BINS + 1, 4)."""
    lanes[:] = 0.0
    bins = np.empty(_STRETCH, np.int32)
    offsets = np.empty(_STRETCH, np.float64)
    for start in range(0, row.shape[0], _STRETCH):
        block = row[start : start + _STRETCH]
        bins_and_offsets(block, high, bin_width, bins, offsets)
        for i in range(block.shape[0]):
            cell = lanes[i % _LANES, np.int64(bins[i]) & _BIN_MASK]
            u = offsets[i]
            cell[0] += 1.0
            cell[1] += u
            cell[2] += u * u
    for lane in range(1, _LANES):
        lanes[0] += lanes[lane]
    return lanes[0]


@njit
def bin_of_kth(histogram: NDArray[np.float64], k: int) -> int:
    """First bin at which the number of logits from the maximum down reaches k."""
    seen = 0.0
    for b in range(MAX_BINS):
        seen += histogram[b, 0]
        if seen >= k:
            return b
    return MAX_BINS - 1


@njit
def keep_first(
    codes: NDArray[np.int64], k: int, high: float, bin_width: float, cell: NDArray[np.float64], b: int
) -> None:
    """Move the k smallest codes to the front; what is left over in bin b becomes that bin's count and sums."""
    last = kth_code(codes, k)
    cell[:] = 0.0
    kept = 0
    for i in range(codes.shape[0]):
        code = codes[i]
        if code <= last:
            codes[kept] = code
            kept += 1
            continue
        depth = high - np.float64(float_from_key(np.int32(-(code >> ID_BITS))))
        if depth_bin(depth, bin_width) == b:
            u = depth - b * bin_width
            cell[0] += 1.0
            cell[1] += u
            cell[2] += u * u


@njit
def write_tail(
    histogram: NDArray[np.float64],
    first: int,
    count: NDArray[np.int32],
    mean: NDArray[np.float32],
    mean_square: NDArray[np.float32],
) -> int:
    """Write the bins from `first` down, zeros above; returns how many bins are in use."""
    used = 0
    for b in range(count.shape[0]):
        n = histogram[b, 0] if b >= first else 0.0
        count[b] = int(n)
        mean[b] = min(max(histogram[b, 1] / n, 0.0), _LARGEST) if n > 0 else 0.0
        mean_square[b] = min(histogram[b, 2] / n, _LARGEST) if n > 0 else 0.0
        if n > 0:
            used = b + 1
    return used


@njit
def cut_below(high: float, b: int, bin_width: float) -> np.float32:
    """A float32 at or a little below the lower edge of bin b; every float32 when b is the open last bin."""
    if b == MAX_BINS - 1:
        return np.float32(-_LARGEST)
    edge = high - (b + 1) * bin_width
    slack = 1e-6 * (abs(edge) + abs(high))
    return np.float32(max(edge - slack, -np.float64(_LARGEST)))


@njit(nogil=True, cache=True)
def sketch_rows(
    start: int,
    stop: int,
    logits: NDArray[np.float32],  # (T, V), contiguous
    tokens: NDArray[np.int32],  # (T,); -1 where no token was realised
    bin_width: float,
    offset: int,  # row t of the logits is written to row offset + t of the outputs
    top_ids: NDArray[np.int32],  # (N, K), K <= V
    top_logits: NDArray[np.float32],  # (N, K)
    tail_count: NDArray[np.int32],  # (N, MAX_BINS), or (N, 0) when K = V
    tail_mean: NDArray[np.float32],  # as tail_count
    tail_mean_square: NDArray[np.float32],  # as tail_count
    statistics: NDArray[np.float64],  # (N, STATISTICS), columns as in kernels/entropy.py
    counts: NDArray[np.int32],  # (N, COUNTS)
    token_logits: NDArray[np.float32],  # (N,); NaN where no token was realised
    status: NDArray[np.uint8],  # (N,); rows that are not FINE stay as they were
) -> None:
    """Everything a LogitSketch holds, for rows start to stop of the logits."""
    k = top_ids.shape[1]
    lanes = np.empty((_LANES, MAX_BINS + 1, 4), np.float64)
    codes = np.empty(logits.shape[1], np.int64)
    for t in range(start, stop):
        row, out = logits[t], offset + t
        bits = row.view(np.int32)
        key_high, key_low = key_range(bits)
        status[out] = row_status(key_high, key_low)
        if status[out] != FINE:
            continue
        entropy_row(row, float_from_key(key_high), statistics[out])
        finite = moments_row(row, bits, statistics[out])
        counts[out, FINITE] = finite
        high = statistics[out, HIGH]
        first = MAX_BINS  # no tail
        if finite <= k:
            found = gather_above(row, np.float32(-_LARGEST), codes)
        else:
            histogram = depth_histogram(row, high, bin_width, lanes)
            first = bin_of_kth(histogram, k)
            found = gather_above(row, cut_below(high, first, bin_width), codes)
            keep_first(codes[:found], k, high, bin_width, histogram[first], first)
            found = k
        write_top(row, codes[:found], top_ids[out], top_logits[out])
        counts[out, BINS] = write_tail(lanes[0], first, tail_count[out], tail_mean[out], tail_mean_square[out])
        token = tokens[t]
        counts[out, RANK] = rank_of(row, row[token]) if token >= 0 else -1
        token_logits[out] = row[token] if token >= 0 else np.nan
