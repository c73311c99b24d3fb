"""Where Self-Reflective Generation would step in: the entropy of every token against its dynamic threshold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import plotly.graph_objects as go

from widgets.figures.series import (
    Floats,
    Indices,
    Updates,
    Window,
    isolated,
    line,
    message,
    noted,
    shown,
    update_figure,
)
from widgets.figures.template import Theme, annotation_style, template, trace_style
from widgets.figures.text import thousands, token_label

if TYPE_CHECKING:
    from workbench.samplers.reflective import Reflective, ReflectiveReplay

POINTS = 2000
"""Points a line may have."""
_FEWEST_POSITIONS = 10  # on the x axis, so that a first token does not get ticks at fractions
_ENTROPY = {"raw": "raw entropy", "tempered": "tempered entropy"}
_AXIS = {"raw": "raw entropy (nats)", "tempered": "entropy of softmax(z / T) (nats)"}

# role -> what plotly must know besides the arrays and the style, in drawing order
_TRACES: dict[str, dict[str, Any]] = {
    "raw": {"mode": "lines", "legendrank": 998},
    "isolated": {"mode": "markers", "showlegend": False},
    "threshold": {"mode": "lines", "line_shape": "hvh", "legendrank": 999},  # each holds for its own token
    "triggered": {"mode": "markers", "cliponaxis": False},
}
_FOLLOWING = (*_TRACES, "tokens")


def trigger_chart(
    replay: ReflectiveReplay | None,
    *,
    visible: tuple[float, float] | None = None,
    points: int = POINTS,
    cursor: int | None = None,
    theme: Theme = "light",
) -> go.Figure:
    """Entropies in nats, the threshold of each token, and diamonds at those that trigger.

    The threshold has a gap where there is none, as in the paper's first N tokens. Every mark is always there and
    carries its role as `meta`: `update_figure(fig, trigger_series(…), trigger_layout(…))` gives the figure of other
    settings, `trigger_cursor` moves the cursor. The trace "tokens" is invisible and answers hover and click.

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
    fig.add_trace(go.Scatter(meta="tokens", hovertemplate="%{text}<extra></extra>", **pointer))
    bar = {"mode": "lines", "yaxis": "y2", "showlegend": False, "hoverinfo": "skip"}
    fig.add_trace(go.Scatter(meta="cursor", **bar, **trace_style("cursor", theme)))
    fig.update_layout(
        hovermode="x",
        yaxis={"rangemode": "tozero", "fixedrange": True},
        # the cursor's own axis, so that moving it changes two numbers and no range
        yaxis2={"overlaying": "y", "range": [0, 1], "visible": False, "fixedrange": True},
    )
    series = trigger_series(replay, visible=visible, points=points) | trigger_cursor(cursor)
    return update_figure(fig, series, trigger_layout(replay, visible=visible, points=points, theme=theme))


def trigger_series(
    replay: ReflectiveReplay | None, *, visible: tuple[float, float] | None = None, points: int = POINTS
) -> Updates:
    """Role -> properties to assign to that trace of a trigger chart; all empty without a replay."""
    if replay is None:
        return {role: {"x": [], "y": []} for role in _FOLLOWING}
    found, settings = replay.triggers, replay.settings
    x = np.arange(len(found), dtype=float)
    sight = Window.of(x, visible, points)
    threshold = _finite(found.threshold)
    triggered = sight.reduced(found.positions, found.entropy)
    alone = sight.reduced(isolated(found.entropy), found.entropy)
    rows = sight.chosen(found.entropy)
    return {
        "raw": {**line(x, found.entropy, rows), "name": _ENTROPY[settings.entropy_of]},
        "isolated": {"x": x[alone], "y": found.entropy[alone]},
        "threshold": {**line(x, threshold, sight.chosen(threshold)), "name": _rule(settings)},
        "triggered": {
            "x": x[triggered], "y": found.entropy[triggered], "name": f"triggers ({thousands(len(found.positions))})",
        },
        "tokens": {"x": x[rows], "y": found.entropy[rows], "text": _hover_texts(replay, rows)},
    }  # fmt: skip


def trigger_layout(
    replay: ReflectiveReplay | None,
    *,
    visible: tuple[float, float] | None = None,
    points: int = POINTS,
    theme: Theme = "light",
) -> dict[str, Any]:
    """The parts of the layout that follow the replay and the zoom; dotted path -> value."""
    tokens = 0 if replay is None else len(replay)
    notes, annotations = [], []
    if replay is None or not tokens:
        words = "nothing to show" if replay is None else "no tokens yet"
        annotations = [{**message(words), **annotation_style("message", theme)}]
    else:
        sight = Window.of(np.arange(tokens, dtype=float), visible, points)
        known = sight.inside(np.flatnonzero(~np.isnan(replay.triggers.entropy)))
        positions = sight.inside(replay.triggers.positions)
        notes = [
            shown(min(len(sight.chosen(replay.triggers.entropy)), len(known)), len(known)),
            shown(len(sight.reduced(positions, replay.triggers.entropy)), len(positions), "triggers"),
        ]
    return {
        "annotations": annotations,
        "xaxis.range": visible or (-0.5, max(tokens, _FEWEST_POSITIONS) - 0.5),
        "xaxis.title.text": noted("token position", notes),
        "yaxis.title.text": _AXIS["raw" if replay is None else replay.settings.entropy_of],
    }


def trigger_cursor(position: int | None) -> Updates:
    """The cursor line at `position`, or nowhere."""
    return {"cursor": {"x": [] if position is None else [position, position], "y": [] if position is None else [0, 1]}}


def _finite(values: Floats) -> Floats:
    return np.where(np.isfinite(values), values, np.nan)


def _rule(settings: Reflective) -> str:
    paper = f"threshold μ + {settings.k:g} σ of the {settings.window} before"
    return paper if settings.threshold_rule == "paper" else f"{paper}, with the least values"


def _hover_texts(replay: ReflectiveReplay, rows: Indices) -> list[str]:
    names, found, entropy = replay.trace.tokens["text"].to_list(), replay.triggers, _ENTROPY[replay.settings.entropy_of]
    labels = []
    for row in rows.tolist():
        limit = f"threshold {found.threshold[row]:.3f} nats" if np.isfinite(found.threshold[row]) else "no threshold"
        labels.append(
            f"<b>{token_label(names[row])}</b><br>token {row}{', triggers' if found.triggered[row] else ''}"
            f"<br>{entropy} {found.entropy[row]:.3f} nats, {limit}"
        )
    return labels
