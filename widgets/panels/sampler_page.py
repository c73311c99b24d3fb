"""What can be tuned on a trace: a sampler's chain, switching between two models, or reflective generation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ipywidgets

from widgets.controls.closing import close_tree
from widgets.controls.job import Job
from widgets.controls.problems import problem_words
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

    from widgets.controls.export_bar import ExportBar
    from widgets.session import Session
    from workbench.models import LanguageModel

SAMPLER, SWITCHING, REFLECTIVE = METHODS = ("Sampler", "Two models", "Reflective")
_ABOUT = {
    SAMPLER: "A chain of sampling steps",
    SWITCHING: "Entropy Adaptive Decoding: a small model that hands over to a large one",
    REFLECTIVE: "SRGen: corrections where the model is unsure",
}

Scored = tuple[Trace, Trace, tuple[int, int]]


class SamplerPage(ipywidgets.VBox):
    """One of the three panels of methods that act while decoding, over the session's trace.

    Switching needs the trace scored by both of the session's models, the smaller one first: that is done off the comm
    thread when the method is chosen.
    """

    def __init__(self, session: Session) -> None:
        self.session = session
        self.panel: ipywidgets.Widget | None = None
        self._job: Job[Scored] = Job(self._scored, lambda problem: self._say(alert(problem_words(problem))))
        self._open = True
        self.method = ipywidgets.ToggleButtons(
            options=METHODS, tooltips=[_ABOUT[one] for one in METHODS], style={"button_width": "auto"}
        )
        self.method.observe(lambda _: self.show(), "value")
        self.status = ipywidgets.HTML()
        self.line = ipywidgets.HBox([self.method, self.status], layout={"align_items": "center"})
        super().__init__([self.line], layout={"width": "100%"})
        session.observe(self._session_changed, ["trace", "model", "second_model"])
        self.show()

    @property
    def busy(self) -> bool:
        """Whether samples are being drawn."""
        return getattr(self.panel, "busy", False)

    @property
    def export_bar(self) -> ExportBar | None:
        """The panel's."""
        return getattr(self.panel, "export_bar", None)

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
        self._put(None)
        method, trace = self.method.value, self.session.trace
        if method == SAMPLER:
            self._put(SamplerPanel(session=self.session))
        elif trace is None:
            self._say("Record or open a trace first: these methods are replayed on its tokens.")
        elif method == REFLECTIVE:
            self._put(ReflectivePanel(trace, session=self.session))
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
            self._put(SwitchingPanel(small, large, parameters=parameters, session=self.session))

    def _session_changed(self, change: dict[str, Any]) -> None:
        """Switching is about both models and one text; the others follow the trace themselves."""
        replays = self.method.value == SWITCHING or self.panel is None
        if replays and (change["new"] is not None or change["name"] != "trace"):
            self.show()

    def _say(self, words: str) -> None:
        if self._open:
            self.status.value = words

    def _put(self, panel: ipywidgets.Widget | None) -> None:
        before, self.panel = self.panel, panel
        self.children = (self.line,) if panel is None else (self.line, panel)
        self._say("")
        if before is not None:
            close_tree(before)

    def close(self) -> None:
        """Stop scoring, close the panel and let go of the session."""
        if self._open:
            self._open = False
            self._job.stop()
            self.session.unobserve(self._session_changed, ["trace", "model", "second_model"])
            for part in (self.method, self.status, *self.children):
                part.close()
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
