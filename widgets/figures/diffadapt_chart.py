"""Accuracy against tokens: each fixed strategy, the adaptive ones and the oracles, with intervals both ways."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import plotly.graph_objects as go

from widgets.figures.series import Updates, message, noted, update_figure
from widgets.figures.template import Theme, annotation_style, template
from widgets.figures.text import safe, thousands

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workbench.difficulty.comparison import Comparison, Estimate, Outcome

# Kind of outcome -> name in the legend and symbol. Colours are the template's own, in this order, so that they follow
# the theme; the symbols of the fixed strategies come from _FIXED.
_KINDS: dict[str, tuple[str, str]] = {
    "fixed": ("fixed strategies", "circle"),
    "adaptive": ("adaptive, by the probe", "star"),
    "labels": ("adaptive, by the labels", "cross"),
    "oracle": ("oracle in hindsight", "triangle-up-open"),
    "oracle_split": ("oracle, split halves", "triangle-down-open"),
}
_FIXED = ("circle", "square", "diamond", "pentagon", "hexagon", "bowtie")
_SHORT = {"adaptive": "adaptive", "labels": "by labels", "oracle": "oracle", "oracle_split": "oracle, honest"}
# Where a name's middle comes to lie beside its point, in shares of the plot's width and height.
_SIDES = {
    "top right": (0.06, 0.06), "bottom right": (0.06, -0.06), "top left": (-0.06, 0.06), "bottom left": (-0.06, -0.06),
}  # fmt: skip
_FLAT = 2.0
"""Names are wide and low: how many times nearer they may come one above the other than one beside the other."""


def diffadapt_chart(comparison: Comparison | None, *, captioned: bool = True, theme: Theme = "light") -> go.Figure:
    """Accuracy (y, %) against mean generated tokens a response (x) on held-out problems; up and left is better.

    Bars are the comparison's bootstrap intervals. Each strategy has a symbol and its name; what each of the adaptive
    ones and the oracles gains over the reference stands below. Marks carry their kind as `meta`, and all are always
    there: `update_figure(fig, diffadapt_series(…), diffadapt_layout(…))` gives the figure of another comparison.

    Args:
        comparison: what to draw; None gives an empty chart that says so.
        captioned: whether the gains stand below; pointing at a mark tells them all the same.
        theme: light or dark.

    Raises:
        ValueError: an unknown theme.
    """
    fig = go.Figure(layout={"template": template(theme)})
    for role, (name, symbol) in _KINDS.items():
        fig.add_trace(
            go.Scatter(
                meta=role,
                name=name,
                mode="markers+text",
                marker={"size": 12, "symbol": symbol, "line": {"width": 1.6}},
                hovertemplate="%{customdata}<extra></extra>",
                cliponaxis=False,
            )
        )
    fig.update_layout(hovermode="closest", yaxis={"title": {"text": "accuracy (%)"}})
    return update_figure(
        fig, diffadapt_series(comparison), diffadapt_layout(comparison, captioned=captioned, theme=theme)
    )


def diffadapt_series(comparison: Comparison | None) -> Updates:
    """Role -> properties to assign to that trace of the chart; all empty without a comparison."""
    if comparison is None:
        return {role: {"x": [], "y": [], "text": [], "customdata": [], "visible": False} for role in _KINDS}
    sides = _sides(comparison)
    updates: Updates = {}
    for role, (_, symbol) in _KINDS.items():
        rows = [outcome for outcome in comparison.outcomes if outcome.kind == role]
        symbols = [_FIXED[k % len(_FIXED)] for k in range(len(rows))] if role == "fixed" else [symbol] * len(rows)
        updates[role] = {
            "x": [row.tokens.value for row in rows],
            "y": [100 * row.accuracy.value for row in rows],
            "error_x": _bars([row.tokens for row in rows], 1),
            "error_y": _bars([row.accuracy for row in rows], 100),
            "text": [_short(row) for row in rows],
            "textposition": [sides[row.kind, row.strategy] for row in rows],
            "customdata": [_hover(row, comparison) for row in rows],
            "marker.symbol": symbols,
            "visible": bool(rows),
        }
    return updates


def diffadapt_layout(
    comparison: Comparison | None, *, captioned: bool = True, theme: Theme = "light"
) -> dict[str, Any]:
    """The parts of the layout that follow the comparison; dotted path -> value."""
    title = "mean generated tokens a response"
    if comparison is None:
        note = {**message("nothing to compare yet"), **annotation_style("message", theme)}
        hidden = {"xaxis.visible": False, "yaxis.visible": False}
        return {
            "annotations": [note],
            "xaxis.title.text": title,
            "xaxis.range": [0, 1],
            "yaxis.range": [0, 100],
            **hidden,
        }
    (left, right), (low, high) = _extent(comparison)
    return {
        "annotations": [],
        "xaxis.title.text": noted(title, ["<br>".join(_caption(comparison, full=captioned))]),
        "xaxis.visible": True,
        "yaxis.visible": True,
        "xaxis.range": [left, right],
        "yaxis.range": [100 * low, 100 * high],
    }


def _extent(comparison: Comparison) -> tuple[tuple[float, float], tuple[float, float]]:
    """Tokens from and to, accuracy from and to, with room around all intervals for the names."""
    found = []
    for name, least in (("tokens", 1.0), ("accuracy", 0.02)):
        estimates = [getattr(outcome, name) for outcome in comparison.outcomes]
        low, high = min(one.low for one in estimates), max(one.high for one in estimates)
        room = max(0.12 * (high - low), least)
        found.append((low - room, high + room))
    return found[0], found[1]


def _sides(comparison: Comparison) -> dict[tuple[str, str], str]:
    """(kind, strategy) -> the side of its point where its name is farthest from other points and from names so far."""
    (left, right), (low, high) = _extent(comparison)
    places = {
        (one.kind, one.strategy): (
            (one.tokens.value - left) / (right - left),
            (one.accuracy.value - low) / (high - low),
        )
        for one in comparison.outcomes
    }
    taken, sides = list(places.values()), {}
    for key, (x, y) in places.items():
        middles = {side: (x + dx, y + dy) for side, (dx, dy) in _SIDES.items()}
        sides[key] = max(middles, key=lambda side: min(_apart(middles[side], other) for other in taken))
        taken.append(middles[sides[key]])
    return sides


def _apart(one: tuple[float, float], other: tuple[float, float]) -> float:
    return math.hypot(one[0] - other[0], _FLAT * (one[1] - other[1]))


def _bars(estimates: Sequence[Estimate], scale: float) -> dict[str, Any]:
    """Error bars from each value to both ends; a bootstrap's percentiles may lie on one side of its value."""
    up = [scale * max(one.high - one.value, 0.0) for one in estimates]
    down = [scale * max(one.value - one.low, 0.0) for one in estimates]
    return {"type": "data", "symmetric": False, "array": up, "arrayminus": down, "thickness": 1.2, "width": 4}


