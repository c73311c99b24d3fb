"""How many tokens a sampler keeps, along the trace on a logarithmic axis: the lower half of the sampler chart."""

from __future__ import annotations

import math
from typing import Any

from widgets.figures.sampler_series import FEWEST

AXIS = "y2"
KEPT_TRACES: dict[str, dict[str, Any]] = {
    "kept_band": {"name": "kept lies within", "mode": "lines", "fill": "toself"},
    "kept_b": {"name": "B kept", "mode": "lines", "showlegend": False, "legendgroup": "b"},
    "kept_a": {"name": "A kept", "mode": "lines", "showlegend": False, "legendgroup": "a"},
}
"""Role -> what plotly must know besides the arrays and the style, in drawing order.

The band shows where the true number lies for tokens whose cut falls among those that the sketch holds in bins only.
"""


def kept_axis(domain: tuple[float, float]) -> dict[str, Any]:
    """The logarithmic axis of the numbers of kept tokens, in this part of the figure's height."""
    return {
        "domain": domain, "type": "log", "fixedrange": True, "anchor": "x", "dtick": 1, "exponentformat": "SI",
        "title": {"text": "kept by sampler (log)"},
    }  # fmt: skip


def kept_range(vocabulary: int | None) -> tuple[float, float]:
    """Exponents of the axis: from just below one token to the whole vocabulary, so that sliders never move it."""
    return math.log10(FEWEST), math.log10(max(vocabulary or 0, 10)) * 1.04
