"""The difficulty panel: entropy and accuracy against difficulty, what the tests say, and DiffAdapt's labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ipywidgets
import polars as pl

from widgets.controls.beside import beside
from widgets.controls.export_bar import Exportable, ExportBar
from widgets.controls.settings_sliders import SettingsSliders
from widgets.controls.soon import Soon
from widgets.controls.theme import Theme
from widgets.figures.difficulty_chart import difficulty_figure
from widgets.panels.chart_tabs import ChartTabs, TabChart
from widgets.panels.difficulty_adapt import AdaptTab, Material
from widgets.panels.difficulty_labels import LabelTab
from widgets.panels.difficulty_settings import CurveView
from widgets.panels.difficulty_words import reason_words, verdict_words
from widgets.panels.problem_traces import ProblemTraces
from widgets.panels.settings_panel import alert
from widgets.panels.sweep_rows import SweepRows
from widgets.session import Session
from workbench.errors import DifficultyError, ParameterError, WorkbenchError
from workbench.models import load

if TYPE_CHECKING:
    from pathlib import Path

    import plotly.graph_objects as go

    from widgets.panels.difficulty_adapt import Given
    from workbench.difficulty import DifficultyCurve, Verdict
    from workbench.models import LanguageModel
    from workbench.sweeps import Sweep

ENTROPIES = {
    "entropy": "raw",
    "sampled_entropy": "sampled",
    "think_entropy": "raw, thinking",
    "answer_entropy": "raw, answer",
    "sampled_think_entropy": "sampled, thinking",
    "sampled_answer_entropy": "sampled, answer",
}
"""Column of a sweep's results -> what it is, for the menu."""

_HEIGHT = 360


