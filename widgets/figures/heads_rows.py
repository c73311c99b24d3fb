"""One head along a text: the entropy of each token's row of attention, and what it could be at most."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import plotly.graph_objects as go

from widgets.figures.heads_style import NORMALIZED, head_styles
from widgets.figures.series import Floats, Indices, Window, isolated, line, noted, shown
from widgets.figures.template import Theme, palette, template, trace_style
from widgets.figures.text import thousands, token_label

if TYPE_CHECKING:
    from workbench.attention import HeadStats
    from workbench.attention.head_stats import Normalizer

POINTS = 2000
"""Rows drawn at most."""


@dataclass(frozen=True)
class _Rows:
    """The rows of one head, by one normaliser."""

    stats: HeadStats
    layer: int
    head: int
    normalizer: Normalizer
    cut: float

    @cached_property
    def support(self) -> Floats:
        return np.asarray(self.stats.support[self.stats.layers.index(self.layer)], np.float64)

    @cached_property
    def unit(self) -> Floats:
        """(T,) what entropies are divided by; NaN where that is 0."""
        if self.normalizer == "support":
            return np.where(self.support < 2, np.nan, np.log(np.maximum(self.support, 2)))
        return np.full(self.support.shape, np.log(self.stats.length) if self.normalizer == "length" else 1.0)

    @cached_property
    def entropy(self) -> Floats:
        return self.stats.row_entropy(self.layer, self.head).astype(np.float64) / self.unit

    @cached_property
    def ceiling(self) -> Floats:
        known = np.log(np.maximum(self.support, 1)) / self.unit
        return np.where(self.stats.attended, known, np.nan)

    @cached_property
    def counted(self) -> Indices:
        """Rows that the head's means are over and that could be collapsed: they see more than one key."""
        return np.flatnonzero(self.stats.used & (self.support > 1) & ~np.isnan(self.entropy))

    @cached_property
    def collapsed(self) -> Indices:
        return self.counted[self.entropy[self.counted] < self.cut]

    @cached_property
    def window(self) -> Window:
        return Window.of(np.arange(len(self.entropy), dtype=float), None, POINTS)


def row_entropy_figure(
    stats: HeadStats,
    layer: int,
    head: int,
    *,
    normalizer: Normalizer = "support",
    collapse_cut: float = 0.05,
    cursor: int | None = None,
    theme: Theme = "light",
) -> go.Figure:
    """Row entropy by token position, ln of each row's support above it as a dotted line, the collapse cut as a dashed.

    Rows below the cut have a triangle. The trace "tokens" is invisible and answers the pointer: its x are positions.

    Args:
        stats: whose rows.
        layer: number of a layer in `stats.layers`.
        head: of that layer.
        normalizer: what entropies are divided by: "support", "length" or "none" (nats).
        collapse_cut: a row below it counts as collapsed, in that normaliser's unit.
        cursor: position of the cursor line, or None.
        theme: light or dark.

    Raises:
        AttentionError: no such layer or head.
        ValueError: an unknown theme.
    """
    stats.row_entropy(layer, head)  # says what is wrong with the place before anything is drawn
    rows = _Rows(stats, layer, head, normalizer, collapse_cut)
    styles = head_styles(palette(theme))
    fig = go.Figure(layout={"template": template(theme)})
    for role, made in _marks(rows).items():
        fig.add_trace(go.Scatter(meta=role, hoverinfo="skip", **styles[role]).update(made))
    fig.add_trace(_pointer(rows))
    bar = {"mode": "lines", "yaxis": "y2", "showlegend": False, "hoverinfo": "skip"}
    place = {"x": [], "y": []} if cursor is None else {"x": [cursor, cursor], "y": [0, 1]}
    fig.add_trace(go.Scatter(meta="cursor", **bar, **place, **trace_style("cursor", theme)))
    drawn, known = len(rows.window.chosen(rows.entropy)), int((~np.isnan(rows.entropy)).sum())
    top = float(np.nanmax(np.concatenate([rows.ceiling, [collapse_cut]])))
    fig.update_layout(
        hovermode="x",
        margin={"t": 40},
        legend={"y": 1.02, "font": {"size": 11}},
        xaxis={
            "range": [-0.5, max(len(rows.entropy), 10) - 0.5],
            "title": {"text": noted("token position", [shown(drawn, known, "rows")])},
        },
        yaxis={
            "title": {"text": f"row {NORMALIZED[normalizer]}<br>layer {layer} head {head}"},
            "range": [-0.03 * top, 1.05 * top], "fixedrange": True,
        },
        yaxis2={"overlaying": "y", "range": [0, 1], "visible": False, "fixedrange": True},
    )  # fmt: skip
    return fig


def _marks(rows: _Rows) -> dict[str, dict[str, Any]]:
    """Role -> what its trace draws, in drawing order."""
    x = np.arange(len(rows.entropy), dtype=np.float64)
    kept = rows.window.chosen(rows.entropy)
    share = f"{thousands(len(rows.collapsed))} of {thousands(len(rows.counted))} rows"
    low = rows.window.reduced(rows.collapsed, rows.entropy)
    mean = rows.stats.entropy_over(rows.normalizer)[rows.stats.layers.index(rows.layer), rows.head]
    first = np.flatnonzero(rows.stats.used)
    skipped = [] if rows.stats.skip_rows == 0 else [-0.5, first[0] - 0.5, first[0] - 0.5, -0.5]
    return {
        "head_skipped": {
            "x": skipped, "y": [0, 0, 1, 1] if skipped else [], "yaxis": "y2", "mode": "lines", "fill": "toself",
            "name": f"first {rows.stats.skip_rows} not in means", "showlegend": bool(rows.stats.skip_rows),
        },
        "head_ceiling": {
            **line(x, rows.ceiling, rows.window.chosen(rows.ceiling)), "mode": "lines",
            "name": "most possible: ln support",
        },
        "head_rows": {**line(x, rows.entropy, kept), "mode": "lines", "name": f"row entropy, mean {mean:.3f}"},
        "head_rows_apart": {
            "x": x[alone := isolated(rows.entropy)], "y": rows.entropy[alone], "mode": "markers", "showlegend": False,
        },
        "head_cut": {
            "x": [-0.5, len(x) - 0.5], "y": [rows.cut] * 2, "mode": "lines",
            "name": f"collapsed below {rows.cut:g}: {share}",
        },
        "head_collapsed_rows": {
            "x": x[low], "y": rows.entropy[low], "mode": "markers", "showlegend": False, "cliponaxis": False,
        },
    }  # fmt: skip


def _pointer(rows: _Rows) -> go.Scatter:
    at = rows.window.chosen(rows.entropy)
    said = NORMALIZED[rows.normalizer]
    texts = [
        f"<b>{token_label(rows.stats.texts[row])}</b><br>token {row}, sees {thousands(int(rows.support[row]))} keys"
        f"<br>{said} {rows.entropy[row]:.3f}, at most {rows.ceiling[row]:.3f}"
        for row in at.tolist()
    ]
    return go.Scatter(
        meta="tokens", mode="lines", line={"color": "rgba(0,0,0,0)"}, showlegend=False, x=at, y=rows.entropy[at],
        customdata=at, text=texts, hovertemplate="%{text}<extra></extra>",
    )  # fmt: skip
