"""The phase panel: thinking against answering, for one trace and over a sweep."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ipywidgets
import polars as pl

from widgets.controls.beside import beside
from widgets.controls.export_bar import Exportable, ExportBar
from widgets.controls.settings_sliders import SettingsSliders
from widgets.controls.soon import Soon
from widgets.controls.theme import Theme
from widgets.figures.phase_reward import phase_reward
from widgets.panels.chart_tabs import ChartTabs, TabChart
from widgets.panels.phase_eat import EatTab, runs_of
from widgets.panels.phase_over import ALPHAS, SweepPhases
from widgets.panels.phase_settings import PhaseView
from widgets.panels.phase_thoughts import Thoughts
from widgets.panels.phase_trace import TraceChart
from widgets.panels.phase_words import STYLE, readout, sweep_means, sweep_words, trace_words
from widgets.panels.settings_panel import alert
from widgets.panels.sweep_rows import SweepRows
from widgets.panels.trace_layers import alternatives, strip_layers, strip_phases
from widgets.session import Session
from widgets.strip import TokenStrip
from workbench.errors import ParameterError, WorkbenchError
from workbench.phases import reward_curve
from workbench.traces import Trace
from workbench.traces.columns import SCHEMA

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    import plotly.graph_objects as go

    from widgets.figures.template import Theme as ThemeName
    from workbench.models import LanguageModel
    from workbench.phases import EatRun, PhaseEntropy, RewardCurve
    from workbench.sweeps import Sweep

HEIGHT = 396
"""Of every chart, so that nothing moves from tab to tab."""
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
        self._drawn: dict[str, tuple[object, ...]] = {}
        self.rows = SweepRows(sweep, self._soon.ask)
        self.over = SweepPhases(self.rows, self._correlated)
        self.row: Mapping[str, Any] | None = None
        """The sweep's row of the trace on show, where it is one of the sweep's."""
        self._make_parts(runs_of(runs))
        super().__init__(
            [
                self.theme, ipywidgets.HBox(self.rows.menus), self.words, self.strip,
                beside(self.side, self.tabs, width=346), self.export_bar,
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
        # a fixed place for words of any number, so that nothing below jumps while a slider moves
        self.words = ipywidgets.HTML(layout={"min_height": "62px"})
        self.strip = TokenStrip(
            layers=strip_layers(_EMPTY), on_alternatives=self._alternatives, max_height=87,
            layout={"min_height": "112px"},
        )  # fmt: skip
        self.view: SettingsSliders[PhaseView] = SettingsSliders(
            PhaseView(), self._soon.ask, presets={"Defaults": (PhaseView(), "PEAR's own, arXiv 2510.08026")}
        )
        self.readout = ipywidgets.HTML(layout={"margin": "6px 0 0"})
        self.readout.add_class("workbench-readout")
        self.own = ipywidgets.VBox([self.view, self.view.buttons, self.readout])
        self.chart = TraceChart(self.session, self.strip.set_trait)
        thoughts = Thoughts(self.session, self.rows, lambda: self.row)
        self.eat = EatTab(thoughts, lambda: self._connected and self._refresh(anew=True), runs)
        self.side = ipywidgets.VBox([self.own, self.eat.box])
        self.tabs = ChartTabs(self._charts())
        self.tabs.children[-1].layout.min_height = f"{HEIGHT}px"
        self.export_bar = ExportBar(self._exportable)

    def _charts(self) -> list[TabChart]:
        own = TabChart("This trace", "phases", lambda: self.chart.draw(self.theme.name), self._tokens, height=HEIGHT)
        over = [
            TabChart(title, stem, lambda draw=draw: self._over(draw), self.over.table, self._open, height=HEIGHT)
            for title, stem, draw in (
                ("Think against answer", "think-answer", self.over.draw_pairs),
                ("Length", "length", self.over.draw_length),
            )
        ]
        reward = TabChart("Reward", "reward", self._draw_reward, self._rewards, height=HEIGHT)
        eat = TabChart("EAT", "eat", lambda: self.eat.draw(self.theme.name), self.eat.frame, height=HEIGHT)
        return [own, *(over if self.rows.known else []), reward, eat]

    def _connect(self) -> None:
        self._connected = True
        self.theme.observe(lambda _: self._refresh(anew=True), "dark")
        self.strip.observe(self._strip_moved, ["cursor", "hover"])
        self.session.observe(self._trace_changed, "trace")
        self.session.observe(self._cursor_moved, ["cursor", "hover"])
        self.tabs.observe(lambda _: self._turned(), "selected_index")

    def _begin(self, trace: Trace | None) -> None:
        if trace is not None:
            self.session.trace = trace
        elif self.session.trace is None and self.rows.sweep is not None and len(self.rows.frame):
            self._open(0)
        if self.session.trace is not None and not len(self.strip):
            self._show(self.session.trace)
        self._swap()
        self._recompute()

    @property
    def busy(self) -> bool:
        """Whether thoughts are being measured."""
        return self.eat.running

    def kept(self) -> dict[str, ipywidgets.Widget]:
        """The controls to be remembered, by name."""
        return {**self.rows.kept(), "view": self.view, "eat": self.eat.sliders, "tab": self.tabs}

    # --- analysis -------------------------------------------------------------------------------------------------

    @property
    def entropy(self) -> PhaseEntropy | None:
        """Means of the trace on show."""
        return self.chart.entropy

    def curve(self) -> RewardCurve | None:
        """Rewards of the sweep's graded sequences; of this trace, taken as right, without one."""
        view = self.view.settings
        found = self.over.curve(view)
        if found is not None or self.entropy is None:
            return found
        correct = self.row is None or self.row.get("correct") is not False
        options = {"s": view.s, "format_reward": view.format_reward}
        return reward_curve(self.entropy.think, self.entropy.answer, correct, ALPHAS, **options)

    def _recompute(self) -> None:
        """Everything that follows from the sliders and the menus."""
        if not self._connected:
            return
        self._soon.cancel()
        self.chart.measure(self.view.settings)
        self._say()
        self._refresh()

    def _say(self) -> None:
        view, parts, over = self.view.settings, [], None
        if self.view.invalid:
            parts.append(alert(f"{self.view.invalid} Shown are the settings before."))
        parts += [alert(problem) for problem in (self.chart.problem, self.over.problem) if problem]
        if self.entropy is not None:
            parts.append(trace_words(self.entropy, view, self.row))
        if self.rows.known:
            try:
                rewards = self.over.rewards(view)
                parts.append(sweep_words(self.rows.frame, view, rewards, clickable=self.rows.sweep is not None))
                over = sweep_means(self.rows.frame, view, rewards)
            except WorkbenchError as problem:
                parts.append(alert(str(problem)))
        said = "".join(parts) or "Record or open a trace to see its phases."
        self.words.value = f'{STYLE}<div class="workbench-summary" style="line-height:1.45">{said}</div>'
        self.readout.value = readout(self.entropy, view, self.row, over)

    # --- charts ---------------------------------------------------------------------------------------------------

    def _refresh(self, *, anew: bool = False) -> None:
        """Bring the tab in sight up to date, where what it shows has changed."""
        stem, depends = self.tabs.chart.stem, self._depends(self.tabs.chart.stem)
        if anew or self._drawn.get(stem) != depends:
            self._drawn = {stem: depends}
            self.tabs.refresh()
        self.chart.listen(self.tabs.box("phases"))

    def _depends(self, stem: str) -> tuple[object, ...]:
        """What the chart of that stem is drawn from."""
        view = self.view.settings
        if stem == "phases":
            return (id(self.session.trace), view.kind, view.boundary)
        if stem in ("think-answer", "length"):
            known = stem == "length" and self.over.correlation(view) is not None
            return (*self.over.key(view), self.over.place(self.row), known)
        return (view, self.rows.chosen, id(self.session.trace)) if stem == "reward" else (len(self.eat.runs),)

    def _turned(self) -> None:
        """Another tab, which draws itself when it is opened."""
        self._swap()
        stem = self.tabs.chart.stem
        self._drawn = {} if self._soon.due else {stem: self._depends(stem)}
        self.chart.listen(self.tabs.box("phases"))

    def _swap(self) -> None:
        """The sliders beside a tab are its own."""
        eat = self.tabs.chart.stem == "eat"
        self.own.layout.display, self.eat.box.layout.display = ("none", "") if eat else ("", "none")

    def _correlated(self) -> None:
        """A correlation was found, or could not be."""
        if self._connected:
            self._say()
            self._refresh()

    def _over(self, draw: Callable[[PhaseView, Mapping[str, Any] | None, ThemeName], go.Figure]) -> go.Figure:
        return draw(self.view.settings, self.row, self.theme.name)

    def _draw_reward(self) -> go.Figure:
        view = self.view.settings
        return phase_reward(self.curve(), view.alpha, kind=view.kind, theme=self.theme.name)

    def _tokens(self) -> pl.DataFrame:
        return _EMPTY if self.session.trace is None else self.session.trace.tokens

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
        cursor, tokens = self.session.cursor, trace.tokens
        self.strip.replace(tokens["text"].to_list(), strip_phases(tokens), strip_layers(tokens))
        self.session.cursor = self.strip.cursor = cursor

    def _strip_moved(self, change: Mapping[str, Any]) -> None:
        self.session.set_trait(change["name"], change["new"])

    def _cursor_moved(self, change: Mapping[str, Any]) -> None:
        self.strip.set_trait(change["name"], change["new"])
        self.chart.move_cursor(self.tabs.box("phases"))

    def _alternatives(self, position: int) -> list[tuple[str, float]]:
        trace = self.session.trace
        return [] if trace is None else alternatives(trace, position)

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
            self.over.close()
            parts = (self.eat, self.tabs, self.view, self.readout, self.own, self.side, *self.rows.menus)
            for part in (*parts, *self.children):
                part.close()
        super().close()
