"""Colours, dashes and symbols of the marks in the charts of phases, rewards and early stopping."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


def phase_styles(colours: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Role -> style, from a theme's palette. Marks that mean different things also differ by symbol, dash or place."""
    think, answer, muted, ink, raw, axis = (
        colours[name] for name in ("think", "answer", "muted", "ink", "raw", "axis")
    )
    right, wrong, violet = (colours[name] for name in ("high_window", "forking", "sampled"))
    rule = {"line": {"color": ink, "width": 1.6, "dash": "dot"}}
    styles: dict[str, dict[str, Any]] = {
        "phase_line:think": {"line": {"color": think, "width": 1.1}},
        "phase_line:answer": {"line": {"color": answer, "width": 1.1}},
        "phase_line:marker": _points(muted, "x", 7),
        "phase_mean:think": {"line": {"color": think, "width": 2.4, "dash": "dash"}},
        "phase_mean:answer": {"line": {"color": answer, "width": 2.4, "dash": "dashdot"}},
        "phase_boundary": rule,
        "phase_pairs": {"line": {"color": raw, "width": 0.8}, "opacity": 0.3},
        # a box is filled with a paler shade of its line
        "phase_box:think": {"line": {"color": think, "width": 1.6}},
        "phase_box:answer": {"line": {"color": answer, "width": 1.6}},
        "phase_points:correct": _points(right, "circle", 6, opacity=0.7),
        "phase_points:wrong": _points(wrong, "x-thin", 7, opacity=0.85),
        "phase_points:unknown": _points(muted, "diamond-open", 6, opacity=0.7),
        "phase_chosen": {"line": {"color": ink, "width": 2}, **_points(ink, "circle-open", 14)},
        "reward_each": {"line": {"color": raw, "width": 0.8}, "opacity": 0.45},
        "reward_mean": {"line": {"color": ink, "width": 2.2}},
        "reward_kinks": _points(violet, "line-ns", 9),
        "reward_format": {"line": {"color": muted, "width": 1.4, "dash": "dashdot"}},
        "reward_alpha": {"line": {"color": wrong, "width": 1.8, "dash": "dash"}},
        "reward_now": _points(wrong, "diamond", 10),
        "eat_entropy": {**_points(raw, "circle", 5), "line": {"color": raw, "width": 1}},
        "eat_mean": {"line": {"color": ink, "width": 2.2}},
        "eat_variance": {**_points(violet, "diamond", 5), "line": {"color": violet, "width": 1.8}},
        "eat_delta": {"line": {"color": wrong, "width": 1.8, "dash": "dash"}},
        "eat_too_early": {"fillcolor": axis, "line": {"width": 0}, "opacity": 0.16},
        "eat_right": _points(right, "circle", 9),
        "eat_wrong": _points(wrong, "x-thin", 9),
    }
    return styles | {f"eat_stop:{panel}": rule for panel in ("entropy", "variance", "verdict")}


def _points(colour: str, symbol: str, size: float, *, opacity: float = 1.0) -> dict[str, Any]:
    # symbols that are drawn by their outline alone
    width = 1.6 if symbol.endswith(("thin", "ns", "open")) else 0.6
    return {
        "marker": {
            "color": colour,
            "symbol": symbol,
            "size": size,
            "opacity": opacity,
            "line": {"color": colour, "width": width},
        }
    }
