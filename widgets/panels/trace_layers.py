"""A trace's token table as the strip's columns."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import polars as pl

from widgets.figures.text import Unit, per_unit
from widgets.strip import Layer

if TYPE_CHECKING:
    from workbench.traces import Trace


def strip_layers(tokens: pl.DataFrame, unit: Unit = "nats") -> dict[str, Layer]:
    """Numbers by which the strip colours, and those its tooltip shows besides; unknown ones are NaN."""
    scale = per_unit(unit)

    def numbers(name: str, divisor: float = 1.0) -> list[float]:
        return (tokens[name].cast(pl.Float64) / divisor).fill_null(math.nan).to_list()

    surprisal = [-value + 0.0 for value in numbers("logprob", scale)]  # + 0 turns −0 into 0
    return {
        "entropy": Layer(
            numbers("entropy", scale), "raw entropy", unit, "uncertainty of the model before this token, T = 1"
        ),
        "surprisal": Layer(surprisal, "raw surprisal", unit, "−ln p of the realised token, T = 1"),
        "rank": Layer(
            numbers("rank"), "raw rank", "", "tokens the model held more likely than this one", scale="log", digits=0
        ),
        "varentropy": Layer(
            numbers("varentropy", scale**2), "raw varentropy", f"{unit}²", "variance of the surprisal", selectable=False
        ),
        "sampled_entropy": Layer(
            numbers("sampled_entropy", scale),
            "sampled entropy",
            unit,
            "of the distribution drawn from",
            selectable=False,
        ),
        "kept": Layer(numbers("kept"), "kept tokens", "", "left by the sampler", digits=0, selectable=False),
    }


def strip_phases(tokens: pl.DataFrame) -> list[str]:
    """The phase of every token; "unknown" where an import could not tell."""
    return tokens["phase"].fill_null("unknown").to_list()


def alternatives(trace: Trace, position: int, count: int = 8) -> list[tuple[str, float]]:
    """(text, raw probability) of the likeliest tokens at `position`, from the sketch or an import's own list."""
    if trace.sketch is not None:
        top = trace.alternatives(position, count)
        rows = top.select("token_id", "text", "logprob").iter_rows()
        return [(f"⟨{token}⟩" if text is None else text, math.exp(logprob)) for token, text, logprob in rows]
    if "alternatives" in trace.tokens.columns:
        found = trace.tokens["alternatives"][position]
        return [] if found is None else [(one["text"], math.exp(one["logprob"])) for one in found.to_list()[:count]]
    return []
