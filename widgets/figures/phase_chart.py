"""The entropy of every token by phase, with the mean of each phase and the rule where thinking is closed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import plotly.graph_objects as go
import polars as pl

from widgets.figures.phase_shading import phase_shading
from widgets.figures.phase_styles import phase_styles
from widgets.figures.series import (
    Floats,
    Indices,
    Updates,
    Window,
    column,
    line,
    message,
    noted,
    shown,
    update_figure,
)
from widgets.figures.template import Theme, annotation_style, palette, template, trace_style
from widgets.figures.text import Unit, per_unit, token_label
from workbench.phases.entropy import COLUMN

if TYPE_CHECKING:
    from workbench.phases import PhaseEntropy, PhaseSplit

POINTS = 2000
"""Points all lines together may have."""
NAMES = {"think": "thinking", "answer": "answer"}
_FEWEST_POSITIONS = 10  # on the x axis, so that a first token does not get ticks at fractions


@dataclass(frozen=True)
class PhaseData:
    """What one trace's chart draws."""

    tokens: pl.DataFrame
    """A trace's token table."""
    split: PhaseSplit
    """Its phases."""
    entropy: PhaseEntropy
    """Their means, raw or sampled, which decides what the whole chart shows."""
    unit: Unit = "nats"
    visible: tuple[float, float] | None = None
    """Positions in sight, None for all."""
    points: int = POINTS

    @cached_property
    def x(self) -> Floats:
        """(T,) positions."""
        return column(self.tokens, "position")

    @cached_property
    def y(self) -> Floats:
        """(T,) entropies in the unit."""
        return column(self.tokens, COLUMN[self.entropy.kind]) / per_unit(self.unit)

    @cached_property
    def drawn(self) -> Indices:
        """Rows of all phases that are drawn."""
        return Window.of(self.x, self.visible, self.points).chosen(self.y)

    def of(self, phase: str) -> Floats:
        """(T,) the entropies of one phase, NaN in the others, so that a line breaks there."""
        return np.where(self.split.phases == phase, self.y, np.nan)


def phase_chart(data: PhaseData | None, *, cursor: int | None = None, theme: Theme = "light") -> go.Figure:
    """Entropy over token position, a line a phase, a dashed line at each mean, a dotted rule at each closing marker.

    Updates in place: `update_figure(fig, phase_series(data), phase_layout(data, theme=theme))`, `phase_cursor`. The
    trace "tokens" is invisible and answers hover and click: its x holds the positions.

    Raises:
        ValueError: an unknown unit or theme, or fewer than 10 points.
    """
    styles = phase_styles(palette(theme))
    fig = go.Figure(layout={"template": template(theme)})
    for role in ("phase_line:think", "phase_line:answer", "phase_mean:think", "phase_mean:answer"):
        phase = role.rpartition(":")[2]
        is_mean = role.startswith("phase_mean")
        fixed = {"mode": "lines", "hoverinfo": "skip", "legendgroup": phase, "showlegend": is_mean}
        fig.add_trace(go.Scatter(meta=role, **fixed, **styles[role]))
    fixed = {"name": "marker", "mode": "markers", "hoverinfo": "skip", "showlegend": False}
    fig.add_trace(go.Scatter(meta="phase_line:marker", **fixed, **styles["phase_line:marker"]))
    bar = {"mode": "lines", "yaxis": "y2", "hoverinfo": "skip"}
    fig.add_trace(go.Scatter(meta="phase_boundary", **bar, **styles["phase_boundary"]))
    pointer = {"mode": "lines", "line": {"color": "rgba(0,0,0,0)"}, "showlegend": False}
    fig.add_trace(go.Scatter(meta="tokens", hovertemplate="%{text}<extra></extra>", **pointer))
    fig.add_trace(go.Scatter(meta="cursor", showlegend=False, **bar, **trace_style("cursor", theme)))
    fig.update_layout(
        hovermode="x",
        yaxis={"rangemode": "tozero", "fixedrange": True},
        # an axis of their own for what runs from bottom to top
        yaxis2={"overlaying": "y", "range": [0, 1], "visible": False, "fixedrange": True},
    )
    return update_figure(fig, phase_series(data) | phase_cursor(cursor), phase_layout(data, theme=theme))


