"""A decode on the terminal as it goes: its text, how far it is, and Ctrl-C."""

from __future__ import annotations

import signal
import sys
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Self

import typer

from workbench.cli_text import neutral

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

    from workbench.traces.recorder import Token

_EVERY = 0.2
"""Seconds between two counts."""


class Stream:
    """Writes the first sequence's text as it is drawn, and counts the tokens of all where nothing else is written.

    Args:
        sequences: how many there will be.
    """

    def __init__(self, sequences: int) -> None:
        self.tokens, self.seconds = 0, 0.0
        self._sequences = sequences
        # on one terminal the text itself is the progress, and a count would run through it
        self._counts = sys.stderr.isatty() and (sequences > 1 or not sys.stdout.isatty())
        self._streams = not (self._counts and sys.stdout.isatty())
        self._text: list[str] = []
        self._began = self._said = time.perf_counter()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds = time.perf_counter() - self._began
        if self._counts:
            typer.echo("\r\x1b[K", nl=False, err=True)
        if self._text and not self._streams:
            typer.echo("".join(self._text), nl=False)
        if self._text:
            typer.echo()

    def put(self, token: Token) -> None:
        """One token more."""
        self.tokens += 1
        if token.sequence == 0:
            text = neutral(str(token.row["text"]))
            self._text.append(text)
            if self._streams:
                typer.echo(text, nl=False)
        now = time.perf_counter()
        if self._counts and now - self._said > _EVERY:
            self._said = now
            rate = self.tokens / (now - self._began)
            many = f" of {self._sequences} sequences" if self._sequences > 1 else ""
            typer.echo(f"\r\x1b[K{self.tokens:,} tokens{many}, {rate:,.0f} a second", nl=False, err=True)


@contextmanager
def interruptible() -> Iterator[threading.Event]:
    """An event that the first Ctrl-C sets; the second interrupts as usual. Off the main thread nothing changes."""
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = signal.getsignal(signal.SIGINT)

    def first(_: int, __: FrameType | None) -> None:
        stop.set()
        signal.signal(signal.SIGINT, before)

    signal.signal(signal.SIGINT, first)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)
