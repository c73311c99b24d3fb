"""Tabs of the heads panel that take a while: a head's pattern, bounds of its entropy, heads that are alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ipywidgets
import polars as pl

from widgets.figures.heads_bounds import bounds_figure
from widgets.figures.heads_pattern import pattern_figure
from widgets.figures.heads_redundancy import redundancy_figure, redundancy_map
from widgets.panels.heads_background import Background, watched
from widgets.panels.heads_scene import NO_MODEL, NO_TEXT, HeadScene, said_figure
from workbench.attention import (
    EntropyBounds,
    HeadRedundancy,
    Pattern,
    entropy_bounds,
    head_redundancy,
    spectral_bounds,
)
from workbench.attention.pattern import LARGEST_WINDOW
from workbench.attention.redundancy import ROWS

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    import plotly.graph_objects as go

AT_ONCE = 10**9
"""Weights of pairs of heads up to which heads are compared unasked: a few seconds."""
_BOUNDS = {"the row's own norm": "row norm", "spectral norms of the weights": "spectral norms"}
_WIDE = {"description_width": "initial"}


class PatternTab:
    """The chosen head's weights in a window around the cursor, computed anew for that head alone.

    Args:
        scene: the panel as it is now.
        changed: called when there is something new to draw.
    """

    def __init__(self, scene: Callable[[], HeadScene], changed: Callable[[], None]) -> None:
        self._scene = scene
        self.work: Background[Pattern] = Background(changed)
        self.window = ipywidgets.SelectionSlider(
            options=[16, 32, 64, 128, LARGEST_WINDOW], value=64, description="tokens around the cursor", style=_WIDE,
            layout={"width": "420px"}, continuous_update=False,
        )  # fmt: skip
        self.window.observe(lambda _: changed(), "value")
        self.above = ipywidgets.HBox([self.window])

    def draw(self) -> go.Figure:
        """The newest pattern there is; another is on its way where the head or the window has moved."""
        scene = self._scene()
        self._ask(scene)
        if self.work.result is None:
            return said_figure(self.work.problem or "computing the head's pattern …", scene.theme)
        return pattern_figure(self.work.result, theme=scene.theme)

    def frame(self) -> pl.DataFrame:
        """A row a weight."""
        return pl.DataFrame() if self.work.result is None else self.work.result.to_frame()

    def _ask(self, scene: HeadScene) -> None:
        model, stats, chosen = scene.model, scene.stats, scene.head_in_text
        if stats is None or chosen is None:
            self.work.refuse(NO_TEXT)
        elif model is None:
            self.work.refuse(NO_MODEL)
        else:
            size = min(self.window.value, len(stats.token_ids))
            start = min(max(scene.cursor - size // 2, 0), len(stats.token_ids) - size)

            def work(stop: threading.Event) -> Pattern:
                with watched(model, stop):
                    return stats.pattern(model, *chosen, start, size)

            self.work.ask((scene.measured, model, *chosen, start, size), work)

    def close(self) -> None:
        """Stop what runs."""
        self.work.close()
        self.window.close()
        self.above.close()


class BoundsTab:
    """Entropies of the rows beside the least that the size of their scores, or of the weights, allows."""

    def __init__(self, scene: Callable[[], HeadScene], changed: Callable[[], None]) -> None:
        self._scene = scene
        self.work: Background[EntropyBounds] = Background(changed)
        self.source = ipywidgets.Dropdown(
            options=_BOUNDS, description="σ from", style=_WIDE, layout={"width": "300px"},
            tooltip="The bound is tight for a row's own norm; that of the weights holds for any text",
        )  # fmt: skip
        self.source.observe(lambda _: changed(), "value")
        self.above = ipywidgets.HBox([self.source])

    def draw(self) -> go.Figure:
        """The bounds of the source that is chosen."""
        scene = self._scene()
        self._ask(scene)
        if self.work.result is None:
            return said_figure(self.work.problem or "computing the bounds …", scene.theme)
        return bounds_figure(self.work.result, chosen=scene.head_in_text, theme=scene.theme)

    def frame(self) -> pl.DataFrame:
        """A row a head."""
        return pl.DataFrame() if self.work.result is None else self.work.result.to_frame()

    def _ask(self, scene: HeadScene) -> None:
        model, stats, source = scene.model, scene.stats, self.source.value
        if stats is None:
            self.work.refuse(NO_TEXT)
        elif source == "row norm":
            self.work.ask((source, stats), lambda _: entropy_bounds(stats))
        elif model is None:
            self.work.refuse(NO_MODEL)
        else:
            self.work.ask((source, model, stats), lambda _: spectral_bounds(model, stats))

    def close(self) -> None:
        """Stop what runs."""
        self.work.close()
        self.source.close()
        self.above.close()


class TwinsTab:
    """How alike the heads are; compared without being asked where that takes a few seconds at most."""

    def __init__(self, scene: Callable[[], HeadScene], changed: Callable[[], None]) -> None:
        self._scene, self._changed = scene, changed
        self._wanted: object = None
        self.work: Background[HeadRedundancy] = Background(changed)
        self.shown = ipywidgets.ToggleButtons(
            options=[("matrix", "matrix"), ("map", "map")], style={"button_width": "72px"},
            tooltips=["Every pair of heads, like beside like", "Heads near each other do the same"],
        )  # fmt: skip
        self.compare = ipywidgets.Button(
            description="Compare the heads", layout={"width": "auto", "display": "none"},
            tooltip="Many heads or a long text: this takes a while",
        )  # fmt: skip
        self.shown.observe(lambda _: changed(), "value")
        self.compare.on_click(lambda _: self._press())
        self.above = ipywidgets.HBox([self.shown, self.compare])

    @property
    def redundancy(self) -> HeadRedundancy | None:
        """Of the text and the settings as they are now; None where it is not known, or not yet."""
        self.ask()
        return None if self.work.waiting else self.work.result

    def ask(self) -> None:
        """Have the heads compared, where they are not."""
        scene = self._scene()
        model, stats, view = scene.model, scene.stats, scene.view
        if stats is None or model is None:
            self.compare.layout.display = "none"
            self.work.refuse(NO_TEXT if stats is None else NO_MODEL)
            return
        key = self._key(scene)
        heads = int((stats.entropy >= 0).sum())
        cost = heads**2 // 2 * ROWS * len(stats.token_ids)
        wanted = cost <= AT_ONCE or self._wanted == key
        self.compare.layout.display = "none" if wanted else ""
        if not wanted:
            self.work.refuse(f"{heads:,} heads are {heads * (heads - 1) // 2:,} pairs: press Compare the heads.")
            return

        def work(stop: threading.Event) -> HeadRedundancy:
            with watched(model, stop):
                return head_redundancy(
                    model, stats.token_ids, attention_mask=stats.attended, skip_rows=max(view.skip_rows, 1),
                    drop_sink=view.drop_sink,
                )  # fmt: skip

        self.work.ask(key, work)

    def draw(self) -> go.Figure:
        """The matrix or the map."""
        self.ask()
        scene, found = self._scene(), self.work.result
        if found is None:
            return said_figure(self.work.problem or "comparing the heads …", scene.theme)
        if self.shown.value == "map":
            return redundancy_map(found, theme=scene.theme)
        return redundancy_figure(found, cut=scene.view.twins_below, theme=scene.theme)

    def frame(self) -> pl.DataFrame:
        """A row a pair, the most alike first."""
        return pl.DataFrame() if self.work.result is None else self.work.result.to_frame().sort("js")

    def _press(self) -> None:
        scene = self._scene()
        if scene.model is not None and scene.stats is not None:
            self._wanted = self._key(scene)
            self._changed()

    @staticmethod
    def _key(scene: HeadScene) -> tuple[object, ...]:
        """What the comparison depends on."""
        return scene.measured, scene.model, scene.view.skip_rows, scene.view.drop_sink

    def close(self) -> None:
        """Stop what runs."""
        self.work.close()
        for part in (self.shown, self.compare, self.above):
            part.close()
