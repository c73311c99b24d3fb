"""The difficulty panel: entropy and accuracy against difficulty, what the tests say, and DiffAdapt's labels."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

import ipywidgets
import polars as pl

from widgets.controls.export_bar import Exportable, ExportBar
from widgets.controls.settings_sliders import SettingsSliders
from widgets.controls.soon import Soon
from widgets.controls.theme import Theme
from widgets.figures.difficulty_chart import difficulty_figure
from widgets.figures.difficulty_scatter import scatter_figure
from widgets.panels.chart_tabs import ChartTabs, TabChart
from widgets.panels.difficulty_settings import CurveView
from widgets.panels.problem_traces import ProblemTraces
from widgets.panels.settings_panel import alert, facts
from widgets.panels.sweep_rows import SweepRows
from widgets.session import Session
from workbench.difficulty.labels import Thresholds, label_problems, suggest_thresholds
from workbench.errors import WorkbenchError

if TYPE_CHECKING:
    from pathlib import Path

    import plotly.graph_objects as go

    from workbench.difficulty import DifficultyCurve, Verdict
    from workbench.difficulty.labels import Labels
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

_SLIDERS = "346px"
EMPTY = pl.DataFrame(schema={"problem": pl.String, "accuracy": pl.Float64, "entropy": pl.Float64})


class DifficultyPanel(ipywidgets.VBox):
    """Entropy and accuracy by difficulty with intervals, both tests for a U and their verdict, labels under sliders.

    Args:
        data: a sweep, its folder, or any frame with columns problem, sample, difficulty, correct, entropy.
        session: clicked problems' traces become its trace; a session of its own where none is given.

    Raises:
        SweepError: the folder is no sweep.
        ParameterError: neither a sweep nor a frame.
    """

    _connected = False

    def __init__(
        self, data: Sweep | str | Path | pl.DataFrame | pl.LazyFrame, *, session: Session | None = None
    ) -> None:
        self.session = session or Session()
        self._soon, self._label_soon = Soon(self._recompute), Soon(self._relabel)
        self.rows = SweepRows(data, self._soon.ask)
        self.curve: DifficultyCurve | None = None
        self.assessment: Verdict | None = None
        self.labels: Labels | None = None
        self._problem = ""
        self._make_parts()
        super().__init__(
            [
                self.theme, ipywidgets.HBox([*self.rows.menus, self.entropy, self.view.buttons]), self.words,
                ipywidgets.HBox([self.view, self.tabs]), self.traces, self.export_bar,
            ],
            layout={"width": "100%"},
        )  # fmt: skip
        self.add_class("workbench-panel")
        self.add_class("workbench-difficulty")
        self._connected = True
        self._recompute()
        self._suggest()

    # --- parts ----------------------------------------------------------------------------------------------------

    def _make_parts(self) -> None:
        self.theme = Theme()
        self.words = ipywidgets.HTML(layout={"min_height": "68px"})
        known = [(f"{words} entropy", name) for name, words in ENTROPIES.items() if name in self.rows.frame.columns]
        self.entropy = ipywidgets.Dropdown(options=known, tooltip="Which entropy", layout={"width": "220px"})
        self.view: SettingsSliders[CurveView] = SettingsSliders(
            CurveView(), self._soon.ask, presets={"Defaults": (CurveView(), "As wb.difficulty.curve and assess")},
            folded=("medium", "hard", "se", "trim"), folded_title="Regions and tests",
            unused=lambda view: {"n_bins"} if view.bins == "level" else set(),
        )  # fmt: skip
        self.view.layout = ipywidgets.Layout(flex=f"0 0 {_SLIDERS}", width=_SLIDERS, margin="0 8px 0 0")
        self.thresholds: SettingsSliders[Thresholds] = SettingsSliders(
            Thresholds(), self._label_soon.ask, presets={"Defaults": (Thresholds(), "Ours; the paper gives none")}
        )
        suggest = ipywidgets.Button(description="Suggest", tooltip="Thresholds for labels of about equal number")
        suggest.on_click(lambda _: self._suggest())
        self.counts = ipywidgets.HTML()
        beside = ipywidgets.VBox([self.thresholds, ipywidgets.HBox([self.thresholds.buttons, suggest]), self.counts])
        self.tabs = ChartTabs(
            (
                TabChart("By difficulty", "difficulty", self._draw_curve, self._levels, self._open, height=400),
                TabChart(
                    "DiffAdapt labels",
                    "labels",
                    self._draw_labels,
                    self._labelled,
                    self._open,
                    below=beside,
                    height=320,
                ),
            )
        )
        self.tabs.layout = ipywidgets.Layout(flex="1 1 auto", min_width="0")
        self.traces = ProblemTraces(self.session, self.rows.sweep)
        self.export_bar = ExportBar(self._exportable)
        self.theme.observe(lambda _: self.tabs.refresh(), "dark")
        self.entropy.observe(lambda _: self._soon.ask(), "value")

    # --- analysis -------------------------------------------------------------------------------------------------

    def _recompute(self) -> None:
        """Curve and tests as the controls are now; where that fails, say why and leave nothing older on show."""
        self._soon.cancel()
        try:
            self.curve, self._problem = self.view.settings.curve(self.rows.frame, self.entropy.value or "entropy"), ""
            self.assessment = self.view.settings.assess(self.curve)
        except WorkbenchError as problem:
            self.curve = self.assessment = None
            self._problem = str(problem)
        self._say()
        self._relabel()

    def _relabel(self) -> None:
        self._label_soon.cancel()
        self.labels = None
        if self.curve is not None and self.curve.graded:
            self.labels = label_problems(
                self.curve.problems.select("problem", "accuracy", "entropy"), self.thresholds.settings
            )
        self.counts.value = _counts(self.labels, self.thresholds)
        self.tabs.refresh()

    def _suggest(self) -> None:
        """Put the thresholds where the labels are about equally frequent."""
        if self.curve is not None and self.curve.graded:
            self.thresholds.settings = suggest_thresholds(self.curve.problems.select("accuracy", "entropy"))

    def _say(self) -> None:
        words = alert(self._problem) if self._problem else _words(self.curve, self.assessment)
        if self.view.invalid:
            words = alert(f"{self.view.invalid} Shown are the settings before.") + words
        self.words.value = f'<div class="workbench-summary" style="line-height:1.4">{words}</div>'

    # --- charts ---------------------------------------------------------------------------------------------------

    def _draw_curve(self) -> go.Figure:
        return difficulty_figure(self.curve, self.assessment, problem=self.traces.problem, theme=self.theme.name)

    def _draw_labels(self) -> go.Figure:
        problems = EMPTY if self.labels is None or self.curve is None else self.curve.problems
        return scatter_figure(
            problems, None if self.labels is None else self.labels.label.tolist(),
            thresholds=self.thresholds.settings.to_dict(), problem=self.traces.problem,
            kind="raw" if self.curve is None else self.curve.settings.kind, theme=self.theme.name,
        )  # fmt: skip

    def _levels(self) -> pl.DataFrame:
        return pl.DataFrame() if self.curve is None else self.curve.to_frame()

    def _labelled(self) -> pl.DataFrame:
        return pl.DataFrame() if self.labels is None else self.labels.to_frame()

    def _open(self, problem: Any) -> None:  # noqa: ANN401  -- a point's customdata
        self.traces.show(self.rows.frame.filter(pl.col("problem") == str(problem)))
        self.tabs.refresh()

    # --- export ---------------------------------------------------------------------------------------------------

    def _exportable(self) -> Exportable | None:
        if self._soon.due:
            self._recompute()
        if self.curve is None:
            return None
        chart = self.tabs.chart
        about = {
            "sweep": self.rows.settings, "entropy": self.entropy.value, "curve": self.view.settings.to_dict(),
            "thresholds": self.thresholds.settings.to_dict(), "verdict": str(self.assessment),
        }  # fmt: skip
        return Exportable(chart.stem, chart.draw(), chart.frame(), about)

    def close(self) -> None:
        """Close charts, sliders and traces."""
        if self._connected:
            self._connected = False
            self._soon.cancel()
            self._label_soon.cancel()
            for part in (self.tabs, self.view, self.thresholds, *self.rows.menus, self.entropy, *self.children):
                part.close()
        super().close()


def _words(curve: DifficultyCurve | None, verdict: Verdict | None) -> str:
    if curve is None or verdict is None:
        return ""
    reduction = curve.reduction
    fell = "" if reduction is None else (
        f"entropy easy → medium {-reduction.value:+.1%} [{-reduction.high:+.1%}, {-reduction.low:+.1%}]"
    )  # fmt: skip
    left_out = curve.without_difficulty + curve.without_entropy
    said = facts(
        f"<b>{escape(verdict.headline)}</b>",
        f"{verdict.n_problems:,} problems, {len(curve.sequences):,} responses",
        fell,
        f"{left_out:,} responses without difficulty or entropy left out" if left_out else "",
    )
    return f"<div>{said}</div><div style='opacity:.85'>{escape(' '.join(verdict.reasons))}</div>"


def _counts(labels: Labels | None, thresholds: SettingsSliders[Thresholds]) -> str:
    if labels is None:
        return "Labels need grades." + (alert(thresholds.invalid) if thresholds.invalid else "")
    counts = facts(*(f"<b>{count:,}</b> {name}" for name, count in labels.counts.items()))
    overlap = " α lies below γ: where both rules hold a problem is normal." if thresholds.settings.overlap else ""
    return counts + overlap + (alert(thresholds.invalid) if thresholds.invalid else "")
