"""From a column of a trace to what a chart draws: visible part, reduction, gaps, bands, and updates in place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from tsdownsample import MinMaxDownsampler

from widgets.figures.text import thousands

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import plotly.graph_objects as go

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]
Updates = dict[str, dict[str, Any]]
"""Role of a trace -> the properties to assign to it."""

FEWEST_POINTS = 10


def column(tokens: pl.DataFrame, name: str) -> Floats:
    """A numeric column as float64 (T,), unknown as NaN; all NaN where the table lacks it."""
    if name not in tokens.columns:
        return np.full(len(tokens), np.nan)
    return tokens[name].cast(pl.Float64).to_numpy()


@dataclass(frozen=True)
class Window:
    """The rows of a chart that are in sight, and how many points it may draw of them."""

    start: int
    stop: int
    points: int

    @classmethod
    def of(cls, x: Floats, visible: tuple[float, float] | None, points: int) -> Window:
        """Rows whose x lies in `visible`, and one more on either side so that lines run to the edges.

        Raises:
            ValueError: fewer than FEWEST_POINTS points.
        """
        if points < FEWEST_POINTS:
            raise ValueError(f"points must be at least {FEWEST_POINTS}, not {points}.")
        if visible is None:
            return cls(0, len(x), points)
        low, high = sorted(visible)
        start = max(int(np.searchsorted(x, low, side="left")) - 1, 0)
        stop = min(int(np.searchsorted(x, high, side="right")) + 1, len(x))
        return cls(min(start, stop), stop, points)

    def inside(self, indices: Indices) -> Indices:
        """Those of the ascending row `indices` that are in sight."""
        return indices[(indices >= self.start) & (indices < self.stop)]

    def chosen(self, values: Floats) -> Indices:
        """Rows to draw of `values` (T,): all known ones in sight, or as `reduced` leaves them."""
        return self.reduced(np.flatnonzero(~np.isnan(values)), values)

    def reduced(self, indices: Indices, values: Floats) -> Indices:
        """At most `points` of the rows `indices` in sight: the lowest and the highest of each of points / 2 stretches.

        No peak is ever left out; MinMaxLTTB, which chooses for shape, may drop the highest.
        """
        known = self.inside(indices)
        if len(known) <= self.points:
            return known
        kept = MinMaxDownsampler().downsample(values[known], n_out=self.points // 2 * 2)
        return known[np.unique(kept.astype(np.int64))]


def line(x: Floats, y: Floats, rows: Indices) -> dict[str, Floats]:
    """Coordinates of a line through `rows`, broken by a NaN wherever an unknown value lies between two of them."""
    unknown = np.concatenate([[0], np.cumsum(np.isnan(y))])
    broken = np.flatnonzero(unknown[rows[1:]] > unknown[rows[:-1] + 1]) + 1 if len(rows) else rows
    between = (x[rows[broken - 1]] + x[rows[broken]]) / 2
    return {"x": np.insert(x[rows], broken, between), "y": np.insert(y[rows], broken, np.nan)}


def band(x: Floats, low: Floats, high: Floats, rows: Indices) -> dict[str, Floats]:
    """Outline of the area between `low` and `high` through `rows`, for fill="toself": one polygon a known stretch.

    A stretch of a single token is half a token wide, so that it can be seen.
    """
    upper = line(x, high, rows)
    lower = line(x, np.where(np.isnan(high), np.nan, low), rows)
    xs: list[Floats] = []
    ys: list[Floats] = []
    gaps = np.flatnonzero(np.isnan(upper["y"]))
    for start, stop in zip([0, *(gaps + 1)], [*gaps, len(upper["x"])], strict=True):
        across, top, bottom = (part[start:stop] for part in (upper["x"], upper["y"], lower["y"]))
        if len(across) == 1:
            across, top, bottom = across + np.array([-0.25, 0.25]), top.repeat(2), bottom.repeat(2)
        if len(across):
            xs += [across, across[::-1], across[:1], np.array([np.nan])]
            ys += [top, bottom[::-1], top[:1], np.array([np.nan])]
    return {"x": np.concatenate(xs or [np.empty(0)]), "y": np.concatenate(ys or [np.empty(0)])}


def isolated(y: Floats) -> Indices:
    """Rows whose value is known but neither neighbour's: a line alone would not show them."""
    known = np.concatenate([[False], ~np.isnan(y), [False]])
    return np.flatnonzero(known[1:-1] & ~known[:-2] & ~known[2:])


def thinned(x: Floats, y: Floats, rows: Indices, points: int) -> Indices:
    """At most `points` of `rows`: half of them one a cell of a grid, for the outline, the others at even steps."""
    if len(rows) <= points:
        return rows
    stepped = rows[np.linspace(0, len(rows) - 1, points - points // 2).astype(np.int64)]
    side = int(np.sqrt(points // 2))
    cells = np.zeros(len(rows), dtype=np.int64)
    for values in (x[rows], y[rows]):
        spread = np.ptp(values) or 1.0
        cells = cells * side + np.minimum(((values - values.min()) / spread * side).astype(np.int64), side - 1)
    return np.union1d(stepped, rows[np.unique(cells, return_index=True)[1]])


def shown(n: int, total: int, what: str = "tokens") -> str | None:
    """Say how many are shown where some are left out, else None."""
    return f"{thousands(n)} of {thousands(total)} {what} shown" if n < total else None


def update_figure(fig: go.Figure, updates: Updates, layout: Mapping[str, Any] | None = None) -> go.Figure:
    """Assign `updates` to the traces of `fig` by role, `layout` by dotted path, in one message; return `fig`."""
    by_role = {trace.meta: trace for trace in fig.data}
    with fig.batch_update():
        for role, properties in updates.items():
            by_role[role].update(properties)
        for path, value in (layout or {}).items():
            fig.layout[path] = value  # update_layout would merge a shorter list of shapes into a longer one
    return fig


def noted(title: str, notes: Iterable[str | None]) -> str:
    """An axis title with what the figure leaves out on a second, smaller line: no other place is sure to be free."""
    said = [text for text in notes if text]
    return f"{title}<br><span style='font-size:0.85em'>{'; '.join(said)}</span>" if said else title


def message(text: str) -> dict[str, Any]:
    """An annotation in the middle of the plot, where there is nothing to draw."""
    place = {"xref": "paper", "yref": "paper", "x": 0.5, "y": 0.5, "xanchor": "center", "yanchor": "middle"}
    return {"name": "message", "text": text, "showarrow": False, **place}
