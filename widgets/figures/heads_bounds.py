"""Entropies of rows of attention above the least that the size of their scores allows."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import plotly.graph_objects as go

from widgets.figures.heads_style import head_styles
from widgets.figures.series import message, noted, shown, thinned
from widgets.figures.template import Theme, annotation_style, palette, template
from widgets.figures.text import thousands
from workbench.attention.bounds import TOLERANCE, entropy_bound

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from widgets.figures.series import Floats, Indices, Updates
    from workbench.attention import EntropyBounds

POINTS = 1500
"""Rows drawn at most: so many of the chosen head, of all others, and of those below their bound."""
_SHARES = (0.0, 0.1, 0.4)  # of the text, where rows begin to see some and many keys
_LOOKED_AT = 100_000  # rows among which those to draw are chosen
_MOST_DECADES = 4  # on a log scale up to which there is room for more than its powers of ten
_AXES = {
    "row norm": "σ: norm of a row's centred scores",
    "spectral norms": "σ: the most that the weights' spectral norms allow a row's scores",
}


@dataclass(frozen=True)
class _Rows:
    """The rows of all heads, flat, those left out that see one key and so have no entropy to bound."""

    bounds: EntropyBounds
    chosen: tuple[int, int] | None

    @cached_property
    def sigma(self) -> Floats:
        return np.asarray(self.bounds.sigma, np.float64).ravel()

    @cached_property
    def entropy(self) -> Floats:
        return np.asarray(self.bounds.entropy, np.float64).ravel()

    @cached_property
    def bound(self) -> Floats:
        return np.asarray(self.bounds.bound, np.float64).ravel()

    @cached_property
    def known(self) -> Indices:
        there = ~np.isnan(self.bound) & ~np.isnan(self.sigma)
        return np.flatnonzero(there & ((self.bound > 0) | (self.entropy > TOLERANCE)))

    @cached_property
    def below(self) -> Indices:
        return self.known[self.entropy[self.known] < self.bound[self.known] - TOLERANCE]

    @cached_property
    def mine(self) -> Indices:
        """The chosen head's."""
        _, heads, tokens = self.bounds.bound.shape
        if self.chosen is None or self.chosen[0] not in self.bounds.layers or not 0 <= self.chosen[1] < heads:
            return np.empty(0, np.int64)
        first = (self.bounds.layers.index(self.chosen[0]) * heads + self.chosen[1]) * tokens
        return self.known[(self.known >= first) & (self.known < first + tokens)]

    @cached_property
    def others(self) -> Indices:
        apart = np.zeros(self.bound.shape, np.bool_)
        apart[self.mine] = apart[self.below] = True
        rest = self.known[~apart[self.known]]
        return thinned(self.sigma, self.entropy, _even(rest, _LOOKED_AT), POINTS)

    @cached_property
    def drawn(self) -> list[Indices]:
        """The chosen head's, the others, those below their bound; each at most `POINTS`, the same every time."""
        mine = np.setdiff1d(self.mine, self.below, assume_unique=True)
        return [_even(mine, POINTS), self.others, _even(self.below, POINTS)]

    def group(self, tokens: Indices) -> Indices:
        """Of rows at these tokens, 0, 1 or 2: whether they see few, some or many keys."""
        starts = np.array(_SHARES[1:]) * self.bounds.bound.shape[-1]
        return np.asarray(np.searchsorted(starts, tokens, side="right"), np.int64)

    def fewest_keys(self, group: int) -> int | None:
        """The fewest keys that a row of a group sees; None where no bound tells."""
        telling = self.bounds.bound > 0  # (L, H, T)
        tokens = np.flatnonzero(telling.any(axis=(0, 1)))
        tokens = tokens[self.group(tokens) == group]
        if not len(tokens):
            return None
        at = telling[..., tokens[0]]
        sigma, bound = (part[..., tokens[0]][at] for part in (self.bounds.sigma, self.bounds.bound))
        return int(keys_of(sigma.astype(np.float64), bound, telling.shape[-1]).min())


def _even(rows: Indices, most: int) -> Indices:
    """So many of the rows at most, at even steps."""
    return rows[np.linspace(0, len(rows) - 1, min(len(rows), most)).astype(np.int64)]


def keys_of(sigma: Floats, bound: Floats, most: int) -> NDArray[np.int64]:
    """How many keys rows with these bounds see, 2 to `most`: a bound rises with them, so halving finds them."""
    low, high = np.full(len(sigma), 2), np.full(len(sigma), max(most, 2))
    while (low < high).any():
        middle = (low + high) // 2
        enough = entropy_bound(sigma, middle) >= bound * (1 - 1e-9)
        low, high = np.where(enough, low, middle + 1), np.where(enough, middle, high)
    return low


