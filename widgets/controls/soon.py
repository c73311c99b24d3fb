"""Many small changes, one piece of work: it is done once, soon, with the newest values."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Soon:
    """Calls `work` once on the running event loop's next turn, however often it was asked for; at once where none runs.

    The work reads its values when it runs, so that the last of many changes always wins and no older one is drawn
    after it.

    Args:
        work: what to do.
        after: seconds from the first time it is asked for, unless `do_now` comes before.
    """

    def __init__(self, work: Callable[[], None], *, after: float = 0.0) -> None:
        self._work, self._after = work, after
        self._handle: asyncio.Handle | None = None

    @property
    def due(self) -> bool:
        """Whether the work has been asked for and not been done."""
        return self._handle is not None

    def ask(self) -> None:
        """Have the work done."""
        if self._handle is not None:
            return
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self._work()
        else:
            self._handle = loop.call_later(self._after, self._run) if self._after else loop.call_soon(self._run)

    def do_now(self) -> None:
        """Do what has been asked for without waiting any longer."""
        if self._handle is not None:
            self.cancel()
            self._work()

    def cancel(self) -> None:
        """Forget what was asked for."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _run(self) -> None:
        self._handle = None
        self._work()
