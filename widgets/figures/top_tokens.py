"""The most likely tokens at one position, before and after a sampler, with its cut."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import plotly.graph_objects as go

from widgets.figures.series import Floats, Updates, message, update_figure
from widgets.figures.template import Theme, annotation_style, template, trace_style
from widgets.figures.text import safe, token_label

if TYPE_CHECKING:
    import polars as pl

ROWS = 20
MONOSPACE = 'ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace'
_LABEL = 16  # characters of a token beside its bar
_ENDS = (0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0)  # of the axis: a drag seldom changes it
_ROOM = 1.24  # right of the longest bar, for its number

_TRACES: dict[str, dict[str, Any]] = {
    "top_raw": {"name": "raw", "width": 0.78},
    "top_dropped": {"name": "dropped", "width": 0.78},
    "top_sampled": {"name": "sampled", "width": 0.36},
}


def top_tokens(
    frame: pl.DataFrame | None,
    other: pl.DataFrame | None = None,
    *,
    drawn: int | None = None,
    nothing: str = "point at a token",
    theme: Theme = "light",
) -> go.Figure:
    """Bars of raw (wide) and sampled (narrow) probability; dropped tokens are hatched, pale and crossed.

    The dashed line is the cut: between tokens that are kept and tokens that are not, wherever that changes along the
    ranks. Updates in place: `top_series` and `top_layout`.

    Args:
        frame: `Replay.distribution(position, 20)`; None where there is none.
        other: the same of sampler B, drawn as open diamonds.
        drawn: id of the realised token, whose name is bold and pointed at.
        nothing: what to say where there is no frame.
        theme: light or dark.

    Raises:
        ValueError: an unknown theme.
    """
    fig = go.Figure(layout={"template": template(theme)})
    for role, fixed in _TRACES.items():
        hover = {"hovertemplate": "%{customdata}<extra></extra>"}
        fig.add_trace(go.Bar(meta=role, orientation="h", **hover, **fixed, **trace_style(role, theme)))
    marks = {"name": "B", "mode": "markers", "hovertemplate": "%{customdata}<extra></extra>"}
    fig.add_trace(go.Scatter(meta="top_other", **marks, **trace_style("top_other", theme)))
    words = {"mode": "text", "textposition": "middle right", "showlegend": False, "hoverinfo": "skip"}
    fig.add_trace(go.Scatter(meta="top_text", cliponaxis=False, **words, **trace_style("top_text", theme)))
    cut = {"mode": "lines+text", "textposition": "bottom left", "showlegend": False, "hoverinfo": "skip"}
    fig.add_trace(go.Scatter(meta="cut", **cut, **trace_style("cut", theme)))
    fig.update_layout(
        barmode="overlay",
        hovermode="closest",
        margin={"l": 8, "r": 8, "t": 46, "b": 36},
        legend={
            "xref": "container", "x": 0.02, "yref": "container", "y": 1, "yanchor": "top",
            "entrywidth": 46, "entrywidthmode": "pixels",
        },
        xaxis={"title": {"text": "probability, raw and sampled"}, "fixedrange": True, "showgrid": True, "nticks": 5},
        yaxis={
            "range": [ROWS - 0.4, -0.6], "fixedrange": True, "showgrid": False, "ticks": "", "showline": True,
            "tickfont": {"family": MONOSPACE},
        },
    )  # fmt: skip
    layout = top_layout(frame, other, drawn=drawn, nothing=nothing, theme=theme)
    return update_figure(fig, top_series(frame, other), layout)


def top_series(frame: pl.DataFrame | None, other: pl.DataFrame | None = None) -> Updates:
    """Role -> arrays of the bars."""
    if frame is None or not len(frame):
        return {
            role: {"x": [], "y": [], "visible": role in _TRACES} for role in (*_TRACES, "top_other", "top_text", "cut")
        }
    raw, sampled, kept = frame["raw"].to_numpy(), frame["sampled"].to_numpy(), frame["kept"].to_numpy()
    rows, hover = np.arange(len(frame)), np.array(_hovers(frame, other), dtype=object)

    def bars(values: Floats, chosen: np.ndarray) -> dict[str, Any]:
        # never hidden: the legend would lose a line, and the bars would jump
        return {"x": values[chosen], "y": rows[chosen], "customdata": hover[chosen], "visible": True}

    return {
        "top_raw": bars(raw, kept),
        "top_dropped": bars(raw, ~kept),
        "top_sampled": bars(sampled, kept),
        "top_other": _other(frame, other, hover),
        "top_text": {
            "x": np.maximum.reduce([raw, sampled, raw if other is None else other["sampled"].to_numpy()]),
            "y": rows,
            "text": [f"\u2002{percent(p)}" if stays else "\u2002✕" for p, stays in zip(sampled, kept, strict=True)],
            "visible": True,
        },
        "cut": _cut(frame, other),
    }


def top_layout(
    frame: pl.DataFrame | None,
    other: pl.DataFrame | None = None,
    *,
    drawn: int | None = None,
    nothing: str = "point at a token",
    theme: Theme = "light",
) -> dict[str, Any]:
    """The tokens' names, how far the axis goes, and a message where there is nothing; dotted path -> value."""
    empty = frame is None or not len(frame)
    notes = [{**message(safe(nothing)), **annotation_style("message", theme)}] if empty else []
    names = (
        []
        if frame is None
        else [_name(i, text, i == drawn) for i, text in frame.select("token_id", "text").iter_rows()]
    )
    return {
        "annotations": notes,
        "yaxis.tickvals": list(range(len(names))),
        "yaxis.ticktext": names,
        "xaxis.range": [0, 1.0 if frame is None or empty else _end(frame, other) * _ROOM],
    }


