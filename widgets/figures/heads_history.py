"""Trainings side by side: the loss above, a statistic of the heads below, a line a layer."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import plotly.graph_objects as go
import polars as pl

from widgets.figures.heads_style import SHADES, STATISTICS, head_styles
from widgets.figures.series import Window, line, message
from widgets.figures.template import Theme, annotation_style, palette, template, trace_style
from widgets.figures.text import safe

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workbench.attention import HeadHistory

POINTS = 1000
"""Steps of a line drawn at most."""
_ROWS = ("lower", "upper", "cursor_lower", "cursor_upper")
_GAP = 0.05  # between two runs, as a share of the width
_SPLIT = 0.58, 0.68  # top of the lower row, bottom of the upper
_WIDE = 20.0  # largest loss over the smallest from which a log scale shows more
_HEADING = 90  # letters of all runs' names together that fit above
_SIDE = 17  # letters of an axis title that fit beside a row


@dataclass(frozen=True)
class _Runs:
    """What is drawn of a history."""

    history: HeadHistory
    column: str
    names: tuple[str, ...]

    @cached_property
    def values(self) -> pl.DataFrame:
        """run, step, layer, value."""
        return self.history.by_layer(self.column).filter(pl.col("run").is_in(self.names))

    @cached_property
    def losses(self) -> pl.DataFrame:
        """run, step, loss; an overflow is not known."""
        loss = pl.when(pl.col("loss").is_finite()).then(pl.col("loss"))
        return self.history.losses.filter(pl.col("run").is_in(self.names)).with_columns(loss=loss)

    @cached_property
    def layers(self) -> list[int]:
        """All of them."""
        return self.values["layer"].unique().sort().to_list()

    @cached_property
    def drawn(self) -> list[int]:
        """`SHADES` layers at most, evenly from the first to the last."""
        at = np.linspace(0, len(self.layers) - 1, min(len(self.layers), SHADES)).round().astype(int)
        return [self.layers[place] for place in at]

    @property
    def loss_known(self) -> bool:
        return self.losses["loss"].count() > 0

    @property
    def logarithmic(self) -> bool:
        """Whether the losses are so far apart that only a log scale shows all."""
        known = self.losses["loss"].drop_nulls().to_numpy()
        return bool(len(known) and known.min() > 0 and known.max() > _WIDE * known.min())


def history_figure(
    history: HeadHistory,
    *,
    column: str = "entropy",
    step: int | None = None,
    runs: Sequence[str] | None = None,
    theme: Theme = "light",
) -> go.Figure:
    """A column a run: training loss (nats a token) by step above, each layer's mean over its heads below.

    All runs share the axes, as in the figure of arXiv 2303.06296. Of more than `SHADES` layers as many are drawn, at
    even distances, the first and the last among them. Where no loss is known the statistic takes all the height.

    Args:
        history: what to draw.
        column: a statistic of `HeadStats.to_frame()`.
        step: where to draw a line across all runs, or None.
        runs: which, and in what order; None for all.
        theme: light or dark.

    Raises:
        AttentionError: no such run.
        ParameterError: no such statistic.
        ValueError: an unknown theme.
    """
    drawn = _Runs(history, column, history.runs if runs is None else tuple(runs))
    for name in drawn.names:
        history.steps(name)  # says which runs there are
    fig = go.Figure(layout={"template": template(theme)})
    for at, name in enumerate(drawn.names):
        _add_lines(fig, at, name, drawn, theme)
        bar = {"mode": "lines", "showlegend": False, "hoverinfo": "skip", "xaxis": _axis("x", at)}
        place = {"x": [] if step is None else [step, step], "y": [] if step is None else [0, 1]}
        for row in ("cursor_upper", "cursor_lower"):
            fig.add_trace(go.Scatter(meta="cursor", yaxis=_y(row, at), **bar, **place, **trace_style("cursor", theme)))
    fig.update_layout(_layout(drawn, theme))
    return fig


def ranks(count: int) -> list[int]:
    """Which of the `SHADES` shades each of `count` layers takes: spread over the whole scale."""
    return [round(k * (SHADES - 1) / max(count - 1, 1)) for k in range(count)]


def _add_lines(fig: go.Figure, at: int, name: str, drawn: _Runs, theme: Theme) -> None:
    """One column: the loss, and a line for each layer that is drawn."""
    styles, first = head_styles(palette(theme)), at == 0
    told = "step %{x}<br>training loss %{y:.4f} nats a token<extra></extra>"
    loss = {"name": "training loss", "showlegend": False, "hovertemplate": told}
    made = _line(drawn.losses.filter(run=name), "loss")
    place = {"xaxis": _axis("x", at), "yaxis": _y("upper", at)}
    fig.add_trace(go.Scatter(meta="head_loss", **loss, **place, **styles["head_loss"]).update(made))
    words = STATISTICS.get(drawn.column, safe(drawn.column))
    for layer, rank in zip(drawn.drawn, ranks(len(drawn.drawn)), strict=True):
        role = f"head_layer:{rank}"
        told = f"<b>layer {layer}</b>, mean over its heads<br>step %{{x}}<br>{words}: %{{y:.4f}}<extra></extra>"
        own = {"name": str(layer), "legendgroup": role, "showlegend": first, "hovertemplate": told}
        place = {"xaxis": _axis("x", at), "yaxis": _y("lower", at)}
        made = _line(drawn.values.filter(run=name, layer=layer), "value")
        fig.add_trace(go.Scatter(meta=role, **own, **place, **styles[role]).update(made))


def _line(rows: pl.DataFrame, name: str) -> dict[str, Any]:
    """A line through the known values by step, its peaks kept; a single step is a point."""
    x, y = (rows[part].cast(pl.Float64).fill_null(np.nan).to_numpy() for part in ("step", name))
    kept = Window.of(x, None, POINTS).chosen(y)
    return {**line(x, y, kept), "mode": "lines" if len(kept) > 1 else "markers"}


def _layout(drawn: _Runs, theme: Theme) -> dict[str, Any]:
    layout: dict[str, Any] = {
        "hovermode": "closest",
        "margin": {"t": 62, "r": 12},
        "legend": {"y": 1.12, "font": {"size": 11}, "title": {"text": _legend_title(drawn)}},
        "annotations": [],
    }
    if drawn.history.frame.is_empty() or not drawn.names:
        layout["annotations"] = [{**message("no steps to show"), **annotation_style("message", theme)}]
    width = (1 - _GAP * (len(drawn.names) - 1)) / max(len(drawn.names), 1)
    for at, name in enumerate(drawn.names):
        left = at * (width + _GAP)
        layout |= _axes(drawn, at, [left, left + width])
        letters = _HEADING // len(drawn.names)
        cut = name if len(name) <= letters else f"{name[: letters - 1]}…"
        place = {"x": left + width / 2, "y": 1, "xref": "paper", "yref": "paper", "xanchor": "center"}
        heading = {"name": "run", "text": f"<b>{safe(cut)}</b>", "showarrow": False, "yanchor": "bottom", **place}
        layout["annotations"].append({**heading, **annotation_style("run", theme)})
    return layout


def _legend_title(drawn: _Runs) -> str:
    few, every = len(drawn.drawn), len(drawn.layers)
    return f"layer ({few} of {every} shown):  " if few < every else "layer:  "


def _axes(drawn: _Runs, at: int, domain: list[float]) -> dict[str, Any]:
    """The axes of one column; the first has the titles, the others follow its ranges."""
    lower, upper, x = _y("lower", at), _y("upper", at), _axis("x", at)
    titles = {"lower": "", "upper": ""}
    if at == 0:
        words = f"mean {STATISTICS.get(drawn.column, safe(drawn.column))}"
        loss = "loss<br>(nats, log)" if drawn.logarithmic else "loss<br>(nats)"
        titles = {"lower": "<br>".join(textwrap.wrap(words, _SIDE)), "upper": loss}
    common = {"anchor": x, "showticklabels": at == 0, "nticks": 5}
    titled = {row: {"text": words, "font": {"size": 11}} for row, words in titles.items()}
    made = {
        x: {
            "domain": domain, "anchor": lower, "nticks": 6, **({} if at == 0 else {"matches": "x"}),
            "title": {"text": "training step"},
        },
        lower: {
            **common, "domain": [0, _SPLIT[0] if drawn.loss_known else 1], "rangemode": "tozero",
            "title": titled["lower"], **({} if at == 0 else {"matches": _y("lower", 0)}),
        },
        upper: {
            **common, "domain": [_SPLIT[1], 1], "visible": drawn.loss_known, "title": titled["upper"],
            **({"type": "log", "dtick": 1} if drawn.logarithmic else {"type": "linear"}),
            **({} if at == 0 else {"matches": _y("upper", 0)}),
        },
    }  # fmt: skip
    hidden = {"anchor": x, "range": [0, 1], "visible": False, "fixedrange": True}
    made |= {_y(f"cursor_{row}", at): {"overlaying": _y(row, at), **hidden} for row in ("lower", "upper")}
    return {f"{name[0]}axis{name[1:]}": axis for name, axis in made.items()}


def _axis(letter: str, number: int) -> str:
    """Plotly's name of an axis, counted from 0."""
    return letter if number == 0 else f"{letter}{number + 1}"


def _y(row: str, at: int) -> str:
    """The y axis of a row in a column."""
    return _axis("y", len(_ROWS) * at + _ROWS.index(row))
