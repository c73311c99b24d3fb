"""The replays a sampler panel shows: the raw distributions, sampler A as its sliders move, and B as it was kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from workbench.errors import TraceError
from workbench.samplers import Sampler
from workbench.samplers.replaying import Replay, Replayer, replay
from workbench.traces.columns import SCHEMA

if TYPE_CHECKING:
    from widgets.figures.sampler_series import SamplerView
    from widgets.figures.template import Theme
    from workbench.traces import Trace

EMPTY = pl.DataFrame(schema=SCHEMA)


class Replays:
    """One trace under several samplers; all None where there is no trace, or one without a sketch."""

    def __init__(self) -> None:
        self.trace: Trace | None = None
        self.raw: Replay | None = None
        self.a: Replay | None = None
        self.b: Replay | None = None
        self.problem = ""
        """Why the trace cannot be replayed, where it cannot."""
        self._replayer: Replayer | None = None

    @property
    def tokens(self) -> pl.DataFrame:
        """The trace's token table; empty without a trace."""
        return EMPTY if self.trace is None else self.trace.tokens

    @property
    def vocabulary(self) -> int | None:
        """How many tokens there are to choose from, where that is known."""
        sketch = None if self.trace is None else self.trace.sketch
        return None if sketch is None else sketch.vocabulary

    def show(self, trace: Trace | None) -> None:
        """Take another trace; A and B must be replayed on it anew."""
        self.trace, self.problem = trace, ""
        self._replayer, self.raw, self.a, self.b = None, None, None, None
        if trace is None:
            return
        try:
            self._replayer = Replayer(trace)
        except TraceError as problem:
            self.problem = str(problem)
        else:
            self.raw = self._replayer.replay(Sampler())

    def move(self, sampler: Sampler) -> None:
        """Replay A; the steps before the first that changed are not done again."""
        self.a = None
        if self._replayer is not None:
            self.a = self._replayer.replay(sampler)

    def compare(self, sampler: Sampler | None) -> None:
        """Replay B, or forget it."""
        self.b = None
        if self.trace is not None and self._replayer is not None and sampler is not None:
            self.b = replay(self.trace, sampler)

    def to_frame(self) -> pl.DataFrame:
        """A row a token: the raw columns, then those of the replays with a_ and b_ before their names. Nats."""
        parts = [self.tokens.select("position", "text", raw_entropy="entropy")]
        for prefix, one in (("a", self.a), ("b", self.b)):
            if one is not None:
                told = one.tokens.select(
                    "entropy", "kept", "survives", pl.exclude("position", "entropy", "kept", "survives")
                )
                parts.append(told.rename(lambda name, prefix=prefix: f"{prefix}_{name}"))
        parts.append(self.tokens.select("token_id", "phase", "rank", raw_logprob="logprob"))
        return pl.concat(parts, how="horizontal")


@dataclass(frozen=True)
class SamplerScene:
    """Everything the panel's charts and tables depend on."""

    replays: Replays
    view: SamplerView
    theme: Theme
    token: int | None
    """The one under the pointer, or the cursor's."""

    @property
    def focus(self) -> int | None:
        """The token whose distribution is shown: the cursor's, else the one of the highest raw entropy."""
        if self.token is not None or not len(self.replays.tokens):
            return self.token
        return self.replays.tokens["entropy"].arg_max()