def percent(p: float) -> str:
    """A probability as a percentage of two or three digits: 12.3 %, 0.04 %, <0.01 %."""
    if 0 < p < 1e-4:
        return "<0.01 %"
    return f"{100 * p:.{2 if p < 0.01 else 1}f} %"


def _other(frame: pl.DataFrame, other: pl.DataFrame | None, hover: np.ndarray) -> dict[str, Any]:
    if other is None:
        return {"x": [], "y": [], "visible": False}
    kept = np.flatnonzero(other["kept"].to_numpy())
    return {"x": other["sampled"].to_numpy()[kept], "y": kept, "customdata": hover[kept], "visible": bool(len(frame))}


def _cut(frame: pl.DataFrame, other: pl.DataFrame | None) -> dict[str, Any]:
    """Lines between neighbours of which one is kept and the other is not."""
    kept = frame["kept"].to_numpy()
    between = np.flatnonzero(kept[1:] != kept[:-1]) + 0.5
    end = _end(frame, other) * _ROOM
    x = np.tile([0.0, end, np.nan], len(between))
    words = np.tile(np.array(["", "cut", ""], dtype=object), len(between))
    return {"x": x, "y": np.repeat(between, 3), "text": words, "visible": bool(len(between))}


def _end(frame: pl.DataFrame, other: pl.DataFrame | None) -> float:
    columns = [frame["raw"], frame["sampled"]] + ([] if other is None else [other["sampled"]])
    most = max(float(values.max() or 0) for values in columns)
    return next((end for end in _ENDS if most <= end), 1.0)


def _name(token: int, text: str | None, realised: bool) -> str:  # noqa: FBT001  -- private, one caller
    label = f"⟨{token}⟩" if text is None else token_label(text if len(text) <= _LABEL else text[: _LABEL - 1] + "…")
    return f"<b>▶ {label}</b>" if realised else label


def _hovers(frame: pl.DataFrame, other: pl.DataFrame | None) -> list[str]:
    others = [None] * len(frame) if other is None else other["sampled"].to_list()
    texts = []
    for (token, text, raw, sampled, kept), b in zip(frame.iter_rows(), others, strict=True):
        after = f"sampled {percent(sampled)}" if kept else "dropped"
        more = "" if b is None else f"<br>B sampled {percent(b)}"
        name = f"⟨{token}⟩" if text is None else token_label(text)
        texts.append(f"<b>{name}</b>, id {token}<br>raw {percent(raw)}<br>{after}{more}")
    return texts
