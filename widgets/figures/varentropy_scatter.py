"""Entropy against varentropy: what kind of uncertainty each token was drawn under."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import plotly.graph_objects as go

from widgets.figures.entropy_series import hover_texts
from widgets.figures.series import Floats, Updates, column, message, noted, shown, thinned, update_figure
from widgets.figures.template import Theme, annotation_style, shape_style, template, trace_style
from widgets.figures.text import Unit, per_unit
from workbench.traces.columns import PHASES

if TYPE_CHECKING:
    import polars as pl

# entropix, sampler.py: H low .3, medium 1.2, high 2.5 nats; V low 1.2, high 2.5 nats². None is the edge of the plot.
QUADRANTS: dict[str, tuple[float, float | None, float, float | None]] = {
    "low H, low V": (0, 0.3, 0, 1.2),
    "high H, low V": (2.5, None, 0, 1.2),
    "low H, high V": (0, 2.5, 2.5, None),
    "high H, high V": (1.2, None, 2.5, None),
}
"""entropix' regions (H from, H to, V from, V to); the last two overlap for 1.2 < H < 2.5, where the third wins."""

_LEAST_EXTENT = 3.0  # nats: far enough that every quadrant is in sight


def varentropy_scatter(
    tokens: pl.DataFrame,
    *,
    unit: Unit = "nats",
    vocabulary: int | None = None,
    cursor: int | None = None,
    points: int = 2000,
    theme: Theme = "light",
) -> go.Figure:
    """Raw entropy H (x) and raw varentropy V (y) of every token, by phase, with entropix' quadrants.

    With `vocabulary` = K the largest V that any distribution over K tokens can have at each H is drawn too: a point
    above it is a mistake. Updates in place as for the entropy chart: `varentropy_series`, `varentropy_layout`,
    `scatter_cursor`.

    Raises:
        ValueError: an unknown unit or theme, or a vocabulary below 2.
    """
    fig = go.Figure(layout={"template": template(theme)})
    for role in ("bound", *(f"scatter:{phase}" for phase in PHASES), "cursor_point"):
        fig.add_trace(go.Scatter(meta=role, **_fixed(role), **trace_style(role, theme)))
    fig.update_layout(hovermode="closest")
    series = varentropy_series(tokens, unit=unit, vocabulary=vocabulary, points=points)
    series |= scatter_cursor(tokens, cursor, unit=unit)
    return update_figure(fig, series, varentropy_layout(tokens, unit=unit, points=points, theme=theme))


def _fixed(role: str) -> dict[str, Any]:
    if role == "bound":
        return {"name": "largest V possible", "mode": "lines", "hoverinfo": "skip"}
    if role == "cursor_point":
        return {"mode": "markers", "showlegend": False, "hoverinfo": "skip"}
    return {"name": role.removeprefix("scatter:"), "mode": "markers", "hovertemplate": "%{text}<extra></extra>"}


def varentropy_series(
    tokens: pl.DataFrame, *, unit: Unit = "nats", vocabulary: int | None = None, points: int = 2000
) -> Updates:
    """Role -> arrays of the scatter; `customdata` holds each point's position. Tokens without H or V are left out."""
    scale = per_unit(unit)
    H, V = column(tokens, "entropy") / scale, column(tokens, "varentropy") / scale**2
    phases, positions = tokens["phase"].to_numpy(), tokens["position"].to_numpy()
    drawn = _drawn(tokens, points)
    updates: Updates = {}
    for phase in PHASES:
        rows = drawn[phases[drawn] == phase]
        arrays = {"x": H[rows], "y": V[rows], "customdata": positions[rows], "text": hover_texts(tokens[rows], unit)}
        updates[f"scatter:{phase}"] = {**arrays, "visible": bool(len(rows))}
    curve = np.empty((2, 0)) if vocabulary is None else largest_varentropy(vocabulary)
    updates["bound"] = {"x": curve[0] / scale, "y": curve[1] / scale**2, "visible": vocabulary is not None}
    return updates


