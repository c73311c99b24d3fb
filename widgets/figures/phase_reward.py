"""PEAR's reward as alpha goes: one response's line with its kink, or many responses' with their mean."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import plotly.graph_objects as go

from widgets.figures.phase_styles import phase_styles
from widgets.figures.series import Updates, message, noted, shown, update_figure
from widgets.figures.template import Theme, annotation_style, palette, template

if TYPE_CHECKING:
    from widgets.figures.series import Floats, Indices
    from workbench.phases import RewardCurve

LINES = 60
"""Single responses' lines drawn at most; the mean is over all."""

_TRACES: dict[str, dict[str, Any]] = {
    "reward_each": {"name": "each response", "mode": "lines"},
    "reward_format": {"name": "a wrong answer earns", "mode": "lines"},
    "reward_mean": {"mode": "lines"},
    "reward_kinks": {"mode": "markers"},
    "reward_alpha": {"mode": "lines", "yaxis": "y2"},
    "reward_now": {"mode": "markers", "showlegend": False},
}


def phase_reward(curve: RewardCurve | None, alpha: float, *, kind: str = "raw", theme: Theme = "light") -> go.Figure:
    """Reward r (y) over α (x), the present α as a dashed rule, the kinks α* = H_think / H_ans as ticks on the line.

    Updates in place: `update_figure(fig, reward_series(curve, alpha), reward_layout(curve, kind=…, theme=…))`.

    Args:
        curve: from `reward_curve`, on ascending alphas; None gives an empty chart that says so.
        alpha: the present α.
        kind: raw or sampled, whatever the entropies of the curve were.
        theme: light or dark.

    Raises:
        ValueError: an unknown theme.
    """
    styles = phase_styles(palette(theme))
    fig = go.Figure(layout={"template": template(theme)})
    for role, fixed in _TRACES.items():
        hover = {"hoverinfo": "skip"} if role not in ("reward_mean", "reward_now") else {}
        fig.add_trace(go.Scatter(meta=role, **fixed, **hover, **styles[role]))
    fig.update_traces(hovertemplate="α %{x:.2f}, reward %{y:.3f}<extra></extra>", selector={"meta": "reward_mean"})
    fig.update_traces(hovertemplate="α %{x:.2f}, reward %{y:.3f}<extra></extra>", selector={"meta": "reward_now"})
    fig.update_layout(
        hovermode="closest",
        yaxis={"zeroline": True, "title": {"text": "reward r"}},
        yaxis2={"overlaying": "y", "range": [0, 1], "visible": False, "fixedrange": True},
    )
    return update_figure(fig, reward_series(curve, alpha), reward_layout(curve, kind=kind, theme=theme))


def reward_series(curve: RewardCurve | None, alpha: float) -> Updates:
    """Role -> properties to assign to that trace; all empty without responses."""
    if curve is None or not len(curve.rewards):
        return {role: {"x": [], "y": []} for role in _TRACES}
    n, a = len(curve.rewards), curve.alphas
    chosen = _chosen(n) if n > 1 else np.empty(0, dtype=np.int64)
    gap = np.full((len(chosen), 1), np.nan)
    now = float(np.interp(alpha, a, curve.mean))
    inside = curve.kinks[(curve.kinks >= a[0]) & (curve.kinks <= a[-1])]  # NaN is neither
    ticks = np.unique(inside) if n == 1 else np.unique(inside[_chosen(len(inside))])
    return {
        "reward_each": {
            "x": np.hstack([np.tile(a, (len(chosen), 1)), gap]).ravel(),
            "y": np.hstack([curve.rewards[chosen], gap]).ravel(),
            "visible": n > 1,
        },
        "reward_format": {"x": a[[0, -1]], "y": [curve.format_reward] * 2},
        "reward_mean": {**_exact(curve), "name": "reward" if n == 1 else f"mean reward of {n}"},
        "reward_kinks": {
            "x": ticks,
            "y": np.interp(ticks, *_exact(curve).values()),
            "name": "kink α* = H_think / H_ans" if n == 1 else "kinks α* = H_think / H_ans",
            "visible": bool(len(ticks)),
        },
        "reward_alpha": {"x": [alpha, alpha], "y": [0, 1], "name": f"α = {alpha:g}"},
        "reward_now": {"x": [alpha], "y": [now], "visible": bool(a[0] <= alpha <= a[-1])},
    }


def reward_layout(curve: RewardCurve | None, *, kind: str = "raw", theme: Theme = "light") -> dict[str, Any]:
    """The parts of the layout that follow the data; dotted path -> value."""
    if curve is None or not len(curve.rewards):
        words = "no response with a verdict and a known entropy"
        return {"annotations": [{**message(words), **annotation_style("message", theme)}]}
    n = len(curve.rewards)
    return {
        "annotations": [],
        "xaxis.range": [float(curve.alphas[0]), float(curve.alphas[-1])],
        "xaxis.title.text": noted(
            f"α, weight of the answer's mean {kind} entropy (nats)", [shown(min(n, LINES), n, "responses")]
        ),
    }


def _exact(curve: RewardCurve) -> dict[str, Floats]:
    """The mean's line; for one response with its kink as a point of its own, so that the corner is sharp."""
    a, mean = curve.alphas, curve.mean
    if len(curve.rewards) > 1 or not a[0] < curve.kinks[0] < a[-1]:
        return {"x": a, "y": mean}
    at = int(np.searchsorted(a, curve.kinks[0]))
    return {"x": np.insert(a, at, curve.kinks[0]), "y": np.insert(mean, at, min(1.0, curve.s))}


def _chosen(n: int) -> Indices:
    """At most LINES of n, at even steps."""
    return np.unique(np.linspace(0, n - 1, min(n, LINES)).astype(np.int64)) if n else np.empty(0, dtype=np.int64)
