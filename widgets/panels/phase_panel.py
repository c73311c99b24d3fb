"""The phase panel: thinking against answering, for one trace and over a sweep."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ipywidgets
import numpy as np
import polars as pl

from widgets.controls.export_bar import Exportable, ExportBar
from widgets.controls.settings_sliders import SettingsSliders
from widgets.controls.soon import Soon
from widgets.controls.theme import Theme
from widgets.figures.phase_chart import PhaseData, phase_chart, phase_cursor
from widgets.figures.phase_distribution import phase_distribution
from widgets.figures.phase_length import phase_length
from widgets.figures.phase_reward import phase_reward
from widgets.figures.phase_sweep import SweepPoints
from widgets.panels.chart_tabs import ChartTabs, TabChart
from widgets.panels.phase_eat import EatTab, runs_of
from widgets.panels.phase_settings import PhaseView
from widgets.panels.phase_words import graded_rows, sweep_words, trace_words
from widgets.panels.settings_panel import alert
from widgets.panels.sweep_rows import SweepRows
from widgets.panels.trace_layers import alternatives, strip_layers, strip_phases
from widgets.session import Session
from widgets.strip import TokenStrip
from workbench.errors import ParameterError, WorkbenchError
from workbench.models import load
from workbench.phases import length_correlation, phase_entropy, reward_curve, split
from workbench.traces import Trace
from workbench.traces.columns import SCHEMA

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import plotly.graph_objects as go

    from widgets.panels.phase_eat import Thought
    from workbench.models import LanguageModel
    from workbench.phases import EatRun, LengthCorrelation, PhaseEntropy, RewardCurve
    from workbench.sweeps import Sweep

ALPHAS = np.round(np.linspace(-1, 3, 81), 2)
_EMPTY = pl.DataFrame(schema=SCHEMA)


class PhasePanel(ipywidgets.VBox):
    """A trace by phase with both means, think and answer over a sweep, length, PEAR's reward, EAT's stopping point.

    Args:
        trace: what to show first; the session's where none is given, else the sweep's first.
        sweep: a sweep, its folder, or its results as a frame; without one the panel is about the trace alone.
        runs: EAT runs measured before (or their frame).
        session: share trace, cursor and model; a session of its own where none is given.
        model: reads thoughts closed early; the session's, or else the sweep's own model where none is given.

    Raises:
        ParameterError: not a Trace, or not runs.
        SweepError: the folder is no sweep.
    """

    _connected = False

    def __init__(
        self,
        trace: Trace | None = None,
        *,
        sweep: Sweep | str | Path | pl.DataFrame | None = None,
        runs: Sequence[EatRun] | pl.DataFrame = (),
        session: Session | None = None,
        model: LanguageModel | None = None,
    ) -> None:
        if trace is not None and not isinstance(trace, Trace):
            raise ParameterError(f"PhasePanel shows a Trace, not a {type(trace).__name__}; wb.record makes one.")
        self.session = session or Session()
        if model is not None:
            self.session.model = model
        self._soon = Soon(self._recompute)
        self.rows = SweepRows(sweep, self._soon.ask)
        self.entropy: PhaseEntropy | None = None
        self.row: Mapping[str, Any] | None = None
        """The sweep's row of the trace on show, where it is one of the sweep's."""
        self._problem = ""
        self._make_parts(runs_of(runs))
        super().__init__(
            [
                self.theme, ipywidgets.HBox([*self.rows.menus, self.view.buttons]), self.words, self.strip,
                ipywidgets.HBox([self.view, self.tabs]), self.export_bar,
            ],
            layout={"width": "100%"},
        )  # fmt: skip
        self.add_class("workbench-panel")
        self.add_class("workbench-phases")
        self._connect()
        self._begin(trace)

    # --- parts ----------------------------------------------------------------------------------------------------

    def _make_parts(self, runs: tuple[EatRun, ...]) -> None:
        self.theme = Theme()
        self.words = ipywidgets.HTML(layout={"min_height": "72px"})
        self.strip = TokenStrip(
            layers=strip_layers(_EMPTY),
            on_alternatives=self._alternatives,
            max_height=87,
            layout={"min_height": "112px"},
        )
        self.view: SettingsSliders[PhaseView] = SettingsSliders(
            PhaseView(), self._soon.ask, presets={"Defaults": (PhaseView(), "PEAR's own, arXiv 2510.08026")}
        )
        self.view.layout = ipywidgets.Layout(flex="0 0 346px", width="346px", margin="0 8px 0 0")
        self.eat = EatTab(self._model, self._thoughts, lambda: self._connected and self.tabs.refresh(), runs)
        own = TabChart("This trace", "phases", self._draw_trace, self._tokens, height=330)
        eat = TabChart(
            "EAT", "eat", lambda: self.eat.draw(self.theme.name), self.eat.frame, above=self.eat.above,
            below=self.eat.below, height=400,
        )  # fmt: skip
        reward = TabChart("Reward", "reward", self._draw_reward, self._rewards, height=330)
        over = [
            TabChart("Think against answer", "think-answer", self._draw_pairs, self._table, self._open, height=330),
            TabChart("Length", "length", self._draw_length, self._table, self._open, height=330),
        ]
        self.tabs = ChartTabs([own, *(over if self.rows.known else []), reward, eat])
        self.tabs.layout = ipywidgets.Layout(flex="1 1 auto", min_width="0")
        self.export_bar = ExportBar(self._exportable)

    def _connect(self) -> None:
        self._connected = True
        self.theme.observe(lambda _: self.tabs.refresh(), "dark")
        self.strip.observe(self._strip_moved, ["cursor", "hover"])
        self.session.observe(self._trace_changed, "trace")
        self.session.observe(self._cursor_moved, ["cursor", "hover"])

    def _begin(self, trace: Trace | None) -> None:
        if trace is not None:
            self.session.trace = trace
        elif self.session.trace is None and self.rows.sweep is not None and len(self.rows.frame):
            self._open(0)
        if self.session.trace is not None and not len(self.strip):
            self._show(self.session.trace)
        self._recompute()

    # --- analysis -------------------------------------------------------------------------------------------------

    def _recompute(self) -> None:
        """Everything that follows from the sliders and the menus."""
        if not self._connected:
            return
        self._soon.cancel()
        trace, view = self.session.trace, self.view.settings
        self.entropy, self._problem = None, ""
        if trace is not None:
            try:
                self.entropy = phase_entropy(trace, kind=view.kind, boundary=view.boundary)
            except WorkbenchError as problem:
                self._problem = str(problem)
        self._say()
        self.tabs.refresh()

    def _say(self) -> None:
        view = self.view.settings
        parts = [alert(f"{self.view.invalid} Shown are the settings before.")] if self.view.invalid else []
        if self._problem:
            parts.append(alert(self._problem))
        if self.entropy is not None:
            parts.append(trace_words(self.entropy, view, self.row))
        if self.rows.known:
            parts.append(sweep_words(self.rows.frame, view))
        said = "".join(parts) or "Record or open a trace to see its phases."
        self.words.value = f'<div class="workbench-summary" style="line-height:1.45">{said}</div>'

    @property
    def correlation(self) -> LengthCorrelation | None:
        """Length against mean entropy over the sweep."""
        frame = self.rows.frame
        if not len(frame) or "tokens" not in frame.columns:
            return None
        points = SweepPoints(frame, self.view.settings.kind)
        known = "difficulty" in frame.columns and not frame["difficulty"].null_count()
        return length_correlation(
            frame["tokens"].to_numpy(), points.entropy(),
            difficulty=frame["difficulty"].to_numpy() if known else None, problem=frame["problem"].to_numpy(),
        )  # fmt: skip

    def curve(self) -> RewardCurve | None:
        """Rewards of the sweep's graded sequences that have both phases; of this trace, taken as right, without one."""
        view = self.view.settings
        options = {"s": view.s, "format_reward": view.format_reward}
        names = [f"{'sampled_' if view.kind == 'sampled' else ''}{phase}_entropy" for phase in ("think", "answer")]
        graded = graded_rows(self.rows.frame, names)
        if len(graded):
            think, answer, correct = (graded[name].to_numpy() for name in (*names, "correct"))
            return reward_curve(think, answer, correct, ALPHAS, **options)
        if self.entropy is None:
            return None
        correct = True if self.row is None else bool(self.row.get("correct"))
        return reward_curve(self.entropy.think, self.entropy.answer, correct, ALPHAS, **options)

    # --- charts ---------------------------------------------------------------------------------------------------

    def _draw_trace(self) -> go.Figure:
        trace = self.session.trace
        data = None
        if trace is not None and self.entropy is not None:
            data = PhaseData(trace.tokens, split(trace, boundary=self.view.settings.boundary), self.entropy)
        return phase_chart(data, cursor=self.session.shown, theme=self.theme.name)

    def _points(self) -> SweepPoints | None:
        return SweepPoints(self.rows.frame, self.view.settings.kind) if len(self.rows.frame) else None

    def _draw_pairs(self) -> go.Figure:
        return phase_distribution(self._points(), theme=self.theme.name)

    def _draw_length(self) -> go.Figure:
        return phase_length(self._points(), self.correlation, theme=self.theme.name)

    def _draw_reward(self) -> go.Figure:
        view = self.view.settings
        return phase_reward(self.curve(), view.alpha, kind=view.kind, theme=self.theme.name)

    def _tokens(self) -> pl.DataFrame:
        return _EMPTY if self.session.trace is None else self.session.trace.tokens

    def _table(self) -> pl.DataFrame:
        flat = [name for name, dtype in self.rows.frame.schema.items() if not dtype.is_nested()]
        return self.rows.frame.select(flat)

    def _rewards(self) -> pl.DataFrame:
        curve = self.curve()
        return pl.DataFrame() if curve is None else pl.DataFrame({"alpha": curve.alphas, "mean reward": curve.mean})

    # --- trace and cursor -----------------------------------------------------------------------------------------

    def _open(self, row: Any) -> None:  # noqa: ANN401  -- a point's customdata
        """Show the sequence behind a point."""
        found = self.rows.trace(int(row))
        if found is not None:
            self.session.trace = found

    def _trace_changed(self, change: Mapping[str, Any]) -> None:
        if change["new"] is not None:
            self._show(change["new"])
            self._recompute()

    def _show(self, trace: Trace) -> None:
        self.row = self.rows.row_of(trace)
        tokens = trace.tokens
        self.strip.replace(tokens["text"].to_list(), strip_phases(tokens), strip_layers(tokens))

    def _strip_moved(self, change: Mapping[str, Any]) -> None:
        self.session.set_trait(change["name"], change["new"])

    def _cursor_moved(self, change: Mapping[str, Any]) -> None:
        self.strip.set_trait(change["name"], change["new"])
        self.tabs.box("phases").update(phase_cursor(self.session.shown))

    def _alternatives(self, position: int) -> list[tuple[str, float]]:
        trace = self.session.trace
        return [] if trace is None else alternatives(trace, position)

    # --- EAT ------------------------------------------------------------------------------------------------------

    def _model(self) -> LanguageModel:
        """The session's model, or the sweep's own, loaded when first needed."""
        if self.session.model is not None:
            return self.session.model
        name = self.rows.model
        if name is None:
            raise ParameterError("There is no model to read with: PhasePanel(trace, model=wb.load(...)).")
        return load(name)

    def _thoughts(self, count: int) -> Sequence[Thought]:
        """The trace on show, or the first sequences of the sweep."""
        if count:
            return self.rows.thoughts(count)
        trace = self.session.trace
        if trace is None:
            raise ParameterError("There is no trace to measure: record or open one first.")
        return [("this trace", trace, None if self.row is None else self.rows.grader(self.row))]

    # --- export ---------------------------------------------------------------------------------------------------

    def _exportable(self) -> Exportable | None:
        trace, chart = self.session.trace, self.tabs.chart
        if trace is None and not self.rows.known:
            return None
        if self._soon.due:
            self._recompute()
        about = {
            **({} if trace is None else trace.meta), "phases": self.view.settings.to_dict(),
            "eat": self.eat.sliders.settings.to_dict(), "sweep": self.rows.settings,
        }  # fmt: skip
        frame = chart.frame()
        flat = [name for name, dtype in frame.schema.items() if not dtype.is_nested()]
        tall = 1.4 if chart.stem == "eat" else 1.0
        return Exportable(chart.stem, chart.draw(), frame.select(flat), about, tall=tall)

    def close(self) -> None:
        """Stop what runs, close charts and sliders, and let go of the session."""
        if self._connected:
            self._connected = False
            self._soon.cancel()
            self.session.unobserve(self._trace_changed, "trace")
            self.session.unobserve(self._cursor_moved, ["cursor", "hover"])
            for part in (self.eat, self.tabs, self.view, *self.rows.menus, *self.children):
                part.close()
        super().close()