def varentropy_layout(
    tokens: pl.DataFrame, *, unit: Unit = "nats", points: int = 2000, theme: Theme = "light"
) -> dict[str, Any]:
    """Ranges, titles and quadrants; dotted path -> value."""
    scale = per_unit(unit)
    extents = [_extent(tokens, name) for name in ("entropy", "varentropy")]
    shapes, annotations = _quadrants(extents, scale, theme)
    known = len(_drawn(tokens, len(tokens) + 1))
    if not known:
        shapes, annotations = [], []
        words = "no token of this trace has both entropy and varentropy" if len(tokens) else "no tokens yet"
        annotations = [*annotations, {**message(words), **annotation_style("message", theme)}]
    notes = [shown(len(_drawn(tokens, points)), known)]
    return {
        "shapes": shapes,
        "annotations": annotations,
        "xaxis.title.text": noted(f"raw entropy H ({unit})", notes),
        "yaxis.title.text": f"raw varentropy V ({unit}²)",
        "xaxis.range": [-0.02 * extents[0] / scale, extents[0] / scale],
        "yaxis.range": [-0.02 * extents[1] / scale**2, extents[1] / scale**2],
    }


def scatter_cursor(tokens: pl.DataFrame, position: int | None, *, unit: Unit = "nats") -> Updates:
    """The ring around the cursor's token; nowhere if the token's values are not known."""
    scale = per_unit(unit)
    row = tokens.filter(tokens["position"] == position) if position is not None else tokens.clear()
    row = row.drop_nulls(["entropy", "varentropy"])
    return {"cursor_point": {"x": column(row, "entropy") / scale, "y": column(row, "varentropy") / scale**2}}


def largest_varentropy(vocabulary: int) -> Floats:
    """(2, n) the curve (H, V) above which no distribution over K = `vocabulary` outcomes lies, nats.

    The extremes have one likely token of probability 1 − q and the others sharing q evenly:
    H = h(q) + q ln(K − 1) and V = q(1 − q) ln²((K − 1)(1 − q)/q), q from 0 to (K − 1)/K. Everywhere
    V ≤ ¼ ln²(K − 1) + 1.

    Raises:
        ValueError: fewer than two outcomes.
    """
    if vocabulary < 2:
        raise ValueError(f"A distribution over {vocabulary} outcomes has no spread; vocabulary must be at least 2.")
    K = float(vocabulary)
    top = (K - 1) / K
    q = np.unique(np.concatenate([np.geomspace(1e-9, top, 300), np.linspace(1e-3, 1, 300) * top]))
    H = -q * np.log(q) - (1 - q) * np.log1p(-q) + q * np.log(K - 1)
    return np.stack([H, q * (1 - q) * np.log((K - 1) * (1 - q) / q) ** 2])


def _drawn(tokens: pl.DataFrame, points: int) -> np.ndarray:
    H, V = column(tokens, "entropy"), column(tokens, "varentropy")
    known, phases = ~np.isnan(H) & ~np.isnan(V), tokens["phase"].to_numpy()
    groups = [np.flatnonzero(known & (phases == phase)) for phase in PHASES]
    total = sum(len(rows) for rows in groups) or 1
    # each phase keeps its share, so that a short answer is not lost behind long thinking
    parts = [thinned(H, V, rows, max(4, points * len(rows) // total)) for rows in groups]
    return np.sort(np.concatenate(parts))


def _extent(tokens: pl.DataFrame, name: str) -> float:
    values = column(tokens, name)
    known = values[~np.isnan(values)]
    return max(_LEAST_EXTENT, 1.06 * float(known.max())) if len(known) else _LEAST_EXTENT


def _quadrants(extents: list[float], scale: float, theme: Theme) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Outlines and names; names sit in the corner of the region that is nearest the plot's own corner."""
    shapes, names = [], []
    for words, (left, right, low, high) in QUADRANTS.items():
        x = [edge / scale for edge in (left, extents[0] if right is None else right)]
        y = [edge / scale**2 for edge in (low, extents[1] if high is None else high)]
        box = {"type": "rect", "x0": x[0], "x1": x[1], "y0": y[0], "y1": y[1], "layer": "below"}
        shapes.append({"name": "quadrant", **box, **shape_style("quadrant", theme)})
        at_right = right is None
        place = {"x": x[1] if at_right else x[0], "y": y[1], "xanchor": "right" if at_right else "left"}
        place |= {"yanchor": "bottom" if high is not None else "top"}
        names.append({"name": "quadrant", "text": words, "showarrow": False, **place})
    return shapes, [{**name, **annotation_style("quadrant", theme)} for name in names]
