"""DiffAdapt in the difficulty panel: train the probe on the labels as they are, and judge what it would choose."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ipywidgets
import polars as pl

from widgets.controls.job import Job, loop_caller
from widgets.figures.diffadapt_chart import diffadapt_chart
from widgets.panels.difficulty_words import outcome_words, threshold_words
from widgets.panels.settings_panel import alert
from workbench.difficulty import adapt, compare
from workbench.errors import DifficultyError, ParameterError
from workbench.sweeps import Sweep, open_sweep

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    import plotly.graph_objects as go

    from widgets.figures.palette import Theme
    from workbench.difficulty import Adaptation, Comparison, Thresholds
    from workbench.models import LanguageModel

Given = Sweep | str | Path | pl.DataFrame | pl.LazyFrame | None
_HINT = "Trains the probe on the labels as the sliders make them, and judges it on the problems held out."


@dataclass(frozen=True, eq=False)
class Material:
    """What a probe is trained on, as the panel's controls are when the training is asked for."""

    problems: pl.DataFrame
    """Columns problem and prompt."""
    results: pl.DataFrame
    """Of one model and one sampler; column entropy is the one chosen."""
    thresholds: Thresholds
    source: tuple[tuple[str, str], ...]
    """Model, sampler and entropy that are chosen."""
    tokens: int | None
    """The sweep's own limit of new tokens."""


@dataclass(frozen=True, eq=False)
class Outcome:
    """A trained probe, what it was trained on, and the comparison, where strategies were run."""

    material: Material
    adaptation: Adaptation
    comparison: Comparison | None
    trouble: str = ""
    """Why there is no comparison."""


class AdaptTab:
    """The DiffAdapt tab's controls and chart.

    Args:
        model: asked for the model whose prompts' states the probe reads; may load one, in the background.
        material: asked for problems, results and thresholds as they are now.
        changed: called when there is something new to draw.
        strategies: results of the arms easy, normal and hard: a sweep, its folder, a frame, or None.

    Raises:
        SweepError: the folder is no sweep.
        ParameterError: something else.
    """

    def __init__(
        self,
        model: Callable[[], LanguageModel],
        material: Callable[[], Material],
        changed: Callable[[], None],
        strategies: Given = None,
    ) -> None:
        self._model, self._material, self._redraw = model, material, changed
        self._strategies = strategy_results(strategies)
        self._job: Job[Outcome | None] = Job(self._done, self._failed)
        self.outcome: Outcome | None = None
        self.train = ipywidgets.Button(description="Train the probe", tooltip=_HINT, layout={"width": "auto"})
        self.stop = ipywidgets.Button(description="Stop", icon="stop", disabled=True, layout={"width": "auto"})
        self._text, self._changed_since = escape(_HINT), ""
        # two lines, so that the second may come and go while a slider moves
        self.said = ipywidgets.HTML(layout={"min_height": "46px", "flex": "1 1 auto", "width": "auto"})
        self.words = ipywidgets.HTML(layout={"min_height": "24px"})
        row = ipywidgets.HBox([self.train, self.stop, self.said])
        self.above = ipywidgets.VBox([row, self.words])
        self._say(self._text)
        self.train.on_click(lambda _: self.start())
        self.stop.on_click(lambda _: self._stopping())

    @property
    def held_out(self) -> list[str]:
        """The problems that the probe was not trained on; empty before a training."""
        return [] if self.outcome is None else list(self.outcome.adaptation.held_out)

    def start(self) -> None:
        """Train and judge in the background, with the labels as they are now."""
        try:
            material = self._material()
        except DifficultyError as problem:
            self._failed(problem)
            return
        self.train.disabled, self.stop.disabled = True, False
        self._say("loading the model …")
        call = loop_caller()
        self._job.start(lambda stop: self._work(material, stop, call))

    def wait(self, seconds: float = 120) -> None:
        """Wait for a training under way."""
        self._job.wait(seconds)

    @property
    def running(self) -> bool:
        """Whether a probe is being trained."""
        return self._job.running

    def moved(self) -> None:
        """The panel's labels may be others than those the probe was trained on: say so."""
        self._changed_since = ""
        if self.outcome is not None:
            before = self.outcome.material
            try:
                now = self._material()
            except DifficultyError:
                now = None
            if now is None or (now.thresholds, now.source) != (before.thresholds, before.source):
                self._changed_since = alert("The labels have changed since: train the probe again.")
        self._say(self._text)

    def _work(self, material: Material, stop: threading.Event, call: Callable[..., None]) -> Outcome | None:
        model = self._model()
        if stop.is_set():
            return None
        call(
            self._progress,
            f"{escape(model.name)} reads {len(material.problems):,} prompts, then the probe is trained …",
        )
        found = adapt(model, material.problems, material.results, material.thresholds)
        if stop.is_set():
            return None
        if self._strategies is None:
            return Outcome(material, found, None)
        call(self._progress, "comparing strategies …")
        try:
            return Outcome(material, found, compared(found, self._strategies, dict(material.source).get("model")))
        except DifficultyError as problem:  # the probe is judged all the same
            return Outcome(material, found, None, str(problem))

    def _done(self, outcome: Outcome | None) -> None:
        self._idle()
        if outcome is None:
            self._say("Stopped: nothing was trained.")
            return
        self.outcome = outcome
        source = ", ".join(value for _, value in outcome.material.source)
        self._text = escape(f"Trained with {threshold_words(outcome.material.thresholds)}, on {source}.")
        self.words.value = outcome_words(outcome)
        self.moved()
        self._redraw()

    def _failed(self, problem: Exception) -> None:
        self._idle()
        self._say(alert(str(problem)))

    def _idle(self) -> None:
        self.train.disabled, self.stop.disabled = False, True

    def _stopping(self) -> None:
        self._job.stop()
        self.stop.disabled = True
        self._say("stopping after this step …")

    def _progress(self, text: str) -> None:
        if not self.stop.disabled:  # else it is stopping, and says so
            self._say(text)

    def _say(self, text: str) -> None:
        self._text = text
        self.said.value = f'<div style="line-height:1.4;padding-top:5px">{text}{self._changed_since}</div>'

    def draw(self, theme: Theme, *, captioned: bool = False) -> go.Figure:
        """Accuracy against tokens of every strategy."""
        found = None if self.outcome is None else self.outcome.comparison
        return diffadapt_chart(found, captioned=captioned, theme=theme)

    def frame(self) -> pl.DataFrame:
        """The comparison; without one the held-out problems with their labels and the probe's choices."""
        if self.outcome is None:
            return pl.DataFrame()
        return (self.outcome.comparison or self.outcome.adaptation).to_frame()

    def about(self) -> dict[str, Any] | None:
        """For exports: what was trained and what came out."""
        if self.outcome is None:
            return None
        found, made = self.outcome.adaptation, self.outcome.comparison
        return {
            "thresholds": self.outcome.material.thresholds.to_dict(), "trained on": dict(self.outcome.material.source),
            "probe": found.probe.evaluation.verdict, "held out": len(found.held_out),
            "comparison": None if made is None else made.verdict,
        }  # fmt: skip

    def close(self) -> None:
        """Stop what runs."""
        self._job.stop()
        for part in (*self.above.children[0].children, *self.above.children, self.above):
            part.close()


