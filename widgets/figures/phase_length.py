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
    data: SweepPoints | None,
    correlation: LengthCorrelation | None = None,
    *,
    chosen: int | None = None,
    theme: Theme = "light",
) -> go.Figure:
    """Tokens of a sequence (x) and its mean entropy (y); the caption under the axis states the correlation.

    A circle is right, a cross wrong, an open diamond not graded; `customdata` holds a point's row in the table.
    Updates in place: `length_series`, `length_layout`.

    Args:
        data: the sweep's; None gives an empty chart that says so.
        correlation: of the same rows, where it is known.
        chosen: row of the sequence to ring, also where its own point is left out.
        theme: light or dark.

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
    ring = {"mode": "markers", "hoverinfo": "skip", "showlegend": False}
    fig.add_trace(go.Scatter(meta="phase_chosen", **ring, **styles["phase_chosen"]))
    fig.update_layout(hovermode="closest", xaxis={"rangemode": "tozero"}, yaxis={"rangemode": "tozero"})
    return update_figure(fig, length_series(data, chosen=chosen), length_layout(data, correlation, theme=theme))


def length_series(data: SweepPoints | None, *, chosen: int | None = None) -> Updates:
    """Role -> properties to assign to that trace; all empty without a sweep."""
    if data is None:
        points = {f"phase_points:{verdict}": {"x": [], "y": [], "text": []} for verdict in VERDICTS}
        return {**points, "phase_chosen": {"x": [], "y": []}}
    rows, x, y = _rows(data), column(data.table, "tokens"), data.entropy()
    ringed = [] if chosen is None else [chosen]
    updates: Updates = {"phase_chosen": {"x": x[ringed], "y": y[ringed]}}
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
    # one line would be wider than the chart in a notebook's cell
    notes = ["; ".join(said[:2]), "; ".join([*said[2:], shown(len(_rows(data)), known, "sequences") or ""]).strip("; ")]
    return {
        "annotations": [] if known else [{**message(words), **annotation_style("message", theme)}],
        "xaxis.title.text": noted("tokens of the sequence", ["<br>".join(note for note in notes if note)]),
        "yaxis.title.text": f"mean {data.kind} entropy of the sequence ({data.unit})",
    }


def _known(data: SweepPoints) -> Indices:
    return np.flatnonzero(~np.isnan(column(data.table, "tokens")) & ~np.isnan(data.entropy()))


def _rows(data: SweepPoints) -> Indices:
    return thinned(column(data.table, "tokens"), data.entropy(), _known(data), data.points)
