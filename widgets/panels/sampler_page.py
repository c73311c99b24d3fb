"""What can be tuned on a trace: a sampler's chain, switching between two models, or reflective generation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ipywidgets

from widgets.controls.job import Job
from widgets.controls.problems import problem_words
from widgets.panels.chosen_panel import ChosenPanel
from widgets.panels.page import kept
from widgets.panels.reflective_panel import ReflectivePanel
from widgets.panels.sampler_panel import SamplerPanel
from widgets.panels.settings_panel import alert
from widgets.panels.switching_panel import SwitchingPanel
from workbench.samplers.switching.pair import check_vocabularies
from workbench.traces import Trace, score

if TYPE_CHECKING:
    from collections.abc import Callable
    from threading import Event

    from widgets.session import Session
    from workbench.models import LanguageModel

SAMPLER, SWITCHING, REFLECTIVE = METHODS = ("Sampler", "Two models", "Reflective")
_ABOUT = {
    SAMPLER: "A chain of sampling steps",
    SWITCHING: "Entropy Adaptive Decoding: a small model that hands over to a large one",
    REFLECTIVE: "SRGen: corrections where the model is unsure",
}

Scored = tuple[Trace, Trace, tuple[int, int]]


class SamplerPage(ChosenPanel):
    """One of the three panels of methods that act while decoding, over the session's trace.

    Switching needs the trace scored by both of the session's models, the smaller one first: that is done off the comm
    thread when the method is chosen.
    """

    def __init__(self, session: Session) -> None:
        self.session = session
        self._job: Job[Scored] = Job(self._scored, lambda problem: self._say(alert(problem_words(problem))))
        self._open = True
        self.method = ipywidgets.ToggleButtons(
            options=METHODS, tooltips=[_ABOUT[one] for one in METHODS], style={"button_width": "auto"}
        )
        self.method.observe(lambda _: self.show(), "value")
        super().__init__(self.method)
        session.observe(self._session_changed, ["trace", "model", "second_model"])
        self.show()

    def kept(self) -> dict[str, ipywidgets.Widget]:
        """The method, then the panel's own controls."""
        controls: dict[str, ipywidgets.Widget] = {"method": self.method}
        return controls | {f"{self.method.value}: {name}": control for name, control in kept(self.panel).items()}

    def wait(self, seconds: float = 60) -> bool:
        """Wait for the models' scores."""
        return self._job.wait(seconds)

    def show(self) -> None:
        """Bring up the panel of the method chosen, or say what it waits for."""
        self._job.stop()
        self.put(None)
        method, trace = self.method.value, self.session.trace
        if method == SAMPLER:
            self.put(SamplerPanel(session=self.session))
        elif trace is None:
            self._say("Record or open a trace first: these methods are replayed on its tokens.")
        elif method == REFLECTIVE:
            self.put(ReflectivePanel(trace, session=self.session))
        else:
            self._score(trace)

    def _score(self, trace: Trace) -> None:
        one, other = self.session.model, self.session.second_model
        if one is None or other is None:
            self._say("Load two models in the tab Model: the smaller one begins, the larger one takes over.")
            return
        self._say("scoring the trace by both models …")
        self._job.start(_work(trace, one, other))

    def _scored(self, scored: Scored) -> None:
        small, large, parameters = scored
        if self._open and self.method.value == SWITCHING:
            self.put(SwitchingPanel(small, large, parameters=parameters, session=self.session))

    def _session_changed(self, change: dict[str, Any]) -> None:
        """Switching is about both models and one text; the others follow the trace themselves."""
        replays = self.method.value == SWITCHING or self.panel is None
        if replays and (change["new"] is not None or change["name"] != "trace"):
            self.show()

    def _say(self, words: str) -> None:
        if self._open:
            self.status.value = words

    def put(self, panel: ipywidgets.Widget | None) -> None:
        """Show a panel; what was said while it was waited for is over."""
        super().put(panel)
        self._say("")

    def close(self) -> None:
        """Stop scoring, close the panel and let go of the session."""
        if self._open:
            self._open = False
            self._job.stop()
            self.session.unobserve(self._session_changed, ["trace", "model", "second_model"])
        super().close()


def _work(trace: Trace, one: LanguageModel, other: LanguageModel) -> Callable[[Event], Scored]:
    """Both models' scores of a trace's tokens, the smaller model's first, and how many parameters each has."""

    def work(_: Event) -> Scored:
        small, large = sorted((one, other), key=lambda model: model.parameters)
        check_vocabularies(small, large)
        ids, prompt = trace.tokens["token_id"].to_list(), list(trace.prompt_ids)
        scores = [score(model, ids, prompt=prompt or None) for model in (small, large)]
        return scores[0], scores[1], (small.parameters, large.parameters)

    return work
