"""The largest logits of a row in a fixed order: falling, equals by token id."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numba import njit

from workbench.kernels.entropy import SUMS, order_key

if TYPE_CHECKING:
    from numpy.typing import NDArray

ID_BITS = 32
_ID_MASK = (1 << ID_BITS) - 1
_GATHER = 128
_NEGATIVE_INFINITY = np.float32(-np.inf)
_ZERO_INT, _ONE_INT = np.int32(0), np.int32(1)


@njit
def order_code(key: np.int32, token: int) -> np.int64:
    """An int64 that sorts by (-logit, token id)."""
    return (-np.int64(key) << ID_BITS) + token


@njit(fastmath=SUMS)
def gather_above(row: NDArray[np.float32], cut: np.float32, codes: NDArray[np.int64]) -> int:
    """Order codes of the logits >= cut (a finite number), in order of token id; returns their number."""
    bits = row.view(np.int32)
    found = 0
    for start in range(0, row.shape[0], _GATHER):
        block = row[start : start + _GATHER]
        hits = _ZERO_INT
        for i in range(block.shape[0]):
            hits = np.int32(hits + (_ONE_INT if block[i] >= cut else _ZERO_INT))
        if hits == 0:
            continue
        for i in range(start, start + block.shape[0]):
            if row[i] >= cut:
                codes[found] = order_code(order_key(bits[i]), i)
                found += 1
    return found


@njit
def kth_code(codes: NDArray[np.int64], k: int) -> int:
    """The k-th smallest of codes that are all different, by bisection: no bad case, no reordering."""
    low, high = codes.min(), codes.max()
    while low < high:
        middle = (low & high) + ((low ^ high) >> 1)  # their mean, where low + (high - low) // 2 would overflow
        below = 0
        for i in range(codes.shape[0]):
            below += codes[i] <= middle
        if below >= k:
            high = middle
        else:
            low = middle + 1
    return int(low)


@njit
def write_top(
    row: NDArray[np.float32],
    codes: NDArray[np.int64],
    top_ids: NDArray[np.int32],
    top_logits: NDArray[np.float32],
) -> None:
    """Sort the codes and write them out; places beyond the finite logits take the -inf tokens, lowest id first."""
    codes.sort()
    for j in range(codes.shape[0]):
        token = codes[j] & _ID_MASK
        top_ids[j] = token
        top_logits[j] = row[token]
    token = 0
    for j in range(codes.shape[0], top_ids.shape[0]):
        while row[token] != _NEGATIVE_INFINITY:
            token += 1
        top_ids[j] = token
        top_logits[j] = _NEGATIVE_INFINITY
        token += 1


@njit
def rank_of(row: NDArray[np.float32], logit: np.float32) -> int:
    """How many logits are strictly larger."""
    larger = _ZERO_INT
    for i in range(row.shape[0]):
        larger = np.int32(larger + (_ONE_INT if row[i] > logit else _ZERO_INT))
    return int(larger)
