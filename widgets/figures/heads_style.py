"""How the marks of the figures of attention heads look, and what their numbers are called."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from plotly.colors import sample_colorscale

from widgets.figures.palette import PALETTE, faded

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

SEQUENTIAL = "cividis"
"""Reads the same to colour-blind eyes, and its lightness rises all the way."""
SHADES = 8
"""Layers drawn as lines at most: more cannot be told apart."""
STATISTICS = {
    "entropy": "entropy (nats)",
    "entropy_by_support": "entropy / ln support",
    "entropy_by_length": "entropy / ln T",
    "collapsed": "share of rows collapsed",
    "max_weight": "largest weight of a row",
    "distance": "distance (tokens)",
    "sink": "weight on the first token",
    "previous_token": "weight on the token before",
    "same_token": "weight on the same token earlier",
    "induction": "weight on what followed the same token",
    "row_norm": "norm of a row's scores",
}
"""Column of `HeadStats.to_frame()` -> what an axis calls it, with its unit."""
NORMALIZED = {"support": "entropy / ln support", "length": "entropy / ln T", "none": "entropy (nats)"}
"""Normaliser -> what an axis calls a row's entropy."""

_DASHES = ("solid", "longdashdot", "dash", "8px 3px 2px 3px", "longdash", "dashdot", "2px 6px", "dot")
LAYER_SYMBOLS = ("circle", "square", "diamond", "triangle-up", "triangle-down", "x", "star", "pentagon")
# on cells of any colour, in both themes: white inside, dark around
_ON_CELL = {"color": "#ffffff", "line": {"color": "#1f2328", "width": 1}}


def head_styles(colours: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Role -> style, from a theme's palette. Marks that mean different things also differ by symbol, dash or place."""
    ink, back, muted, grid = (colours[name] for name in ("ink", "background", "muted", "grid"))
    low, chosen = colours["forking"], colours["think"]
    sequential = {"colorscale": SEQUENTIAL}
    return {
        "head_cells": sequential,
        "head_difference": {"colorscale": [[0, colours["think"]], [0.5, grid], [1, colours["answer"]]]},
        "head_collapsed": _on_cells("triangle-down"),
        "head_overloaded": _on_cells("triangle-up"),
        "head_higher": _on_cells("cross"),
        "head_lower": _on_cells("line-ew", {"color": ink, "line": {"color": ink, "width": 2}}),
        "head_missing": {"marker": {"symbol": "x-thin", "color": muted, "line": {"color": muted, "width": 1}}},
        "head_chosen": {"line": {"color": ink, "width": 2.4}},
        "head_chosen_edge": {"line": {"color": back, "width": 6}},
        "head_pattern": sequential,
        "head_ceiling": {"line": {"color": muted, "width": 1.4, "dash": "dot"}},
        "head_rows": {"line": {"color": chosen, "width": 1.6}},
        "head_rows_apart": {"marker": {"color": chosen, "size": 5}},
        "head_collapsed_rows": {
            "marker": {"color": low, "symbol": "triangle-down", "size": 8, "line": {"color": back, "width": 0.8}}
        },
        "head_cut": {"line": {"color": low, "width": 1.8, "dash": "dash"}},
        "head_skipped": {"fillcolor": faded(muted, 0.18), "line": {"width": 0}},
        "head_row_below": {"marker": {"color": low, "symbol": "x", "size": 9, "line": {"color": back, "width": 0.8}}},
        "head_alike": {"colorscale": SEQUENTIAL, "reversescale": True},
        "head_twins": _on_cells("circle"),
        "head_effective": {"marker": {"color": chosen, "line": {"width": 0}}},
        "head_all": {"marker": {"color": faded(muted, 0.2), "line": {"width": 0}}},
        "head_places": {"marker": {"colorscale": SEQUENTIAL, "line": {"color": ink, "width": 1}}},
        "head_loss": {"line": {"color": ink, "width": 1.8}},
        **_bin_styles(colours),
        **_bound_styles(colours),
        **{f"head_layer:{rank}": _layer_line(rank, back) for rank in range(SHADES)},
    }


def _on_cells(symbol: str, marker: Mapping[str, Any] = _ON_CELL) -> dict[str, Any]:
    return {"marker": {**marker, "symbol": symbol}}


def _bin_styles(colours: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Bars: the lowest and the highest bin stand out by colour and by hatching."""
    low, high, raw, ink = (colours[name] for name in ("forking", "answer", "raw", "ink"))

    def bar(colour: str, alpha: float, shape: str) -> dict[str, Any]:
        # hatched so lightly that a number stands out
        fill, hatch = faded(colour, alpha), faded(colour, 0.55)
        pattern = {"shape": shape, "fgcolor": hatch, "bgcolor": fill, "size": 9, "solidity": 0.14}
        marker = {"color": fill, "line": {"color": colour, "width": 1.2}, "pattern": pattern}
        return {"marker": marker, "insidetextfont": {"color": ink}}

    return {
        "head_bin:low": bar(low, 0.3, "\\"),
        "head_bin:even": bar(raw, 0.12, ""),
        "head_bin:odd": bar(raw, 0.4, ""),
        "head_bin:high": bar(high, 0.3, "/"),
    }


def _bound_styles(colours: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Rows that see few, some and many keys, each with the curve that is below them."""
    found: dict[str, dict[str, Any]] = {}
    for k, (name, symbol, dash) in enumerate(
        (("answer", "circle", "dot"), ("high_window", "square", "dash"), ("think", "diamond", "solid"))
    ):
        colour = colours[name]
        found[f"head_bound:{k}"] = {"line": {"color": colour, "width": 2.4, "dash": dash}}
        found[f"head_row:{k}"] = {"marker": {"color": colour, "symbol": symbol, "size": 4, "opacity": 0.4}}
        ring = {"color": colours["ink"], "width": 1}
        found[f"head_row_chosen:{k}"] = {"marker": {"color": colour, "symbol": symbol, "size": 7, "line": ring}}
    return found


def _layer_line(rank: int, back: str) -> dict[str, Any]:
    colour = layer_shades(back)[rank]
    return {
        "line": {"color": colour, "width": 2.2, "dash": _DASHES[rank]},
        "marker": {"color": colour, "symbol": LAYER_SYMBOLS[rank], "size": 7},
    }


@cache
def layer_shades(back: str) -> list[str]:
    """The part of the sequential scale that stands out from the background, first layer to last."""
    low, high = (0.0, 0.6) if back == PALETTE["light"]["background"] else (0.42, 1.0)
    return list(sample_colorscale(SEQUENTIAL, [low + (high - low) * k / (SHADES - 1) for k in range(SHADES)]))


def inks(shares: NDArray[np.float64]) -> list[str]:
    """Black or white for text on each of these places of the sequential scale, 0 to 1, by WCAG 2's contrast ratio."""
    if not len(shares):
        return []
    found = sample_colorscale(SEQUENTIAL, np.clip(shares, 0.0, 1.0).tolist(), colortype="tuple")
    linear = np.where((rgb := np.array(found)) <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    luminance = linear @ np.array([0.2126, 0.7152, 0.0722])
    # (1 + 0.05) / (L + 0.05) against (L + 0.05) / 0.05
    return np.where((luminance + 0.05) ** 2 > 1.05 * 0.05, "#000", "#fff").tolist()


def step_of(count: int, most: int) -> int:
    """Every how many of `count` ticks to draw so that at most about `most` are: 1, 2 or 5 of a power of ten."""
    least = max(count / most, 1)
    decade = 10 ** int(np.log10(least))
    return int(next(step * decade for step in (1, 2, 5, 10) if step * decade >= least))
