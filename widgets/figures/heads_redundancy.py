"""Which heads do the same: every pair as a matrix, every head as a point on a map."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import plotly.graph_objects as go
from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.spatial.distance import squareform

from widgets.figures.heads_style import LAYER_SYMBOLS, head_styles, step_of
from widgets.figures.series import message, noted, shown
from widgets.figures.template import Theme, annotation_style, palette, template
from widgets.figures.text import thousands

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from widgets.figures.series import Floats, Indices, Updates
    from workbench.attention import HeadRedundancy

MOST_HEADS = 256
"""Heads drawn at most."""
MOST_PAIRS = 1500
"""Pairs of twins marked at most, the most alike first."""
_MOST_TICKS = 14
_LABELS_UP_TO = 64  # heads up to which the map names each
_ROOM = 0.05  # of the map's width, that a point needs around it to be named among many
_LN_2 = float(np.log(2.0))


def redundancy_figure(redundancy: HeadRedundancy, *, cut: float = 0.05, theme: Theme = "light") -> go.Figure:
    """Left the divergence of every pair of heads, like beside like, twins ringed; right how many differ in each layer.

    Heads stand in the order of average linkage on sqrt(JS). Of more than `MOST_HEADS`, those with the nearest twins
    are drawn. The bars are Vendi scores within the layers, before bars of all the heads that the layer has.

    Args:
        redundancy: from `head_redundancy`.
        cut: pairs with a Jensen-Shannon divergence (nats) below it are twins.
        theme: light or dark.

    Raises:
        ValueError: an unknown theme.
    """
    kept = _part(redundancy, _nearest(redundancy))
    kept = _part(kept, _clustered(kept))
    names, styles = _names(kept), head_styles(palette(theme))
    fig = go.Figure(layout={"template": template(theme)})
    bar = {"title": {"text": "Jensen-Shannon (nats)", "side": "right"}, "thickness": 12, "outlinewidth": 0, "x": 0.5}
    cells = np.where(np.eye(len(names), dtype=np.bool_), np.nan, kept.js)
    fig.add_trace(
        go.Heatmap(
            meta="head_alike",
            x=names,
            y=names,
            z=cells.astype(np.float32),
            zmin=0,
            zmax=_LN_2,
            colorbar=bar,
            hoverongaps=False,
            hovertemplate="%{x} and %{y}<br>%{z:.4f} nats apart<extra></extra>",
            **styles["head_alike"],
        ),
    )
    twins, marked = _twins(kept, names, cut)
    pairs = int(np.triu(redundancy.js < cut, 1).sum())
    said = f"twins: {thousands(pairs)} {'pair' if pairs == 1 else 'pairs'} below {cut:g} nats"
    ring = {"name": said, "mode": "markers", "hoverinfo": "skip"}
    fig.add_trace(go.Scatter(meta="head_twins", **ring, **styles["head_twins"]).update(twins))
    for role, made in _by_layer(redundancy).items():
        fig.add_trace(go.Bar(meta=role, xaxis="x2", yaxis="y2", orientation="h", **styles[role]).update(made))
    notes = [shown(len(names), len(redundancy.heads), "heads"), shown(marked, pairs, "pairs of twins")]
    fig.update_layout(_matrix_layout(names, redundancy, noted("head, like beside like", notes), theme))
    return fig


def redundancy_map(redundancy: HeadRedundancy, *, theme: Theme = "light") -> go.Figure:
    """Heads as points whose distances come near sqrt(JS); shade and symbol by layer, and named where there is room.

    Classical scaling (`HeadRedundancy.places`). Of more than `MOST_HEADS`, every so-many-th is drawn. `customdata` of
    the trace "head_places" is (layer, head).

    Args:
        redundancy: from `head_redundancy`.
        theme: light or dark.

    Raises:
        ValueError: an unknown theme.
    """
    count = len(redundancy.heads)
    kept = _part(redundancy, np.linspace(0, count - 1, min(count, MOST_HEADS)).round().astype(np.int64))
    places, layers = kept.places(), kept.heads[:, 0]
    held = (places**2).sum() / max(kept.js.sum() / (2 * len(layers)), 1e-12)  # of the squared distances to the middle
    few = len(layers) <= _LABELS_UP_TO
    points = go.Scatter(
        meta="head_places", x=places[:, 0], y=places[:, 1], mode="markers+text", showlegend=False,
        text=_labels(kept, places, heads=few), textposition=_sides(places), textfont={"size": 10 if few else 8},
        customdata=kept.heads.tolist(), cliponaxis=False,
        hovertemplate="layer %{customdata[0]}, head %{customdata[1]}<extra></extra>",
        **head_styles(palette(theme))["head_places"],
    ).update(marker={"size": 11 if few else 7, **_by_shade(layers)})  # fmt: skip
    fig = go.Figure(points, layout={"template": template(theme)})
    words = f"near each other: alike (√JS, √nats); the two axes hold {held:.0%}; labels are layer{'.head' * few}"
    axis = {"zeroline": False, "showgrid": True}
    fig.update_layout(
        hovermode="closest",
        margin={"t": 20},
        xaxis={**axis, "title": {"text": noted(words, [shown(len(layers), count, "heads")])}},
        yaxis={**axis, "scaleanchor": "x", "title": {"text": "√nats"}},
    )
    return fig


def _by_shade(layers: NDArray[np.int32]) -> dict[str, Any]:
    """A marker's shade and symbol by layer, with the bar that says which."""
    numbers = np.unique(layers)
    ticks = numbers[:: step_of(len(numbers), _MOST_TICKS)].tolist()
    bar = {"title": {"text": "layer", "side": "right"}, "thickness": 12, "outlinewidth": 0, "ticks": ""}
    return {
        "color": layers,
        "cmin": float(numbers[0]),
        "cmax": float(max(numbers[-1], numbers[0] + 1)),
        "colorbar": {**bar, "tickvals": ticks, "ticktext": list(map(str, ticks))},
        "symbol": [LAYER_SYMBOLS[layer % len(LAYER_SYMBOLS)] for layer in layers.tolist()],
    }


