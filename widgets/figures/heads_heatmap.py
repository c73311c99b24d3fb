"""A cell a head: one number of every head of a model, or how far it is from another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import plotly.graph_objects as go

from widgets.figures.heads_style import head_styles, inks, step_of
from widgets.figures.series import Floats, message
from widgets.figures.template import Theme, annotation_style, palette, template
from widgets.figures.text import safe

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

_MARKS = {
    "head_collapsed": "collapsed",
    "head_overloaded": "overloaded",
    "head_higher": "higher",
    "head_lower": "lower",
    "head_missing": "no value",
}
"""Role of a trace of marks -> its name; they are drawn in this order."""
NOTABLE = 0.25
"""Share of the largest difference from which a cell says + or −."""
MOST_SIGNED = 100
"""Cells that say so at most, those with the largest differences."""
_MOST_TICKS = 16
_MOST_WRITTEN = 10, 10  # layers and heads up to which the numbers stand in the cells
_WIDTH, _HEIGHT = 300.0, 240.0  # pixels that the cells may count on
_SMALL = 12.0  # pixels of a cell below which a frame would cover it


def head_heatmap(
    values: ArrayLike,
    layers: Sequence[int],
    *,
    name: str,
    collapsed: ArrayLike | None = None,
    overloaded: ArrayLike | None = None,
    chosen: tuple[int, int] | None = None,
    other: ArrayLike | None = None,
    zrange: tuple[float, float] | None = None,
    theme: Theme = "light",
) -> go.Figure:
    """Layers upwards, heads to the right; marks for collapsed (▼) and overloaded (▲) heads, a frame around the chosen.

    The trace "heads" is invisible, has `customdata` (layer, head) of every head that has a value, and answers hover
    and click: the head whose cell is pointed at is its nearest point. The traces are always the same ones, empty
    where there is nothing to mark.

    Args:
        values: (L, H), NaN where a layer has no such head or it has no value.
        layers: (L,) the layers' numbers.
        name: what the values are, with their unit.
        collapsed: (L, H) which heads to mark so.
        overloaded: (L, H) which heads to mark so.
        chosen: layer and head to frame; none where it is not there.
        other: (L, H) values to subtract; the difference is drawn on a diverging scale, those of at least `NOTABLE` of
            the largest marked + or −.
        zrange: ends of the colours; for a difference, the larger of the two counts both ways.
        theme: light or dark.

    Raises:
        ValueError: arrays whose shapes do not fit, or an unknown theme.
    """
    shown, marks = _cells(values, layers, collapsed, overloaded, other)
    styles = head_styles(palette(theme))
    fig = go.Figure(layout={"template": template(theme)})
    cells = _heatmap(shown, name, zrange, difference=other is not None, styles=styles)
    fig.add_traces([cells, _numbers(cells)])
    for role, words in _MARKS.items():
        mark = go.Scatter(meta=role, mode="markers", hoverinfo="skip", **styles[role])
        fig.add_trace(mark.update(_places(marks[role], words, shown.shape, beside=_written(shown))))
    for role in ("head_chosen_edge", "head_chosen"):
        frame = {"mode": "lines", "hoverinfo": "skip", "showlegend": False, "cliponaxis": False}
        fig.add_trace(go.Scatter(meta=role, **frame, **styles[role], **_frame(chosen, layers, shown.shape)))
    fig.add_trace(_pointer(np.asarray(values, float), other, layers, name))
    axis = {
        "showgrid": False,
        "zeroline": False,
        "ticks": "",
        "showline": False,
        "ticklabelstandoff": 4,
        "fixedrange": True,
    }
    at, heads = list(range(0, len(layers), step_of(len(layers), _MOST_TICKS))), shown.shape[1]
    fig.update_layout(
        hovermode="closest",
        hoverdistance=-1,  # the nearest point, however far: the whole cell answers
        margin={"t": 40, "r": 8, "l": 48, "b": 44},
        legend={
            "y": 1.01, "font": {"size": 11}, "itemsizing": "constant", "itemclick": False, "itemdoubleclick": False,
        },
        annotations=[] if shown.size else [{**message("no heads to show"), **annotation_style("message", theme)}],
        xaxis={
            **axis, "title": {"text": "head"}, "range": [-0.5, max(heads, 1) - 0.5],
            "dtick": step_of(heads, _MOST_TICKS), "tick0": 0,
        },
        yaxis={
            **axis, "title": {"text": "layer"}, "range": [-0.5, max(len(layers), 1) - 0.5],
            "tickvals": at, "ticktext": [str(layers[row]) for row in at],
        },
    )  # fmt: skip
    return fig


def _cells(
    values: ArrayLike,
    layers: Sequence[int],
    collapsed: ArrayLike | None,
    overloaded: ArrayLike | None,
    other: ArrayLike | None,
) -> tuple[Floats, dict[str, NDArray[np.bool_]]]:
    """(L, H) what the cells show, and (L, H) which of them each role marks."""
    numbers = np.asarray(values, dtype=np.float64)
    if numbers.ndim != 2 or len(numbers) != len(layers):
        raise ValueError(f"values of shape {numbers.shape} are not a row for each of {len(layers)} layers.")
    given = {"collapsed": collapsed, "overloaded": overloaded, "other": other}
    for word, array in given.items():
        if array is not None and np.shape(array) != numbers.shape:
            raise ValueError(f"{word} has shape {np.shape(array)}, the values have {numbers.shape}.")
    nowhere = np.zeros(numbers.shape, np.bool_)
    shown = numbers if other is None else numbers - np.asarray(other, dtype=np.float64)
    marked = [nowhere if array is None else np.asarray(array, np.bool_) for array in (collapsed, overloaded)]
    there = np.isfinite(shown)
    notable = nowhere if other is None else _notable(np.where(there, np.abs(shown), 0.0))
    return shown, {
        "head_collapsed": marked[0] & there,
        "head_overloaded": marked[1] & there,
        "head_higher": notable & (shown > 0),
        "head_lower": notable & (shown < 0),
        "head_missing": ~there,
    }


def _notable(sizes: Floats) -> NDArray[np.bool_]:
    """(L, H) the differences that are large beside the largest."""
    largest = np.sort(sizes, axis=None)[::-1]
    return np.asarray(
        (sizes > 0) & (sizes >= NOTABLE * largest[:1].sum()) & (sizes >= largest[:MOST_SIGNED].min(initial=np.inf))
    )


def _heatmap(
    shown: Floats, name: str, zrange: tuple[float, float] | None, *, difference: bool, styles: dict[str, Any]
) -> go.Heatmap:
    """The cells with their colour bar."""
    known = shown[np.isfinite(shown)]
    role, title, ends = "head_cells", name, zrange or (known.min(initial=np.inf), known.max(initial=-np.inf))
    if difference:
        most = max(map(abs, zrange)) if zrange else np.abs(known).max(initial=0.0)
        role, title, ends = "head_difference", f"difference: {name}", (-most, most)
    if not ends[0] < ends[1]:  # one value, or none
        middle = float(known.mean()) if len(known) else 0.0
        ends = (middle - 0.5, middle + 0.5)
    gap = int(_cell(shown.shape) >= _SMALL)
    bar = {"title": {"text": safe(title), "side": "right"}, "thickness": 12, "outlinewidth": 0, "ticks": "", "x": 1.01}
    return go.Heatmap(
        meta=role, z=shown, zmin=float(ends[0]), zmax=float(ends[1]), hoverinfo="skip", xgap=gap, ygap=gap,
        texttemplate="%{z:+.2f}" if difference and _written(shown) else "", textfont={"size": 10}, colorbar=bar,
        **styles[role],
    )  # fmt: skip


def _numbers(cells: go.Heatmap) -> go.Scatter:
    """The cells' values, each in the ink that is read best on its cell: plotly's own choice is faint on middle tones.

    Those of a difference are plotly's, whose scale changes with the theme.
    """
    shown = np.asarray(cells.z, np.float64)
    written = np.isfinite(shown) & (_written(shown) and cells.meta == "head_cells")
    rows, heads = np.nonzero(written)
    values = shown[written]
    return go.Scatter(
        meta="head_numbers", mode="text", x=heads, y=rows, text=[f"{value:.2f}" for value in values],
        textfont={"size": 10, "color": inks((values - cells.zmin) / (cells.zmax - cells.zmin))},
        hoverinfo="skip", showlegend=False,
    )  # fmt: skip


def _written(shown: Floats) -> bool:
    """Whether the cells are large enough for numbers."""
    layers, heads = shown.shape
    return bool(layers <= _MOST_WRITTEN[0] and heads <= _MOST_WRITTEN[1])


def _places(where: NDArray[np.bool_], words: str, shape: tuple[int, ...], *, beside: bool) -> dict[str, Any]:
    """Where a role's marks are: in the middle of their cells, or in a corner where a number stands there."""
    rows, heads = np.nonzero(where)
    right, up = (0.34, 0.3) if beside and words != "no value" else (0.0, 0.0)
    return {
        "x": heads + right,
        "y": rows + up,
        "name": f"{words} ({len(rows)})",
        "showlegend": bool(len(rows)),
        "marker.size": float(np.clip(0.5 * _cell(shape), 6, 8 if beside else 11)),
    }