def strategy_results(given: Given) -> pl.DataFrame | None:
    """The results of a sweep over strategies.

    Raises:
        SweepError: the folder is no sweep.
        ParameterError: neither a sweep nor a frame.
    """
    if isinstance(given, (str, Path)):
        given = open_sweep(given)
    if isinstance(given, Sweep):
        return given.to_frame()
    if isinstance(given, pl.LazyFrame):
        return given.collect()
    if given is not None and not isinstance(given, pl.DataFrame):
        raise ParameterError(
            f"strategies is a sweep over DiffAdapt's strategies, its folder or its results, not a "
            f"{type(given).__name__}; wb.sweeps.run(..., sampler=wb.difficulty.strategies(640)) makes one."
        )
    return given


def compared(found: Adaptation, results: pl.DataFrame, model: str | None) -> Comparison:
    """The strategies on those held-out problems that every arm was run on.

    Raises:
        DifficultyError: there are none, or as `compare`.
    """
    missing = [name for name in ("problem", "sampler", "correct", "tokens") if name not in results.columns]
    if missing:
        raise DifficultyError(f"The strategies' results have no column {', '.join(missing)}.")
    if model is not None and "model" in results.columns:
        results = results.filter(pl.col("model") == model)
    results = results.filter(pl.col("problem").is_in(list(found.held_out)))
    arms = results["sampler"].n_unique()
    whole = results.group_by("problem").agg(pl.col("sampler").n_unique()).filter(pl.col("sampler") == arms)["problem"]
    run = set(whole)
    if not run:
        raise DifficultyError("The strategies were run on none of the problems that this probe was not trained on.")
    choices, labels = (
        {name: arm for name, arm in chosen.items() if name in run} for chosen in (found.choices, found.label_choices)
    )
    return compare(results, choices, labels=labels)
