"""The entropy along several traces, laid over each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import plotly.graph_objects as go

from widgets.figures.series import Floats, Indices, Updates, Window, column, line, message, noted, shown
from widgets.figures.template import Theme, annotation_style, shape_style, template, trace_style
from widgets.figures.text import Unit, per_unit, safe
from workbench.errors import ParameterError
from workbench.traces.rolling import rolling

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl

Kind = Literal["raw", "sampled"]
Align = Literal["token", "share", "phase end"]

MOST = 4
"""Traces in one chart: so many colours and dashes are told apart at a glance."""
LONGEST = 60
"""Characters of a label."""
COLUMN: dict[str, str] = {"raw": "entropy", "sampled": "sampled_entropy"}
AXIS: dict[str, str] = {
    "token": "token position",
    "share": "share of the trace (%)",
    "phase end": "tokens from the end of thinking",
}
"""What each alignment calls its axis."""
_DASHES = ("solid", "dash", "dot", "dashdot")


@dataclass(frozen=True)
class Along:
    """One trace as the chart draws it."""

    label: str
    x: Floats
    """(T,) where each token stands."""
    mean: Floats
    """(T,) rolling mean of the entropy; NaN where nothing is known."""


def compare_chart(
    traces: Sequence[tuple[str, pl.DataFrame]],
    *,
    unit: Unit = "nats",
    kind: Kind = "raw",
    window: int = 51,
    align: Align = "token",
    theme: Theme = "light",
    cursor: tuple[int, int] | None = None,
    visible: tuple[float, float] | None = None,
    points: int = 2000,
) -> go.Figure:
    """Rolling mean of the entropy over up to MOST traces; each line has a colour and a dash of its own.

    Line i carries "compare:i" as its `meta`, and takes the template's i-th colour, so that `apply_theme` recolours it;
    its `customdata` holds i and the token's index.

    Args:
        traces: label and token table of each; unknown entropies leave gaps.
        unit: nats or bits.
        kind: raw, of the model's own distribution, or sampled, of the one really drawn from.
        window: tokens of the centred rolling mean; 1 draws the entropies themselves.
        align: what stands above each other: see `aligned`.
        theme: light or dark.
        cursor: index of a trace and of a token in it.
        visible: what is in sight of the x axis; None for all.
        points: points a line may have; where tokens are left out the axis says how many.

    Raises:
        ParameterError: more than MOST traces, another kind or alignment, a window below 1.
        ValueError: an unknown unit or theme, or fewer than 10 points.
    """
    if len(traces) > MOST:
        raise ParameterError(f"{MOST} traces at most fit into one chart, not {len(traces)}. Choose some of them.")
    lines = [along(*pair, unit=unit, kind=kind, window=window, align=align) for pair in traces]
    drawn = [Window.of(each.x, visible, points) for each in lines]
    rows = [sight.chosen(each.mean) for sight, each in zip(drawn, lines, strict=True)]
    fig = go.Figure(layout={"template": template(theme)})
    for index in range(MOST):
        fig.add_trace(_line(index, lines[index] if index < len(lines) else None, rows, unit))
    fig.add_traces(_cursor(lines, cursor, theme))
    known = sum(
        len(sight.inside(np.flatnonzero(~np.isnan(each.mean)))) for sight, each in zip(drawn, lines, strict=True)
    )
    note = shown(sum(len(chosen) for chosen in rows), known)
    fig.update_layout(
        hovermode="x",
        xaxis={"title": {"text": noted(AXIS[align], [note])}, "range": visible or extent(lines)},
        yaxis={"title": {"text": _title(kind, window, unit)}, "rangemode": "tozero", "fixedrange": True},
        yaxis2={"overlaying": "y", "range": [0, 1], "visible": False, "fixedrange": True},
        shapes=_end_of_thinking(theme) if align == "phase end" else [],
        annotations=_nothing(lines, kind, theme),
    )
    return fig


def along(label: str, tokens: pl.DataFrame, *, unit: Unit, kind: Kind, window: int, align: Align) -> Along:
    """One trace's line.

    Raises:
        ParameterError: another kind or alignment, or a window below 1.
        ValueError: an unknown unit.
    """
    if kind not in COLUMN:
        raise ParameterError(f"kind={kind!r}: take raw or sampled.")
    values = column(tokens, COLUMN[kind]) / per_unit(unit)
    return Along(label, aligned(tokens, align), rolling(values, window).mean)


def aligned(tokens: pl.DataFrame, align: Align) -> Floats:
    """(T,) where the tokens stand on the x axis.

    "token": at their position t. "share": at 100 t / (T − 1) per cent, the first at 0 and the last at 100. "phase end":
    at t − e, where e is the position after the last thinking token or think marker: the answer begins at 0, and so does
    a trace without thinking.

    Raises:
        ParameterError: another alignment.
    """
    count = len(tokens)
    t = np.arange(count, dtype=np.float64)
    if align == "token":
        return column(tokens, "position")
    if align == "share":
        return 100 * t / max(count - 1, 1)
    if align == "phase end":
        thought = np.flatnonzero(tokens["phase"].is_in(["think", "marker"]).fill_null(value=False).to_numpy())
        return t - (thought[-1] + 1 if len(thought) else 0)
    raise ParameterError(f"align={align!r}: take {', '.join(map(repr, AXIS))}.")


def extent(lines: Sequence[Along]) -> tuple[float, float]:
    """From the leftmost token to the rightmost, with half a token of room; never nothing."""
    ends = [end for each in lines if len(each.x) for end in (each.x[0], each.x[-1])]
    low, high = (min(ends), max(ends)) if ends else (0.0, 1.0)
    return float(low) - 0.5, float(max(high, low + 1)) + 0.5


def _line(index: int, each: Along | None, rows: Sequence[Indices], unit: Unit) -> go.Scatter:
    fixed = {"meta": f"compare:{index}", "mode": "lines", "line": {"dash": _DASHES[index], "width": 2}}
    if each is None:
        return go.Scatter(**fixed, x=[], y=[], showlegend=False)
    drawn, name = line(each.x, each.mean, rows[index]), safe(each.label[:LONGEST])
    tokens = line(np.arange(len(each.x), dtype=np.float64), each.mean, rows[index])["x"]
    return go.Scatter(
        **fixed, **drawn, name=name, showlegend=True, hovertemplate=f"%{{y:.3f}} {unit}<extra>{name}</extra>",
        customdata=np.column_stack([np.full(len(tokens), index), tokens]),
    )  # fmt: skip


def compare_cursor(line: Along | None, token: int | None) -> Updates:
    """A rule at the token of that line and a ring where the line is; nowhere without either."""
    x: list[float] = []
    y: list[float] = []
    if line is not None and token is not None and 0 <= token < len(line.x):
        x, y = [float(line.x[token])], [float(line.mean[token])]
    return {"cursor": {"x": x * 2, "y": [0, 1] if x else []}, "cursor_point": {"x": x, "y": y}}


def _cursor(lines: Sequence[Along], cursor: tuple[int, int] | None, theme: Theme) -> list[go.Scatter]:
    index, token = (None, None) if cursor is None else cursor
    series = compare_cursor(None if index is None or index >= len(lines) else lines[index], token)
    quiet = {"showlegend": False, "hoverinfo": "skip"}
    fixed = {"cursor": {"mode": "lines", "yaxis": "y2"}, "cursor_point": {"mode": "markers"}}
    return [go.Scatter(meta=role, **series[role], **fixed[role], **quiet, **trace_style(role, theme)) for role in fixed]


def _title(kind: Kind, window: int, unit: Unit) -> str:
    return f"{kind} entropy{f', mean of {window} tokens' if window > 1 else ''} ({unit})"


def _end_of_thinking(theme: Theme) -> list[dict[str, Any]]:
    rule = {"type": "line", "xref": "x", "yref": "y domain", "x0": -0.5, "x1": -0.5, "y0": 0, "y1": 1}
    return [{"name": "quadrant", "layer": "below", **rule, **shape_style("quadrant", theme)}]


def _nothing(lines: Sequence[Along], kind: Kind, theme: Theme) -> list[dict[str, Any]]:
    """What to say where there is no line at all."""
    if any(not np.isnan(each.mean).all() for each in lines):
        return []
    words = f"none of these traces knows its {kind} entropies" if lines else "choose traces to compare"
    return [{**message(words), **annotation_style("message", theme)}]
