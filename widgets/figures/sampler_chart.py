"""Entropy before and after a sampler, and below it how many tokens are kept, along one trace."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import plotly.graph_objects as go

from widgets.figures.kept_chart import AXIS, KEPT_TRACES, kept_axis, kept_range
from widgets.figures.phase_shading import phase_shading
from widgets.figures.sampler_series import SamplerData, SamplerView, reduction_notes, sampler_series
from widgets.figures.series import Updates, message, noted, update_figure
from widgets.figures.template import Theme, annotation_style, template, trace_style

if TYPE_CHECKING:
    import polars as pl

    from workbench.samplers.replaying import Replay

# role -> what plotly must know besides the arrays and the style, in drawing order
_ENTROPY_TRACES: dict[str, dict[str, Any]] = {
    "raw": {"name": "raw", "mode": "lines"},
    "entropy_band": {"mode": "lines", "fill": "toself", "showlegend": False, "legendgroup": "a"},
    "sampler_b": {"name": "B sampled", "mode": "lines", "legendgroup": "b"},
    "sampler_a": {"name": "A sampled", "mode": "lines", "legendgroup": "a"},
    "dropped": {"mode": "lines", "yaxis": "y3"},
}
_UPPER, _LOWER = (0.47, 1.0), (0.0, 0.4)
_FEWEST_POSITIONS = 10  # on the x axis, so that a first token does not get ticks at fractions


def sampler_chart(
    tokens: pl.DataFrame,
    a: Replay | None,
    b: Replay | None = None,
    view: SamplerView | None = None,
    *,
    vocabulary: int | None = None,
    cursor: int | None = None,
    theme: Theme = "light",
) -> go.Figure:
    """Above: raw entropy, and the sampled entropy that A (and B) would have had. Below: tokens kept, log axis.

    Updates in place as the entropy chart does: `sampler_series` (`moved_series` while a slider of A
    moves), `sampler_layout` and `sampler_cursor`. The traces "tokens" and "kept_tokens" are invisible and answer hover
    and click: their x holds the positions. Ticks at the foot of the upper axis are realised tokens that A would
    have dropped.

    Args:
        tokens: a trace's token table.
        a: what sampler A leaves of it; None where it cannot be replayed.
        b: the same for a sampler to compare with.
        view: unit, zoom and resolution.
        vocabulary: how far the axis of kept tokens goes.
        cursor: position of the cursor line, or None.
        theme: light or dark.

    Raises:
        ValueError: an unknown unit or theme, or fewer than 10 points.
    """
    view = view or SamplerView()
    fig = go.Figure(layout={"template": template(theme)})
    pointer = {"mode": "lines", "line": {"color": "rgba(0,0,0,0)"}, "showlegend": False}
    bar = {"mode": "lines", "showlegend": False, "hoverinfo": "skip"}
    for role, fixed in _ENTROPY_TRACES.items():
        fig.add_trace(go.Scatter(meta=role, hoverinfo="skip", **fixed, **trace_style(role, theme)))
    fig.add_trace(go.Scatter(meta="tokens", **pointer))
    for role, fixed in KEPT_TRACES.items():
        fig.add_trace(go.Scatter(meta=role, hoverinfo="skip", yaxis=AXIS, **fixed, **trace_style(role, theme)))
    fig.add_trace(go.Scatter(meta="kept_tokens", yaxis=AXIS, **pointer))
    fig.add_trace(go.Scatter(meta="cursor", yaxis="y3", **bar, **trace_style("cursor", theme)))
    fig.add_trace(go.Scatter(meta="cursor_kept", yaxis="y4", **bar, **trace_style("cursor_kept", theme)))
    unseen = {"range": [0, 1], "visible": False, "fixedrange": True}
    fig.update_layout(
        hovermode="x",
        margin={"l": 52, "r": 10, "t": 44, "b": 44},
        xaxis={"anchor": AXIS},
        yaxis={"rangemode": "tozero", "fixedrange": True, "domain": _UPPER, "nticks": 6},
        yaxis2=kept_axis(_LOWER),
        # the cursor's own axes, so that moving it changes numbers and no range; dropped tokens stand on the first
        yaxis3={"overlaying": "y", **unseen},
        yaxis4={"overlaying": AXIS, **unseen},
    )
    series = sampler_series(tokens, a, b, view) | sampler_cursor(cursor)
    return update_figure(fig, series, sampler_layout(tokens, a, view, vocabulary=vocabulary, theme=theme))


def sampler_layout(
    tokens: pl.DataFrame,
    a: Replay | None,
    view: SamplerView | None = None,
    *,
    vocabulary: int | None = None,
    theme: Theme = "light",
) -> dict[str, Any]:
    """The parts of the layout that follow trace, unit and zoom, not the sliders; dotted path -> value."""
    view = view or SamplerView()
    data = SamplerData(tokens, a, None, view)
    shapes, annotations = phase_shading(tokens, theme, view.visible)
    lower = [{**shape, "yref": "y2 domain"} for shape in shapes]
    if (words := data.nothing()) is not None:
        annotations = [*annotations, {**message(words), **annotation_style("message", theme)}]
    return {
        "shapes": [*shapes, *lower],
        "annotations": annotations,
        "xaxis.range": view.visible or (-0.5, max(len(tokens), _FEWEST_POSITIONS) - 0.5),
        "xaxis.title.text": noted("token position", reduction_notes(data)),
        "yaxis.title.text": f"entropy, raw and<br>sampled ({view.unit})",
        "yaxis2.range": kept_range(vocabulary),
    }


def sampler_cursor(position: int | None) -> Updates:
    """The cursor line at `position` in both halves, or nowhere."""
    x = [] if position is None else [position, position]
    y = np.arange(len(x))
    return {role: {"x": x, "y": y} for role in ("cursor", "cursor_kept")}
