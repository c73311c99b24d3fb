"""Replay: at which tokens of a trace SRGen would have stepped in."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from workbench.errors import ParameterError, TraceError
from workbench.samplers.reflective.settings import Reflective
from workbench.samplers.reflective.triggers import Triggers, triggers
from workbench.samplers.sampler import Sampler

if TYPE_CHECKING:
    import numpy as np
    import polars as pl
    from numpy.typing import NDArray

    from workbench.traces.sketch import LogitSketch
    from workbench.traces.trace import Trace


@dataclass(frozen=True, eq=False, repr=False)
class ReflectiveReplay:
    """The triggers on a trace's own text.

    Up to and including the first trigger they are those of decoding with these settings. After it a corrected token
    would have changed the text, so that the later ones say what this text would trigger, not what would have come. On
    the trace of a `ReflectiveRun`, whose text holds its corrections, its own settings give its own triggers.
    """

    trace: Trace
    settings: Reflective
    triggers: Triggers

    def __len__(self) -> int:
        return len(self.triggers)

    def __repr__(self) -> str:
        found = self.summary
        return f"ReflectiveReplay({found['triggers']} of {found['tokens']} tokens trigger)"

    def to_frame(self) -> pl.DataFrame:
        """A row a token: position, token_id, text, entropy, threshold (null where there is none), triggered."""
        return self.trace.tokens.select("position", "token_id", "text").hstack(
            self.triggers.to_frame().drop("position")
        )

    @cached_property
    def summary(self) -> dict[str, Any]:
        """Counts of `tokens` and `triggers`, the `rate` in [0, 1], and where the `first` trigger is, or None."""
        positions = self.triggers.positions
        return {
            "tokens": len(self),
            "triggers": len(positions),
            "rate": len(positions) / max(1, len(self)),
            "first": int(positions[0]) if len(positions) else None,
        }


def replay(trace: Trace, settings: Reflective | None = None, *, temperature: float | None = None) -> ReflectiveReplay:
    """At which tokens of `trace` these settings, the published ones where none are given, trigger.

    Args:
        trace: with known entropies; with a sketch for `entropy_of="tempered"`.
        settings: all but those of the correction itself matter.
        temperature: T of tempered entropies; that of the trace's own sampler where none is given.

    Raises:
        TraceError: the trace does not know what the settings ask for.
        ParameterError: a temperature that is not positive and finite.
    """
    settings = settings or Reflective()
    if settings.entropy_of == "raw":
        values = trace.tokens["entropy"]
        if len(values) and values.null_count() == len(values):
            raise TraceError("The entropies of this trace are not known: record it here, or score its text.")
        return ReflectiveReplay(trace, settings, triggers(values, settings))
    if trace.sketch is None:
        raise TraceError("Without a logit sketch no tempered entropy is known: take entropy_of='raw', or record it.")
    t = _temperature(trace) if temperature is None else temperature
    return ReflectiveReplay(trace, settings, triggers(entropies(trace.sketch, t), settings))


def entropies(sketch: LogitSketch, temperature: float) -> NDArray[np.float64]:
    """H(softmax(z / T)) of every token (T,), in nats; at T = 1 the exact one, else within the sketch's bound."""
    return sketch.entropy if temperature == 1.0 else sketch.tempered(temperature).entropy


def decoding_temperature(sampler: Sampler) -> float:
    """T of softmax(z / T) under this sampler; 1 where it is greedy, as nothing is drawn then."""
    return 1.0 if sampler.greedy else sampler.temperature


def _temperature(trace: Trace) -> float:
    sampler = trace.meta.get("sampler")
    unknown = "At which temperature this trace was decoded is not known: give temperature=."
    if not isinstance(sampler, dict):
        raise TraceError(unknown)
    try:
        return decoding_temperature(Sampler.from_dict(sampler))
    except ParameterError as problem:
        raise TraceError(unknown) from problem
