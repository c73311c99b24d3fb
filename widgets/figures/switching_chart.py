"""Two models taking turns along one text: the entropy that decides, its mean, the thresholds, and who draws."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import plotly.graph_objects as go

from widgets.figures.series import Floats, Indices, Updates, Window, line, message, noted, shown, update_figure
from widgets.figures.template import Theme, annotation_style, template, trace_style
from widgets.figures.text import token_label

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from workbench.samplers.switching import SwitchingReplay

POINTS = 2000
"""Points a line may have."""
_FEWEST_POSITIONS = 10  # on the x axis, so that a first token does not get ticks at fractions
_UPPER, _LOWER = (0.27, 1.0), (0.0, 0.16)
_MONITORED = {"active": "raw entropy, model at work", "small": "raw entropy, small model"}

# role -> what plotly must know besides the arrays and the style, in drawing order
_TRACES: dict[str, dict[str, Any]] = {
    "drawn_large": {
        "name": "large model draws", "mode": "lines", "fill": "toself", "yaxis": "y3",
        "legendrank": 1001,
    },
    "raw": {"mode": "lines", "legendrank": 998},
    "mean": {"mode": "lines", "legendrank": 999},
    "threshold": {"mode": "lines"},
    "threshold_down": {"mode": "lines"},
    "route": {"mode": "lines", "fill": "tozeroy", "yaxis": "y2", "showlegend": False},
}  # fmt: skip


@dataclass(frozen=True)
class _Data:
    """The series of one replay, entropies in bits."""

    replay: SwitchingReplay
    visible: tuple[float, float] | None
    points: int

    @cached_property
    def x(self) -> Floats:
        return np.arange(len(self.replay.route), dtype=float)

    @cached_property
    def sight(self) -> Window:
        return Window.of(self.x, self.visible, self.points)

    @cached_property
    def pointer_rows(self) -> Indices:
        """The tokens that answer the pointer."""
        return self.sight.chosen(self.replay.route.monitored)

    @cached_property
    def turns(self) -> tuple[Floats, np.ndarray]:
        """Edges (n + 1,) of the turns, half a token beside their tokens, and whether each is the large model's (n,)."""
        route = self.replay.route
        starts = np.concatenate([[0], route.switch_points])
        return np.append(starts, len(route)) - 0.5, route.large[starts]


def switching_chart(
    replay: SwitchingReplay | None,
    *,
    visible: tuple[float, float] | None = None,
    points: int = POINTS,
    cursor: int | None = None,
    theme: Theme = "light",
) -> go.Figure:
    """Above: the monitored raw entropy in bits, its window mean and the thresholds. Below: which model draws.

    Stretches of the large model are hatched in both, and the line below stands at "large" or "small". Every mark is
    always there and carries its role as `meta`: `update_figure(fig, switching_series(…), switching_layout(…))` gives
    the figure of other settings, `switching_cursor` moves the cursor. The traces "tokens" and "route_tokens" are
    invisible and answer hover and click: their x holds the positions.

    Args:
        replay: what to draw; None gives an empty chart that says so.
        visible: positions in sight, None for all.
        points: points a line may have.
        cursor: position of the cursor line, or None.
        theme: light or dark.

    Raises:
        ValueError: an unknown theme, or fewer than 10 points.
    """
    fig = go.Figure(layout={"template": template(theme)})
    for role, fixed in _TRACES.items():
        fig.add_trace(go.Scatter(meta=role, hoverinfo="skip", **fixed, **trace_style(role, theme)))
    # A transparent line is found by the pointer as markers would be, and costs one node instead of one a token.
    pointer = {"mode": "lines", "line": {"color": "rgba(0,0,0,0)"}, "showlegend": False}
    for role, axis in (("tokens", "y"), ("route_tokens", "y2")):
        fig.add_trace(go.Scatter(meta=role, yaxis=axis, hovertemplate=_HOVER, **pointer))
    bar = {"mode": "lines", "showlegend": False, "hoverinfo": "skip"}
    for role, axis in (("cursor", "y3"), ("cursor_route", "y2")):
        fig.add_trace(go.Scatter(meta=role, yaxis=axis, **bar, **trace_style(role, theme)))
    fig.update_layout(
        hovermode="x",
        xaxis={"anchor": "y2"},
        yaxis={"rangemode": "tozero", "fixedrange": True, "domain": _UPPER, "title": {"text": "raw entropy (bits)"}},
        yaxis2={
            "domain": _LOWER, "range": _ROUTE_RANGE, "tickvals": [0, 1], "ticktext": ["small", "large"],
            "fixedrange": True, "showgrid": False, "title": {"text": "draws"},
        },
        # the cursor's own axis, so that moving it changes two numbers and no range; shared by the hatched stretches
        yaxis3={"overlaying": "y", "range": [0, 1], "visible": False, "fixedrange": True},
    )  # fmt: skip
    series = switching_series(replay, visible=visible, points=points) | switching_cursor(cursor)
    return update_figure(fig, series, switching_layout(replay, visible=visible, points=points, theme=theme))