def _labels(kept: HeadRedundancy, places: Floats, *, heads: bool) -> list[str]:
    """Layer and head; of many, the layer alone, and only of those that stand apart."""
    if heads:
        return [f"{layer}.{head}" for layer, head in kept.heads.tolist()]
    room = _ROOM * float(np.ptp(places, axis=0).max(initial=0.0))
    alone = np.sqrt(_squares(places).min(axis=1)) > room
    return [str(layer) if apart else "" for layer, apart in zip(kept.heads[:, 0].tolist(), alone, strict=True)]


def _squares(places: Floats) -> Floats:
    """(N, N) squared distances of points; a point is infinitely far from itself."""
    squares = np.asarray(((places[:, None] - places[None]) ** 2).sum(axis=-1))
    np.fill_diagonal(squares, np.inf)
    return squares


def _sides(places: Floats) -> list[str]:
    """Where each point's label goes: away from its nearest neighbour."""
    above = places[_squares(places).argmin(axis=1), 1] > places[:, 1]
    return ["bottom center" if under else "top center" for under in above]


def _part(redundancy: HeadRedundancy, at: Indices) -> HeadRedundancy:
    """Those heads, in that order."""
    pairs = np.ix_(at, at)
    return replace(
        redundancy, heads=redundancy.heads[at], js=redundancy.js[pairs], similarity=redundancy.similarity[pairs]
    )


def _nearest(redundancy: HeadRedundancy) -> Indices:
    """The heads to draw: where there are too many, those whose nearest other is nearest."""
    apart = np.where(np.eye(len(redundancy.heads), dtype=np.bool_), np.inf, redundancy.js).min(axis=1)
    return np.sort(np.argsort(apart, kind="stable")[:MOST_HEADS])


def _clustered(redundancy: HeadRedundancy) -> Indices:
    """The leaves of the heads' tree."""
    if len(redundancy.heads) < 3:
        return np.arange(len(redundancy.heads))
    apart = squareform(np.sqrt(redundancy.js), checks=False)
    return np.asarray(leaves_list(linkage(apart, "average", optimal_ordering=True)), np.int64)


def _names(redundancy: HeadRedundancy) -> list[str]:
    return [f"L{layer} H{head}" for layer, head in redundancy.heads.tolist()]


def _twins(kept: HeadRedundancy, names: list[str], cut: float) -> tuple[dict[str, Any], int]:
    """The cells of twins, on both sides of the diagonal, and how many pairs these are; without any, no place at all.

    plotly.js names a mark in the legend only where it has at least one place, be it none.
    """
    one, other = np.nonzero(np.triu(kept.js < cut, 1))
    first = np.argsort(kept.js[one, other], kind="stable")[:MOST_PAIRS]
    one, other = one[first], other[first]
    cells = [*zip(one, other, strict=True), *zip(other, one, strict=True)]
    size = float(np.clip(0.5 * 220 / max(len(names), 1), 3, 9))
    places: dict[str, Any] = {"x": [names[a] for a, _ in cells] or [None], "y": [names[b] for _, b in cells] or [None]}
    return {**places, "marker.size": size}, len(one)


def _by_layer(redundancy: HeadRedundancy) -> Updates:
    """Bars by layer: how many heads there are, and how many different ones."""
    effective = redundancy.effective_by_layer
    layers = [str(layer) for layer in effective]
    count = [int((redundancy.heads[:, 0] == layer).sum()) for layer in effective]
    alike = list(effective.values())
    told = [
        f"layer {layer}: {n} heads like {v:.1f} different" for layer, n, v in zip(layers, count, alike, strict=True)
    ]
    common = {"y": layers, "hovertext": told, "hovertemplate": "%{hovertext}<extra></extra>"}
    return {
        "head_all": {**common, "x": count, "name": "all of its layer"},
        "head_effective": {**common, "x": alike, "name": "different heads (Vendi)"},
    }


def _matrix_layout(names: list[str], redundancy: HeadRedundancy, title: str, theme: Theme) -> dict[str, Any]:
    ticks = names[:: step_of(len(names), _MOST_TICKS)]
    axis = {"type": "category", "showgrid": False, "tickvals": ticks, "ticktext": ticks, "tickfont": {"size": 10}}
    layers = [str(layer) for layer in redundancy.effective_by_layer]
    nothing = {**message("no pair of heads to compare"), **annotation_style("message", theme)}
    return {
        "hovermode": "closest",
        "barmode": "overlay",
        "bargap": 0.15,
        "margin": {"t": 40},
        "legend": {"y": 1.02, "font": {"size": 11}, "itemclick": False, "itemdoubleclick": False},
        "annotations": [] if len(names) > 1 else [nothing],
        "xaxis": {
            **axis, "domain": [0, 0.49], "title": {"text": title}, "tickangle": -60, "range": [-0.5, len(names) - 0.5],
        },
        "yaxis": {**axis, "range": [len(names) - 0.5, -0.5]},
        "xaxis2": {
            "anchor": "y2", "domain": [0.68, 1], "rangemode": "tozero",
            "title": {"text": "different heads of a layer"},
        },
        "yaxis2": {
            "anchor": "x2", "type": "category", "title": {"text": "layer"}, "showgrid": False,
            "tickvals": layers[:: step_of(len(layers), _MOST_TICKS)],
        },
    }  # fmt: skip
