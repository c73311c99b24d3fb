"""What a sweep will take, before it starts."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import polars as pl
import torch

from workbench.errors import SweepError
from workbench.kernels.sketch import MAX_BINS
from workbench.models.memory import available_memory

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from workbench.models import LanguageModel
    from workbench.sweeps.local import Worker
    from workbench.sweeps.plan import Unit
    from workbench.sweeps.task import Task

_PROBE_TOKENS = 48
_BYTES_A_TOKEN = 24
"""On disk without a sketch, as measured on the demo model's sweeps; texts and results included."""
_LOGITS = 4
"""Copies of a step's logits in float32: raw, processed, probabilities, noise."""


@dataclass(frozen=True)
class Estimate:
    """Upper bounds: every sequence as long as it may be, at the pace of a short probe."""

    sequences: int
    tokens: int
    seconds: float
    tokens_per_second: float
    """Of the probe: the largest batch's first tokens."""
    memory: int
    """Bytes besides the weights: cache, logits and sketches of one batch."""
    memory_free: int | None
    """Bytes free on the model's device; None where that cannot be known."""
    disk: int
    """Bytes."""
    disk_free: int
    batch_size: int = 0
    """Of the batch that needs this much memory."""

    def to_frame(self) -> pl.DataFrame:
        """One row."""
        return pl.DataFrame([vars(self)], schema_overrides={"memory_free": pl.Int64})

    def check(self) -> None:
        """Nothing when it fits.

        Raises:
            SweepError: memory or disk do not suffice; a smaller way is suggested.
        """
        if self.memory_free is not None and self.memory > self.memory_free:
            raise SweepError(
                f"A batch may need {_size(self.memory)} besides the model, and {_size(self.memory_free)} are free. "
                f"Take a smaller batch_size{self._smaller()}, fewer max_new_tokens, or top=0."
            )
        if self.disk > self.disk_free:
            raise SweepError(
                f"The sweep may write {_size(self.disk)}, and {_size(self.disk_free)} are free there. Choose another "
                "folder, fewer samples or problems, or top=0."
            )

    def _smaller(self) -> str:
        """The batch size that would do: what a batch needs grows with it evenly."""
        fits = self.batch_size * (self.memory_free or 0) // max(1, self.memory)
        return f" ({fits} would do)" if fits else ""

    def __str__(self) -> str:
        return (
            f"{self.sequences:,} sequences, at most {self.tokens:,} tokens: at most {_time(self.seconds)} at "
            f"{self.tokens_per_second:,.0f} tokens/s, {_size(self.memory)} of memory a batch, "
            f"{_size(self.disk)} on disk"
        )


def estimate_units(
    task: Task, worker: Worker, units: list[Unit], folder: Path, *, stop: Callable[[], bool] | None = None
) -> Estimate:
    """Count what is left to do, and time the first tokens of the first batch of each model.

    `stop` cuts the timing short, which makes it less sure.
    """
    limits: dict[tuple[str, str], list[int]] = {}
    total = Estimate(0, 0, 0.0, 0.0, 0, None, 0, _disk_free(folder))
    paces: dict[str, float] = {}
    for unit in units:
        model, arm = worker.model(unit.model), (unit.model, unit.sampler)
        if arm not in limits:
            limits[arm] = task.limits(model, unit.sampler, worker.prompts(*arm))
        rows = [row for row, _ in unit.sequences]
        longest = max(limits[arm][row] for row in rows)
        tokens = sum(limits[arm][row] for row in rows)
        prompt = max(len(worker.prompts(*arm)[row]) for row in rows)
        memory = _memory(model, len(unit), prompt + longest, longest, task.top)
        if unit.model not in paces:
            known = [free for free in (_memory_free(model.device), total.memory_free) if free is not None]
            total = replace(total, memory_free=min(known, default=None))
            replace(total, memory=memory, batch_size=len(unit)).check()  # before the probe itself
            paces[unit.model] = _pace(task, worker, unit, stop)
        total = replace(
            total, sequences=total.sequences + len(unit), tokens=total.tokens + tokens,
            seconds=total.seconds + tokens / paces[unit.model], memory=max(memory, total.memory),
            batch_size=len(unit) if memory > total.memory else total.batch_size,
            disk=total.disk + tokens * (_BYTES_A_TOKEN + 6 * min(task.top, model.vocabulary)),
        )  # fmt: skip
    return replace(total, tokens_per_second=total.tokens / total.seconds if total.seconds else 0.0)


def _pace(task: Task, worker: Worker, unit: Unit, stop: Callable[[], bool] | None) -> float:
    """Tokens a second of this batch's first tokens."""
    steps: list[int] = []
    few = replace(task, strategies={unit.sampler: replace(task.strategies[unit.sampler], max_new_tokens=_PROBE_TOKENS)})
    began = time.perf_counter()
    prompts = worker.prompts(unit.model, unit.sampler)
    few.decode(worker.model(unit.model), unit, prompts, stop=stop, on_step=steps.append)
    return sum(steps) / (time.perf_counter() - began)


def _memory_free(device: torch.device) -> int | None:
    """Bytes free, with what this process holds in reserve on an accelerator: the next batch is given that again."""
    free = available_memory(device)
    if free is None or device.type != "cuda":
        return free
    return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)


def _memory(model: LanguageModel, batch: int, length: int, new: int, top: int) -> int:
    """Bytes of a batch: keys and values of every layer and position, some copies of a step's logits, sketches."""
    config = model.hf.config.get_text_config()
    heads = getattr(config, "num_key_value_heads", None) or getattr(config, "num_attention_heads", 0)
    width = getattr(config, "head_dim", None) or config.hidden_size // max(1, getattr(config, "num_attention_heads", 1))
    cache = 2 * config.num_hidden_layers * heads * width * model.precision.itemsize * batch * length
    sketch = batch * new * (8 * min(top, model.vocabulary) + 12 * MAX_BINS) if top else 0
    return cache + _LOGITS * 4 * batch * model.vocabulary + sketch


def _disk_free(folder: Path) -> int:
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


def _size(amount: int) -> str:
    for unit, factor in (("GB", 1e9), ("MB", 1e6)):
        if amount >= factor:
            return f"{amount / factor:.1f} {unit}"
    return f"{amount / 1e3:.0f} kB"


def _time(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
