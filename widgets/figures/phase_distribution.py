"""Thinking against answering over a sweep: a pair of points a sequence, and a box over all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import plotly.graph_objects as go

from widgets.figures.phase_styles import phase_styles
from widgets.figures.phase_sweep import VERDICTS, SweepPoints
from widgets.figures.series import Floats, Updates, message, noted, shown, update_figure
from widgets.figures.template import Theme, annotation_style, palette, template
from widgets.figures.text import thousands

if TYPE_CHECKING:
    from widgets.figures.series import Indices

_PLACES = {"think": 0.0, "answer": 1.0}
_BOX_SHIFT, _SPREAD = 0.3, 0.32
PAIRS = 200
"""Lines between the two points of a sequence; more would be a solid block."""
_TICKS = {"think": "thinking", "answer": "answer"}


def phase_distribution(data: SweepPoints | None, *, chosen: int | None = None, theme: Theme = "light") -> go.Figure:
    """Mean entropy of thinking (left) and of the answer (right), joined by a thin line for each sequence that has both.

    Boxes (median, quartiles, and whiskers to the last point within 1.5 quartile distances) are over all sequences,
    however many points are drawn. A circle is right, a cross wrong, an open diamond not graded; `customdata` holds a
    point's row in the table. Updates in place: `distribution_series`, `distribution_layout`.

    Args:
        data: the sweep's; None gives an empty chart that says so.
        chosen: row of the sequence to ring, also where its own points are left out.
        theme: light or dark.

    Raises:
        ValueError: an unknown unit or theme.
    """
    styles = phase_styles(palette(theme))
    fig = go.Figure(layout={"template": template(theme)})
    pairs = {"mode": "lines", "hoverinfo": "skip", "showlegend": False}
    fig.add_trace(go.Scatter(meta="phase_pairs", **pairs, **styles["phase_pairs"]))
    for verdict in VERDICTS:
        role = f"phase_points:{verdict}"
        words = "not graded" if verdict == "unknown" else verdict
        fixed = {"name": words, "mode": "markers", "hovertemplate": "%{text}<br>%{y:.3f}<extra></extra>"}
        fig.add_trace(go.Scatter(meta=role, **fixed, **styles[role]))
    ring = {"mode": "lines+markers", "hoverinfo": "skip", "showlegend": False}
    fig.add_trace(go.Scatter(meta="phase_chosen", **ring, **styles["phase_chosen"]))
    for phase in _PLACES:
        role = f"phase_box:{phase}"
        fixed = {"width": 0.14, "showlegend": False, "whiskerwidth": 0.6, "name": _TICKS[phase], "hoverinfo": "y"}
        fig.add_trace(go.Box(meta=role, **fixed, **styles[role]))
    fig.update_layout(
        hovermode="closest",
        xaxis={"range": [-0.5, 1.5], "tickvals": list(_PLACES.values()), "fixedrange": True},
        yaxis={"rangemode": "tozero"},
    )
    return update_figure(fig, distribution_series(data, chosen=chosen), distribution_layout(data, theme=theme))


def distribution_series(data: SweepPoints | None, *, chosen: int | None = None) -> Updates:
    """Role -> properties to assign to that trace; all empty without a sweep."""
    if data is None:
        empty: dict[str, Any] = {"x": [], "y": []}
        boxes = {f"phase_box:{phase}": _box(np.empty(0), 0.0) for phase in _PLACES}
        return {
            "phase_pairs": empty,
            "phase_chosen": empty,
            **{f"phase_points:{verdict}": {**empty, "text": []} for verdict in VERDICTS},
        } | boxes
    H = {phase: data.entropy(phase) for phase in ("think", "answer")}
    rows = _rows(data)
    jitter = ((np.arange(len(data.table)) * 0.6180339887) % 1 - 0.5) * _SPREAD  # evenly spread, the same every time
    both = _joined(data)
    gap = np.full(len(both), np.nan)
    updates: Updates = {
        "phase_pairs": {
            "x": np.column_stack([jitter[both], 1 + jitter[both], gap]).ravel(),
            "y": np.column_stack([H["think"][both], H["answer"][both], gap]).ravel(),
        },
        "phase_chosen": {
            "x": [] if chosen is None else np.array(list(_PLACES.values())) + jitter[chosen],
            "y": [] if chosen is None else np.array([H[phase][chosen] for phase in _PLACES]),
        },
    }
    for verdict in VERDICTS:
        own = rows[data.verdicts[rows] == verdict]
        x = np.concatenate([place + jitter[own] for place in _PLACES.values()])
        y = np.concatenate([H["think"][own], H["answer"][own]])
        names = data.names(own)
        arrays = {"x": x, "y": y, "customdata": np.tile(own, 2), "text": names + names}
        updates[f"phase_points:{verdict}"] = {**arrays, "visible": bool(len(own))}
    for phase, place in _PLACES.items():
        side = -_BOX_SHIFT if phase == "think" else _BOX_SHIFT
        updates[f"phase_box:{phase}"] = _box(H[phase][~np.isnan(H[phase])], place + side)
    return updates


def distribution_layout(data: SweepPoints | None, *, theme: Theme = "light") -> dict[str, Any]:
    """The parts of the layout that follow the data; dotted path -> value."""
    if data is None:
        return {"annotations": [{**message("nothing to show"), **annotation_style("message", theme)}]}
    counts = {phase: int((~np.isnan(data.entropy(phase))).sum()) for phase in ("think", "answer")}
    known, drawn = len(_known(data)), len(_rows(data))
    notes = [shown(drawn, known, "sequences"), shown(len(_joined(data)), len(_both(data, _rows(data))), "joined pairs")]
    words = f"no sequence has a {data.kind} entropy by phase"
    note = [] if known else [{**message(words), **annotation_style("message", theme)}]
    return {
        "annotations": note,
        "xaxis.ticktext": [f"{_TICKS[phase]}<br>n = {thousands(count)}" for phase, count in counts.items()],
        "xaxis.title.text": noted("", notes),
        "yaxis.title.text": f"mean {data.kind} entropy of a sequence ({data.unit})",
    }


def _known(data: SweepPoints) -> Indices:
    return np.flatnonzero(~np.isnan(data.entropy("think")) | ~np.isnan(data.entropy("answer")))


def _rows(data: SweepPoints) -> Indices:
    return data.subset(~np.isnan(data.entropy("think")) | ~np.isnan(data.entropy("answer")))


def _both(data: SweepPoints, rows: Indices) -> Indices:
    return rows[~np.isnan(data.entropy("think")[rows]) & ~np.isnan(data.entropy("answer")[rows])]


def _joined(data: SweepPoints) -> Indices:
    """Drawn rows whose two points a line joins, at even steps."""
    both = _both(data, _rows(data))
    return both[np.unique(np.linspace(0, len(both) - 1, PAIRS).astype(np.int64))] if len(both) > PAIRS else both


def _box(values: Floats, place: float) -> dict[str, Any]:
    """Quartiles and whiskers, computed here so that the figure does not carry every value."""
    if not len(values):
        return {"x": [], "q1": [], "median": [], "q3": [], "lowerfence": [], "upperfence": [], "visible": False}
    q1, median, q3 = np.quantile(values, [0.25, 0.5, 0.75])
    reach = 1.5 * (q3 - q1)
    inside = values[(values >= q1 - reach) & (values <= q3 + reach)]
    fences = {"lowerfence": [inside.min()], "upperfence": [inside.max()]}
    return {"x": [place], "q1": [q1], "median": [median], "q3": [q3], **fences, "visible": True}
