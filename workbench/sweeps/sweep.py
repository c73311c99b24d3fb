"""A sweep on disk, read when asked for and never whole."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from workbench.errors import SweepError
from workbench.locations import RUNS
from workbench.sweeps.folder import KEY, RESULTS, SweepFolder
from workbench.sweeps.task import Task
from workbench.traces.columns import SCHEMA
from workbench.traces.sketch import LogitSketch
from workbench.traces.trace import Trace

if TYPE_CHECKING:
    from workbench.sweeps.plan import Unit

_SKETCH = "sketch_"


class Sweep:
    """Results and traces of a sweep, finished or not; what is half-written is never seen.

    `results` and `traces` are lazy polars frames over all finished units, so that a sweep may be larger than memory.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder).expanduser()
        self._files = SweepFolder(self.folder)
        self.settings: dict[str, Any] = self._files.settings()
        """What it was started with."""

    @cached_property
    def task(self) -> Task:
        """Problems, strategies and the plan that follows from them."""
        return Task.of(self._files)

    @property
    def problems(self) -> pl.DataFrame:
        """The problem set: problem, prompt, answer, difficulty and its other columns."""
        return self.task.problems.frame

    @cached_property
    def _units(self) -> tuple[Unit, ...]:
        return self.task.units()

    @property
    def missing(self) -> tuple[Unit, ...]:
        """Units that are not done."""
        done = self._files.done()
        return tuple(unit for unit in self._units if unit.number not in done)

    @property
    def complete(self) -> bool:
        """Whether nothing is missing."""
        return not self.missing

    @property
    def results(self) -> pl.LazyFrame:
        """A row a sequence; see `workbench.sweeps.folder.RESULTS`."""
        return self._scan("results", dict(RESULTS))

    @property
    def traces(self) -> pl.LazyFrame:
        """A row a token: model, sampler, problem, sample, and the columns of a trace; entropies in nats."""
        narrow = {name: pl.Float32() if dtype == pl.Float64 else dtype for name, dtype in SCHEMA.items()}
        return self._scan("traces", {name: RESULTS[name] for name in KEY} | narrow)

    def to_frame(self) -> pl.DataFrame:
        """The results in memory."""
        return self.results.collect()

    def trace(self, problem: str, sample: int = 0, *, sampler: str | None = None, model: str | None = None) -> Trace:
        """One sequence as a Trace, with its logit sketch where the sweep kept one (top > 0).

        Args:
            problem: its id.
            sample: which of its samples.
            sampler: the arm; may be left out where there is one only.
            model: likewise.

        Raises:
            SweepError: no such sequence, not done yet, or several arms and none named.
        """
        arm = {"model": self._only("models", model), "sampler": self._only("samplers", sampler)}
        rows = self.problems["problem"].to_list()
        if problem not in rows or not 0 <= sample < self.settings["samples"]:
            raise SweepError(
                f"There is no sample {sample} of problem {problem!r}; the sweep has {self.settings['samples']} samples "
                f"of {len(rows):,} problems, such as {rows[0]!r}."
            )
        wanted = (rows.index(problem), sample)
        unit = next(u for u in self._units if (u.model, u.sampler) == tuple(arm.values()) and wanted in u.sequences)
        if unit.number not in self._files.done():
            raise SweepError(
                f"Sample {sample} of {problem!r} is not decoded yet; run the sweep again to go on with it."
            )
        return self._read(unit.number, {**arm, "problem": problem, "sample": sample})

    def _read(self, number: int, key: dict[str, Any]) -> Trace:
        alone = pl.all_horizontal(pl.col(name) == value for name, value in key.items())
        result = pl.scan_parquet(self._files.part("results", number)).filter(alone).collect().row(0, named=True)
        frame = pl.scan_parquet(self._files.part("traces", number)).filter(alone).collect()
        about = self._files.about(number)
        own = [name for name in frame.columns if name not in KEY and not name.startswith(_SKETCH)]
        tokens = frame.select(own).cast({name: dtype for name, dtype in SCHEMA.items() if name in own})
        sketch = None
        if "sketch" in about:
            columns = frame.select(pl.col(f"^{_SKETCH}.*$")).rename(lambda name: name.removeprefix(_SKETCH))
            sketch = LogitSketch.from_frame(columns, **about["sketch"])
        meta = {
            **about["meta"],
            "question": result["prompt"],
            "seed": result["seed"],
            "finish": result["finish"],
            **key,
        }
        names = {int(token): text for token, text in about.get("names", {}).items()}
        return Trace(tokens, result["prompt_text"], tuple(result["prompt_ids"]), result["text"], meta, sketch, names)

    def _only(self, what: str, name: str | None) -> str:
        known = list(self.settings[what])
        if name is None and len(known) == 1:
            return str(known[0])
        if name not in known:
            raise SweepError(f"Name one of the {what}: {', '.join(known)}.")
        return str(name)

    def _scan(self, kind: str, schema: dict[str, Any]) -> pl.LazyFrame:
        parts = [self._files.part(kind, number) for number in sorted(self._files.done())]
        if not parts:
            return pl.LazyFrame(schema=schema)
        return pl.scan_parquet(parts).select(list(schema))

    def __repr__(self) -> str:
        done = len(self._files.done())
        state = "complete" if done == len(self._units) else f"{done} of {len(self._units)} batches done"
        s = self.settings
        return (
            f"Sweep({self.folder}: {len(self.problems):,} problems of {s['problems']} x {s['samples']} samples x "
            f"{len(s['samplers'])} sampler(s) x {len(s['models'])} model(s), {state})"
        )


def open_sweep(folder: str | Path) -> Sweep:
    """Open a sweep's folder without reading it; "arithmetic" and "strategies" are the bundled ones.

    Raises:
        SweepError: there is no sweep.
    """
    bundled = RUNS / folder
    return Sweep(bundled if not Path(folder).exists() and SweepFolder(bundled).exists() else folder)