def _caption(found: Comparison, *, full: bool) -> list[str]:
    """What was compared, then, where all is to be said, a line for each strategy that is not fixed."""
    fewest, most = found.samples
    responses = str(fewest) if fewest == most else f"{fewest} to {most}"
    head = (
        f"{thousands(found.problems)} held-out problems, {responses} responses each; {found.level:.0%} intervals over "
        "problems."
    )
    if not full:
        return [head]
    gains = (_difference(outcome) for outcome in found.outcomes if outcome.kind != "fixed")
    return [f"{head} Against always {safe(found.reference)}:", *gains]


def _difference(outcome: Outcome) -> str:
    points, saved = outcome.accuracy_difference, outcome.tokens_saved
    return (
        f"{_short(outcome)}: accuracy {_signed(100 * points.value)} points [{_signed(100 * points.low)}, "
        f"{_signed(100 * points.high)}], tokens saved {_signed(saved.value)} % [{_signed(saved.low)}, "
        f"{_signed(saved.high)}]"
    )


def _hover(outcome: Outcome, found: Comparison) -> str:
    acc, tok = outcome.accuracy, outcome.tokens
    shares = ", ".join(f"{safe(arm)} {share:.0%}" for arm, share in outcome.shares.items() if share)
    return (
        f"<b>{safe(outcome.strategy)}</b><br>accuracy {acc.value:.1%} [{acc.low:.1%}, {acc.high:.1%}]<br>"
        f"tokens {tok.value:.1f} [{tok.low:.1f}, {tok.high:.1f}]<br>uses {shares}<br>against always "
        f"{safe(found.reference)}:<br>{_difference(outcome)}"
    )


def _short(outcome: Outcome) -> str:
    return _SHORT.get(outcome.kind) or safe(outcome.strategy)


def _signed(value: float) -> str:
    """With its sign, and a true minus; nothing rounds to a negative zero."""
    return f"{round(value, 1) + 0.0:+.1f}".replace("-", "\u2212")
