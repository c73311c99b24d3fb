"""Entropy After </Think> at every step of a thought: entropy, its moving variance and stopping rule, and verdicts."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import plotly.graph_objects as go

from widgets.figures.eat_series import LEAST_VARIANCE, POINTS, RULES, VERDICT_RANGE, drawn, eat_series
from widgets.figures.phase_styles import phase_styles
from widgets.figures.series import message, noted, shown, update_figure
from widgets.figures.template import Theme, annotation_style, palette, template
from widgets.figures.text import Unit, per_unit, safe

if TYPE_CHECKING:
    from workbench.phases import EatRun, EatStop

_DOMAINS = {"entropy": (0.62, 1.0), "variance": (0.24, 0.56), "verdict": (0.0, 0.16)}
_TRACES: dict[str, dict[str, Any]] = {
    "eat_too_early": {"name": "too early to stop", "mode": "lines", "fill": "toself", "yaxis": "y5"},
    "eat_entropy": {"name": "entropy after closing", "mode": "lines+markers"},
    "eat_mean": {"name": "moving mean", "mode": "lines"},
    "eat_variance": {"name": "moving variance", "mode": "lines+markers", "yaxis": "y2"},
    "eat_delta": {"mode": "lines", "yaxis": "y2"},
    "eat_right": {"mode": "markers", "yaxis": "y3", "showlegend": False},
    "eat_wrong": {"mode": "markers", "yaxis": "y3", "showlegend": False},
}
_HOVER = ("eat_entropy", "eat_variance", "eat_right", "eat_wrong")


def eat_chart(
    run: EatRun | None,
    stop: EatStop | None = None,
    *,
    unit: Unit = "nats",
    points: int = POINTS,
    theme: Theme = "light",
) -> go.Figure:
    """Three panels over the boundaries of one thought, sharing x = thinking tokens kept.

    Above: raw entropy of the token after the closing marker, and its moving mean. Middle: the moving variance on a
    logarithmic axis, the line δ, the stretch that is too early to stop in, the dotted rule at the stop. Below: whether
    the answer given there is right (circle) or wrong (cross); empty until answers were forced. Updates in place:
    `update_figure(fig, eat_series(run, stop, …), eat_layout(run, stop, …))`; `customdata` holds the boundaries.

    Args:
        run: from `wb.phases.eat`; None gives an empty chart that says so.
        stop: from `run.stop(…)`; by default with its defaults.
        unit: nats or bits; variances in their squares.
        points: boundaries drawn at most.
        theme: light or dark.

    Raises:
        ValueError: an unknown unit or theme.
    """
    styles = phase_styles(palette(theme))
    fig = go.Figure(layout={"template": template(theme)})
    for role, fixed in _TRACES.items():
        hover = {"hovertemplate": "%{text}<extra></extra>"} if role in _HOVER else {"hoverinfo": "skip"}
        fig.add_trace(go.Scatter(meta=role, **fixed, **hover, **styles[role]))
    for panel, (axis, _) in RULES.items():
        role = f"eat_stop:{panel}"
        fixed = {"name": "stop", "mode": "lines", "hoverinfo": "skip", "showlegend": panel == "entropy"}
        fig.add_trace(go.Scatter(meta=role, yaxis=axis, **fixed, **styles[role]))
    small = {"font": {"size": 11}}  # two titles stand one above the other
    rule = {"range": [0, 1], "visible": False, "fixedrange": True}
    fig.update_layout(
        hovermode="x",
        xaxis={"anchor": "y3"},
        yaxis={
            "domain": _DOMAINS["entropy"], "rangemode": "tozero", "fixedrange": True, "title": small,
            "tickfont": {"size": 10},
        },
        yaxis2={
            "domain": _DOMAINS["variance"], "type": "log", "exponentformat": "power", "fixedrange": True,
            "title": small, "tickfont": {"size": 8},  # plotly draws powers larger
        },
        yaxis3={
            "domain": _DOMAINS["verdict"], "range": VERDICT_RANGE, "fixedrange": True, "showgrid": False,
            "tickfont": {"size": 10},
            "tickvals": [0, 1], "ticktext": ["answer wrong", "answer right"],
        },
        # the rules run from bottom to top of their panels
        yaxis4={"overlaying": "y", **rule},
        yaxis5={"overlaying": "y2", **rule},
    )  # fmt: skip
    series = eat_series(run, stop, unit=unit, points=points)
    return update_figure(fig, series, eat_layout(run, stop, unit=unit, points=points, theme=theme))


def eat_layout(
    run: EatRun | None,
    stop: EatStop | None = None,
    *,
    unit: Unit = "nats",
    points: int = POINTS,
    theme: Theme = "light",
) -> dict[str, Any]:
    """The parts of the layout that follow the run; dotted path -> value."""
    per_unit(unit)
    if run is None or not len(run):
        words = "nothing to show" if run is None else "no boundary was read"
        return {"annotations": [{**message(words), **annotation_style("message", theme)}]}
    notes = [shown(len(drawn(run, points)), len(run), "boundaries"), f"closed with {_quoted(run.closing)}"]
    decades = _decades(stop if stop is not None else run.stop(), unit)
    return {
        "annotations": [],
        "yaxis2.range": decades,
        "yaxis2.dtick": max(1, (decades[1] - decades[0]) // 4),
        "xaxis.range": [0, max(1, run.thinking - run.start) * 1.02],
        "xaxis.title.text": noted(f"thinking tokens kept, closed after each {_quoted(run.every)}", notes),
        "yaxis.title.text": f"raw entropy ({unit})",
        "yaxis2.title.text": f"raw variance ({unit}²)",
    }


def _decades(stop: EatStop, unit: Unit) -> list[int]:
    """Whole powers of ten around the variances and δ."""
    values = np.maximum([*stop.variance[1:], stop.delta], LEAST_VARIANCE) / per_unit(unit) ** 2
    return [math.floor(np.log10(values.min()) - 0.05), math.ceil(np.log10(values.max()) + 0.05)]


def _quoted(text: str) -> str:
    return safe(text.replace("\n", "⏎"))
