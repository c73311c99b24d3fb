"""Colours, dashes and symbols of the marks in the charts of phases, rewards and early stopping."""

from __future__ import annotations

from typing import Any

from widgets.figures.template import Theme, faded, palette


def phase_style(role: str, theme: Theme) -> dict[str, Any]:
    """The style of the mark that plays `role`; empty for a role unknown here.

    Raises:
        ValueError: a theme other than light and dark.
    """
    colours = palette(theme)
    think, answer, muted, ink = (colours[name] for name in ("think", "answer", "muted", "ink"))
    styles: dict[str, dict[str, Any]] = {
        "phase_line:think": {"line": {"color": think, "width": 1.1}},
        "phase_line:answer": {"line": {"color": answer, "width": 1.1}},
        "phase_line:marker": _points(muted, "x", 7),
        "phase_mean:think": {"line": {"color": think, "width": 2.4, "dash": "dash"}},
        "phase_mean:answer": {"line": {"color": answer, "width": 2.4, "dash": "dashdot"}},
        "phase_boundary": {"line": {"color": ink, "width": 1.6, "dash": "dot"}},
        "phase_pairs": {"line": {"color": faded(colours["raw"], 0.25), "width": 0.8}},
        "phase_box:think": {"line": {"color": think, "width": 1.6}, "fillcolor": faded(think, 0.18)},
        "phase_box:answer": {"line": {"color": answer, "width": 1.6}, "fillcolor": faded(answer, 0.18)},
        "phase_points:correct": _points(faded(colours["high_window"], 0.7), "circle", 6),
        "phase_points:wrong": _points(faded(colours["forking"], 0.85), "x-thin", 7, colours["forking"]),
        "phase_points:unknown": _points(faded(muted, 0.6), "diamond-open", 6, muted),
        "reward_each": {"line": {"color": faded(colours["raw"], 0.35), "width": 0.8}},
        "reward_mean": {"line": {"color": ink, "width": 2.2}},
        "reward_kinks": _points(colours["sampled"], "line-ns", 9, colours["sampled"]),
        "reward_format": {"line": {"color": muted, "width": 1.4, "dash": "dashdot"}},
        "reward_alpha": {"line": {"color": colours["forking"], "width": 1.8, "dash": "dash"}},
        "reward_now": _points(colours["forking"], "diamond", 10, colours["background"]),
        "eat_entropy": {**_points(colours["raw"], "circle", 5), "line": {"color": colours["raw"], "width": 1}},
        "eat_mean": {"line": {"color": ink, "width": 2.2}},
        "eat_variance": {**_points(colours["sampled"], "diamond", 5), "line": {"color": colours["sampled"]}},
        "eat_delta": {"line": {"color": colours["forking"], "width": 1.8, "dash": "dash"}},
        "eat_too_early": {"fillcolor": faded(colours["axis"], 0.14), "line": {"width": 0}},
        "eat_right": _points(colours["high_window"], "circle", 9),
        "eat_wrong": _points(colours["forking"], "x-thin", 9, colours["forking"]),
    }
    styles |= {f"eat_stop:{panel}": styles["phase_boundary"] for panel in ("entropy", "variance", "verdict")}
    return styles.get(role, {})


def _points(colour: str, symbol: str, size: float, outline: str | None = None) -> dict[str, Any]:
    line = {"color": outline or colour, "width": 1.6 if symbol.endswith(("thin", "ns", "open")) else 0.6}
    return {"marker": {"color": colour, "symbol": symbol, "size": size, "line": line}}
