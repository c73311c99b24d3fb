"""Traces side by side in numbers."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import polars as pl

from widgets.figures.compare_chart import Align, Kind, along
from widgets.figures.text import Unit, per_unit
from widgets.panels.trace_shelf_labels import sampler_words
from workbench.traces.forking import forking_tokens

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from workbench.traces import Trace


def summary_frame(traces: Sequence[tuple[str, Trace]], unit: Unit = "nats", percentile: float = 80) -> pl.DataFrame:
    """A row a trace: tokens in all and by phase, mean entropies by kind and phase, surprisal, perplexity, origin.

    Means are over the tokens whose value is known, marker tokens in none of the phases; null where none is. Perplexity
    is exp of the mean raw surprisal in nats; forking tokens lie above that percentile of the trace's own raw entropies.
    """
    rows = [_row(label, trace, unit, percentile) for label, trace in traces]
    return pl.DataFrame(rows, infer_schema_length=None)


def lines_frame(
    traces: Sequence[tuple[str, Trace]], *, unit: Unit, kind: Kind, window: int, align: Align
) -> pl.DataFrame:
    """A row a token of each trace: trace, position, text, phase, x as the chart has it, entropy, and its mean."""
    frames = [
        trace.tokens.select(
            pl.lit(label).alias("trace"), "position", "text", "phase",
            pl.Series("x", line.x), (pl.col(column) / per_unit(unit)).alias(f"{kind}_entropy_{unit}"),
            pl.Series(f"mean_of_{window}", line.mean).fill_nan(None),
        )
        for label, trace in traces
        for column in ["entropy" if kind == "raw" else "sampled_entropy"]
        for line in [along(label, trace.tokens, unit=unit, kind=kind, window=window, align=align)]
    ]  # fmt: skip
    return pl.concat(frames) if frames else pl.DataFrame()


def _row(label: str, trace: Trace, unit: Unit, percentile: float) -> dict[str, Any]:
    tokens, scale, meta = trace.tokens, per_unit(unit), trace.meta
    by_phase = {phase: tokens.filter(pl.col("phase") == phase) for phase in ("think", "answer")}
    surprisal = _mean(-tokens["logprob"])
    means = {
        f"{kind} entropy {phase} ({unit})": _scaled(_mean(frame[column]), scale)
        for kind, column in (("raw", "entropy"), ("sampled", "sampled_entropy"))
        for phase, frame in by_phase.items()
    }
    return {
        "trace": label, "tokens": len(tokens), **{phase: len(frame) for phase, frame in by_phase.items()}, **means,
        f"raw surprisal ({unit})": _scaled(surprisal, scale),
        "perplexity": None if surprisal is None else _exp(surprisal),
        f"forking (p{percentile:g})": len(forking_tokens(tokens["entropy"], percentile).indices),
        **_origin(meta),
    }  # fmt: skip


def _origin(meta: Mapping[str, Any]) -> dict[str, str | None]:
    seed = meta.get("seed")
    return {
        "model": None if meta.get("model") is None else str(meta["model"]),
        "sampler": sampler_words(meta.get("sampler")) or None,
        "seed": None if seed is None else str(seed),
    }


def _mean(values: pl.Series) -> float | None:
    mean = values.cast(pl.Float64).mean()
    return mean if isinstance(mean, float) and not math.isnan(mean) else None


def _scaled(value: float | None, scale: float) -> float | None:
    return None if value is None else value / scale


def _exp(value: float) -> float:
    return math.exp(value) if value < 700 else math.inf
