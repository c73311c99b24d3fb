"""EAT in the phase panel: measure thoughts closed early, then move the stopping rule over what was measured."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

import ipywidgets
import numpy as np
import polars as pl

from widgets.controls.job import Job, loop_caller
from widgets.controls.problems import problem_words
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
    from widgets.panels.phase_thoughts import Thoughts
    from workbench.phases import EatOutcome, EatStop

CERTAIN = 0.01
"""Nats; where no entropy after the marker is above, the token there is a matter of form."""


class EatTab:
    """The EAT tab's controls and charts.

    Args:
        thoughts: what there is to measure, and the model to read it with.
        changed: called when there is something new to draw.
        runs: measured before.
    """

    def __init__(
        self,
        thoughts: Thoughts,
        changed: Callable[[], None],
        runs: Sequence[EatRun] = (),
    ) -> None:
        self._thoughts, self._redraw = thoughts, changed
        self.runs: tuple[EatRun, ...] = tuple(runs)
        self._job: Job[tuple[tuple[EatRun, ...], int]] = Job(self._done, self._failed)
        self._soon = Soon(self._moved)
        self.sliders: SettingsSliders[EatView] = SettingsSliders(
            EatView(), self._soon.ask, presets={"Defaults": (EatView(), "EAT's own, arXiv 2509.26522")}
        )
        self.one = _button("Measure trace", "Close this thought at the end of each step and read what comes")
        self.many = _button("Measure the sweep", "The first sequences of the sweep, with their forced answers graded")
        self.count = ipywidgets.BoundedIntText(
            8, min=1, max=10_000, tooltip="How many sequences of the sweep", layout={"width": "58px"}
        )
        self.stop = ipywidgets.Button(description="Stop", icon="stop", disabled=True, layout={"width": "76px"})
        self.closing = ipywidgets.Text(
            description="close with", placeholder="the model's marker", style={"description_width": "72px"},
            layout={"flex": "1 1 auto", "width": "auto", "min_width": "0"},
            tooltip="What ends the thinking: the closing marker and, if wanted, how the answer begins; "
            "\\n stands for a new line",
        )  # fmt: skip
        self.run = ipywidgets.Dropdown(
            options=[], description="show", style={"description_width": "72px"}, layout={"width": "auto"},
            tooltip="Which measured sequence",
        )  # fmt: skip
        self.status = ipywidgets.HTML(layout={"min_height": "54px"})
        self.said = ipywidgets.HTML(layout={"min_height": "96px"})
        self.said.add_class("workbench-readout")
        self._rows = (
            ipywidgets.HBox([self.one, self.many, self.count]), ipywidgets.HBox([self.closing, self.stop]),
        )  # fmt: skip
        self.box = ipywidgets.VBox([*self._rows, self.status, self.sliders, self.sliders.buttons, self.said, self.run])
        self.one.on_click(lambda _: self.measure(0))
        self.many.on_click(lambda _: self.measure(self.count.value))
        self.stop.on_click(lambda _: self._job.stop())
        self.run.observe(lambda _: self._moved(), "index")
        self._say("Nothing measured yet: each measurement runs the model once or twice a thinking step.")
        self._show_runs()

    @property
    def shown(self) -> EatRun | None:
        """The run that is drawn."""
        place = self.run.index
        return None if place is None or not self.runs else self.runs[place]

    def measure(self, count: int) -> None:
        """Measure the trace on show (0), or so many sequences of the sweep, in the background."""
        self._busy(True)
        self._say("loading …")
        # as the reader typed it; Python's own escapes would mangle any letter beyond ASCII
        closing = self.closing.value.replace("\\n", "\n").replace("\\t", "\t") or None
        call = loop_caller()
        self._job.start(lambda stop: self._work(count, closing, stop, call))

    def wait(self, seconds: float = 120) -> bool:
        """Wait for a measurement under way; True when there is none left."""
        return self._job.wait(seconds)

    @property
    def running(self) -> bool:
        """Whether thoughts are being measured."""
        return self._job.running

    def _work(
        self, count: int, closing: str | None, stop: threading.Event, call: Callable[..., None]
    ) -> tuple[tuple[EatRun, ...], int]:
        model, found = self._thoughts.model(), []
        thoughts = self._thoughts.take(count)
        for number, (name, trace, grade) in enumerate(thoughts, start=1):
            if stop.is_set():
                break
            which = f"{number} of {len(thoughts)}: {name}"
            run = entropy_after_think(
                model, trace, closing=closing, name=name, stop=stop.is_set,
                on_boundary=lambda done, total: call(self._say, f"{which}, read {done} of {total} steps"),  # noqa: B023
            )  # fmt: skip
            if grade is not None and len(run) and not stop.is_set():
                run = forced_answers(
                    model, trace, run, grade, stop=stop.is_set,
                    on_boundary=lambda done, total: call(self._say, f"{which}, answered {done} of {total}"),  # noqa: B023
                )  # fmt: skip
            if len(run):
                found.append(run)
        return tuple(found), len(thoughts)

    def _done(self, measured: tuple[tuple[EatRun, ...], int]) -> None:
        runs, asked = measured
        self._busy(False)
        if runs:
            self.runs = runs
            self._say(_measured(runs, asked))
            self._show_runs()
        else:
            self._say("Nothing was measured: the thinking has no step to be closed at, or it was stopped before.")

    def _failed(self, problem: Exception) -> None:
        self._busy(False)
        self.status.value = alert(problem_words(problem))

    def _busy(self, working: bool) -> None:  # noqa: FBT001  -- a state
        self.one.disabled = self.many.disabled = working
        self.stop.disabled = not working

    def _say(self, text: str) -> None:
        self.status.value = f'<div style="line-height:1.3;opacity:.85">{escape(text)}</div>'

    def _show_runs(self) -> None:
        self.run.options = [(run.name or "this trace", place) for place, run in enumerate(self.runs)]
        # the longest has the most to show
        self.run.index = int(np.argmax([len(run) for run in self.runs])) if self.runs else None
        self.run.layout.display = "" if len(self.runs) > 1 else "none"
        self._moved()

    def _moved(self) -> None:
        """The stopping rule over what was measured."""
        run = self.shown
        words = "" if run is None else eat_words(run, self.sliders.settings.stop(run), self.outcome())
        self.said.value = words + (alert(self.sliders.invalid) if self.sliders.invalid else "")
        self._redraw()

    def outcome(self) -> EatOutcome:
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
        for part in (*(one for row in self._rows for one in row.children), *self.box.children, self.box):
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


def eat_words(run: EatRun, stop: EatStop, outcome: EatOutcome) -> str:
    """Where the run on show stops, and what that costs and saves over all of them, as a table."""
    thinking = int(run.thinking - run.start)
    if stop.index is not None:
        where = f"after {int(run.kept[stop.index] - run.start):,} of {thinking:,} tokens"
    elif len(run) <= stop.min_distance:
        where = f"never: {len(run)} steps, {stop.min_distance} too early"
    else:
        where = "never: variance stays above δ"
    saved, what = outcome.tokens_saved, "tokens saved"
    if not np.isfinite(saved):
        saved, what = outcome.thinking_saved, "thinking tokens saved"
    rows = [("this one stops", where), ("stop early", f"{outcome.stopped} of {outcome.n}")]
    if outcome.graded:
        rows.append(("accuracy", f"{outcome.accuracy:.0%} against {outcome.full_accuracy:.0%} in full"))
    if np.isfinite(saved):
        rows.append((what, f"{saved:.0%}".replace("-", "−")))
    cells = "".join(f"<tr><td>{name}</td><td>{escape(said)}</td></tr>" for name, said in rows)
    return f"<table><tbody>{cells}</tbody></table>"


def _measured(runs: Sequence[EatRun], asked: int) -> str:
    """How many, and what to do where the entropies say nothing."""
    said = f"{len(runs)} of {asked} measured."
    if max(run.entropy.max() for run in runs) < CERTAIN:
        said += " What follows is certain whatever was thought: close with more, up to where answers differ."
    return said


def _button(text: str, tooltip: str) -> ipywidgets.Button:
    return ipywidgets.Button(description=text, tooltip=tooltip, layout={"width": "auto"})
