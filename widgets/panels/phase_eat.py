"""EAT in the phase panel: measure thoughts closed early, then move the stopping rule over what was measured."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

import ipywidgets
import polars as pl

from widgets.controls.job import Job, loop_caller
from widgets.controls.settings_sliders import SettingsSliders
from widgets.controls.soon import Soon
from widgets.figures.eat_chart import eat_chart
from widgets.panels.phase_settings import EatView
from widgets.panels.settings_panel import alert
from workbench.errors import ParameterError
from workbench.phases import EatRun, eat_outcome, entropy_after_think, forced_answers, runs_from_frame

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Sequence

    import plotly.graph_objects as go

    from widgets.figures.template import Theme
    from workbench.models import LanguageModel
    from workbench.traces import Trace

Thought = tuple[str, "Trace", "Callable[[str], bool] | None"]
"""A name, a trace, and what grades its answer, where that is known."""


class EatTab:
    """The EAT tab's controls and charts.

    Args:
        model: asked for the model to read with; may load one, in the background.
        thoughts: asked for the traces to measure: of the one on show, or of so many of the sweep.
        changed: called when there is something new to draw.
        runs: measured before.
    """

    def __init__(
        self,
        model: Callable[[], LanguageModel],
        thoughts: Callable[[int], Sequence[Thought]],
        changed: Callable[[], None],
        runs: Sequence[EatRun] = (),
    ) -> None:
        self._model, self._thoughts, self._redraw = model, thoughts, changed
        self.runs: tuple[EatRun, ...] = tuple(runs)
        self._job: Job[tuple[EatRun, ...]] = Job(self._done, self._failed)
        self._soon = Soon(self._moved)
        self.sliders: SettingsSliders[EatView] = SettingsSliders(
            EatView(), self._soon.ask, presets={"Defaults": (EatView(), "EAT's own, arXiv 2509.26522")}
        )
        self.one = _button("Measure this trace", "Close this thought at the end of each step and read what comes")
        self.many = _button("Measure the sweep", "The first sequences of the sweep, with their forced answers graded")
        self.count = ipywidgets.BoundedIntText(
            8, min=1, max=10_000, tooltip="How many sequences of the sweep", layout={"width": "70px"}
        )
        self.stop = ipywidgets.Button(description="Stop", icon="stop", disabled=True, layout={"width": "auto"})
        self.closing = ipywidgets.Text(
            placeholder="closing marker", layout={"width": "220px"},
            tooltip="What ends the thinking: the closing marker and, if wanted, how the answer begins; "
            "\\n stands for a new line",
        )  # fmt: skip
        self.run = ipywidgets.Dropdown(options=[], tooltip="Which measured sequence", layout={"width": "220px"})
        self.said = ipywidgets.HTML()
        self.above = ipywidgets.HBox(
            [self.one, self.many, self.count, self.stop, self.closing, self.run], layout={"flex_flow": "row wrap"}
        )
        self.below = ipywidgets.VBox([self.said, self.sliders, self.sliders.buttons])
        self.one.on_click(lambda _: self.measure(0))
        self.many.on_click(lambda _: self.measure(self.count.value))
        self.stop.on_click(lambda _: self._job.stop())
        self.run.observe(lambda _: self._redraw(), "value")
        self._show_runs()

    @property
    def shown(self) -> EatRun | None:
        """The run that is drawn."""
        place = self.run.index
        return None if place is None or not self.runs else self.runs[place]

    def measure(self, count: int) -> None:
        """Measure the trace on show (0), or so many sequences of the sweep, in the background."""
        self._busy(True)
        self.said.value = "loading …"
        closing = self.closing.value.encode().decode("unicode_escape") if self.closing.value else None
        call = loop_caller()
        self._job.start(lambda stop: self._work(count, closing, stop, call))

    def wait(self, seconds: float = 120) -> None:
        """Wait for a measurement under way."""
        self._job.wait(seconds)

    def _work(
        self, count: int, closing: str | None, stop: threading.Event, call: Callable[..., None]
    ) -> tuple[EatRun, ...]:
        model, found = self._model(), []
        thoughts = self._thoughts(count)
        for number, (name, trace, grade) in enumerate(thoughts, start=1):
            if stop.is_set():
                break
            call(self._say, f"measuring {number} of {len(thoughts)}: {escape(name)}")
            run = entropy_after_think(model, trace, closing=closing, name=name, stop=stop.is_set)
            if grade is not None and len(run) and not stop.is_set():
                run = forced_answers(model, trace, run, grade, stop=stop.is_set)
            if len(run):
                found.append(run)
        return tuple(found)

    def _done(self, runs: tuple[EatRun, ...]) -> None:
        self._busy(False)
        if runs:
            self.runs = runs
            self._show_runs()
        else:
            self._say("Nothing was measured.")

    def _failed(self, problem: Exception) -> None:
        self._busy(False)
        self.said.value = alert(str(problem))

    def _busy(self, working: bool) -> None:  # noqa: FBT001  -- a state
        self.one.disabled = self.many.disabled = working
        self.stop.disabled = not working

    def _say(self, text: str) -> None:
        self.said.value = text

    def _show_runs(self) -> None:
        self.run.options = [(run.name or "this trace", place) for place, run in enumerate(self.runs)]
        self.run.layout.display = "" if len(self.runs) > 1 else "none"
        self._moved()

    def _moved(self) -> None:
        """The stopping rule over what was measured."""
        if self.runs:
            self.said.value = escape(self.outcome().describe()) + alert_if(self.sliders.invalid)
        self._redraw()

    def outcome(self) -> Any:  # noqa: ANN401  -- EatOutcome
        """Accuracy and tokens of all runs under the rule."""
        return eat_outcome(self.runs, **self.sliders.settings.arguments())

    def draw(self, theme: Theme) -> go.Figure:
        """The run on show."""
        run = self.shown
        return eat_chart(run, None if run is None else self.sliders.settings.stop(run), theme=theme)

    def frame(self) -> pl.DataFrame:
        """All runs, a row a boundary."""
        return pl.concat([run.to_frame() for run in self.runs]) if self.runs else pl.DataFrame()

    def close(self) -> None:
        """Stop what runs."""
        self._job.stop()
        self._soon.cancel()
        for part in (self.sliders, *self.above.children, self.above, *self.below.children, self.below):
            part.close()


def runs_of(given: Any) -> tuple[EatRun, ...]:  # noqa: ANN401  -- runs, or their frame
    """Runs as they are, or read from the frame they were saved as.

    Raises:
        ParameterError: something else.
        TraceError: a frame that is not of runs.
    """
    if isinstance(given, pl.DataFrame):
        return runs_from_frame(given)
    runs = tuple(given)
    if not all(isinstance(run, EatRun) for run in runs):
        raise ParameterError("runs are EatRuns (wb.phases.eat gives one), or the frame they were saved as.")
    return runs


def alert_if(words: str) -> str:
    """What is wrong, where something is."""
    return alert(words) if words else ""


def _button(text: str, tooltip: str) -> ipywidgets.Button:
    return ipywidgets.Button(description=text, tooltip=tooltip, layout={"width": "auto"})
