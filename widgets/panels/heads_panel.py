"""The heads panel: what every attention head of a model does with a text, and over a training."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import ipywidgets

from widgets.controls.beside import beside
from widgets.controls.closing import lay_out
from widgets.controls.export_bar import Exportable, ExportBar
from widgets.controls.settings_sliders import SettingsSliders
from widgets.controls.soon import Soon
from widgets.controls.theme import Theme
from widgets.figures.heads_heatmap import head_heatmap
from widgets.panels.chart_tabs import ChartTabs
from widgets.panels.heads_charts import HeadCharts
from widgets.panels.heads_data import HeadData
from widgets.panels.heads_following import Following
from widgets.panels.heads_grid import STATISTICS, HeadGrid, colour_range
from widgets.panels.heads_map import TRAINING, HeadMap
from widgets.panels.heads_scene import HeadScene, said_figure
from widgets.panels.heads_settings import OF_ROWS, HeadView
from widgets.panels.heads_strip import HeadStrip
from widgets.panels.heads_training import history_of
from widgets.panels.heads_words import Readout, grid_words, head_words
from widgets.session import Session
from workbench.attention import HeadStats
from workbench.errors import ParameterError, WorkbenchError
from workbench.traces import Trace

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import plotly.graph_objects as go

    from workbench.attention import HeadHistory
    from workbench.models import LanguageModel

_NOTHING = "Type a text and press Measure, or record a trace, to see the heads of the model."
_FOLLOWS = "the heatmap follows the step slider"
_COLUMNS = {"display": "grid", "grid_template_rows": "repeat(3, auto)", "grid_auto_flow": "column",
            "grid_auto_columns": "minmax(0, 1fr)", "grid_gap": "0 12px"}  # fmt: skip


class HeadPanel(ipywidgets.VBox):
    """Layers x heads by a statistic, collapsed and overloaded heads marked; one head's rows, pattern, bounds and twins.

    Args:
        text: what to measure first: a string taken verbatim, token ids, or a trace with its prompt; the session's
            trace where none is given, measured when the panel is first seen and again whenever it is another.
        model: whose heads; the session's where none is given.
        session: share model, trace and cursor; a session of its own where none is given.
        history: heads over a training, or the file of one: `wb.attention.head_history`, `HeadLogger`, `training_runs`.
        stats: measured before; with a model there are patterns and twins as well.

    Raises:
        ParameterError: no HeadStats, or no history.
        AttentionError: the file is no history.
    """

    _connected = False

    def __init__(
        self,
        text: str | Sequence[int] | Trace | None = None,
        *,
        model: LanguageModel | None = None,
        session: Session | None = None,
        history: HeadHistory | str | Path | None = None,
        stats: HeadStats | None = None,
    ) -> None:
        if stats is not None and not isinstance(stats, HeadStats):
            raise ParameterError(f"stats are HeadStats of wb.attention.head_stats, not a {type(stats).__name__}.")
        self.history = history_of(history)
        self.session = session or Session()
        if model is not None:
            self.session.model = model
        if isinstance(text, Trace):
            self.session.trace = text
        self.data = HeadData(self.session, stats)
        self.grid: HeadGrid | None = None
        """What the heatmap shows."""
        self._problem = ""
        self._striped: object = None
        self._drawing = threading.RLock()  # where no event loop runs, results come from threads of their own
        self._soon, self._cursor_soon = Soon(self._recompute), Soon(self._follow_cursor)
        self._make_parts(texts=any(one is not None for one in (text, model, session, stats)) or history is None)
        super().__init__(
            [
                self.theme, self.seen, self.bar, self.readout, beside(self.map, self.tabs, width=400),
                self.strip, self.view, self.bottom,
            ],
            layout={"width": "100%"},
        )  # fmt: skip
        self.add_class("workbench-panel")
        self.add_class("workbench-heads")
        self._connect()
        self.following.begin(text, known=stats is not None)
        self._recompute()

    # --- parts ----------------------------------------------------------------------------------------------------

    def _make_parts(self, *, texts: bool) -> None:
        self.theme = Theme()
        self.following = Following(self.session, self._measured, self._model_changed)
        self.bar, self.seen = self.following.bar, self.following.seen
        self.strip = HeadStrip(self.session, self._cursor_soon_ask)
        self.view: SettingsSliders[HeadView] = SettingsSliders(
            HeadView(), self._soon.ask, presets={"Defaults": (HeadView(), "Bins of arXiv 2501.03489, ε of 2410.10781")},
            unused=lambda _: () if texts else OF_ROWS,
        )  # fmt: skip
        lay_out(self.view, **_COLUMNS)
        self.map = HeadMap(self._draw_map, self._soon.ask, training=self.history is not None and texts)
        self.readout = Readout(self.map.choice)
        self.charts = HeadCharts(
            self._scene, self._redraw, self._stepped, self.map.choose,
            pointed=lambda token: self.strip.set_trait("cursor", token), model=lambda: self.data.model,
            history=self.history, texts=texts,
        )  # fmt: skip
        self.tabs = ChartTabs(self.charts.tabs)
        self.what = ipywidgets.Dropdown(
            options=[("the heatmap", "heatmap"), ("the open tab", "tab")], tooltip="What is exported",
            layout={"width": "130px"},
        )  # fmt: skip
        self.export_bar = ExportBar(self._exportable)
        self.bottom = ipywidgets.HBox(
            [self.view.buttons, self.what, self.export_bar], layout={"flex_flow": "row wrap", "align_items": "center"}
        )

    def _connect(self) -> None:
        self._connected = True
        self.theme.observe(lambda _: self._redraw(), "dark")

    # --- measuring ------------------------------------------------------------------------------------------------

    @property
    def busy(self) -> bool:
        """Whether a text is being measured."""
        return self.bar.running

    def kept(self) -> dict[str, ipywidgets.Widget]:
        """The controls to be remembered, by name."""
        return {"statistic": self.map.statistic, "view": self.view, "what": self.what, "tab": self.tabs}

    def wait(self, seconds: float = 60) -> bool:
        """Wait for the measurement and what follows from it; true when there is nothing left."""
        return self.bar.wait(seconds) and self.charts.wait(seconds)

    def _measured(self, stats: HeadStats, source: Any, model: LanguageModel) -> None:  # noqa: ANN401
        self.data.take(stats, source, model)
        self._recompute()

    def _model_changed(self) -> None:
        self.charts.compare.bar.refresh()
        self._soon.ask()

    # --- analysis -------------------------------------------------------------------------------------------------

    @property
    def chosen(self) -> tuple[int, int] | None:
        """Layer and head on show; setting it chooses another."""
        return self.map.chosen

    @chosen.setter
    def chosen(self, place: tuple[int, int]) -> None:
        self.map.choose(place)

    def _scene(self) -> HeadScene:
        data, strip = self.data, self.strip
        return HeadScene(
            data.model, data.means, data.count, self.grid, self.view.settings, self.map.column, self.chosen,
            strip.token, strip.cursor, self.theme.name,
        )  # fmt: skip

    def _recompute(self) -> None:
        """Everything as the controls are now; where that fails, say why."""
        with self._drawing:
            if not self._connected:
                return
            self._soon.cancel()
            self._problem = ""
            try:
                mine, training = self.data.grid(self.view.settings), self.charts.training
                self.grid = training.steps.grid() if training is not None and self._of_training else mine
            except WorkbenchError as problem:
                self._problem = str(problem)
            self.map.offer(self.grid)
            self._fill_strip()
            self._redraw()

    def _stepped(self) -> None:
        """Another step: the heatmap follows it."""
        self.map.show_training()
        self._soon.ask()

    def _redraw(self) -> None:
        """Bring words, heatmap and the tab in sight up to date."""
        with self._drawing:
            if self._connected:
                self._say()
                self.map.box.show()
                self.tabs.refresh()

    def _say(self) -> None:
        view, grid = self.view.settings, self.grid
        problems = [f"{self.view.invalid} Shown are the settings before."] if self.view.invalid else []
        problems += [self._problem] if self._problem else []
        if grid is None or self.chosen is None:
            self.readout.say(problems, _NOTHING)
            return
        twins = None if self._of_training else self.charts.redundancy()
        words = grid_words(grid, view, twins, _FOLLOWS if self._of_training else self.charts.twins_pending())
        self.readout.say(problems, words, head_words(grid, self.chosen, self.map.column, view))

    @property
    def _of_training(self) -> bool:
        """Whether the heatmap shows a step of the training."""
        return self.charts.training is not None and (self.data.stats is None or self.map.whose.value == TRAINING)

    # --- charts ---------------------------------------------------------------------------------------------------

    def _draw_map(self) -> go.Figure:
        grid, column = self.grid, self.map.column
        if grid is None:
            return said_figure("No heads measured yet.", self.theme.name)
        values, (collapsed, overloaded) = grid.values(column), grid.marks(self.view.settings)
        of_all = self.charts.training.colours(column) if self._of_training and self.charts.training else None
        return head_heatmap(
            values, grid.layers, name=STATISTICS.get(column, column), collapsed=collapsed, overloaded=overloaded,
            chosen=self.chosen, zrange=of_all or colour_range(column, values), theme=self.theme.name,
        )  # fmt: skip

    # --- text and cursor ------------------------------------------------------------------------------------------

    def _fill_strip(self) -> None:
        """The text, coloured by the chosen head."""
        scene = self._scene()
        place = scene.head_in_text
        key = (self.data.count, place, scene.view.normalizer)
        if key != self._striped:
            self._striped = key
            stats = None if place is None else self.data.stats
            self.strip.show(stats, self.data.trace, place or (0, 0), scene.view.normalizer)

    def _cursor_soon_ask(self) -> None:
        self._cursor_soon.ask()

    def _follow_cursor(self) -> None:
        if self._connected and self.tabs.chart.stem in ("rows", "pattern"):
            self.tabs.refresh()

    # --- export ---------------------------------------------------------------------------------------------------

    def _exportable(self) -> Exportable | None:
        if self._soon.due:
            self._recompute()
        if self.grid is None:
            return None
        about = {
            **self.data.about(), "shown": self.grid.of,
            "statistic": self.map.column, "chosen": self.chosen, "settings": self.view.settings.to_dict(),
            "history": None if self.history is None else self.history.meta, "compared": self.charts.compare.about(),
        }  # fmt: skip
        if self.what.value == "heatmap":
            return Exportable("heads", self._draw_map(), self.grid.to_frame(self.view.settings), about)
        chart = self.tabs.chart
        frame = chart.frame()
        return Exportable(chart.stem, chart.draw(), frame, about) if len(frame) else None

    def close(self) -> None:
        """Stop what runs, close charts and controls, and let go of the session."""
        if self._connected:
            self._connected = False
            self._soon.cancel()
            self._cursor_soon.cancel()
            inner = (self.following, self.charts, self.map, self.tabs, self.what, self.export_bar)
            for part in (*inner, *self.children):
                part.close()
        super().close()
