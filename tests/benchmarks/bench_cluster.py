"""Two Ray workers against one, and a scan over a sweep of more than a million tokens."""

from __future__ import annotations

import shutil
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

import workbench as wb
from tests.benchmarks.bench_record import best_of
from workbench.locations import RUNS

if TYPE_CHECKING:
    from collections.abc import Iterator

PROBLEMS, SAMPLES, BATCH, NEW_TOKENS = 96, 2, 24, 200
TOKENS = 1_000_000


def rows() -> Iterator[dict]:
    """A row for the cluster, a row for the scan."""
    yield workers()
    yield scan()


def workers() -> dict:
    """The same sweep by one worker and by two, a CPU and so a thread each; Ray is up before."""
    problems = wb.problems.load("arithmetic", limit=PROBLEMS)
    with tempfile.TemporaryDirectory() as folder:
        seconds = {count: swept(problems, Path(folder) / str(count), count) for count in (2, 1)}
        tokens = wb.sweeps.open_sweep(Path(folder) / "2").to_frame()["tokens"].sum()
    return {
        "name": "sweep by two Ray workers", "peer": "one Ray worker", "ours_seconds": seconds[2],
        "peer_seconds": seconds[1], "ratio": seconds[1] / seconds[2], "budget": "", "passed": None,
        "note": f"{len(problems) * SAMPLES} sequences, {tokens:,} tokens; start of the actors included",
    }  # fmt: skip


def swept(problems: wb.problems.Problems, out: Path, count: int) -> float:
    """Seconds of one sweep."""
    import ray  # noqa: PLC0415

    ray.init(address="local", include_dashboard=False, log_to_driver=False, num_cpus=count)
    try:
        began = time.perf_counter()
        wb.sweeps.run(
            "demo", problems, samples=SAMPLES, max_new_tokens=NEW_TOKENS, batch_size=BATCH, backend="ray",
            workers=count, out=out, progress=False,
        )  # fmt: skip
        return time.perf_counter() - began
    finally:
        ray.shutdown()


def scan() -> dict:
    """Mean entropy by phase and sampler, lazily, against the same from whole parts in memory."""
    source = RUNS / "arithmetic"
    with tempfile.TemporaryDirectory() as temporary:
        folder, number, tokens = Path(temporary) / "sweep", 0, 0
        for kind in ("traces", "results"):
            (folder / kind).mkdir(parents=True)
        for name in ("sweep.json", "problems.parquet"):
            shutil.copy(source / name, folder)
        parts = sorted((source / "traces").glob("*.parquet"))
        while tokens < TOKENS:
            part = parts[number % len(parts)]
            for kind in ("traces", "results"):
                shutil.copy(source / kind / part.name, folder / kind / f"part-{number:05d}.parquet")
            tokens += pl.scan_parquet(part).select(pl.len()).collect().item()
            number += 1
        sweep = wb.sweeps.open_sweep(folder)
        means = [pl.col("entropy").mean(), pl.col("sampled_entropy").mean(), pl.len()]

        def lazily() -> None:
            sweep.traces.group_by("sampler", "phase").agg(means).collect(engine="streaming")

        def whole() -> None:
            frames = [pl.read_parquet(path) for path in sorted((folder / "traces").glob("*.parquet"))]
            pl.concat(frames).group_by("sampler", "phase").agg(means)

        lazily()
        ours, peer = best_of(3, lazily, whole)
    return {
        "name": "scan of a sweep, entropy by phase", "peer": "reading every part whole", "ours_seconds": ours,
        "peer_seconds": peer, "ratio": peer / ours, "budget": "", "passed": None,
        "note": f"{tokens:,} tokens in {number} parts (the bundled sweep repeated)",
    }  # fmt: skip
