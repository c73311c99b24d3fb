"""Entropy and accuracy by difficulty, the tests for a U drawn over them, and their verdict above."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import plotly.graph_objects as go

from widgets.figures.difficulty_series import POINTS, DifficultyData, difficulty_cursor, difficulty_series
from widgets.figures.difficulty_style import difficulty_styles, region_style
from widgets.figures.series import message, noted, shown, update_figure
from widgets.figures.template import Theme, annotation_style, palette, template, trace_style
from widgets.figures.text import Unit, safe, thousands
from workbench.difficulty.regions import REGIONS

if TYPE_CHECKING:
    from workbench.difficulty import DifficultyCurve, Verdict

# role -> what plotly must know besides the arrays and the style, in drawing order
_HOVER = {"hovertemplate": "%{text}<extra></extra>"}
_TRACES: dict[str, dict[str, Any]] = {
    "problem": {"name": "a problem", "mode": "markers", **_HOVER},
    "break": {"mode": "lines", "yaxis": "y3", "hoverinfo": "skip", "showlegend": False},
    "parabola": {"name": "fitted parabola", "mode": "lines", "hoverinfo": "skip"},
    "line_low": {"mode": "lines", "hoverinfo": "skip"},
    "line_high": {"mode": "lines", "hoverinfo": "skip", "showlegend": False},
    "level_accuracy": {"name": "accuracy", "mode": "lines+markers", "yaxis": "y2", "legendrank": 999, **_HOVER},
    "level_entropy": {"mode": "lines+markers", "legendrank": 998, **_HOVER},
    "fieller": {
        "mode": "lines+markers", "yaxis": "y3", "hoverinfo": "skip",
        "marker": {"symbol": ["line-ns", "circle", "line-ns"]},
    },
}  # fmt: skip
_X_TITLES = {
    "level": "difficulty level",
    "quantile": "difficulty, bins of about equal size",
    "accuracy": "1 − accuracy of a problem's responses",
}


def difficulty_figure(
    curve: DifficultyCurve | None,
    verdict: Verdict | None = None,
    *,
    problem: str | None = None,
    unit: Unit = "nats",
    points: int = POINTS,
    titled: bool = True,
    theme: Theme = "light",
) -> go.Figure:
    """Mean entropy (left) and accuracy (right) of each level with intervals, the problems behind, the verdict above.

    With a verdict: the fitted parabola, the Fieller interval of its extremum (a bar at the foot; none where it is
    unbounded), both lines and their break. Entropy is drawn with filled circles and a solid line, accuracy with
    diamonds and dashes; open symbols stand for levels with too few problems. `customdata` of the trace "problem"
    holds the problem's name, for clicks. Every mark carries its role as `meta`, so that
    `update_figure(fig, difficulty_series(…), difficulty_layout(…))` gives the figure of another curve and
    `difficulty_cursor` moves the ring.

    Args:
        curve: what to draw; None gives an empty figure that says so.
        verdict: what `assess` said of it, or None.
        problem: the problem to put a ring around.
        unit: of the entropies.
        points: problems drawn at most.
        titled: whether the verdict stands above; without it the plot takes its place.
        theme: light or dark.

    Raises:
        ValueError: an unknown unit or theme.
    """
    fig = go.Figure(layout={"template": template(theme)})
    styles = difficulty_styles(palette(theme))
    for role, fixed in _TRACES.items():
        fig.add_trace(go.Scatter(meta=role, **fixed).update(styles[role]))
    ring = {"mode": "markers", "showlegend": False, "hoverinfo": "skip"}
    fig.add_trace(go.Scatter(meta="cursor_point", **ring, **trace_style("cursor_point", theme)))
    fig.update_layout(
        hovermode="closest",
        margin={"t": 84 if titled else 28, "r": 56},
        # below the plot: six entries would take the place of the verdict
        legend={"yref": "container", "y": 0, "yanchor": "bottom", "font": {"size": 11}},
        title={"x": 0, "xref": "paper", "y": 1, "yref": "container", "yanchor": "top", "pad": {"t": 12}},
        yaxis={"title": {"text": _entropy_title(curve, unit)}},
        yaxis2={
            "overlaying": "y", "side": "right", "range": [-0.06, 1.06], "showgrid": False, "tickformat": ".0%",
            "tickmode": "linear", "tick0": 0, "dtick": 0.2,
            "title": {"text": "accuracy"}, "fixedrange": True,
        },
        yaxis3={"overlaying": "y", "range": [0, 1], "visible": False, "fixedrange": True},
    )  # fmt: skip
    series = difficulty_series(curve, verdict, unit=unit, points=points)
    series |= difficulty_cursor(curve, problem, unit=unit)
    layout = difficulty_layout(curve, verdict, unit=unit, points=points, titled=titled, theme=theme)
    return update_figure(fig, series, layout)


def difficulty_layout(
    curve: DifficultyCurve | None,
    verdict: Verdict | None = None,
    *,
    unit: Unit = "nats",
    points: int = POINTS,
    titled: bool = True,
    theme: Theme = "light",
) -> dict[str, Any]:
    """The parts of the layout that follow the data: regions, titles, verdict; dotted path -> value."""
    shapes, annotations, notes, x_title = [], [], [], "difficulty"
    if curve is None:
        annotations = [{**message("no problems to show"), **annotation_style("message", theme)}]
    else:
        shapes, annotations = _regions(curve, theme)
        notes, x_title = _notes(DifficultyData(curve, verdict, unit, points)), _X_TITLES[curve.settings.bins]
    return {
        "shapes": shapes,
        "annotations": annotations,
        "title.text": f"<b>{safe(verdict.headline)}</b>" if titled and verdict is not None else "",
        "title.subtitle.text": safe(verdict_line(verdict)) if titled and verdict is not None else "",
        "xaxis.title.text": noted(x_title, notes),
        "yaxis.title.text": _entropy_title(curve, unit),
        "yaxis2.visible": curve is not None and curve.graded,
    }


def verdict_line(verdict: Verdict) -> str:
    """The tests' numbers in a line, or why there are none."""
    if verdict.lind_mehlum is None or verdict.two_lines is None:
        return verdict.reasons[0]
    parabola, lines = verdict.lind_mehlum, verdict.two_lines
    said = [f"Lind-Mehlum {_p(parabola.p_value)}"]
    if lines.identifiable:
        said.append(f"two lines {_p(lines.p_low)} and {_p(lines.p_high)}")
    else:
        said.append("two lines not identifiable")
    if parabola.fieller is None:
        said.append("extremum undetermined")
    else:
        said.append(f"extremum {parabola.extremum:.3g} [{parabola.fieller[0]:.3g}, {parabola.fieller[1]:.3g}]")
    return "; ".join([*said, f"{thousands(verdict.n_problems)} problems"])


