"""The trace panel's charts: how each is built, brought up to date, and given its cursor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from widgets.figures.entropy_chart import cursor_series, entropy_chart, entropy_layout
from widgets.figures.entropy_histogram import entropy_histogram, histogram_layout, histogram_series
from widgets.figures.entropy_series import entropy_series
from widgets.figures.varentropy_scatter import scatter_cursor, varentropy_layout, varentropy_scatter, varentropy_series

if TYPE_CHECKING:
    from collections.abc import Callable

    import plotly.graph_objects as go
    import polars as pl

    from widgets.figures.entropy_series import EntropyView
    from widgets.figures.series import Updates
    from widgets.figures.template import Theme


@dataclass(frozen=True)
class Scene:
    """Everything a chart of the panel depends on."""

    tokens: pl.DataFrame
    view: EntropyView
    theme: Theme
    token: int | None
    """The one to show: under the pointer, or the cursor's."""
    vocabulary: int | None


@dataclass(frozen=True)
class Chart:
    """One kind of chart, as functions of the scene."""

    title: str
    """Of its tab."""
    stem: str
    """Of the files it is exported to."""
    build: Callable[[Scene], go.Figure]
    series: Callable[[Scene], Updates]
    layout: Callable[[Scene], dict[str, Any]]
    cursor: Callable[[Scene], Updates]
    height: int = 300


ENTROPY = Chart(
    title="Along the text",
    stem="entropy",
    build=lambda s: entropy_chart(s.tokens, s.view, cursor=s.token, theme=s.theme),
    series=lambda s: entropy_series(s.tokens, s.view),
    layout=lambda s: entropy_layout(s.tokens, s.view, theme=s.theme),
    cursor=lambda s: cursor_series(s.token),
)
VARENTROPY = Chart(
    title="Entropy × varentropy",
    stem="varentropy",
    build=lambda s: varentropy_scatter(
        s.tokens, unit=s.view.unit, vocabulary=s.vocabulary, cursor=s.token, theme=s.theme
    ),
    series=lambda s: varentropy_series(s.tokens, unit=s.view.unit, vocabulary=s.vocabulary),
    layout=lambda s: varentropy_layout(s.tokens, unit=s.view.unit, theme=s.theme),
    cursor=lambda s: scatter_cursor(s.tokens, s.token, unit=s.view.unit),
    height=340,
)
HISTOGRAM = Chart(
    title="Histogram",
    stem="entropy-histogram",
    build=lambda s: entropy_histogram(s.tokens, unit=s.view.unit, percentile=s.view.percentile, theme=s.theme),
    series=lambda s: histogram_series(s.tokens, unit=s.view.unit, percentile=s.view.percentile),
    layout=lambda s: histogram_layout(s.tokens, unit=s.view.unit, theme=s.theme),
    cursor=lambda _: {},  # a histogram has no place for one token
)
CHARTS = (ENTROPY, VARENTROPY, HISTOGRAM)
