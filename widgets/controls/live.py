"""From a worker thread to the screen: many small items become few updates on the kernel's event loop."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class Live(Generic[T]):
    """Collects what a thread `put`s and hands it over in lists, at most every `interval` seconds.

    Make it on the thread that runs the event loop; where no loop runs, items are handed over one by one at once.
    """

    def __init__(self, receive: Callable[[list[T]], None], interval: float = 0.1) -> None:
        self._receive, self._interval = receive, interval
        self._items: list[T] = []
        self._lock = threading.Lock()
        self._waiting = False
        try:
            self._loop: asyncio.AbstractEventLoop | None = asyncio.get_running_loop()
        except RuntimeError:
            self._loop = None

    def put(self, item: T) -> None:
        """Add an item, from any thread."""
        if self._loop is None:
            self._receive([item])
            return
        with self._lock:
            self._items.append(item)
            if self._waiting:
                return
            self._waiting = True
        self._loop.call_soon_threadsafe(self._loop.call_later, self._interval, self.flush)

    def flush(self) -> None:
        """Hand over what has gathered; on the loop's thread."""
        with self._lock:
            items, self._items, self._waiting = self._items, [], False
        if items:
            self._receive(items)

    def drop(self) -> None:
        """Forget what has gathered, because a result that holds it all is there."""
        with self._lock:
            self._items = []
