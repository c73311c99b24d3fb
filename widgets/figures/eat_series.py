"""The series of the chart of Entropy After </Think>: one run, one set of stopping parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from widgets.figures.series import Indices, Updates, thinned
from widgets.figures.text import Unit, per_unit, token_label

if TYPE_CHECKING:
    from workbench.phases import EatRun, EatStop

POINTS = 1500
"""Boundaries drawn at most."""
LEAST_VARIANCE = 1e-12
"""Lower variances, zero among them, are drawn here, since a logarithmic axis has no zero; hover says their value."""
VERDICT_RANGE = (-0.6, 1.6)
RULES: dict[str, tuple[str, tuple[float, float]]] = {
    "entropy": ("y4", (0.0, 1.0)),
    "variance": ("y5", (0.0, 1.0)),
    "verdict": ("y3", VERDICT_RANGE),
}
"""Panel -> the axis its stop rule is on, and from where to where it runs."""
ROLES = ("eat_too_early", "eat_entropy", "eat_mean", "eat_variance", "eat_delta", "eat_right", "eat_wrong")


def eat_series(
    run: EatRun | None, stop: EatStop | None = None, *, unit: Unit = "nats", points: int = POINTS
) -> Updates:
    """Role -> properties to assign to that trace; all empty without a boundary.

    Raises:
        ValueError: an unknown unit.
    """
    scale = per_unit(unit)
    if run is None or not len(run):
        return {role: {"x": [], "y": []} for role in (*ROLES, *(f"eat_stop:{panel}" for panel in RULES))}
    found = stop if stop is not None else run.stop()
    x = (run.kept - run.start).astype(np.float64)
    rows = drawn(run, points)
    texts = _texts(run, found, rows, unit)
    later = rows[rows > 0]  # v_0 is 0 by definition, not by observation
    variance = np.maximum(found.variance, LEAST_VARIANCE) / scale**2
    ends = [0.0, float(run.thinking - run.start)]
    return {
        "eat_entropy": {"x": x[rows], "y": run.entropy[rows] / scale, "text": texts, "customdata": rows},
        "eat_mean": {"x": x[rows], "y": found.mean[rows] / scale},
        "eat_variance": {
            "x": x[later], "y": variance[later], "text": texts[-len(later) :] if len(later) else [],
            "customdata": later,
        },
        "eat_delta": {"x": ends, "y": [found.delta / scale**2] * 2, "name": f"δ = {found.delta:.3g} nats²"},
        "eat_too_early": _too_early(found, x),
        **_verdicts(run, x, rows, texts),
        **_rules(found, x),
    }  # fmt: skip


def drawn(run: EatRun, points: int) -> Indices:
    """At most `points` boundaries, the same ones every time."""
    return thinned(run.kept.astype(np.float64), run.entropy, np.arange(len(run)), points)


def _too_early(stop: EatStop, x: np.ndarray) -> dict[str, Any]:
    """The stretch before the first boundary that may stop, on the rule's axis of the middle panel."""
    first = stop.min_distance
    edge = float(x[first]) if first < len(x) else float(x[-1])
    name = f"too early (first {first})"
    return {"x": [0, edge, edge, 0, 0], "y": [0, 0, 1, 1, 0], "name": name, "visible": first > 0}


def _verdicts(run: EatRun, x: np.ndarray, rows: Indices, texts: list[str]) -> Updates:
    updates: Updates = {}
    for role, value in (("eat_right", True), ("eat_wrong", False)):
        own = np.flatnonzero(run.correct[rows] == value) if run.correct is not None else rows[:0]
        arrays = {"x": x[rows[own]], "y": np.full(len(own), float(value)), "text": [texts[i] for i in own.tolist()]}
        updates[role] = {**arrays, "customdata": rows[own], "visible": bool(len(own))}
    return updates


def _rules(stop: EatStop, x: np.ndarray) -> Updates:
    at = [] if stop.index is None else [x[stop.index]] * 2
    name = "never stops" if stop.index is None else f"stop after {int(x[stop.index])} thinking tokens"
    return {
        f"eat_stop:{panel}": {"x": at, "y": list(reach) if at else [], "name": name, "visible": bool(at)}
        for panel, (_, reach) in RULES.items()
    }


def _texts(run: EatRun, stop: EatStop, rows: Indices, unit: Unit) -> list[str]:
    scale = per_unit(unit)
    said = []
    for row in rows.tolist():
        lines = [
            f"<b>boundary {row}</b>, {int(run.kept[row] - run.start)} thinking tokens",
            f"raw entropy after closing {run.entropy[row] / scale:.4f} {unit}",
            f"moving mean {stop.mean[row] / scale:.4f}, variance {stop.variance[row] / scale**2:.2e}",
        ]
        if run.answers is not None:
            lines.append(f"answer: {token_label(run.answers[row].strip())}")
        said.append("<br>".join(lines))
    return said
