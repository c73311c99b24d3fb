"""Where the steps of a thought end, so that it could be closed there."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING

import numpy as np

from workbench.errors import ParameterError, TraceError
from workbench.phases.splitting import split

if TYPE_CHECKING:
    from collections.abc import Collection

    from numpy.typing import NDArray

    from workbench.traces import Trace

EVERY = {"paragraph": r"\n\n", "line": r"\n", "sentence": r"[.!?](?=\s|$)"}
"""The named kinds of step, coarsest first, and what ends one."""
AUTO = "auto"


@dataclass(frozen=True)
class StepEnds:
    """Where the first block of thinking can be cut: rows of the token table, each the first that is left out."""

    cuts: NDArray[np.int64]
    """(B,) ascending; the last is the end of the thinking."""
    start: int
    """The first row of the thinking."""
    every: str
    """What ends a step: a name in EVERY, or a text."""


def step_ends(trace: Trace, *, every: str = AUTO, end_ids: Collection[int] = ()) -> StepEnds:
    """Cut the first block of thinking after the token that completes the end of each step, and at its own end.

    Args:
        trace: one whose first block of thinking is wanted.
        every: "paragraph" (a blank line, as in arXiv 2509.26522), "line", "sentence", any other text taken literally,
            or "auto": the first of the three that divides this thinking at all.
        end_ids: tokens that end a sequence; one that ends unfinished thinking is no part of it.

    Raises:
        ParameterError: an empty `every`.
        TraceError: the trace has no thinking, or tokens without a text.
    """
    if not every:
        raise ParameterError(f"every is empty: take {', '.join(EVERY)}, {AUTO}, or the text that ends a step.")
    start, stop = _thinking(trace, end_ids)
    pieces = trace.tokens["text"][start:stop].to_list()
    if None in pieces:
        raise TraceError("Some tokens of the thinking have no text, so its steps cannot be told apart.")
    names = list(EVERY) if every == AUTO else [every]
    for name in names:
        inner = _inner_cuts(pieces, EVERY.get(name, re.escape(name)))
        if inner or name == names[-1]:
            return StepEnds(np.array([*(start + cut for cut in inner), stop], dtype=np.int64), start, name)
    raise AssertionError(names)  # the last name always returns


def _thinking(trace: Trace, end_ids: Collection[int]) -> tuple[int, int]:
    """First and last row + 1 of the first block of thinking."""
    parts = split(trace)
    blocks = parts.spans("think")
    if not blocks:
        raise TraceError(
            "This trace has no thinking, so there is nothing to close early. Its model has no think markers, or it "
            "answered at once."
        )
    start, stop = blocks[0]
    if parts.unfinished and stop == len(trace) and trace.tokens["token_id"][stop - 1] in end_ids:
        stop -= 1
    if stop == start:
        raise TraceError("The thinking of this trace is its end token alone: there is nothing to close early.")
    return start, stop


def _inner_cuts(pieces: list[str], pattern: str) -> list[int]:
    """Numbers of tokens to keep, one a step that has something other than blanks before and after its end."""
    text = "".join(pieces)
    ends = np.fromiter(accumulate(len(piece) for piece in pieces), dtype=np.int64)
    cuts = {int(np.searchsorted(ends, match.end())) + 1 for match in re.finditer(pattern, text)}
    return sorted(cut for cut in cuts if text[: ends[cut - 1]].strip() and text[ends[cut - 1] :].strip())
