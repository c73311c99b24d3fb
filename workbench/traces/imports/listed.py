"""What a list of likely tokens proves about the realised one and about those it leaves out."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from workbench.traces.interval import EntropyInterval, entropy_interval

if TYPE_CHECKING:
    from workbench.traces.imports.entries import Entry

_SAME = 0.05
"""Nats by which a token's log-probability may differ from that of its own line in the list (bfloat16 servers)."""


@dataclass(frozen=True)
class Listed:
    """One position's distinct tokens and what follows from their order."""

    entry: Entry
    place: int | None
    """Where the realised token stands in `entry.alternatives`; None where it is not among them."""
    keyed_by_text: bool

    @property
    def _others(self) -> list[float]:
        return [a.logprob for i, a in enumerate(self.entry.alternatives) if i != self.place]

    @property
    def logprobs(self) -> list[float]:
        """Of all distinct tokens known here, the realised one included."""
        own = self.entry.logprob
        if self.place is None and own is not None:
            return [*self._others, own]
        return [alternative.logprob for alternative in self.entry.alternatives]

    @property
    def ceiling(self) -> float | None:
        """The largest log-probability a token outside the list can have; None where the list does not tell.

        A list of the k likeliest tokens bounds all others by its smallest member. Servers may name the realised token
        first whatever its rank, so it counts as that member only at the end of a list in order. A list out of order
        holds tokens asked for by name, and a table keyed by text may have lost some: neither bounds anything.
        """
        others = self._others
        if self.keyed_by_text or not others or others[-1] == -math.inf or not _falling(others):
            return None
        own = self.entry.logprob
        return own if own is not None and self._is_last_of_top else others[-1]

    @property
    def rank(self) -> int | None:
        """How many tokens were likelier than the realised one, where the list proves it; else None."""
        if self.entry.rank is not None:
            return self.entry.rank
        own = self.entry.logprob
        if own is None or own == -math.inf:
            return None
        if self.place is not None and _gap(self.entry.alternatives[self.place].logprob, own) > _SAME:
            return None  # another token of the same spelling, perhaps
        others = self._others
        likelier = sum(value > own for value in others)
        if math.exp(own) >= 1.0 - math.fsum(math.exp(value) for value in self.logprobs):
            return likelier  # what is left of the mass cannot hold a likelier token
        if self.place is None or not _falling(others):
            return None
        return likelier if any(value < own for value in others) or self._is_last_of_top else None

    @property
    def _is_last_of_top(self) -> bool:
        values = [alternative.logprob for alternative in self.entry.alternatives]
        last = len(values) > 1 and self.place == len(values) - 1
        return last and not self.keyed_by_text and _falling(values)

    def interval(self, vocabulary: int | None) -> EntropyInterval | None:
        """Bounds of the entropy; None where nothing is known at this position."""
        known = self.logprobs
        if not any(value != -math.inf for value in known):
            return None
        return entropy_interval(known, vocabulary=vocabulary, ceiling=self.ceiling)


def listed(entry: Entry, *, keyed_by_text: bool = False) -> Listed:
    """Find the realised token among its alternatives: by id where both have one, else by text, nearest in value.

    Taking two tokens spelled alike for one leaves the entropy's bounds true, only wider; the rank is then not given.
    """
    return Listed(entry, _place(entry), keyed_by_text)


def _place(entry: Entry) -> int | None:
    if entry.token_id is not None and any(a.token_id is not None for a in entry.alternatives):
        return next((i for i, a in enumerate(entry.alternatives) if a.token_id == entry.token_id), None)
    own = entry.logprob
    alike = [i for i, a in enumerate(entry.alternatives) if a.text == entry.text]
    return min(alike, key=lambda i: 0.0 if own is None else _gap(entry.alternatives[i].logprob, own), default=None)


def _gap(one: float, other: float) -> float:
    return 0.0 if one == other else abs(one - other)


def _falling(values: list[float]) -> bool:
    return all(earlier >= later for earlier, later in itertools.pairwise(values))
