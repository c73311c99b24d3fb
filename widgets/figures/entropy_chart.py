"""The entropy of every token of a trace, with its rolling mean, forking tokens, phases and a cursor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import plotly.graph_objects as go

from widgets.figures.entropy_series import EntropyData, EntropyView, entropy_series, reduction_notes
from widgets.figures.phase_shading import phase_shading
from widgets.figures.series import message, noted, update_figure
from widgets.figures.template import Theme, annotation_style, template, trace_style

if TYPE_CHECKING:
    import polars as pl

# role -> what plotly must know besides the arrays and the style, in drawing order
_TRACES: dict[str, dict[str, Any]] = {
    "interval": {"name": "entropy lies within", "mode": "lines", "fill": "toself"},
    "band": {"mode": "lines", "fill": "toself", "showlegend": False, "legendgroup": "mean"},
    "raw": {"name": "raw entropy", "mode": "lines", "legendrank": 998},
    "isolated": {"mode": "markers", "showlegend": False, "legendgroup": "raw"},
    "sampled": {"name": "sampled entropy", "mode": "lines"},
    "surprisal": {"name": "raw surprisal", "mode": "lines"},
    "high_window": {"mode": "markers", "cliponaxis": False},
    "forking": {"mode": "markers", "cliponaxis": False},
    "mean": {"mode": "lines", "legendgroup": "mean", "legendrank": 999},  # over the markers, which may be dense
}
_FEWEST_POSITIONS = 10  # on the x axis, so that a first token does not get ticks at fractions


def entropy_chart(
    tokens: pl.DataFrame, view: EntropyView | None = None, *, cursor: int | None = None, theme: Theme = "light"
) -> go.Figure:
    """Raw entropy over token position.

    Every trace is always there, empty if need be, and carries its role as `meta`, so that a change never rebuilds the
    figure: `update_figure(fig, entropy_series(tokens, view, roles=…), entropy_layout(tokens, view, theme=…))`, and
    for the cursor `update_figure(fig, cursor_series(position))`. The trace "tokens" is invisible and answers hover and
    click: its x holds the positions.

    Args:
        tokens: a trace's token table; unknown values are null and leave gaps.
        view: what the controls say.
        cursor: position of the cursor line, or None.
        theme: light or dark.

    Raises:
        ParameterError: a window or percentile out of range.
        ValueError: an unknown unit or theme, or fewer than 10 points.
    """
    view = view or EntropyView()
    fig = go.Figure(layout={"template": template(theme)})
    for role, fixed in _TRACES.items():
        fig.add_trace(go.Scatter(meta=role, hoverinfo="skip", **fixed, **trace_style(role, theme)))
    # A transparent line is found by the pointer as markers would be, and costs one node instead of one a token.
    pointer = {"mode": "lines", "line": {"color": "rgba(0,0,0,0)"}, "showlegend": False}
    fig.add_trace(go.Scatter(meta="tokens", hovertemplate="%{text}<extra></extra>", **pointer))
    bar = {"mode": "lines", "yaxis": "y2", "showlegend": False, "hoverinfo": "skip"}
    fig.add_trace(go.Scatter(meta="cursor", **bar, **trace_style("cursor", theme)))
    fig.update_layout(
        hovermode="x",
        yaxis={"rangemode": "tozero", "fixedrange": True},
        # the cursor's own axis, so that moving it changes two numbers and no range
        yaxis2={"overlaying": "y", "range": [0, 1], "visible": False, "fixedrange": True},
    )
    series = entropy_series(tokens, view) | cursor_series(cursor)
    return update_figure(fig, series, entropy_layout(tokens, view, theme=theme))


def entropy_layout(tokens: pl.DataFrame, view: EntropyView, *, theme: Theme = "light") -> dict[str, Any]:
    """The parts of the layout that follow the data: phases, titles, the x range; dotted path -> value."""
    data = EntropyData(tokens, view)
    shapes, annotations = phase_shading(tokens, theme, view.visible)
    if (words := data.nothing()) is not None:
        annotations = [*annotations, {**message(words), **annotation_style("message", theme)}]
    return {
        "shapes": shapes,
        "annotations": annotations,
        "xaxis.range": view.visible or (-0.5, max(len(tokens), _FEWEST_POSITIONS) - 0.5),
        "xaxis.title.text": noted("token position", reduction_notes(data)),
        "yaxis.title.text": _axis_title(view),
    }


def cursor_series(position: int | None) -> dict[str, dict[str, Any]]:
    """The cursor line at `position`, or nowhere."""
    return {"cursor": {"x": [] if position is None else [position, position], "y": [] if position is None else [0, 1]}}


def _axis_title(view: EntropyView) -> str:
    entropy = "raw and sampled entropy" if view.sampled else "raw entropy"
    return f"{entropy}{', raw surprisal' if view.surprisal else ''} ({view.unit})"
