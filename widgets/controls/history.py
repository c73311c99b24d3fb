"""Undo and redo of settings."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

T = TypeVar("T")

LONGEST = 200
"""States that are remembered."""


class History(Generic[T]):
    """States in the order in which they came about. What one control does without a pause is one state: a whole drag.

    Args:
        first: the state to begin with.
        pause: seconds after which the same control begins a new state.
        clock: seconds, for tests.
    """

    def __init__(self, first: T, *, pause: float = 1.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._states, self._at = [first], 0
        self._pause, self._clock = pause, clock
        self._source: Hashable = None
        self._when = 0.0

    @property
    def present(self) -> T:
        """The state now."""
        return self._states[self._at]

    @property
    def can_undo(self) -> bool:
        """Whether there is a state before."""
        return self._at > 0

    @property
    def can_redo(self) -> bool:
        """Whether a state was undone."""
        return self._at + 1 < len(self._states)

    def add(self, state: T, source: Hashable = None) -> None:
        """Go to a new state; what was undone is gone. `source` is the control it came from, None for one of its own."""
        if state == self.present:
            return
        now = self._clock()
        goes_on = source is not None and source == self._source and now - self._when < self._pause
        self._source, self._when = source, now
        if goes_on and not self.can_redo and self.can_undo:
            self._states[self._at] = state
            return
        self._states = [*self._states[: self._at + 1], state][-LONGEST:]
        self._at = len(self._states) - 1

    def undo(self) -> T:
        """Go back one state, if there is one."""
        return self._go(-1)

    def redo(self) -> T:
        """Go forward again."""
        return self._go(1)

    def _go(self, by: int) -> T:
        self._at = min(max(self._at + by, 0), len(self._states) - 1)
        self._source = None
        return self.present
