"""A small run of everything: a bundled model, sixteen tokens, a replay, and their figure as files."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from workbench.doctor.check import FAIL, OK, WARN, Check

if TYPE_CHECKING:
    from collections.abc import Iterator

    from workbench.traces import Trace

TOKENS = 16
FIGURES = "widgets.trial"
"""What is run in a process of its own: nothing here may import widgets."""
_SECONDS = 180


def check_trial() -> Iterator[Check]:
    """Load, record, replay, draw, each with its seconds; what comes after a failure is not tried."""
    from workbench.models import load  # noqa: PLC0415  -- its seconds count
    from workbench.samplers import Sampler  # noqa: PLC0415
    from workbench.samplers.replaying import replay  # noqa: PLC0415
    from workbench.traces import record  # noqa: PLC0415

    clock = _Clock()
    model = load("demo", device="cpu")
    yield Check("load demo", OK, f"{model.parameters:,} parameters{clock.lap()}")
    trace = record(model, "What is 17 plus 25?", max_new_tokens=TOKENS, sampler=Sampler(), seed=0)
    entropy = float(trace.tokens["entropy"].to_numpy().mean())
    yield Check("record", OK, f"{len(trace)} tokens, mean raw entropy {entropy:.3f} nats{clock.lap()}")
    replayed = replay(trace, Sampler(temperature=0.8, top_p=0.9))
    kept = float(replayed.tokens["kept"].to_numpy().mean())
    yield Check("replay", OK, f"top-p 0.9 at T = 0.8 keeps {kept:.1f} tokens on average{clock.lap()}")
    yield from check_figures(trace)


def check_figures(trace: Trace) -> Iterator[Check]:
    """The trace's figure as HTML and PNG; without a browser the PNG is a warning."""
    with TemporaryDirectory() as folder:
        path = trace.save(Path(folder) / "trace.parquet")
        command = [sys.executable, "-m", FIGURES, str(path), folder]
        try:
            run = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False)  # noqa: S603
        except subprocess.TimeoutExpired:
            yield Check("figure", FAIL, f"nothing was drawn in {_SECONDS} s", "Close other programs and try again.")
            return
    lines = [json.loads(line) for line in run.stdout.splitlines() if line.startswith("{")]
    for line in lines:
        yield _drawn(line)
    if run.returncode or not lines:
        last = (run.stderr.strip() or "it ended without a word").splitlines()[-1]
        yield Check("figure", FAIL, last, "pip install --force-reinstall entropy-workbench.")


def _drawn(line: dict[str, Any]) -> Check:
    name = f"figure as {line['format']}"
    if "problem" not in line:
        return Check(name, OK, f"{line['bytes'] / 1000:,.0f} kB, {line['seconds']:.1f} s")
    found, _, remedy = line["problem"].partition(". ")
    return Check(name, WARN if line["format"] == "PNG" else FAIL, f"{found}.", remedy or "Try again.")


class _Clock:
    """Seconds from one lap to the next, in words."""

    def __init__(self) -> None:
        self._then = time.perf_counter()

    def lap(self) -> str:
        """Since the last."""
        then, self._then = self._then, time.perf_counter()
        return f", {self._then - then:.1f} s"
