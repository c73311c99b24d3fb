"""What every bar that decodes has: a prompt, a limit, a seed, Generate and Stop, and how far it has come."""

from __future__ import annotations

import time
from html import escape
from typing import TYPE_CHECKING, Any

import ipywidgets

from widgets.controls.job import Job
from widgets.controls.live import Live
from widgets.controls.problems import problem_words
from workbench.errors import WorkbenchError
from workbench.traces import record

if TYPE_CHECKING:
    from collections.abc import Callable
    from threading import Event

    from widgets.session import Session
    from workbench.models import LanguageModel
    from workbench.samplers import Sampler
    from workbench.traces.recorder import Token

NARROW = {"description_width": "initial"}
ROW = {"flex_flow": "row wrap", "align_items": "center"}


class Decoding(ipywidgets.VBox):
    """Decodes the session's model off the comm thread. A subclass has the sampler, and knows what the result is for.

    Args:
        session: whose model decodes; without one the bar is not shown.
        on_tokens: called with the new tokens some ten times a second.
    """

    def __init__(self, session: Session, *, on_tokens: Callable[[list[Token]], None]) -> None:
        self._session, self._on_tokens = session, on_tokens
        self._job: Job[Any] = Job(self._done, self._failed)
        self._live: Live[Token] | None = None
        self._began = 0.0
        self._make_controls()
        super().__init__([self.prompt, ipywidgets.HBox(self._row(), layout=ROW)])
        session.observe(self._model_changed, "model")
        self._connected = True
        session.observe(self._trace_changed, "trace")
        self._trace_changed({"new": session.trace})
        self._model_changed()

    # --- what a subclass says ---------------------------------------------------------------------------------------

    @property
    def sampler(self) -> Sampler:
        """How the tokens are drawn."""
        raise NotImplementedError

    @property
    def sequences(self) -> int:
        """How many are decoded."""
        return 1

    def _row(self) -> list[ipywidgets.Widget]:
        """The controls under the prompt."""
        return [self.generate, self.stop, self.limit, self.seed]

    def _begins(self) -> None:
        """A decode begins."""

    def _ends(self, result: Any) -> None:  # noqa: ANN401  -- what `record` gives: a Trace, or a list of them
        """The decode is done, whole or stopped; None after an error."""

    # --- controls ---------------------------------------------------------------------------------------------------

    def _make_controls(self) -> None:
        self.prompt = ipywidgets.Textarea(
            "What is 17 plus 25, then times 2?",
            placeholder="A question for the model",
            rows=1,
            layout={"width": "100%"},
            continuous_update=False,
        )
        self.limit = ipywidgets.BoundedIntText(
            512, min=1, max=1_000_000, description="tokens", style=NARROW, layout={"width": "120px"},
            tooltip="End here at the latest",
        )  # fmt: skip
        self.seed = ipywidgets.BoundedIntText(
            0, min=0, max=2**31 - 1, description="seed", style=NARROW, layout={"width": "110px"},
            tooltip="Same seed, same machine, same versions: same tokens",
        )  # fmt: skip
        self.generate = ipywidgets.Button(
            layout={"width": "110px"},
            description="Generate",
            button_style="primary",
            icon="play",
            tooltip="Decode the prompt and record every token",
        )
        self.stop = ipywidgets.Button(
            description="Stop", icon="stop", disabled=True, tooltip="End the decode and keep what is there",
            layout={"width": "80px"},
        )  # fmt: skip
        self.progress = ipywidgets.IntProgress(0, min=0, max=1, layout={"width": "160px", "display": "none"})
        self.status = ipywidgets.HTML()
        self.feedback = ipywidgets.HBox([self.progress, self.status])
        """Progress while a decode runs, an error after one failed, else nothing; the panel finds it a place."""
        self.generate.on_click(lambda _: self.start())
        self.stop.on_click(lambda _: self.halt())

    # --- running ----------------------------------------------------------------------------------------------------

    @property
    def running(self) -> bool:
        """Whether a decode is under way."""
        return self._job.running

    def start(self) -> None:
        """Decode the prompt from the beginning; what runs is stopped."""
        model = self._session.model
        if model is None:
            self._say("Load a model first.", alert=True)
            return
        work = self._work(model)  # whatever the controls say now
        self._busy(on=True)
        self._say("reading the prompt …")
        self._begins()
        self._job.start(work)

    def halt(self) -> None:
        """Stop the decode; what is there is kept."""
        self._job.stop()

    def wait(self, seconds: float = 60) -> bool:
        """Wait for the decoding thread to end."""
        return self._job.wait(seconds)

    def _work(self, model: LanguageModel) -> Callable[[Event], Any]:
        prompt, sampler, n = self.prompt.value, self.sampler, self.sequences
        limit, seed = self.limit.value, self.seed.value
        self._forget_tokens()  # those of a run that this one takes the place of
        live: Live[Token] = Live(self._received)
        self._live, self._began, self._count = live, time.perf_counter(), 0

        def work(stop: Event) -> Any:  # noqa: ANN401  -- as `record`
            return record(
                model, prompt, sampler=sampler, max_new_tokens=limit, seed=seed, n=n,
                on_token=lambda token: None if stop.is_set() else live.put(token), stop=stop,
            )  # fmt: skip

        return work

    def _received(self, tokens: list[Token]) -> None:
        self._count += len(tokens)
        self.progress.value = min(self._count, self.progress.max)
        rate = self._count / (time.perf_counter() - self._began)
        self._say(f"{self._count:,} tokens, {rate:,.0f} a second")
        self._on_tokens(tokens)

    def _forget_tokens(self) -> None:
        if self._live is not None:
            self._live.drop()

    def _done(self, result: Any) -> None:  # noqa: ANN401  -- as `record`
        self._forget_tokens()
        self._busy(on=False)
        self._say("")
        self._ends(result)

    def _failed(self, problem: Exception) -> None:
        self._forget_tokens()
        self._busy(on=False)
        name = f"{type(problem).__name__}: " if isinstance(problem, WorkbenchError) else ""
        self._say(f"{name}{problem_words(problem)}", alert=True)
        self._ends(None)

    def _busy(self, *, on: bool) -> None:
        self.generate.disabled, self.stop.disabled = on, not on
        self.progress.max, self.progress.value = self.limit.value * self.sequences, 0
        self.progress.layout.display = None if on else "none"

    def _say(self, text: str, *, alert: bool = False) -> None:
        self.status.value = f'<span role="alert">⚠ {escape(text)}</span>' if alert else escape(text)

    def _trace_changed(self, change: Any) -> None:  # noqa: ANN401
        """The question of the trace on show is the one to vary."""
        question = change["new"] and change["new"].meta.get("question")
        if question:
            self.prompt.value = question

    def _model_changed(self, _: Any = None) -> None:  # noqa: ANN401
        self.layout.display = "none" if self._session.model is None else None

    def close(self) -> None:
        """Stop what runs and let go of the session."""
        self.halt()
        if self._connected:  # a widget is closed once more when it is collected
            self._session.unobserve(self._model_changed, "model")
            self._session.unobserve(self._trace_changed, "trace")
            self._connected = False
            self.feedback.close()
        super().close()
