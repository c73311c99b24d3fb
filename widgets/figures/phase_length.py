"""Length against mean entropy over a sweep, with what their correlation is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import plotly.graph_objects as go

from widgets.figures.phase_styles import phase_styles
from widgets.figures.phase_sweep import VERDICTS, SweepPoints
from widgets.figures.series import Indices, Updates, column, message, noted, shown, thinned, update_figure
from widgets.figures.template import Theme, annotation_style, palette, template

if TYPE_CHECKING:
    from workbench.phases import LengthCorrelation


def phase_length(
    data: SweepPoints | None, correlation: LengthCorrelation | None = None, *, theme: Theme = "light"
) -> go.Figure:
    """Tokens of a sequence (x) and its mean entropy (y); the caption under the axis states the correlation.

    A circle is right, a cross wrong, an open diamond not graded; `customdata` holds a point's row in the table.
    Updates in place: `length_series`, `length_layout`.

    Raises:
        ValueError: an unknown unit or theme.
    """
    styles = phase_styles(palette(theme))
    fig = go.Figure(layout={"template": template(theme)})
    for verdict in VERDICTS:
        role = f"phase_points:{verdict}"
        words = "not graded" if verdict == "unknown" else verdict
        hover = "%{text}<br>%{x} tokens, %{y:.3f}<extra></extra>"
        fixed = {"name": words, "mode": "markers", "hovertemplate": hover}
        fig.add_trace(go.Scatter(meta=role, **fixed, **styles[role]))
    fig.update_layout(hovermode="closest", xaxis={"rangemode": "tozero"}, yaxis={"rangemode": "tozero"})
    return update_figure(fig, length_series(data), length_layout(data, correlation, theme=theme))


def length_series(data: SweepPoints | None) -> Updates:
    """Role -> properties to assign to that trace; all empty without a sweep."""
    if data is None:
        return {f"phase_points:{verdict}": {"x": [], "y": [], "text": []} for verdict in VERDICTS}
    rows, x, y = _rows(data), column(data.table, "tokens"), data.entropy()
    updates: Updates = {}
    for verdict in VERDICTS:
        own = rows[data.verdicts[rows] == verdict]
        arrays = {"x": x[own], "y": y[own], "customdata": own, "text": data.names(own)}
        updates[f"phase_points:{verdict}"] = {**arrays, "visible": bool(len(own))}
    return updates


def length_layout(
    data: SweepPoints | None, correlation: LengthCorrelation | None = None, *, theme: Theme = "light"
) -> dict[str, Any]:
    """The parts of the layout that follow the data; dotted path -> value."""
    if data is None:
        return {"annotations": [{**message("nothing to show"), **annotation_style("message", theme)}]}
    known = len(_known(data))
    words = f"no sequence has both a length and a {data.kind} entropy"
    said = [] if correlation is None else [found.describe() for found in correlation]
    return {
        "annotations": [] if known else [{**message(words), **annotation_style("message", theme)}],
        "xaxis.title.text": noted("tokens of the sequence", [*said, shown(len(_rows(data)), known, "sequences")]),
        "yaxis.title.text": f"mean {data.kind} entropy of the sequence ({data.unit})",
    }


def _known(data: SweepPoints) -> Indices:
    return np.flatnonzero(~np.isnan(column(data.table, "tokens")) & ~np.isnan(data.entropy()))


def _rows(data: SweepPoints) -> Indices:
    return thinned(column(data.table, "tokens"), data.entropy(), _known(data), data.points)
