"""Mean entropy and length by phase for every sequence of a sweep, lazily and larger than memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import polars as pl

from workbench.errors import ParameterError, TraceError
from workbench.traces.columns import PHASES

if TYPE_CHECKING:
    from collections.abc import Sequence

Frame = TypeVar("Frame", pl.DataFrame, pl.LazyFrame)

_NEEDED = ("position", "text", "phase", "entropy", "sampled_entropy")


def phase_table(tokens: Frame, by: str | Sequence[str], *, markers: tuple[str, str] = ("<think>", "</think>")) -> Frame:
    """A row a sequence, from a table of many sequences' tokens; what `phase_entropy` says of each, raw and sampled.

    Columns: those of `by`, then `tokens`, `entropy`, `sampled_entropy`, `think_tokens`, `answer_tokens`,
    `think_entropy`, `answer_entropy`, `sampled_think_entropy`, `sampled_answer_entropy` (means in nats over the
    tokens whose entropy is known; null, not 0, where there is none), `closings`, `unfinished`. Every mean is one
    streaming aggregate; only the few marker tokens are gathered in memory. A lazy frame stays lazy.

    Args:
        tokens: a sweep's traces, or any table with the columns position, text, phase, entropy and sampled_entropy.
        by: the columns that name a sequence, such as model, sampler, problem and sample.
        markers: the texts that open and close thinking, to count the closings by.

    Raises:
        ParameterError: no columns to tell sequences apart, or an empty marker.
        TraceError: a column is missing.
    """
    names: list[str] = [by] if isinstance(by, str) else list(by)
    if not names:
        raise ParameterError("by is empty: name the columns that tell one sequence from another.")
    if not all(markers):
        raise ParameterError('markers are two texts, the opening and the closing one: ("<think>", "</think>").')
    lazy = tokens.lazy()
    columns = lazy.collect_schema()
    if missing := [name for name in (*names, *_NEEDED) if name not in columns]:
        raise TraceError(f"The token table lacks the columns {missing}; it needs {[*names, *_NEEDED]}.")
    marked = (
        lazy.filter(pl.col("phase") == "marker")
        .group_by(names)
        .agg(pl.col("text").sort_by("position").str.join("").alias("_markers"))
    )
    table = (
        lazy.group_by(names)
        .agg(_aggregates())
        .join(marked, on=names, how="left", nulls_equal=True)
        .with_columns(_closings(*markers))
        .drop("_markers", *(f"_last_{phase}" for phase in PHASES))
        .sort(names)
    )
    return table if isinstance(tokens, pl.LazyFrame) else table.collect()


def _aggregates() -> list[pl.Expr]:
    kinds, spoken = ("entropy", "sampled_entropy"), ("think", "answer")
    nats = {kind: pl.col(kind).cast(pl.Float64) for kind in kinds}  # a sweep may store Float32
    return [
        pl.len().cast(pl.Int32).alias("tokens"),
        *(nats[kind].mean() for kind in kinds),
        *((pl.col("phase") == phase).sum().cast(pl.Int32).alias(f"{phase}_tokens") for phase in spoken),
        *(
            nats[kind].filter(pl.col("phase") == phase).mean().alias(kind.replace("entropy", f"{phase}_entropy"))
            for kind in kinds
            for phase in spoken
        ),
        *(pl.col("position").filter(pl.col("phase") == phase).max().alias(f"_last_{phase}") for phase in PHASES),
    ]


def _closings(opening: str, closing: str) -> list[pl.Expr]:
    """How often thinking was closed, and whether it goes on at the end: in thought, or after a marker that opens."""
    last = {phase: pl.col(f"_last_{phase}").fill_null(-1) for phase in PHASES}
    marks = pl.col("_markers").fill_null("")
    in_thought = last["think"] > pl.max_horizontal(last["answer"], last["marker"])
    on_marker = last["marker"] > pl.max_horizontal(last["think"], last["answer"])
    return [
        marks.str.count_matches(closing, literal=True).cast(pl.Int32).alias("closings"),
        (in_thought | (on_marker & marks.str.strip_chars().str.ends_with(opening))).alias("unfinished"),
    ]
