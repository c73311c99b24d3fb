"""Where a trace thinks, where it answers, and where its thinking is closed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import polars as pl

from workbench.errors import ParameterError, TraceError
from workbench.traces.columns import PHASES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from workbench.traces import Trace

Span = tuple[int, int]
"""Rows start to stop - 1 of a token table."""
Boundary = Literal["labels", "first", "last"]
BOUNDARIES: tuple[Boundary, ...] = ("labels", "first", "last")


@dataclass(frozen=True, repr=False)
class PhaseSplit:
    """The rows of each phase, and the markers between them. Rows are positions of the trace's token table."""

    phases: NDArray[np.str_]
    """(T,) "think", "answer" or "marker", as `boundary` has it."""
    closings: tuple[Span, ...]
    """The rows of every closing marker seen; start = stop where thinking ends without a marker's token."""
    openings: int
    """Opening markers seen in the text."""
    begins_thinking: bool
    """The first token is thought already: the prompt opened the block, or a closing marker alone tells."""
    unfinished: bool
    """Still thinking at the end: the last block is never closed."""
    boundary: Boundary

    def rows(self, phase: str) -> NDArray[np.int64]:
        """Rows of one phase, ascending.

        Raises:
            ParameterError: no such phase.
        """
        self._check(phase)
        return np.flatnonzero(self.phases == phase)

    def spans(self, phase: str) -> tuple[Span, ...]:
        """The unbroken stretches of one phase, in order.

        Raises:
            ParameterError: no such phase.
        """
        self._check(phase)
        return tuple(span for span, name in _runs(self.phases) if name == phase)

    @property
    def first_closing(self) -> int | None:
        """The first row after the first block of thinking; None where nothing closes it."""
        return self.closings[0][0] if self.closings else None

    def to_frame(self) -> pl.DataFrame:
        """A row an unbroken stretch: phase, start, stop, tokens."""
        rows = [(name, start, stop, stop - start) for (start, stop), name in _runs(self.phases)]
        schema = {"phase": pl.String, "start": pl.Int32, "stop": pl.Int32, "tokens": pl.Int32}
        return pl.DataFrame(rows, schema=schema, orient="row")

    @staticmethod
    def _check(phase: str) -> None:
        if phase not in PHASES:
            raise ParameterError(f"{phase!r} is no phase; take one of {', '.join(PHASES)}.")

    def __repr__(self) -> str:
        counts = ", ".join(f"{self.rows(phase).size} {phase}" for phase in PHASES)
        end = ", unfinished" if self.unfinished else ""
        return f"PhaseSplit({counts}; {len(self.closings)} closing markers{end})"


def split(trace: Trace, *, boundary: Boundary = "labels") -> PhaseSplit:
    """Cut a trace at its think markers. No marker's token belongs to either phase.

    A trace carries the phase of every token; which marker opens and which closes is told by the marker's text where
    the trace knows it (`meta["think_markers"]`), otherwise by what stands before and after.

    Args:
        trace: recorded, scored or imported.
        boundary: "labels" takes the trace's own labels, so that several marked blocks are all thinking and a text
            without markers is all answer. "first" and "last" follow the paper's single boundary k (arXiv 2510.08026),
            which does not say which of several closing markers it means: everything before that one is thinking,
            everything after it answer, and without any the whole text is thinking (k = T, answer empty).

    Raises:
        ParameterError: another boundary.
        TraceError: tokens whose phase is not known.
    """
    if boundary not in BOUNDARIES:
        raise ParameterError(f"boundary={boundary!r}: take one of {', '.join(BOUNDARIES)}.")
    if trace.tokens["phase"].null_count():
        raise TraceError("Some tokens have no phase. Import the trace again with think_markers=(opening, closing).")
    labels = trace.tokens["phase"].to_numpy().astype("U6")
    closings, openings, open_at_end = _markers(labels, trace)
    begins = bool(len(labels) and labels[0] == "think")
    unfinished = bool(len(labels)) and (labels[-1] == "think" or (labels[-1] == "marker" and open_at_end))
    phases = labels if boundary == "labels" else _one_boundary(labels, closings, boundary)
    return PhaseSplit(phases, closings, openings, begins, unfinished, boundary)


def _one_boundary(labels: NDArray[np.str_], closings: tuple[Span, ...], boundary: Boundary) -> NDArray[np.str_]:
    k = len(labels) if not closings else closings[0 if boundary == "first" else -1][0]
    sides = np.where(np.arange(len(labels)) < k, "think", "answer")
    return np.where(labels == "marker", "marker", sides)


def _runs(labels: NDArray[np.str_]) -> list[tuple[Span, str]]:
    """(start, stop) and label of each unbroken stretch."""
    if not len(labels):
        return []
    starts = np.concatenate([[0], np.flatnonzero(labels[1:] != labels[:-1]) + 1])
    stops = np.append(starts[1:], len(labels))
    return [((int(a), int(b)), str(labels[a])) for a, b in zip(starts, stops, strict=True)]


def _markers(labels: NDArray[np.str_], trace: Trace) -> tuple[tuple[Span, ...], int, bool]:
    """The closing markers, how many open, and whether the last marker opens."""
    runs = _runs(labels)
    texts = trace.meta.get("think_markers")
    closings: list[Span] = []
    openings, last_opens = 0, False
    for at, (span, name) in enumerate(runs):
        before = runs[at - 1][1] if at else None
        after = runs[at + 1][1] if at + 1 < len(runs) else None
        if name != "marker":
            if before == "think" and name == "answer":
                closings.append((span[0], span[0]))  # a server that hands over the two parts without their markers
            continue
        found = _by_text(trace, span, texts) or _by_neighbours(span, before, after)
        closings += [place for place, opens in found if not opens]
        openings += sum(opens for _, opens in found)
        last_opens = bool(found) and found[-1][1]
    return tuple(closings), openings, last_opens


def _by_text(trace: Trace, span: Span, markers: object) -> list[tuple[Span, bool]]:
    """The markers in a stretch of marker tokens, and whether each opens; none where their texts are not known."""
    if not isinstance(markers, (list, tuple)) or len(markers) != 2 or not all(markers):
        return []
    pieces = [text or "" for text in trace.tokens["text"][span[0] : span[1]].to_list()]
    joined, ends = "".join(pieces), np.cumsum([len(piece) for piece in pieces])
    found: list[tuple[Span, bool]] = []
    at = 0
    while (place := _next(joined, at, markers)) is not None:
        start, text, opens = place
        at = start + len(text)
        first, last = (int(np.searchsorted(ends, edge, side="right")) for edge in (start, at - 1))
        found.append(((span[0] + first, span[0] + last + 1), opens))
    return found


def _next(joined: str, at: int, markers: list[str] | tuple[str, ...]) -> tuple[int, str, bool] | None:
    """Where the next marker starts at or after character `at`, its text, and whether it opens."""
    places = [(joined.find(text, at), text, opens) for text, opens in zip(markers, (True, False), strict=True)]
    return min((place for place in places if place[0] >= 0), default=None)


def _by_neighbours(span: Span, before: str | None, after: str | None) -> list[tuple[Span, bool]]:
    """What a stretch of marker tokens must hold, given the phases around it (None beyond either end)."""
    found = [(span, False)] if before == "think" else []
    if after == "think":
        return [*found, (span, True)]
    if after == "answer" and not found:  # opened and closed at once, or closed where the prompt had opened
        return [(span, False)]
    return found or [(span, True)]
