"""Entropy and sketch of 512 rows of a 151 936 vocabulary, against what one would write in torch."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numba import njit

from workbench.entropies import entropy
from workbench.kernels.parallel import over_rows, thread_count
from workbench.traces.sketching import sketch_logits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROWS, VOCABULARY, REPEATS = 512, 151_936, 5
PEER_ROWS = 128  # torch's intermediates are as large as the logits: in blocks, so that they fit any machine


@njit(nogil=True, fastmath=True)
def sum_rows(start: int, stop: int, logits: np.ndarray, out: np.ndarray) -> None:
    """The least anyone can do with every number: read it and add it."""
    for t in range(start, stop):
        total = np.float32(0.0)
        for i in range(logits.shape[1]):
            total += logits[t, i]
        out[t] = total


def torch_entropy(logits: torch.Tensor) -> None:
    """Entropy, varentropy and log Z through log_softmax."""
    for rows in logits.split(PEER_ROWS):
        logp = torch.log_softmax(rows, -1)
        p = logp.exp()
        h = -(p * logp).sum(-1)
        (p * (logp + h[:, None]).square()).sum(-1)
        rows[:, 0] - logp[:, 0]


def torch_sketch(logits: torch.Tensor) -> None:
    """The top 256, log Z and entropy; no histogram of the rest."""
    for rows in logits.split(PEER_ROWS):
        rows.topk(256)
        logp = rows - rows.logsumexp(-1, keepdim=True)
        -(logp.exp() * logp).sum(-1)


def best_of(*actions: Callable[[], object]) -> list[float]:
    """Seconds of each, the best of REPEATS, taking turns so that a busy machine is busy for all."""
    best = [float("inf")] * len(actions)
    for action in actions:
        action()
    for _ in range(REPEATS):
        for i, action in enumerate(actions):
            began = time.perf_counter()
            action()
            best[i] = min(best[i], time.perf_counter() - began)
    return best


def row(
    name: str, peer: str, seconds: tuple[float | None, float | None], *, ratio: float, budget: float, note: str
) -> dict:
    """One row of the table; a ratio is passed when it reaches its budget."""
    shown = f">= {budget:g}x"
    return {
        "name": name, "peer": peer, "ours_seconds": seconds[0], "peer_seconds": seconds[1],
        "ratio": ratio, "budget": shown, "passed": ratio >= budget, "note": note,
    }  # fmt: skip


def entropy_rows(logits: np.ndarray) -> Iterator[dict]:
    """Entropy against torch, and against the speed at which the machine reads memory."""
    tensor, out = torch.from_numpy(logits), np.empty(len(logits), np.float32)
    ours, peer, read = best_of(
        lambda: entropy(logits),
        lambda: torch_entropy(tensor),
        lambda: over_rows(sum_rows, ROWS, VOCABULARY, logits, out),
    )
    size = f"({ROWS}, {VOCABULARY}) float32, {thread_count()} threads"
    yield row(
        "entropy + varentropy + log Z",
        "torch.log_softmax, exp, sums",
        (ours, peer),
        ratio=peer / ours,
        budget=8,
        note=size,
    )
    rates = f"{logits.nbytes / ours / 1e9:.1f} of {logits.nbytes / read / 1e9:.1f} GB/s"
    yield row(
        "the same, share of read bandwidth",
        "summing the array",
        (ours, read),
        ratio=read / ours,
        budget=0.25,
        note=rates,
    )


def sketch_rows(logits: np.ndarray) -> Iterator[dict]:
    """The sketch against torch, and its size against the logits'."""
    tensor = torch.from_numpy(logits)
    ours, peer = best_of(lambda: sketch_logits(logits), lambda: torch_sketch(tensor))
    yield row(
        "sketch",
        "torch.topk(256) + logsumexp + entropy",
        (ours, peer),
        ratio=peer / ours,
        budget=5,
        note=f"{ROWS} rows",
    )
    sketch = sketch_logits(logits, np.arange(ROWS))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sketch.parquet"
        sketch.to_frame().write_parquet(path, compression="zstd")
        stored = path.stat().st_size
    for name, size in (("sketch in memory", sketch.nbytes), ("sketch on disk (Parquet, zstd)", stored)):
        note = f"{size / ROWS:,.0f} bytes a token"
        yield row(name, "float32 logits", (None, None), ratio=logits.nbytes / size, budget=100, note=note)


def rows() -> Iterator[dict]:
    """All rows; torch gets as many threads as the kernels."""
    threads = torch.get_num_threads()
    torch.set_num_threads(thread_count())
    try:
        logits = np.random.default_rng(0).standard_normal((ROWS, VOCABULARY), dtype=np.float32) * np.float32(3)
        with torch.inference_mode():
            yield from entropy_rows(logits)
            yield from sketch_rows(logits)
    finally:
        torch.set_num_threads(threads)
