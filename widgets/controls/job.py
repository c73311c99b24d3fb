"""Long work off the comm thread: it reports back to the kernel's loop, can be stopped, and the newest wins."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class Job(Generic[T]):
    """One thing a panel does in the background; starting it anew stops the run before it.

    `work` runs in a thread of its own and is given the event that stops it. `done` and `failed` are called on the
    kernel's event loop (at once where there is none), and only for the newest run: a stale result never arrives.
    """

    def __init__(self, done: Callable[[T], None], failed: Callable[[Exception], None]) -> None:
        self._done, self._failed = done, failed
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()  # nobody asks after a thread that is made and not started yet
        self._run = 0

    @property
    def running(self) -> bool:
        """Whether the newest run is under way."""
        with self._starting:
            return self._thread is not None and self._thread.is_alive()

    def start(self, work: Callable[[threading.Event], T]) -> None:
        """Stop what runs and begin anew."""
        self.stop()
        self._run += 1
        self._stop = threading.Event()
        call = loop_caller()
        arguments = (work, self._stop, self._run, call)
        with self._starting:
            self._thread = threading.Thread(target=self._work, args=arguments, name="workbench-job", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Ask the run to end; it hands in what it has."""
        self._stop.set()

    def wait(self, seconds: float | None = None) -> bool:
        """Wait for the thread to end; True when it has."""
        with self._starting:
            thread = self._thread
        if thread is not None:
            thread.join(seconds)
        return not self.running

    def _work(
        self, work: Callable[[threading.Event], T], stop: threading.Event, run: int, call: Callable[..., None]
    ) -> None:
        try:
            result = work(stop)
        except Exception as problem:  # noqa: BLE001  -- whatever went wrong is shown in the panel
            call(self._deliver, run, self._failed, problem)
        else:
            call(self._deliver, run, self._done, result)

    def _deliver(self, run: int, receiver: Callable[[T | Exception], None], value: T | Exception) -> None:
        if run == self._run:
            receiver(value)


def loop_caller() -> Callable[..., None]:
    """A function that calls another on the running event loop, from any thread; at once where no loop runs."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return lambda function, *arguments: function(*arguments)
    return loop.call_soon_threadsafe