def phase_series(data: PhaseData | None) -> Updates:
    """Role -> properties to assign to that trace of a phase chart; all empty without a trace."""
    if data is None:
        roles = [f"phase_{what}:{phase}" for what in ("line", "mean") for phase in ("think", "answer")]
        return {role: {"x": [], "y": []} for role in (*roles, "phase_line:marker", "phase_boundary", "tokens")}
    rows = data.drawn
    updates: Updates = {}
    for phase, name in NAMES.items():
        own = data.of(phase)
        updates[f"phase_line:{phase}"] = line(data.x, own, rows[data.split.phases[rows] == phase])
        updates[f"phase_mean:{phase}"] = _mean(data, phase, name)
    marks = rows[data.split.phases[rows] == "marker"]
    updates["phase_line:marker"] = {"x": data.x[marks], "y": data.y[marks]}
    updates["phase_boundary"] = _boundaries(data)
    updates["tokens"] = {"x": data.x[rows], "y": data.y[rows], "text": _texts(data)}
    return updates


def phase_layout(data: PhaseData | None, *, theme: Theme = "light") -> dict[str, Any]:
    """The parts of the layout that follow the data; dotted path -> value."""
    if data is None:
        note = {**message("nothing to show"), **annotation_style("message", theme)}
        return {"annotations": [note], "shapes": []}
    tokens = data.tokens.with_columns(pl.Series("phase", data.split.phases.tolist(), dtype=pl.String))
    shapes, annotations = phase_shading(tokens, theme, data.visible) if len(tokens) else ([], [])
    known = Window.of(data.x, data.visible, data.points).inside(np.flatnonzero(~np.isnan(data.y)))
    return {
        "shapes": shapes,
        "annotations": annotations,
        "xaxis.range": data.visible or (-0.5, max(len(tokens), _FEWEST_POSITIONS) - 0.5),
        "xaxis.title.text": noted("token position", [shown(len(data.drawn), len(known))]),
        "yaxis.title.text": f"{data.entropy.kind} entropy ({data.unit})",
    }


def phase_cursor(position: int | None) -> Updates:
    """The cursor line at `position`, or nowhere."""
    x = [] if position is None else [position, position]
    return {"cursor": {"x": x, "y": [0, 1] if x else []}}


def _mean(data: PhaseData, phase: str, name: str) -> dict[str, Any]:
    """The mean across each stretch of its phase, named in the legend with its value and count."""
    level, count = (data.entropy.think, data.entropy.n_think) if phase == "think" else (
        data.entropy.answer, data.entropy.n_answer,
    )  # fmt: skip
    level /= per_unit(data.unit)
    spans = np.array(data.split.spans(phase), dtype=float).reshape(-1, 2) - 0.5
    x = np.column_stack([spans, np.full(len(spans), np.nan)]).ravel()
    said = f"mean {level:.3f} {data.unit}, n = {count}" if count else "no tokens"
    return {"x": x if count else [], "y": np.full(len(x), level) if count else [], "name": f"{name}: {said}"}


def _boundaries(data: PhaseData) -> dict[str, Any]:
    """A rule through the middle of each closing marker, or between the phases where it left no token."""
    middles = [
        (start + max(start, stop - 1)) / 2 if stop > start else start - 0.5 for start, stop in data.split.closings
    ]
    x = np.array([edge for middle in middles for edge in (middle, middle, np.nan)])
    name = "thinking closed" if len(middles) == 1 else f"thinking closed, {len(middles)} times"
    return {"x": x, "y": np.array([0, 1, np.nan] * len(middles)), "name": name, "visible": bool(middles)}


def _texts(data: PhaseData) -> list[str]:
    names = data.tokens["text"].to_list()
    return [
        f"<b>{token_label(names[row])}</b><br>token {int(data.x[row])}, {data.split.phases[row]}"
        f"<br>{data.entropy.kind} entropy {data.y[row]:.3f} {data.unit}"
        for row in data.drawn.tolist()
    ]
