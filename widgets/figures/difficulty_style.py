"""How the marks of the difficulty figures look. Every one also differs by symbol, dash or place from the others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

LABEL_SYMBOLS = {"easy": "circle", "normal": "diamond", "hard": "x", "none": "square-open"}
"""DiffAdapt's labels, and none."""


def difficulty_styles(colours: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Role -> style, from a theme's palette."""
    entropy, accuracy, low, high = (colours[name] for name in ("think", "answer", "high_window", "forking"))
    ink, back, muted = colours["ink"], colours["background"], colours["muted"]
    return {
        "problem": {"marker": {"color": colours["raw"], "size": 5, "symbol": "circle", "opacity": 0.45}},
        "level_entropy": {
            "line": {"color": entropy, "width": 1.4},
            "marker": {"color": entropy, "size": 9, "line": {"color": entropy, "width": 1.6}},
            "error_y": {"color": entropy, "thickness": 1.6, "width": 5},
        },
        "level_accuracy": {
            "line": {"color": accuracy, "width": 1.6, "dash": "dash"},
            "marker": {"color": accuracy, "size": 9, "line": {"color": accuracy, "width": 1.6}},
            "error_y": {"color": accuracy, "thickness": 1.2, "width": 5},
        },
        "parabola": {"line": {"color": muted, "width": 2, "dash": "dot"}},
        "line_low": {"line": {"color": low, "width": 3.2}},
        "line_high": {"line": {"color": high, "width": 3.2, "dash": "longdash"}},
        "break": {"line": {"color": ink, "width": 1.4, "dash": "dashdot"}},
        "fieller": {
            "line": {"color": ink, "width": 3},
            "marker": {"color": ink, "size": [12, 7, 12], "opacity": 1, "line": {"color": ink, "width": 2}},
        },
        **_label_styles(colours, back),
        "alpha": {"line": {"color": low, "width": 2, "dash": "dash"}, "textfont": {"color": low}},
        "beta": {"line": {"color": high, "width": 2, "dash": "dot"}, "textfont": {"color": high}},
        "gamma": {"line": {"color": accuracy, "width": 2, "dash": "dashdot"}, "textfont": {"color": accuracy}},
    }


def _label_styles(colours: Mapping[str, str], back: str) -> dict[str, dict[str, Any]]:
    shades = {"easy": "think", "normal": "high_window", "hard": "forking", "none": "muted"}
    return {
        f"label:{label}": {
            "marker": {
                "color": colours[shades[label]],
                "symbol": symbol,
                "size": 8,
                "opacity": 0.8,
                "line": {"color": colours[shades[label]] if label == "none" else back, "width": 0.8},
            }
        }
        for label, symbol in LABEL_SYMBOLS.items()
    }


def region_style(name: str, colours: Mapping[str, str]) -> dict[str, Any]:
    """Style of the shape "region:…"; the three also carry their names."""
    shades = {"overthinking": "think", "certainty": "high_window", "capability limit": "answer"}
    return {"fillcolor": colours[shades[name.removeprefix("region:")]], "opacity": 0.08, "line": {"width": 0}}
