"""How every figure looks: one plotly template for light and dark, the palette, the style of each mark."""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go

from widgets.figures.difficulty_style import difficulty_styles, region_style
from widgets.figures.heads_style import head_styles
from widgets.figures.palette import Theme, faded, palette
from widgets.figures.phase_styles import phase_styles

FONT = '-apple-system, BlinkMacSystemFont, "Segoe UI", Roboto, "Helvetica Neue", Arial, "DejaVu Sans", sans-serif'
"""System fonts only: nothing is fetched at view time."""

CONFIG: dict[str, Any] = {
    "displaylogo": False,
    "responsive": True,
    # plotly 7 offers to upload every chart; here nothing leaves the machine
    "plotlyServerURL": "",
    "modeBarButtonsToRemove": ["sendChartToCloud", "lasso2d", "select2d", "autoScale2d"],
}
"""What plotly.js is told about every chart, in panels and in HTML files."""


def template(theme: Theme = "light") -> go.layout.Template:
    """The plotly template of a theme: colours, fonts, margins, hover labels, axes."""
    colours = palette(theme)
    axis = {
        "automargin": True,
        "gridcolor": colours["grid"],
        "linecolor": colours["axis"],
        "tickcolor": colours["axis"],
        "ticks": "outside",
        "ticklen": 4,
        "showline": True,
        "zeroline": False,
        "title": {"standoff": 8},
        "exponentformat": "none",
        "separatethousands": True,
    }
    return go.layout.Template(
        layout={
            "font": {"family": FONT, "size": 12, "color": colours["ink"]},
            "paper_bgcolor": colours["background"],
            "plot_bgcolor": colours["background"],
            "colorway": [
                colours[name] for name in ("think", "answer", "forking", "high_window", "sampled", "surprisal")
            ],
            "margin": {"l": 56, "r": 16, "t": 48, "b": 48},
            "xaxis": {**axis, "showgrid": False},
            "yaxis": axis,
            # below the legend, above the plot, stay 20 px for the phases' names
            "legend": {
                "orientation": "h",
                "x": 0,
                "xanchor": "left",
                "y": 1.07,
                "yanchor": "bottom",
                "bgcolor": "rgba(0,0,0,0)",
                "itemsizing": "trace",
            },
            "hoverlabel": {
                "align": "left",
                "bgcolor": colours["background"],
                "bordercolor": colours["axis"],
                "font": {"family": FONT, "color": colours["ink"]},
                "namelength": -1,
            },
            "annotationdefaults": {"showarrow": False, "font": {"color": colours["muted"]}},
            "separators": ".\u2009",
            "modebar": {"bgcolor": "rgba(0,0,0,0)", "color": colours["muted"], "activecolor": colours["ink"]},
        },
    )


def trace_style(role: str, theme: Theme) -> dict[str, Any]:
    """Colours, dashes and symbols of the mark that plays `role` in a figure; empty for a role unknown here."""
    colours = palette(theme)
    back = colours["background"]
    styles: dict[str, dict[str, Any]] = {
        **difficulty_styles(colours),
        **head_styles(colours),
        **phase_styles(colours),
        "raw": {"line": {"color": colours["raw"], "width": 1}},
        "isolated": {"marker": {"color": colours["raw"], "size": 5, "symbol": "circle"}},
        "mean": {"line": {"color": colours["mean"], "width": 2.2}},
        "band": {"fillcolor": faded(colours["mean"], 0.16), "line": {"width": 0}},
        "interval": {
            "fillcolor": faded(colours["interval"], 0.4),
            "line": {"color": colours["interval"], "width": 1},
        },
        "sampled": {"line": {"color": colours["sampled"], "width": 1.2, "dash": "dash"}},
        "surprisal": {"line": {"color": colours["surprisal"], "width": 1.2, "dash": "dot"}},
        "forking": {
            "marker": {
                "color": colours["forking"],
                "symbol": "triangle-up",
                "line": {"color": back},
            },
        },
        "high_window": {
            "marker": {
                "color": colours["high_window"],
                "symbol": "diamond-open",
                "line": {"color": colours["high_window"]},
            },
        },
        "cursor": {"line": {"color": colours["ink"], "width": 1.5}},
        "cursor_point": {
            "marker": {"color": "rgba(0,0,0,0)", "size": 16, "line": {"color": colours["ink"], "width": 2.2}},
        },
        "threshold": {
            "line": {"color": colours["forking"], "width": 2, "dash": "dash"},
            "textfont": {"color": colours["forking"]},
        },
        "bound": {"line": {"color": colours["muted"], "width": 1.5, "dash": "dashdot"}},
        **_sampler_styles(colours),
        **_replay_styles(colours),
    }
    for phase, symbol in (("think", "circle"), ("answer", "diamond"), ("marker", "x")):
        styles[f"scatter:{phase}"] = {
            "marker": {
                "color": faded(colours[phase], 0.75),
                "size": 6 if phase == "think" else 8,
                "symbol": symbol,
                "line": {"color": back, "width": 0.6},
            },
        }
    for phase, pattern in (("think", ""), ("answer", "/"), ("marker", "x")):
        styles[f"bar:{phase}"] = {
            "marker": {
                "color": faded(colours[phase], 0.5),
                "line": {"color": colours[phase], "width": 1},
                "pattern": {"shape": pattern, "fgcolor": colours[phase], "size": 6, "solidity": 0.25},
            },
        }
    return styles.get(role, {})


