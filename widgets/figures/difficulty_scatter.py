"""Accuracy against entropy of every problem, with DiffAdapt's labels and the thresholds that make them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import plotly.graph_objects as go

from widgets.figures.difficulty_series import POINTS, spread_out
from widgets.figures.difficulty_style import LABEL_SYMBOLS, difficulty_styles
from widgets.figures.series import Floats, Updates, column, message, noted, shown, thinned, update_figure
from widgets.figures.template import Theme, annotation_style, palette, template, trace_style
from widgets.figures.text import Unit, per_unit, token_label

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Literal

    import polars as pl

_SIGNS = {"alpha": "α", "beta": "β", "gamma": "γ"}
_ACCURACY_RANGE = (-0.06, 1.06)
_ASIDE = 0.04  # how far points move so that equal accuracies do not hide each other
_LEAST_WIDTH = 0.02  # nats, of the entropy axis


def scatter_figure(
    problems: pl.DataFrame,
    labels: Sequence[str | None] | None = None,
    *,
    thresholds: Mapping[str, float] | None = None,
    problem: str | None = None,
    kind: Literal["raw", "sampled"] = "raw",
    unit: Unit = "nats",
    points: int = POINTS,
    theme: Theme = "light",
) -> go.Figure:
    """Mean entropy (x) and accuracy (y) of every problem, a symbol a label, lines at α, β and γ.

    Equal accuracies are spread a little, the same way every time. The axes are those of the problems whatever the
    thresholds are, so that nothing moves while one is dragged; a β outside stands at the edge with an arrow.
    `customdata` holds the problems' names. Updates in place: `update_figure(fig, scatter_series(…),
    scatter_layout(…))`.

    Args:
        problems: with columns problem, entropy (nats) and accuracy; rows where either is null are left out.
        labels: (P,) "easy", "normal", "hard" or None for each row; None for a scatter without labels.
        thresholds: alpha and gamma (accuracies) and beta (nats); those missing get no line.
        problem: the problem to put a ring around.
        kind: which entropy, for the axis.
        unit: of the entropy axis.
        points: problems drawn at most; each label keeps its share.
        theme: light or dark.

    Raises:
        ValueError: an unknown label, unit or theme, or labels that are not one a row.
    """
    fig = go.Figure(layout={"template": template(theme)})
    styles = difficulty_styles(palette(theme))
    for label in LABEL_SYMBOLS:
        words = "" if label == "none" else f" ({label})"
        marks = {"mode": "markers", "hovertemplate": f"%{{text}}{words}<extra></extra>", "cliponaxis": False}
        fig.add_trace(go.Scatter(meta=f"label:{label}", **marks).update(styles[f"label:{label}"]))
    for role in _SIGNS:
        words = {"mode": "lines+text", "showlegend": False, "hoverinfo": "skip", "cliponaxis": False}
        fig.add_trace(go.Scatter(meta=role, **words).update(styles[role]))
    ring = {"mode": "markers", "showlegend": False, "hoverinfo": "skip"}
    fig.add_trace(go.Scatter(meta="cursor_point", **ring, **trace_style("cursor_point", theme)))
    fig.update_layout(
        hovermode="closest",
        margin={"r": 72},  # the names of α and γ
        xaxis={"showgrid": True},
        yaxis={"range": _ACCURACY_RANGE, "title": {"text": "accuracy"}, "tickformat": ".0%"},
    )
    given = {"thresholds": thresholds, "problem": problem, "unit": unit, "points": points}
    layout = scatter_layout(problems, kind=kind, unit=unit, points=points, theme=theme)
    return update_figure(fig, scatter_series(problems, labels, **given), layout)


def scatter_series(
    problems: pl.DataFrame,
    labels: Sequence[str | None] | None = None,
    *,
    thresholds: Mapping[str, float] | None = None,
    problem: str | None = None,
    unit: Unit = "nats",
    points: int = POINTS,
) -> Updates:
    """Role -> properties to assign to that trace of the scatter."""
    scale = per_unit(unit)
    names = _checked(problems, labels)
    x, accuracy = column(problems, "entropy") / scale, column(problems, "accuracy")
    known = np.flatnonzero(~np.isnan(x) & ~np.isnan(accuracy))
    y = accuracy.copy()
    y[known] = spread_out(accuracy[known], most=_ASIDE)
    texts = _texts(problems, scale, unit)
    updates: Updates = {}
    for label in LABEL_SYMBOLS:
        group = known[names[known] == label]
        rows = thinned(x, y, group, max(10, points * len(group) // max(len(known), 1)))
        updates[f"label:{label}"] = {
            "x": x[rows],
            "y": y[rows],
            "customdata": problems["problem"][rows].to_list(),
            "text": [texts[row] for row in rows],
            "name": ("a problem" if labels is None else "no label") if label == "none" else f"{label} ({len(group)})",
            "visible": bool(len(group)),
        }
    ring = known[(problems["problem"] == problem).to_numpy()[known]] if problem is not None else known[:0]
    updates["cursor_point"] = {"x": x[ring], "y": y[ring]}
    return updates | _threshold_lines(thresholds or {}, scale, _extent(x[known], scale))


def scatter_layout(
    problems: pl.DataFrame,
    *,
    kind: Literal["raw", "sampled"] = "raw",
    unit: Unit = "nats",
    points: int = POINTS,
    theme: Theme = "light",
) -> dict[str, Any]:
    """Titles and, where there is nothing to draw, words; dotted path -> value."""
    both, scale = problems.drop_nulls(["entropy", "accuracy"]), per_unit(unit)
    known = len(both)
    empty = {**message("no problem has both entropy and accuracy"), **annotation_style("message", theme)}
    notes = [shown(min(points, known), known, "problems")]
    return {
        "annotations": [] if known else [empty],
        "xaxis.range": _extent(column(both, "entropy") / scale, scale),
        "xaxis.title.text": noted(f"{kind} entropy, mean over a problem's responses ({unit})", notes),
    }


def _checked(problems: pl.DataFrame, labels: Sequence[str | None] | None) -> np.ndarray:
    """(P,) label of each row, "none" where there is none."""
    names = np.full(len(problems), "none", dtype=object)
    if labels is None:
        return names
    if len(labels) != len(problems):
        raise ValueError(f"There are {len(labels)} labels for {len(problems)} problems; give one each.")
    names[:] = [label or "none" for label in labels]
    if unknown := set(names) - set(LABEL_SYMBOLS):
        raise ValueError(f"labels must be easy, normal, hard or None, not {sorted(unknown)}.")
    return names


def _extent(x: Floats, scale: float) -> tuple[float, float]:
    """Of the entropy axis: the problems', with room at both ends."""
    if not len(x):
        return 0.0, 1.0
    low, high = float(x.min()), float(x.max())
    room = max(0.04 * (high - low), _LEAST_WIDTH / scale / 2)
    return low - room, high + room


def _threshold_lines(thresholds: Mapping[str, float], scale: float, extent: tuple[float, float]) -> Updates:
    """α and γ across, β upright; the names stand beside the plot, one above and one below its line."""
    lines: Updates = {}
    for role, sign in _SIGNS.items():
        value = thresholds.get(role)
        if value is None:
            lines[role] = {"x": [], "y": [], "text": [], "visible": False}
            continue
        at = value / scale if role == "beta" else value
        words, position = f"{sign} = {at:.3g}", {"alpha": "top right", "gamma": "bottom right"}.get(role, "top center")
        place: dict[str, list[float]] = {"x": list(extent), "y": [at, at]}
        if role == "beta":
            words = f"← {words}" if at < extent[0] else f"{words} →" if at > extent[1] else words
            place = {"x": [min(max(at, extent[0]), extent[1])] * 2, "y": list(_ACCURACY_RANGE)}
        lines[role] = {**place, "text": ["", words], "textposition": position, "visible": True}
    return lines


def _texts(problems: pl.DataFrame, scale: float, unit: Unit) -> list[str]:
    """(P,) what each problem's point says."""
    rows = problems.select("problem", "entropy", "accuracy").iter_rows()
    return [
        ""
        if entropy is None or accuracy is None
        else f"<b>problem {token_label(name)}</b><br>entropy {entropy / scale:.3f} {unit}, accuracy {accuracy:.0%}"
        for name, entropy, accuracy in rows
    ]
