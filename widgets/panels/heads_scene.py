"""What the tabs of the heads panel draw from."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING

import plotly.graph_objects as go

from widgets.figures.series import message
from widgets.figures.template import annotation_style, template
from widgets.figures.text import safe

if TYPE_CHECKING:
    from widgets.figures.template import Theme
    from widgets.panels.heads_grid import HeadGrid
    from widgets.panels.heads_settings import HeadView
    from workbench.attention import HeadStats
    from workbench.models import LanguageModel

NO_TEXT = "Measure a text to see this: its rows of attention are not known."
NO_MODEL = "This needs the model itself: HeadPanel(text, model=…)."
_WIDE = 64


@dataclass(frozen=True, eq=False)
class HeadScene:
    """The panel at one moment."""

    model: LanguageModel | None
    stats: HeadStats | None
    """Of the measured text, the view's first rows left out of its means."""
    measured: int
    """Counts the measurements: the same text measured again is another."""
    grid: HeadGrid | None
    """What the heatmap shows: the text's heads, or those of a step of a training."""
    view: HeadView
    column: str
    chosen: tuple[int, int] | None
    """Layer and head."""
    token: int | None
    """Position in the text of the token under the pointer, else of the cursor."""
    cursor: int
    """Position in the text, -1 for none."""
    theme: Theme

    @property
    def head_in_text(self) -> tuple[int, int] | None:
        """The chosen head where the measured text has it."""
        if self.stats is None or self.chosen is None or self.chosen[0] not in self.stats.layers:
            return None
        layer = self.stats.layers.index(self.chosen[0])
        there = self.chosen[1] < self.stats.entropy.shape[1] and self.stats.entropy[layer, self.chosen[1]] >= 0
        return self.chosen if there else None


def said_figure(words: str, theme: Theme) -> go.Figure:
    """An empty chart that says why, in lines of readable length."""
    figure = go.Figure(layout={"template": template(theme), "xaxis": {"visible": False}, "yaxis": {"visible": False}})
    lines = "<br>".join(safe(line) for line in textwrap.wrap(words, _WIDE))
    figure.add_annotation({**message(lines), **annotation_style("message", theme)})
    return figure
