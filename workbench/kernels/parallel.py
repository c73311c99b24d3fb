"""Rows shared out among threads.

The kernels release the GIL and a thread pool runs them, instead of numba's own `prange`: numba's workqueue layer
ends the process when two Python threads enter it at once (panels compute off the main thread), and its OpenMP layer
ends it after a fork.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TYPE_CHECKING

from numba import config

if TYPE_CHECKING:
    from collections.abc import Callable

# Handing work to a thread and waiting for it costs about as much as 1e5 logits.
SMALLEST_PARALLEL_WORK = 1 << 19
_SHARES_PER_THREAD = 4  # so that a core lent to someone else does not hold up the whole


def thread_count() -> int:
    """As many threads as numba would use: NUMBA_NUM_THREADS, else the cores this process may run on."""
    return int(config.NUMBA_NUM_THREADS)


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(thread_count(), thread_name_prefix="workbench-kernel")


# A forked child inherits the pool object, but none of its threads.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.cache_clear)


def over_rows(kernel: Callable[..., object], rows: int, row_length: int, *arguments: object) -> None:
    """Call `kernel(start, stop, *arguments)` so that every row in [0, rows) is covered once.

    Args:
        kernel: compiled with `nogil=True`, writing row t of its outputs only for start <= t < stop.
        rows: how many rows there are.
        row_length: numbers read in a row; below `SMALLEST_PARALLEL_WORK` in all no thread is woken.
        arguments: passed on unchanged.
    """
    threads = thread_count()
    if rows < 2 or threads < 2 or rows * row_length < SMALLEST_PARALLEL_WORK:
        kernel(0, rows, *arguments)
        return
    share = max(1, rows // (threads * _SHARES_PER_THREAD))
    starts = range(0, rows, share)
    calls = [_pool().submit(kernel, start, min(start + share, rows), *arguments) for start in starts]
    for call in calls:
        call.result()