def bounds_figure(bounds: EntropyBounds, *, chosen: tuple[int, int] | None = None, theme: Theme = "light") -> go.Figure:
    """Entropy (nats) of every row against sigma, and underneath the least that a row with so many keys can have.

    Rows are in three groups by their place in the text, that is by the keys they see. A group's curve is the bound for
    the fewest keys among its rows: none of its rows can be below. Rows below their own bound have a cross and are
    counted. Rows that see one key are left out.

    Args:
        bounds: from `entropy_bounds` or `spectral_bounds`.
        chosen: layer and head whose rows stand out; none where it is not there.
        theme: light or dark.

    Raises:
        ValueError: an unknown theme.
    """
    rows, styles = _Rows(bounds, chosen), head_styles(palette(theme))
    fig = go.Figure(layout={"template": template(theme)})
    for role, made in _marks(rows).items():
        fig.add_trace(go.Scatter(meta=role, **styles[role]).update(made))
    drawn, known = sum(map(len, rows.drawn)), len(rows.known)
    notes = [f"{thousands(len(rows.below))} of {thousands(known)} rows below their bound", shown(drawn, known, "rows")]
    fig.update_layout(
        hovermode="closest",
        margin={"t": 40},
        legend={"y": 1.02, "font": {"size": 11}},
        annotations=[] if known else [{**message("no rows to show"), **annotation_style("message", theme)}],
        xaxis={"title": {"text": noted(_AXES[bounds.source], notes)}, **_scale(rows)},
        yaxis={"title": {"text": "row entropy (nats)"}, "rangemode": "tozero"},
    )
    return fig


def _scale(rows: _Rows) -> dict[str, Any]:
    """Norms of weights spread over decades, so that they need a log scale; 1, 2 and 5 of each decade are said."""
    if rows.bounds.source == "row norm":
        return {"type": "linear", "rangemode": "tozero"}
    low, high = _ends(rows)
    decades = np.arange(np.floor(np.log10(low)), np.ceil(np.log10(high)) + 1)
    steps = [1, 2, 5] if len(decades) <= _MOST_DECADES else [1]
    ticks = [float(step * 10**decade) for decade in decades for step in steps]
    return {"type": "log", "tickvals": ticks, "ticktext": [f"{tick:,.12g}".replace(",", "\u2009") for tick in ticks]}


def _ends(rows: _Rows) -> tuple[float, float]:
    """The smallest and the largest sigma above 0."""
    sigma = rows.sigma[rows.known]
    sigma = sigma[sigma > 0]
    return (float(sigma.min()), float(sigma.max())) if len(sigma) else (1.0, 10.0)


def _marks(rows: _Rows) -> Updates:
    """Role -> what its trace draws, in drawing order."""
    mine, others, below = rows.drawn
    made: Updates = {f"head_bound:{k}": _curve(rows, k) for k in range(len(_SHARES))}
    label = "" if rows.chosen is None else f"layer {rows.chosen[0]} head {rows.chosen[1]}"
    for role, points, name in (
        ("head_row", others, "other heads" if len(mine) else "rows"),
        ("head_row_chosen", mine, label),
    ):
        groups = rows.group(points % rows.bounds.bound.shape[-1])
        last = max(groups, default=-1)  # its mark stands for all three in the legend
        for k in range(len(_SHARES)):
            own = points[groups == k]
            made[f"{role}:{k}"] = {**_points(rows, own), "name": name, "showlegend": bool(k == last)}
    words = f"below their bound: {thousands(len(rows.below))}"
    return made | {"head_row_below": _points(rows, below) | {"name": words, "showlegend": bool(len(below))}}


def _points(rows: _Rows, at: Indices) -> dict[str, Any]:
    layer, head, token = np.unravel_index(at, rows.bounds.bound.shape)
    about = np.column_stack([np.asarray(rows.bounds.layers)[layer], head, token, np.round(rows.bound[at], 4)])
    return {
        "x": rows.sigma[at], "y": rows.entropy[at], "mode": "markers", "customdata": about.tolist(),
        "hovertemplate": "layer %{customdata[0]}, head %{customdata[1]}, token %{customdata[2]}<br>"
        "σ %{x:.2f}<br>entropy %{y:.3f} nats, at least %{customdata[3]:.3f}<extra></extra>",
    }  # fmt: skip


def _curve(rows: _Rows, group: int) -> dict[str, Any]:
    """The bound over sigma for the fewest keys of a group."""
    keys = rows.fewest_keys(group)
    fixed = {"mode": "lines", "hoverinfo": "skip", "showlegend": keys is not None}
    if keys is None:
        return {**fixed, "x": [], "y": [], "name": ""}
    low, high = _ends(rows)
    x = np.linspace(0, high, 161) if rows.bounds.source == "row norm" else np.geomspace(low, high, 161)
    return {**fixed, "x": x, "y": entropy_bound(x, keys), "name": f"bound, {thousands(keys)}+ keys"}
