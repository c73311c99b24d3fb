"""How far a sweep is: a bar in notebook and terminal, or whatever a panel makes of it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tqdm.auto import tqdm

if TYPE_CHECKING:
    from collections.abc import Callable


_REDRAW = 0.5
"""Seconds between two drawings of the bar while a batch is under way; a long one would look stuck."""


@dataclass(frozen=True)
class Progress:
    """Counts of a run so far."""

    done: int
    """Sequences that are written, earlier runs included."""
    total: int
    tokens: int
    """Decoded in this run."""
    seconds: float
    """Since this run began."""
    sequences: int
    """Written in this run."""

    @property
    def tokens_per_second(self) -> float:
        """0 before the first token."""
        return self.tokens / self.seconds if self.seconds else 0.0

    @property
    def seconds_left(self) -> float | None:
        """At the pace so far; None before the first sequence is written."""
        return (self.total - self.done) * self.seconds / self.sequences if self.sequences else None


class Reporter:
    """Counts tokens and sequences, and tells whoever asked.

    Args:
        total: sequences of the sweep.
        done: those written before.
        show: True for a progress bar, False for nothing, or a function that is called with every `Progress`.
    """

    def __init__(self, total: int, done: int, show: bool | Callable[[Progress], None]) -> None:  # noqa: FBT001  -- as `run` has it
        self._total, self._before, self._done, self._tokens = total, done, done, 0
        self._began = self._drawn = time.perf_counter()
        self._call = show if callable(show) else None
        self._bar: Any = tqdm(total=total, initial=done, unit="seq", smoothing=0.1) if show is True else None

    def tokens(self, count: int) -> None:
        """So many tokens more."""
        self._tokens += count
        now = time.perf_counter()
        due = now - self._drawn > _REDRAW
        self._drawn = now if due else self._drawn
        self._tell(refresh=due)

    def sequences(self, count: int) -> None:
        """So many sequences more are written."""
        self._done += count
        if self._bar is not None:
            self._bar.update(count)
        self._tell(refresh=True)

    def say(self, text: str) -> None:
        """A line above the bar, where there is a bar."""
        if self._bar is not None:
            self._bar.write(text)

    @property
    def progress(self) -> Progress:
        """The counts."""
        seconds = time.perf_counter() - self._began
        return Progress(self._done, self._total, self._tokens, seconds, self._done - self._before)

    def _tell(self, *, refresh: bool) -> None:
        if self._call is not None:
            self._call(self.progress)
        if self._bar is not None:
            self._bar.set_postfix_str(f"{self.progress.tokens_per_second:,.0f} tokens/s", refresh=refresh)

    def close(self) -> None:
        """Leave the bar as it is."""
        if self._bar is not None:
            self._bar.close()
