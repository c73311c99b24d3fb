"""Think and answer as tinted stretches of a token axis, each named at its start, the last one where there is room."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from widgets.figures.template import Theme, annotation_style, shape_style

if TYPE_CHECKING:
    import polars as pl

MOST_STRETCHES = 200
"""Shapes in one layout; of more only the longest are drawn."""

_ROOM_FOR_A_NAME = 0.07  # of the visible axis; "answer" in 12 px on a narrow panel


def phase_shading(
    tokens: pl.DataFrame, theme: Theme, visible: tuple[float, float] | None = None
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Shapes and annotations of the phases; none where everything is answer, since there is nothing to tell apart."""
    stretches = _stretches(tokens)
    if all(phase == "answer" for _, _, phase in stretches):
        return [], []
    low, high = visible or (stretches[0][0], stretches[-1][1])
    shapes, names, free_from = [], [], -np.inf
    for start, stop, phase in stretches:
        label = f"phase:{phase}"
        box = {"type": "rect", "xref": "x", "yref": "y domain", "x0": start, "x1": stop, "y0": 0, "y1": 1}
        shapes.append({"name": label, "layer": "below", **box, **shape_style(label, theme)})
        left, right, room = max(start, low), min(stop, high), _ROOM_FOR_A_NAME * (high - low)
        fits = left + room <= high
        if phase != "marker" and right > left and (left if fits else right - room) >= free_from:
            x, anchor = (left, "left") if fits else (right, "right")
            place = {"xref": "x", "yref": "y domain", "x": x, "y": 1, "xanchor": anchor, "yanchor": "bottom"}
            names.append({"name": label, "text": phase, "showarrow": False, **place, **annotation_style(label, theme)})
            free_from = (left if fits else right - room) + room
    return shapes, names


def _stretches(tokens: pl.DataFrame) -> list[tuple[float, float, str]]:
    """(start, stop, phase) of each run of one known phase, in order; half a token of room on either side."""
    phases = tokens["phase"].to_numpy()
    x = tokens["position"].to_numpy()
    changes = phases[1:] != phases[:-1]
    starts = np.flatnonzero(np.concatenate([[True], changes]))[: len(phases)]
    stops = [*starts[1:], len(phases)]
    runs = [
        (float(x[start]) - 0.5, float(x[stop - 1]) + 0.5, str(phases[start]))
        for start, stop in zip(starts, stops, strict=False)
        if phases[start] is not None
    ]
    longest = sorted(runs, key=lambda run: run[0] - run[1])[:MOST_STRETCHES]
    return sorted(longest)