def _sampler_styles(colours: dict[str, str]) -> dict[str, dict[str, Any]]:
    """Marks of the charts of samplers: A is solid and violet, B dashed and green, what is dropped magenta ticks."""
    a, b = colours["sampled"], colours["high_window"]
    band = {"fillcolor": faded(a, 0.25), "line": {"width": 0}}
    dashed = {"line": {"color": b, "width": 1.6, "dash": "dash"}}
    pale = faded(colours["raw"], 0.22)
    return {
        "sampler_a": {"line": {"color": a, "width": 1.8}},
        "sampler_b": dashed,
        "entropy_band": band,
        "kept_a": {"line": {"color": a, "width": 1.8}},
        "kept_b": dashed,
        "kept_band": band,
        "dropped": {"line": {"color": colours["forking"], "width": 2}},
        "cursor_kept": {"line": {"color": colours["ink"], "width": 1.5}},
        "top_raw": {"marker": {"color": faded(colours["raw"], 0.55), "line": {"color": colours["raw"], "width": 1}}},
        "top_dropped": {
            "marker": {
                "color": pale,
                "line": {"color": colours["raw"], "width": 1},
                "pattern": {"shape": "/", "fgcolor": colours["raw"], "bgcolor": pale, "size": 5, "solidity": 0.2},
            },
        },
        "top_sampled": {"marker": {"color": a, "line": {"color": a, "width": 0}}},
        "top_other": {"marker": {"color": b, "symbol": "diamond-open", "size": 7, "line": {"color": b, "width": 1.6}}},
        "top_text": {"textfont": {"color": colours["muted"]}},
        "cut": {
            "line": {"color": colours["forking"], "width": 1.6, "dash": "dash"},
            "textfont": {"color": colours["forking"]},
        },
    }


def _replay_styles(colours: dict[str, str]) -> dict[str, dict[str, Any]]:
    """Marks of the charts of switching and of reflective decoding."""
    large, triggered = colours["answer"], colours["forking"]
    pattern = {"shape": "/", "fgcolor": large, "bgcolor": faded(large, 0.1), "size": 7, "solidity": 0.12}
    hatched = {"fillcolor": faded(large, 0.14), "fillpattern": pattern}
    return {
        "drawn_large": {**hatched, "line": {"width": 0}},
        "route": {**hatched, "line": {"color": colours["ink"], "width": 1.8}},
        "threshold_down": {"line": {"color": colours["high_window"], "width": 2, "dash": "dot"}},
        "cursor_route": {"line": {"color": colours["ink"], "width": 1.5}},
        "triggered": {
            "marker": {
                "color": triggered,
                "symbol": "diamond",
                "size": 10,
                "line": {"color": colours["background"], "width": 1},
            }
        },
    }


def shape_style(name: str, theme: Theme) -> dict[str, Any]:
    """Colours of the layout shape of that name: "phase:think", "quadrant"; empty for others."""
    colours = palette(theme)
    if name.startswith("phase:"):
        return {"fillcolor": faded(colours[name.removeprefix("phase:")], 0.1), "line": {"width": 0}}
    if name.startswith("region:"):
        return region_style(name, colours)
    if name == "quadrant":
        return {"line": {"color": colours["axis"], "width": 1, "dash": "dot"}}
    return {}


def annotation_style(name: str, theme: Theme) -> dict[str, Any]:
    """Colours of the annotation of that name: "phase:think" and the like; all others take the muted colour."""
    colours = palette(theme)
    colour = colours[name.removeprefix("phase:")] if name.startswith("phase:") else colours["muted"]
    # a quadrant's name may lie over points
    behind = {"bgcolor": faded(colours["background"], 0.6)} if name == "quadrant" else {}
    return {"font": {"color": colour}, **behind}


def apply_theme(fig: go.Figure, theme: Theme) -> go.Figure:
    """Recolour `fig` in place, and return it. Marks are known by their role (a trace's `meta`, a shape's `name`).

    Raises:
        ValueError: a theme other than light and dark.
    """
    with fig.batch_update():
        fig.update_layout(template=template(theme))
        for trace in fig.data:
            if isinstance(trace.meta, str):
                trace.update(trace_style(trace.meta, theme))
        for shape in fig.layout.shapes:
            shape.update(shape_style(shape.name or "", theme))
        for annotation in fig.layout.annotations:
            annotation.update(annotation_style(annotation.name or "", theme))
    return fig
