"""The right of the sampler panel: the distribution at the cursor before and after, as bars and as a table."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

import ipywidgets
import polars as pl

from widgets.controls.figure_box import FigureBox
from widgets.controls.table import Table
from widgets.figures.text import per_unit
from widgets.figures.top_tokens import ROWS, top_layout, top_series, top_tokens
from widgets.panels.sampler_summary import number

if TYPE_CHECKING:
    from collections.abc import Callable

    import plotly.graph_objects as go

    from widgets.panels.sampler_replays import SamplerScene
    from workbench.samplers.replaying import Replay

CHART, TABLE = range(2)
HEIGHT = 380
_CAPTION = 44


class TopTokens(ipywidgets.VBox):
    """The 20 most likely tokens at the cursor; without a cursor, where the raw entropy is highest.

    Args:
        scene: asked for what to show.
    """

    def __init__(self, scene: Callable[[], SamplerScene]) -> None:
        self._scene = scene
        self._layout: dict[str, Any] | None = None
        self.caption = ipywidgets.HTML(layout={"height": f"{_CAPTION}px", "overflow": "hidden", "margin": "0"})
        self.chart = FigureBox(lambda: self.figure(self._scene()), None, height=HEIGHT)
        self.table = Table()
        self.tabs = ipywidgets.Tab(
            [ipywidgets.VBox([self.caption, self.chart]), self.table], titles=[f"Top {ROWS}", "Table"]
        )
        super().__init__([self.tabs])
        self.tabs.observe(lambda _: self.refresh(), "selected_index")

    @staticmethod
    def figure(scene: SamplerScene) -> go.Figure:
        """The bars as they should look now."""
        frame, other = _frames(scene)
        return top_tokens(frame, other, drawn=_drawn(scene), nothing=_nothing(scene), theme=scene.theme)

    @staticmethod
    def frame(scene: SamplerScene) -> pl.DataFrame:
        """The bars' numbers."""
        return table_of(*_frames(scene))

    def refresh(self) -> None:
        """Bring bars or table up to date with cursor and samplers."""
        scene = self._scene()
        frame, other = _frames(scene)
        if self.tabs.selected_index == TABLE:
            shown = table_of(frame, other)
            blanks = pl.col(pl.String).str.replace_all(" ", "␣")
            self.table.show(shown.with_columns(blanks))
            return
        self.caption.value = _caption(scene)
        if self.chart.figure is None:
            self.chart.unveil()
            return
        layout = top_layout(frame, other, drawn=_drawn(scene), nothing=_nothing(scene), theme=scene.theme)
        # A layout makes the browser draw everything anew, bars alone do not; while a slider moves it stays the same.
        same, self._layout = layout == self._layout, layout
        self.chart.update(top_series(frame, other), None if same else layout)

    def close(self) -> None:
        """Close chart and table."""
        for part in (self.caption, self.chart, self.table, *self.tabs.children, *self.children):
            part.close()
        super().close()


def table_of(frame: pl.DataFrame | None, other: pl.DataFrame | None) -> pl.DataFrame:
    """The bars' numbers: a row a token, with B's probability where there is a B."""
    if frame is None:
        return pl.DataFrame()
    named = frame.with_columns(text=pl.col("text").fill_null("")).select("text", "raw", "sampled", "kept", "token_id")
    return named if other is None else named.with_columns(b_sampled=other["sampled"])


def _frames(scene: SamplerScene) -> tuple[pl.DataFrame | None, pl.DataFrame | None]:
    a, b, position = scene.replays.a, scene.replays.b, scene.focus
    if a is None or position is None:
        return None, None
    return a.distribution(position, ROWS), None if b is None else b.distribution(position, ROWS)


def _drawn(scene: SamplerScene) -> int | None:
    return None if scene.focus is None else scene.replays.tokens["token_id"][scene.focus]


def _nothing(scene: SamplerScene) -> str:
    return "no tokens yet" if not len(scene.replays.tokens) else "no logit sketch"


def _caption(scene: SamplerScene) -> str:
    """Which token, its entropy before and after, how many are kept, what adaptive steps did; two lines."""
    position, a = scene.focus, scene.replays.a
    if position is None:
        return ""
    text, entropy = scene.replays.tokens.select("text", "entropy").row(position)
    shown = escape(text.replace("\n", "⏎").replace("\t", "⇥"))
    why = "" if scene.token is not None else " · the highest raw entropy"
    first = f"token <b>{position}</b> <bdi><code>{shown}</code></bdi>{why}"
    return f'<div class="workbench-caption">{first}<br>{_numbers(scene, a, position, entropy)}</div>'


def _numbers(scene: SamplerScene, a: Replay | None, position: int, entropy: float | None) -> str:
    unit, scale = scene.view.unit, per_unit(scene.view.unit)
    raw = "–" if entropy is None else number(entropy / scale)
    if a is None:
        return f"raw entropy {raw} {unit}"
    low, high = a["kept_low"][position], a["kept_high"][position]
    kept = (
        number(a["kept"][position], 0) if a.exact[position] else f"{number(low // 1, 0)} to {number(-(-high // 1), 0)}"
    )
    facts = [
        f"H {raw} → <b>{number(a['entropy'][position] / scale)}</b> {unit}",
        f"<b>{kept}</b> kept, mass {number(a['kept_mass'][position], 2)}",
    ]
    facts += [f"{escape(name)} {number(values[position], 2)}" for name, values in a.signals.items()]
    return " · ".join(facts)