def _cell(shape: tuple[int, ...]) -> float:
    """The shorter side of a cell in pixels, about."""
    return min(_WIDTH / max(shape[1], 1), _HEIGHT / max(shape[0], 1))


def _frame(chosen: tuple[int, int] | None, layers: Sequence[int], shape: tuple[int, ...]) -> dict[str, Any]:
    """Around a cell; where cells are small, wide enough to leave it in sight."""
    if chosen is None or chosen[0] not in layers or not 0 <= chosen[1] < shape[1]:
        return {"x": [], "y": []}
    row, head = list(layers).index(chosen[0]), chosen[1]
    wide, high = max(0.5, _SMALL / 2 * shape[1] / _WIDTH), max(0.5, _SMALL / 2 * shape[0] / _HEIGHT)
    return {
        "x": [head - wide, head + wide, head + wide, head - wide, head - wide],
        "y": [row - high, row - high, row + high, row + high, row - high],
    }


def _pointer(values: Floats, other: ArrayLike | None, layers: Sequence[int], name: str) -> go.Scatter:
    """A transparent line through the middles of the cells: found by the pointer, and one node for all."""
    rows, heads = np.nonzero(np.isfinite(values))
    said = safe(name)
    texts = []
    for row, head in zip(rows.tolist(), heads.tolist(), strict=True):
        number = values[row, head]
        told = f"<b>layer {layers[row]}, head {head}</b><br>{said}: {number:.3f}"
        if other is not None:
            subtracted = float(np.asarray(other)[row, head])
            told += f"<br>minus {subtracted:.3f}: {number - subtracted:+.3f}"
        texts.append(told)
    return go.Scatter(
        meta="heads", mode="lines", line={"color": "rgba(0,0,0,0)"}, showlegend=False, x=heads, y=rows, text=texts,
        customdata=np.column_stack([np.asarray(layers, np.int64)[rows], heads]).tolist(),
        hovertemplate="%{text}<extra></extra>",
    )  # fmt: skip
