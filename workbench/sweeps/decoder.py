"""What a worker of a cluster does, in a process of its own: no Ray in it, and nothing heavy until it begins."""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.errors import SweepError, WorkbenchError
from workbench.sweeps.folder import SweepFolder
from workbench.sweeps.local import Worker
from workbench.sweeps.stopping import StopFile
from workbench.sweeps.task import Task

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from workbench.sweeps.estimating import Estimate
    from workbench.sweeps.plan import Unit

ATTEMPTS = 2
"""At a batch. Ray starts a worker that died again without end, and a batch too big for its memory kills every one."""
POLL = 0.2
"""Seconds between two looks at whether to stop: the folder may be on another machine."""


class Decoder:
    """One worker: loads what it needs once, then decodes and writes a unit at a call."""

    def __init__(self, folder: str, sources: Mapping[str, str], threads: int) -> None:
        self._folder, self._sources, self._threads = folder, sources, threads
        self._worker: Worker | None = None
        self._files = SweepFolder(Path(folder))
        self._units: dict[int, Unit] = {}
        self._stop: Callable[[], bool] = lambda: False

    def __call__(self, batch: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """A row a unit: unit, tokens, sequences (0 where it was stopped), and what went wrong ("" for nothing)."""
        for number in batch["unit"].tolist():
            tokens, problem = None, ""
            try:
                worker = self._begun()
                with _attempt(self._files.attempts_file(number), number):
                    tokens = worker.run(self._units[number], stop=self._stop)
            except WorkbenchError as error:  # in words, for Ray would wrap it in a page of its own
                problem = str(error)
            done = 0 if tokens is None else len(self._units[number])
            yield {"unit": [number], "tokens": [tokens or 0], "sequences": [done], "problem": [problem]}

    def _begun(self) -> Worker:
        """Read the sweep's folder once; here and not in the constructor, of whose errors Ray makes a riddle."""
        if self._worker is None:
            self._files, task, self._worker = _opened(self._folder, self._sources, self._threads)
            self._units = {unit.number: unit for unit in task.units()}
            self._stop = StopFile(self._files.stop_file, POLL)
        return self._worker


@contextmanager
def _attempt(path: Path, number: int) -> Iterator[None]:
    """Note this process's id while it works at a unit; what is noted already are those that died of it.

    Raises:
        SweepError: enough have.
    """
    died = len(path.read_text().split()) if path.exists() else 0
    if died >= ATTEMPTS:
        raise SweepError(
            f"Batch {number} ended {died} workers, most likely for want of memory. What was finished is kept; run the "
            "sweep with fewer workers, or in another folder with a smaller batch_size."
        )
    with path.open("a") as notes:
        notes.write(f"{os.getpid()}\n")
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def estimated(folder: str, sources: Mapping[str, str], threads: int) -> Estimate | str:
    """What one worker alone would take for what is left, or what went wrong; a Ray task."""
    from workbench.sweeps.estimating import estimate_units  # noqa: PLC0415  -- in the worker's process

    try:
        files, task, worker = _opened(folder, sources, threads)
        done = files.done()
        left = [unit for unit in task.units() if unit.number not in done]
        found = estimate_units(task, worker, left, files.path, stop=StopFile(files.stop_file, POLL))
        found.check()
    except WorkbenchError as error:
        return str(error)
    return found


def _opened(folder: str, sources: Mapping[str, str], threads: int) -> tuple[SweepFolder, Task, Worker]:
    import torch  # noqa: PLC0415  -- in the worker's process

    torch.set_num_threads(threads)
    files = SweepFolder(Path(folder))
    if not files.exists():
        raise SweepError(f"A worker does not see {folder}. Take a folder that all machines share.")
    task = Task.of(files)
    return files, task, Worker(files, task, sources)
