"""One head's weights in a window of a text: from each token to each it can see."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go

from widgets.figures.heads_style import head_styles, step_of
from widgets.figures.series import noted
from widgets.figures.template import Theme, palette, template
from widgets.figures.text import token_label

if TYPE_CHECKING:
    from workbench.attention import Pattern

_TICKS = 0.0, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0
_MOST_ACROSS, _MOST_DOWN = 40, 16  # ticks that fit
_TOKEN_UP_TO = 64  # tokens in a window up to which the ticks show their text
_LONGEST = 12  # characters of a token beside an axis
_NOTED_FROM = 0.01  # share of a row that is worth saying when it lies outside


def pattern_figure(pattern: Pattern, *, root: bool = True, theme: Theme = "light") -> go.Figure:
    """Query down, key across, the weight as colour; keys that no query may see before it stay empty.

    Tokens beside the axes carry their positions, and their text where the window is small; pointing at a cell says
    both tokens.

    Args:
        pattern: from `HeadStats.pattern`.
        root: colours by the square root of the weight, so that small weights can be seen; the bar says weights.
        theme: light or dark.

    Raises:
        ValueError: an unknown theme.
    """
    weights = np.asarray(pattern.weights, dtype=np.float64)
    shown = np.where(np.tri(len(weights), dtype=np.bool_), weights, np.nan) if _is_causal(weights) else weights
    names = _names(pattern)
    place = np.sqrt if root else np.asarray
    bar = {
        "title": {"text": f"attention weight{' (root scale)' if root else ''}", "side": "right"},
        "thickness": 12, "outlinewidth": 0, "ticks": "outside", "ticklen": 3,
        "tickvals": place(np.array(_TICKS)).tolist(), "ticktext": [f"{weight:g}" for weight in _TICKS],
    }  # fmt: skip
    cells = go.Heatmap(
        meta="head_pattern", x=names, y=names, z=place(shown).astype(np.float32), customdata=shown.astype(np.float32),
        zmin=0, zmax=1, colorbar=bar, hoverongaps=False,
        hovertemplate="query %{y}<br>key %{x}<br>weight %{customdata:.4f}<extra></extra>",
    ).update(head_styles(palette(theme))["head_pattern"])  # fmt: skip
    fig = go.Figure(cells, layout={"template": template(theme)})
    across, down = (_ticks(names, pattern.start, most) for most in (_MOST_ACROSS, _MOST_DOWN))
    fig.update_layout(
        margin={"t": 16, "r": 8},
        xaxis={
            "type": "category", "tickvals": across, "ticktext": across, "tickangle": -60 if len(across) > 8 else 0,
            "title": {"text": noted("key: the token attended to", [_outside(pattern)])}, "tickfont": {"size": 10},
        },
        yaxis={
            "type": "category", "tickvals": down, "ticktext": down, "autorange": "reversed", "showgrid": False,
            "title": {"text": f"query, layer {pattern.layer} head {pattern.head}"}, "tickfont": {"size": 10},
        },
    )  # fmt: skip
    return fig


def _ticks(names: list[str], start: int, most: int) -> list[str]:
    """The names beside an axis, at round positions."""
    step = step_of(len(names), most)
    return names[-start % step :: step] or names[:1]


def _is_causal(weights: np.ndarray) -> bool:
    return not np.triu(weights, 1).any()


def _names(pattern: Pattern) -> list[str]:
    """Position and text of each token; the position makes them differ."""
    if len(pattern.texts) > _TOKEN_UP_TO:
        return [str(pattern.start + at) for at in range(len(pattern.texts))]
    cut = [text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…" for text in pattern.texts]
    return [f"{pattern.start + at} {token_label(text)}" for at, text in enumerate(cut)]


def _outside(pattern: Pattern) -> str | None:
    most = float(np.max(pattern.outside, initial=0.0))
    return f"up to {most:.0%} of a row lies on keys outside the window" if most >= _NOTED_FROM else None
