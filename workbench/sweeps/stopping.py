"""A wish to stop, passed on to workers in other processes through the folder that all of them see."""

from __future__ import annotations

import time
from contextlib import contextmanager
from threading import Event, Thread
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


class StopFile:
    """Says True once the file is there; looks every `seconds` at most, for it is asked after every token."""

    def __init__(self, path: Path, seconds: float) -> None:
        self._path, self._seconds = path, seconds
        self._looked, self._found = float("-inf"), False

    def __call__(self) -> bool:
        """Whether to stop."""
        now = time.monotonic()
        if not self._found and now - self._looked >= self._seconds:
            self._looked, self._found = now, self._path.exists()
        return self._found


@contextmanager
def passing_on(stop: Callable[[], bool], path: Path, seconds: float) -> Iterator[None]:
    """Make the file once `stop` says True, and when the block ends by an error: whoever still works then may leave it.

    `stop` is asked from a thread of its own, every `seconds`.
    """
    over = Event()

    def watch() -> None:
        while not over.wait(seconds):
            if stop():
                path.touch()
                return

    watcher = Thread(target=watch, name="workbench-stop", daemon=True)
    watcher.start()
    try:
        yield
    except BaseException:
        path.touch()
        raise
    finally:
        over.set()
        watcher.join()
