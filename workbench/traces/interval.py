"""Between what bounds an entropy lies when only the most likely tokens of a distribution are known."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from workbench.errors import ParameterError, TraceError

if TYPE_CHECKING:
    from collections.abc import Iterable

LARGEST_VOCABULARY = 1_000_000
"""Taken for a vocabulary's size where it is not known, only to see whether a ceiling can be true."""

EXCESS = 1e-2
"""How far above 1 the listed probabilities may add up; more than rounding explains means they are no probabilities."""


@dataclass(frozen=True)
class EntropyInterval:
    """Bounds of one distribution's entropy."""

    lower: float
    """Nats."""
    upper: float | None
    """Nats; None where it takes the size of the vocabulary to say, and that is not known."""
    mass: float
    """Probability of all listed tokens together; the rest is the tail."""
    listed: int
    """How many tokens were listed with a probability above zero."""

    @property
    def width(self) -> float:
        """Upper minus lower bound in nats, infinite without an upper bound."""
        return math.inf if self.upper is None else self.upper - self.lower

    def to_frame(self) -> pl.DataFrame:
        """One row: lower, upper, mass, listed."""
        schema = {"lower": pl.Float64, "upper": pl.Float64, "mass": pl.Float64, "listed": pl.Int32}
        return pl.DataFrame([vars(self)], schema=schema)


def entropy_interval(
    logprobs: Iterable[float], *, vocabulary: int | None = None, ceiling: float | None = None
) -> EntropyInterval:
    """The narrowest interval that must hold the entropy, given the log-probabilities of some distinct tokens.

    With H_top = -Σ p ln p over the k listed tokens, mass m = Σ p, tail r = 1 - m and vocabulary size K

        H_top + L(r, c) <= H <= H_top + r ln((K - k) / r).

    The upper bound spreads the tail evenly over all other tokens. The lower one packs it into as few as it can: when no
    unlisted token is likelier than c, into n = floor(r / c) tokens of probability c and one of what is left,
    s = r - n c, so that L = -n c ln c - s ln s. Where no c is known all of it may sit in one token, and L = -r ln r,
    the bracket of truncated log-probabilities in its usual form; with c, L >= r ln(1 / c), which is larger.

    Both are attained, so no narrower interval follows from these numbers. A mass above 1 by rounding counts as 1, and a
    ceiling that all other tokens together could not fill the tail under is no ceiling: the list was not the top k, or
    the tail is rounding.

    Args:
        logprobs: natural log-probabilities of distinct tokens; -inf adds nothing.
        vocabulary: K; without it there is no upper bound, unless nothing is left for the tail.
        ceiling: ln c, the largest log-probability an unlisted token can have; for a top-k list its smallest member.

    Raises:
        ParameterError: more tokens listed than the vocabulary has.
        TraceError: NaN, or probabilities that add up to more than 1 by more than rounding.
    """
    known = [value for value in logprobs if value != -math.inf]
    if any(math.isnan(value) for value in known):
        raise TraceError("A listed log-probability is NaN, so its distribution has no entropy.")
    if vocabulary is not None and len(known) > vocabulary:
        raise ParameterError(f"{len(known)} tokens are listed, but vocabulary={vocabulary}; give its full size.")
    mass = math.fsum(math.exp(value) for value in known)
    if mass > 1 + EXCESS:
        raise TraceError(
            f"The listed probabilities add up to {mass:.4g}. They are not log-probabilities of one distribution: "
            "logits, base-2 or base-10 logarithms, or a token listed twice."
        )
    top = math.fsum(-value * math.exp(value) for value in known)
    tail = max(0.0, 1.0 - mass)
    others = None if vocabulary is None else vocabulary - len(known)
    if tail == 0.0 or others == 0:
        return EntropyInterval(top, top, mass, len(known))
    room = LARGEST_VOCABULARY if others is None else others
    if ceiling is not None and tail > room * math.exp(ceiling) * (1 + 1e-6):
        ceiling = None
    lower = top + _packed(tail, ceiling)
    upper = None if others is None else max(lower, top + tail * math.log(others / tail))
    return EntropyInterval(lower, upper, mass, len(known))


def _packed(tail: float, ceiling: float | None) -> float:
    """Least entropy that a mass `tail` can add when no token of it is likelier than exp(ceiling)."""
    if ceiling is None or ceiling >= math.log(tail):
        return -tail * math.log(tail)
    largest = math.exp(ceiling)
    full = math.floor(tail / largest)
    rest = max(0.0, tail - full * largest)
    return -full * largest * ceiling - (rest * math.log(rest) if rest > 0.0 else 0.0)