def switching_series(
    replay: SwitchingReplay | None, *, visible: tuple[float, float] | None = None, points: int = POINTS
) -> Updates:
    """Role -> properties to assign to that trace of a switching chart; all empty without a replay."""
    if replay is None:
        return {role: {"x": [], "y": []} for role in _BUILDERS}
    data = _Data(replay, visible, points)
    return {role: build(data) for role, build in _BUILDERS.items()}


def switching_layout(
    replay: SwitchingReplay | None,
    *,
    visible: tuple[float, float] | None = None,
    points: int = POINTS,
    theme: Theme = "light",
) -> dict[str, Any]:
    """The parts of the layout that follow the replay and the zoom; dotted path -> value."""
    tokens, notes, annotations = 0, [], []
    if replay is None:
        annotations = [{**message("nothing to show"), **annotation_style("message", theme)}]
    else:
        data = _Data(replay, visible, points)
        tokens = len(data.x)
        inside = len(data.sight.inside(np.arange(tokens)))
        notes = [shown(min(len(data.pointer_rows), inside), inside)]
    return {
        "annotations": annotations,
        "xaxis.range": visible or (-0.5, max(tokens, _FEWEST_POSITIONS) - 0.5),
        "xaxis.title.text": noted("token position", notes),
    }


def switching_cursor(position: int | None) -> Updates:
    """The cursor line at `position` in both halves, or nowhere."""
    x = [] if position is None else [position, position]
    return {
        "cursor": {"x": x, "y": [0, 1] if x else []},
        "cursor_route": {"x": x, "y": list(_ROUTE_RANGE) if x else []},
    }


def _drawn_large(data: _Data) -> dict[str, Any]:
    edges, large = data.turns
    start, stop, gap = edges[:-1][large], edges[1:][large], np.full(int(large.sum()), np.nan)
    x = np.column_stack([start, stop, stop, start, start, gap]).ravel()
    y = np.tile([0.0, 0.0, 1.0, 1.0, 0.0, np.nan], len(start))
    return {"x": x, "y": y, "visible": bool(len(start))}


def _raw(data: _Data) -> dict[str, Any]:
    name = _MONITORED[data.replay.settings.monitor]
    return {**line(data.x, data.replay.route.monitored, data.pointer_rows), "name": name}


def _mean(data: _Data) -> dict[str, Any]:
    mean = data.replay.route.mean
    return {**line(data.x, mean, data.sight.chosen(mean)), "name": f"mean of last {data.replay.settings.window}"}


def _threshold(data: _Data) -> dict[str, Any]:
    return {**_level(data, data.replay.settings.up), "name": f"large above {data.replay.settings.up:.4g}"}


def _threshold_down(data: _Data) -> dict[str, Any]:
    """A line of its own only where there is a hysteresis."""
    down = data.replay.settings.down
    level = down if data.replay.settings.hysteresis else np.inf
    return {**_level(data, level), "name": f"small at or below {down:.4g}"}


def _level(data: _Data, height: float) -> dict[str, Any]:
    """A line from end to end; none where no entropy could reach it."""
    drawn = bool(np.isfinite(height))
    x = [-0.5, len(data.x) - 0.5] if drawn else []
    return {"x": x, "y": [height] * len(x), "visible": drawn}


def _route(data: _Data) -> dict[str, Any]:
    edges, large = data.turns
    return {"x": np.column_stack([edges[:-1], edges[1:]]).ravel(), "y": np.repeat(large.astype(float), 2)}


def _tokens(data: _Data) -> dict[str, Any]:
    rows = data.pointer_rows
    return {"x": data.x[rows], "y": data.replay.route.monitored[rows], "text": _hover_texts(data)}


def _route_tokens(data: _Data) -> dict[str, Any]:
    rows = data.pointer_rows
    return {"x": data.x[rows], "y": data.replay.route.large[rows].astype(float), "text": _hover_texts(data)}


def _hover_texts(data: _Data) -> list[str]:
    names, route = data.replay.small.tokens["text"].to_list(), data.replay.route
    models = np.where(route.large, "large", "small")
    return [
        f"<b>{token_label(names[row])}</b><br>token {row}, drawn by the {models[row]} model"
        f"<br>raw entropy {route.monitored[row]:.3f} bits, window mean {route.mean[row]:.3f}"
        for row in data.pointer_rows.tolist()
    ]


_HOVER = "%{text}<extra></extra>"
_ROUTE_RANGE = (-0.3, 1.3)
_BUILDERS: Mapping[str, Callable[[_Data], dict[str, Any]]] = {
    "drawn_large": _drawn_large,
    "raw": _raw,
    "mean": _mean,
    "threshold": _threshold,
    "threshold_down": _threshold_down,
    "route": _route,
    "tokens": _tokens,
    "route_tokens": _route_tokens,
}
