"""One move of a sampler's slider on 4,096 tokens of a 151,936 vocabulary, against transformers' warpers on logits."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from transformers import TemperatureLogitsWarper, TopPLogitsWarper, TypicalLogitsWarper

import workbench as wb
from workbench.kernels.parallel import thread_count
from workbench.samplers import LocallyTypical, Temperature, TopP
from workbench.traces.sketch import LogitSketch
from workbench.traces.sketching import sketch_logits
from workbench.traces.trace import token_frame

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TOKENS, VOCABULARY, BLOCK = 4096, 151_936, 128
PEER_ROWS = 128
"""Rows the warpers are timed on; their time grows with the rows, and all of them at once need tens of gigabytes."""
MOVES = 20
RATIO, SECONDS = 1000, 0.016

FIRST_MOVE = """
import sys, time
import workbench as wb
trace = wb.Trace.load(sys.argv[1])
began = time.perf_counter()
replayer = wb.Replayer(trace)
replayer.replay(wb.Sampler(temperature=0.8, top_p=0.9)).summary
print(time.perf_counter() - began)
"""


def block(rng: np.random.Generator) -> np.ndarray:
    """Logits as a language model's: a wide floor, some dozen candidates above it, and often one far above those."""
    logits = rng.standard_normal((BLOCK, VOCABULARY), dtype=np.float32) * np.float32(2)
    rows = np.arange(BLOCK)[:, None]
    logits[rows, rng.integers(0, VOCABULARY, (BLOCK, 60))] = 10 + rng.exponential(1.6, (BLOCK, 60))
    logits[rows[:, 0], rng.integers(0, VOCABULARY, BLOCK)] = 13 + rng.exponential(5, BLOCK)
    return logits


def synthetic() -> tuple[wb.Trace, np.ndarray]:
    """A trace of such logits, each token drawn from its row, and the first block itself."""
    rng = np.random.default_rng(0)
    parts, kept = [], None
    for _ in range(TOKENS // BLOCK):
        logits = block(rng)
        kept = logits if kept is None else kept
        parts.append(sketch_logits(logits, (logits + rng.gumbel(size=logits.shape)).argmax(1)))
    sketch = LogitSketch.concatenate(parts)
    names = token_frame(sketch, texts=["·"] * TOKENS, phases=["answer"] * TOKENS)
    return wb.Trace(names, text="·" * TOKENS, sketch=sketch), kept


def moved(replayer: wb.Replayer, sampler: Callable[[float], wb.Sampler], values: np.ndarray) -> float:
    """Median seconds of one move: what the panel asks for is worked out each time."""
    taken = []
    for value in values:
        began = time.perf_counter()
        replay = replayer.replay(sampler(float(value)))
        replay["entropy"], replay["kept"], replay.dropped, replay.summary
        taken.append(time.perf_counter() - began)
    return statistics.median(taken[2:])


def warped(logits: torch.Tensor, *warpers: Any) -> float:
    """Seconds transformers' warpers need for all tokens, from those for PEER_ROWS; the best of three."""
    taken = []
    for _ in range(3):
        began = time.perf_counter()
        scores = logits
        for warper in warpers:
            scores = warper(None, scores)
        torch.distributions.Categorical(logits=scores).entropy()
        taken.append(time.perf_counter() - began)
    return min(taken) * TOKENS / PEER_ROWS


def rows() -> Iterator[dict]:
    """A row a kind of move, and one for the first move of a fresh process."""
    threads = torch.get_num_threads()
    torch.set_num_threads(thread_count())
    trace, logits = synthetic()
    scores, replayer = torch.from_numpy(logits), wb.Replayer(trace)
    chain = wb.Sampler.chain
    moves = {
        "top-p": (lambda v: chain([TopP(v)]), np.linspace(0.5, 0.95, MOVES), (TopPLogitsWarper(0.9),)),
        "locally typical": (
            lambda v: chain([LocallyTypical(v)]), np.linspace(0.5, 0.95, MOVES), (TypicalLogitsWarper(0.9),),
        ),
        "top-p after temperature 0.8": (
            lambda v: chain([Temperature(0.8), TopP(v)]), np.linspace(0.5, 0.95, MOVES),
            (TemperatureLogitsWarper(0.8), TopPLogitsWarper(0.9)),
        ),
        "temperature before top-p 0.9": (
            lambda v: chain([Temperature(v), TopP(0.9)]), np.linspace(0.6, 1.2, MOVES),
            (TemperatureLogitsWarper(0.8), TopPLogitsWarper(0.9)),
        ),
    }  # fmt: skip
    try:
        with torch.inference_mode():
            for name, (sampler, values, warpers) in moves.items():
                ours, peer = moved(replayer, sampler, values), warped(scores, *warpers)
                yield {
                    "name": f"slider move: {name}",
                    "peer": f"transformers' warpers, {PEER_ROWS} rows x {TOKENS // PEER_ROWS}",
                    "ours_seconds": ours, "peer_seconds": peer, "ratio": peer / ours, "budget": f">= {RATIO}x, 16 ms",
                    "passed": peer / ours >= RATIO and ours <= SECONDS,
                    "note": f"{TOKENS} x {VOCABULARY}, mean entropy {trace.tokens['entropy'].mean():.2f} nats",
                }  # fmt: skip
    finally:
        torch.set_num_threads(threads)
    yield first_move(trace)


def first_move(trace: wb.Trace) -> dict:
    """A process of its own, kernels compiled before as the installation does; the median of three."""
    with tempfile.TemporaryDirectory() as folder:
        path = trace.save(Path(folder) / "trace.parquet")
        taken = [
            float(subprocess.run([sys.executable, "-c", FIRST_MOVE, path], capture_output=True, check=True).stdout)
            for _ in range(3)
        ]
    seconds = statistics.median(taken)
    return {
        "name": "first slider move in a fresh kernel", "peer": "one second", "ours_seconds": seconds,
        "peer_seconds": 1.0, "ratio": seconds, "budget": "<= 1 s", "passed": seconds <= 1.0,
        "note": "kernels from the cache; the trace is loaded",
    }  # fmt: skip
