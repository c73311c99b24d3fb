"""How long work is told to end."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event

Stop = Event | Callable[[], bool]
"""An event that is set, or a function that says True."""


def asked_by(stop: Stop | None) -> Callable[[], bool]:
    """A function that says whether to end; never, where there is no `stop`."""
    if stop is None:
        return lambda: False
    return stop.is_set if isinstance(stop, Event) else stop