def _p(value: float) -> str:
    return f"p = {value:.3f}" if value >= 0.001 else "p < 0.001"


def _entropy_title(curve: DifficultyCurve | None, unit: Unit) -> str:
    if curve is None:
        return f"entropy ({unit})"
    settings = curve.settings
    phase = next((f"{phase} " for phase in ("think", "answer") if phase in settings.entropy), "")
    return f"{settings.kind} {phase}entropy ({unit}), {settings.aggregate} mean"


def _notes(data: DifficultyData) -> list[str | None]:
    curve = data.curve
    sparse = int(curve.levels["sparse"].sum())
    missing = {"difficulty": curve.without_difficulty, "entropy": curve.without_entropy}
    return [
        shown(len(data.drawn), len(curve.problems), "problems"),
        f"open symbols: fewer than {curve.settings.min_per_bin} problems, not tested" if sparse else None,
        *(f"{thousands(n)} responses without {what} left out" for what, n in missing.items() if n),
    ]


def _regions(curve: DifficultyCurve, theme: Theme) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Shaded bands between the borders, each with its name above the plot; bands without width are left out."""
    levels = curve.levels["level"].to_numpy()
    margin = 0.04 * (levels[-1] - levels[0])
    ends = (float(levels[0] - margin), float(levels[-1] + margin))
    edges = [ends[0], *(min(max(border, ends[0]), ends[1]) for border in curve.regions), ends[1]]
    shapes, names = [], []
    for start, stop, region in zip(edges[:-1], edges[1:], REGIONS, strict=True):
        if stop <= start:
            continue
        name = f"region:{region}"
        box = {"type": "rect", "x0": start, "x1": stop, "y0": 0, "y1": 1, "yref": "paper", "layer": "below"}
        shapes.append({"name": name, **box, **region_style(name, palette(theme))})
        place = {"x": (start + stop) / 2, "y": 1, "yref": "paper", "yanchor": "bottom", "showarrow": False}
        names.append({"name": "region", "text": region, **place, **annotation_style("region", theme)})
    return shapes, names