class DifficultyPanel(ipywidgets.VBox):
    """Entropy and accuracy by difficulty with intervals, both tests for a U and their verdict, DiffAdapt under sliders.

    Args:
        data: a sweep, its folder, or any frame with columns problem, sample, difficulty, correct, entropy.
        strategies: the same over DiffAdapt's strategies (`wb.difficulty.strategies`), to compare them with the probe's
            choices on held-out problems.
        session: clicked problems' traces become its trace; a session of its own where none is given.
        model: whose states the probe reads; the session's, or else the sweep's own where none is given.

    Raises:
        SweepError: a folder is no sweep.
        ParameterError: neither a sweep nor a frame.
    """

    _connected = False

    def __init__(
        self,
        data: Sweep | str | Path | pl.DataFrame | pl.LazyFrame,
        *,
        strategies: Given = None,
        session: Session | None = None,
        model: LanguageModel | None = None,
    ) -> None:
        self.session = session or Session()
        if model is not None:
            self.session.model = model
        self._soon = Soon(self._recompute)
        self.rows = SweepRows(data, self._arm_changed)
        self.curve: DifficultyCurve | None = None
        self.assessment: Verdict | None = None
        self._problem = ""
        self._make_parts(strategies)
        super().__init__(
            [
                self.theme, self.top, self.reasons, beside(self.left, self.tabs, width=346), self.traces,
                self.export_bar,
            ],
            layout={"width": "100%"},
        )  # fmt: skip
        self.add_class("workbench-panel")
        self.add_class("workbench-difficulty")
        self._connected = True
        self._recompute()
        self.labels.take_suggestion()

    # --- parts ----------------------------------------------------------------------------------------------------

    def _make_parts(self, strategies: Given) -> None:
        self.theme = Theme()
        self._make_top()
        self._make_sliders()
        self.adapt = AdaptTab(self._model, self._material, self._refresh, strategies)
        by_difficulty = TabChart(
            "By difficulty", "difficulty", self._draw_curve, self._levels, self._open, height=_HEIGHT
        )
        scatter = TabChart(
            "Labels", "labels", lambda: self.labels.draw(self.traces.problem, self.theme.name), self.labels.frame,
            self._open, height=_HEIGHT,
        )  # fmt: skip
        adapt = TabChart(
            "DiffAdapt", "diffadapt", lambda: self.adapt.draw(self.theme.name), self.adapt.frame,
            above=self.adapt.above, height=_HEIGHT,
        )  # fmt: skip
        self.tabs = ChartTabs((by_difficulty, scatter, adapt))
        self.tabs.observe(lambda _: self._turn(), "selected_index")
        self.traces = ProblemTraces(self.session, self.rows.sweep)
        self.export_bar = ExportBar(self._exportable)
        self.theme.observe(lambda _: self.tabs.refresh(), "dark")

    def _make_top(self) -> None:
        """Menus and the verdict in one line, the reasons below where they are asked for."""
        known = [(f"{words} entropy", name) for name, words in ENTROPIES.items() if name in self.rows.frame.columns]
        self.entropy = ipywidgets.Dropdown(options=known, tooltip="Which entropy", layout={"width": "200px"})
        self.entropy.observe(lambda _: self._soon.ask(), "value")
        self.words = ipywidgets.HTML(layout={"flex": "1 1 600px", "min_width": "0", "min_height": "66px"})
        self.why = ipywidgets.ToggleButton(description="Why?", tooltip="What the tests found", layout={"width": "auto"})
        self.why.observe(lambda change: self.reasons.layout.set_trait("display", _seen(change["new"])), "value")
        # room for any number of reasons, so that nothing below jumps while a slider moves
        self.reasons = ipywidgets.HTML(layout={"display": "none", "min_height": "96px"})
        self.top = ipywidgets.HBox(
            [*self.rows.menus, self.entropy, self.words, self.why], layout={"flex_flow": "row wrap"}
        )

    def _make_sliders(self) -> None:
        """What the chart in sight depends on, at its left."""
        self.view: SettingsSliders[CurveView] = SettingsSliders(
            CurveView(), self._soon.ask, presets={"Defaults": (CurveView(), "As wb.difficulty.curve and assess")},
            folded=("medium", "hard", "se", "trim"), folded_title="Regions and tests",
            unused=lambda view: {"n_bins"} if view.bins == "level" else set(),
        )  # fmt: skip
        self.labels = LabelTab(self._labelled)
        self._sides = [ipywidgets.VBox([self.view, self.view.buttons]), self.labels.side]
        self.left = ipywidgets.VBox(self._sides)
        self._sides[1].layout.display = "none"

    def _turn(self) -> None:
        """Another tab is open: the sliders at its left are its own."""
        labels = self.tabs.chart.stem != "difficulty"
        for side, seen in zip(self._sides, (not labels, labels), strict=True):
            side.layout.display = _seen(seen)

    @property
    def busy(self) -> bool:
        """Whether a probe is being trained."""
        return self.adapt.running

    def kept(self) -> dict[str, ipywidgets.Widget]:
        """The controls to be remembered, by name."""
        own = {"entropy": self.entropy, "view": self.view, "thresholds": self.labels.sliders, "tab": self.tabs}
        return {**self.rows.kept(), **own}

    # --- analysis -------------------------------------------------------------------------------------------------

    def _arm_changed(self) -> None:
        """Another model or sampler: the problem that is open is shown as that one answered it."""
        if self.traces.problem is not None:
            self.traces.show(self._rows_of(self.traces.problem))
        self._soon.ask()

    def _recompute(self) -> None:
        """Everything as the controls are now; where that fails, say why and leave nothing older on show."""
        self._soon.cancel()
        frame, entropy = self.rows.frame, self.entropy.value or "entropy"
        self.curve, self.assessment, self._problem = None, None, ""
        try:
            self.curve = self.view.settings.curve(frame, entropy)
            self.assessment = self.view.settings.assess(self.curve)
        except WorkbenchError as problem:
            self.curve, self._problem = None, str(problem)
        self._say()
        self.labels.use(frame, entropy)

    def _labelled(self) -> None:
        """The labels are others."""
        if self._connected:
            self.adapt.moved()
            self._refresh()

    def _say(self) -> None:
        words = alert(self._problem) if self._problem else ""
        if self.curve is not None and self.assessment is not None:
            words = verdict_words(self.curve, self.assessment)
        if self.view.invalid:
            words = alert(f"{self.view.invalid} Shown are the settings before.") + words
        self.words.value = f'<div class="workbench-summary" style="line-height:1.5">{words}</div>'
        self.reasons.value = reason_words(self.assessment)

    # --- the probe ------------------------------------------------------------------------------------------------

    def _model(self) -> LanguageModel:
        """The session's model, or the sweep's own, loaded when first needed."""
        if self.session.model is not None:
            return self.session.model
        name = self.rows.model
        if name is None:
            raise ParameterError("There is no model whose states a probe could read: DifficultyPanel(…, model=…).")
        return load(name)

    def _material(self) -> Material:
        """What a probe is trained on now.

        Raises:
            DifficultyError: nothing to label, or prompts that are not known.
        """
        if self.labels.labels is None:
            raise DifficultyError(self.labels.problem or "There are no labels to train on.")
        frame, entropy = self.rows.frame, self.entropy.value or "entropy"
        if "prompt" not in frame.columns:
            raise DifficultyError("A probe reads the problems' prompts: add a column prompt to the frame.")
        problems = frame.select("problem", "prompt").unique("problem", keep="first", maintain_order=True)
        results = frame.select("problem", "correct", entropy=entropy)
        source = (*self.rows.chosen.items(), ("entropy", entropy))
        tokens = self.rows.settings.get("max_new_tokens")
        return Material(problems, results, self.labels.thresholds, source, tokens)

    # --- charts ---------------------------------------------------------------------------------------------------

    def _draw_curve(self, *, titled: bool = False) -> go.Figure:
        return difficulty_figure(
            self.curve, self.assessment, problem=self.traces.problem, titled=titled, theme=self.theme.name
        )

    def _refresh(self) -> None:
        if self._connected:
            self.tabs.refresh()

    def _levels(self) -> pl.DataFrame:
        return pl.DataFrame() if self.curve is None else self.curve.to_frame()

    def _rows_of(self, problem: str) -> pl.DataFrame:
        return self.rows.frame.filter(pl.col("problem") == problem)

    def _open(self, problem: Any) -> None:  # noqa: ANN401  -- a point's customdata
        self.traces.show(self._rows_of(str(problem)))
        self.tabs.refresh()

    # --- export ---------------------------------------------------------------------------------------------------

    def _exportable(self) -> Exportable | None:
        if self._soon.due:
            self._recompute()
        self.labels.settle()
        chart = self.tabs.chart
        frame = chart.frame()
        if not len(frame):
            return None
        alone = {  # away from the panel nothing else says the verdict
            "difficulty": lambda: self._draw_curve(titled=True),
            "diffadapt": lambda: self.adapt.draw(self.theme.name, captioned=True),
        }  # fmt: skip
        figure = alone.get(chart.stem, chart.draw)()
        about = {
            "sweep": self.rows.settings, "entropy": self.entropy.value, "curve": self.view.settings.to_dict(),
            "thresholds": self.labels.thresholds.to_dict(),
            "verdict": None if self.assessment is None else str(self.assessment), "diffadapt": self.adapt.about(),
        }  # fmt: skip
        return Exportable(chart.stem, figure, frame, about)

    def close(self) -> None:
        """Stop what runs, close charts, sliders and traces."""
        if self._connected:
            self._connected = False
            self._soon.cancel()
            inner = (*self.top.children, *self.left.children)
            for part in (self.adapt, self.labels, self.tabs, self.view, *inner, *self.children):
                part.close()
        super().close()


def _seen(seen: bool) -> str:  # noqa: FBT001  -- a state
    return "" if seen else "none"
