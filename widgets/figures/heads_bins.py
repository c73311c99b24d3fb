"""How many of each layer's heads are collapsed, how many overloaded, how many between."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import plotly.graph_objects as go

from widgets.figures.heads_style import NORMALIZED, head_styles, step_of
from widgets.figures.series import message
from widgets.figures.template import Theme, annotation_style, palette, template

if TYPE_CHECKING:
    from workbench.attention import EntropyBins

_WRITTEN_UP_TO = 16  # layers up to which the shares stand in the bars
_MOST_TICKS = 24


def bins_figure(bins: EntropyBins, *, theme: Theme = "light") -> go.Figure:
    """A bar a layer, stacked from the lowest bin to the highest; the two ends hatched and named.

    Args:
        bins: from `entropy_bins`.
        theme: light or dark.

    Raises:
        ValueError: an unknown theme.
    """
    styles = head_styles(palette(theme))
    fig = go.Figure(layout={"template": template(theme)})
    layers, shares = list(range(len(bins.layers))), 100 * bins.shares
    words = NORMALIZED[bins.normalizer]
    for at, name in enumerate(_names(bins.edges)):
        role = _role(at, len(bins.edges))
        own = shares[:, at]
        counts = (bins.of_head == at).sum(axis=1)
        told = [
            f"<b>layer {layer}</b><br>{words} {name}<br>{share:.0f} % of its heads ({count} of {of})"
            for layer, share, count, of in zip(bins.layers, own, counts, (bins.of_head >= 0).sum(axis=1), strict=True)
        ]
        written = [f"{share:.0f} %" if share >= 8 and len(layers) <= _WRITTEN_UP_TO else "" for share in own]
        fig.add_trace(
            go.Bar(
                meta=role,
                x=layers,
                y=own,
                name=name,
                text=written,
                textposition="inside",
                textangle=0,
                insidetextanchor="middle",
                hovertext=told,
                hovertemplate="%{hovertext}<extra></extra>",
                **styles[role],
            )
        )
    fig.update_layout(_layout(bins, words, theme))
    return fig


def _layout(bins: EntropyBins, words: str, theme: Theme) -> dict[str, Any]:
    at = list(range(0, len(bins.layers), step_of(len(bins.layers), _MOST_TICKS)))
    nothing = {**message("no heads to show"), **annotation_style("message", theme)}
    return {
        "barmode": "stack",
        "bargap": 0.2 if len(bins.layers) <= _WRITTEN_UP_TO else 0.06,
        "hovermode": "closest",
        "margin": {"t": 40},
        "legend": {"y": 1.02, "traceorder": "normal", "title": {"text": f"{words}:  "}, "font": {"size": 11}},
        "annotations": [] if (bins.of_head >= 0).any() else [nothing],
        "xaxis": {
            "title": {"text": "layer"}, "tickvals": at, "ticktext": [str(bins.layers[row]) for row in at],
            "range": [-0.5, max(len(bins.layers), 1) - 0.5],
        },
        "yaxis": {"title": {"text": "share of the layer's heads (%)"}, "range": [0, 100], "fixedrange": True},
    }  # fmt: skip


def _role(at: int, edges: int) -> str:
    """The first bin is the low one, the last the high one, those between alternate."""
    if at == 0:
        return "head_bin:low"
    if at == edges:
        return "head_bin:high"
    return "head_bin:even" if at % 2 else "head_bin:odd"


def _names(edges: tuple[float, ...]) -> list[str]:
    """What each bin holds."""
    inner = [f"{low:g} to {high:g}" for low, high in pairwise(edges)]
    if not edges:
        return ["all"]
    return [f"below {edges[0]:g}: collapsed", *inner, f"from {edges[-1]:g}: overloaded"]
