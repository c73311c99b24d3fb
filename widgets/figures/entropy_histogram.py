"""How the entropies of a trace are spread: mostly next to zero, with a long tail."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import plotly.graph_objects as go

from widgets.figures.series import Floats, Updates, column, message, update_figure
from widgets.figures.template import Theme, annotation_style, template, trace_style
from widgets.figures.text import Unit, per_unit
from workbench.traces.columns import PHASES
from workbench.traces.forking import forking_tokens

if TYPE_CHECKING:
    import polars as pl


def entropy_histogram(
    tokens: pl.DataFrame, *, unit: Unit = "nats", percentile: float = 80, bins: int = 40, theme: Theme = "light"
) -> go.Figure:
    """Counts of raw entropies by phase on a logarithmic axis, with a line at the percentile of the forking tokens.

    The phases' bars overlay each other: stacked ones have no readable height on a logarithmic axis. In-place updates:
    `histogram_series` (the slider of the percentile needs roles={"threshold"}) and `histogram_layout`.

    Raises:
        ParameterError: a percentile outside 0 to 100.
        ValueError: an unknown unit or theme, or no bins.
    """
    fig = go.Figure(layout={"template": template(theme)})
    for phase in PHASES:
        role = f"bar:{phase}"
        hover = {"name": phase, "hovertemplate": f"%{{customdata}}<br>%{{y}} {phase} tokens<extra></extra>"}
        fig.add_trace(go.Bar(meta=role, **hover, **trace_style(role, theme)))
    mark = {"mode": "lines", "yaxis": "y2", "hoverinfo": "skip"}
    fig.add_trace(go.Scatter(meta="threshold", **mark, **trace_style("threshold", theme)))
    fig.update_layout(
        barmode="overlay",
        bargap=0,
        xaxis={"rangemode": "tozero"},
        yaxis={"title": {"text": "tokens (log scale)"}, "type": "log", "dtick": 1, "fixedrange": True},
        yaxis2={"overlaying": "y", "range": [0, 1], "visible": False, "fixedrange": True},
    )
    series = histogram_series(tokens, unit=unit, percentile=percentile, bins=bins)
    return update_figure(fig, series, histogram_layout(tokens, unit=unit, bins=bins, theme=theme))


def histogram_series(
    tokens: pl.DataFrame,
    *,
    unit: Unit = "nats",
    percentile: float = 80,
    bins: int = 40,
    roles: set[str] | None = None,
) -> Updates:
    """Role -> arrays of the histogram; all roles, or those named."""
    H = column(tokens, "entropy") / per_unit(unit)
    threshold = forking_tokens(H, percentile).threshold
    known = not np.isnan(threshold)
    name = f"percentile {percentile:g}: {threshold:.3g} {unit}"
    at = [threshold, threshold] if known else []
    updates: Updates = {"threshold": {"x": at, "y": [0, 1] if known else [], "name": name, "visible": known}}
    edges, counts = _counts(tokens, H, bins)
    labels = [f"{low:.2f} to {high:.2f} {unit}" for low, high in pairwise(edges)]
    for phase, count in counts.items():
        arrays = {"x": (edges[:-1] + edges[1:]) / 2, "y": count, "customdata": labels, "width": np.diff(edges)}
        updates[f"bar:{phase}"] = {**arrays, "visible": bool(count.any())}
    return {role: arrays for role, arrays in updates.items() if roles is None or role in roles}


def histogram_layout(
    tokens: pl.DataFrame, *, unit: Unit = "nats", bins: int = 40, theme: Theme = "light"
) -> dict[str, Any]:
    """The range of the counts' axis, titles, and a message where there is no count; dotted path -> value."""
    _, counts = _counts(tokens, column(tokens, "entropy"), bins)
    most = max(int(count.max()) for count in counts.values())
    words = "this trace has no raw entropies" if len(tokens) else "no tokens yet"
    notes = [] if most else [{**message(words), **annotation_style("message", theme)}]
    # from just below one token, so that a bin of one is a visible bar
    counted = [np.log10(0.6), np.log10(max(most, 10)) + 0.1]
    return {"annotations": notes, "yaxis.range": counted, "xaxis.title.text": f"raw entropy ({unit})"}


def _counts(tokens: pl.DataFrame, H: Floats, bins: int) -> tuple[Floats, dict[str, np.ndarray]]:
    if bins < 1:
        raise ValueError(f"bins must be at least 1, not {bins}.")
    known = ~np.isnan(H)
    top = float(H[known].max()) if known.any() else 0.0
    edges = np.linspace(0, top or 1.0, bins + 1)
    phases = tokens["phase"].to_numpy()
    return edges, {phase: np.histogram(H[known & (phases == phase)], edges)[0] for phase in PHASES}
