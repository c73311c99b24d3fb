"""Many problems decoded together against one at a time: the same model, sampler, seeds and tokens, both recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

import workbench as wb
from tests.benchmarks.bench_record import best_of
from workbench.traces.batching import record_batch

if TYPE_CHECKING:
    from collections.abc import Iterator

BUDGET = 4.0
PROBLEMS = 64
BATCH = 64
ROUNDS = 3
MAX_NEW_TOKENS = 600


def rows() -> Iterator[dict]:
    """One row: the bundled model on bundled problems of every difficulty, with the settings it ships with."""
    model = wb.load("demo")
    questions = pl.read_parquet("data/problems/arithmetic.parquet")["prompt"]
    questions = questions.gather_every(len(questions) // PROBLEMS)[:PROBLEMS]
    prompts = [model.encode_prompt(question)[1] for question in questions]
    sampler = wb.Sampler.from_generation_config(model.hf.generation_config)
    made: dict[int, int] = {}

    def swept(size: int) -> None:
        made[size] = 0
        for first in range(0, PROBLEMS, size):
            part = range(first, min(first + size, PROBLEMS))
            traces = record_batch(
                model, [prompts[i] for i in part], sampler=sampler, seeds=part, max_new_tokens=MAX_NEW_TOKENS, top=0
            )
            made[size] += sum(len(trace) for trace in traces)

    swept(BATCH)  # warm
    together, alone = best_of(ROUNDS, lambda: swept(BATCH), lambda: swept(1))
    yield {
        "name": f"batched sweep of {PROBLEMS} problems ({BATCH} at a time)", "peer": "one problem at a time",
        "ours_seconds": together, "peer_seconds": alone, "ratio": alone / together, "budget": f">= {BUDGET:g}x",
        "passed": alone / together >= BUDGET,
        "note": f"{made[BATCH] / together:,.0f} against {made[1] / alone:,.0f} tokens a second",
    }  # fmt: skip
