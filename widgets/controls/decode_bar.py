"""A prompt, how to draw, Generate and Stop."""

from __future__ import annotations

import time
from html import escape
from typing import TYPE_CHECKING, Any

import ipywidgets

from widgets.controls.job import Job
from widgets.controls.live import Live
from workbench.samplers import Sampler
from workbench.traces import Trace, record

if TYPE_CHECKING:
    from collections.abc import Callable
    from threading import Event

    from widgets.session import Session
    from workbench.traces.recorder import Token


class DecodeBar(ipywidgets.VBox):
    """Decodes the session's model off the comm thread; the finished trace, whole or stopped, becomes the session's.

    Args:
        session: whose model decodes. Its trace is None while the decode runs, then the new one; after an error, as it
            was.
        on_tokens: called with the new tokens some ten times a second.
    """

    def __init__(
        self,
        session: Session,
        *,
        on_tokens: Callable[[list[Token]], None],
    ) -> None:
        self._session, self._on_tokens = session, on_tokens
        self._before: Trace | None = None
        self._job: Job[Trace] = Job(self._done, self._failed)
        self._live: Live[Token] | None = None
        self._began = 0.0
        self._make_controls()
        row = {"flex_flow": "row wrap", "align_items": "center"}
        settings = ipywidgets.HBox(
            [self.generate, self.stop, self.temperature, self.top_p, self.top_k, self.limit, self.seed], layout=row
        )
        super().__init__([self.prompt, settings])
        session.observe(self._model_changed, "model")
        self._connected = True
        session.observe(self._trace_changed, "trace")
        self._model_changed()

    def _make_controls(self) -> None:
        narrow = {"description_width": "initial"}
        self.prompt = ipywidgets.Textarea(
            "What is 17 plus 25, then times 2?",
            placeholder="A question for the model",
            rows=1,
            layout={"width": "100%"},
            continuous_update=False,
        )
        self.temperature = ipywidgets.FloatSlider(
            1.0, min=0, max=2, step=0.05, description="temperature", style=narrow, layout={"width": "240px"},
            tooltip="Divides the logits; 0 takes the most likely token always",
        )  # fmt: skip
        self.top_p = ipywidgets.FloatSlider(
            1.0, min=0.05, max=1, step=0.01, description="top-p", style=narrow, layout={"width": "220px"},
            tooltip="Keep the smallest set of tokens whose probabilities reach p; 1 keeps all",
        )  # fmt: skip
        self.top_k = ipywidgets.BoundedIntText(
            0, min=0, max=1_000_000, description="top-k", style=narrow, layout={"width": "110px"},
            tooltip="Keep the k most likely tokens; 0 keeps all",
        )  # fmt: skip
        self.limit = ipywidgets.BoundedIntText(
            512, min=1, max=1_000_000, description="tokens", style=narrow, layout={"width": "120px"},
            tooltip="End here at the latest",
        )  # fmt: skip
        self.seed = ipywidgets.BoundedIntText(
            0, min=0, max=2**31 - 1, description="seed", style=narrow, layout={"width": "110px"},
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

    @property
    def sampler(self) -> Sampler:
        """The sampler the controls describe."""
        return Sampler(temperature=self.temperature.value, top_k=self.top_k.value, top_p=self.top_p.value)

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
        prompt, sampler, limit, seed = self.prompt.value, self.sampler, self.limit.value, self.seed.value
        self._forget_tokens()  # those of a run that this one takes the place of
        live: Live[Token] = Live(self._received)
        self._live, self._began, self._count = live, time.perf_counter(), 0
        self._busy(on=True)
        self._say("reading the prompt …")
        if self._session.trace is not None:  # None: a run before this one is still under way, and nothing new is there
            self._before, self._session.trace = self._session.trace, None

        def work(stop: Event) -> Trace:
            return record(
                model, prompt, sampler=sampler, max_new_tokens=limit, seed=seed,
                on_token=lambda token: None if stop.is_set() else live.put(token), stop=stop,
            )  # fmt: skip

        self._job.start(work)

    def halt(self) -> None:
        """Stop the decode; what is there becomes the trace."""
        self._job.stop()

    def wait(self, seconds: float = 60) -> bool:
        """Wait for the decoding thread to end."""
        return self._job.wait(seconds)

    def _received(self, tokens: list[Token]) -> None:
        self._count += len(tokens)
        self.progress.value = min(self._count, self.progress.max)
        rate = self._count / (time.perf_counter() - self._began)
        self._say(f"{self._count:,} tokens, {rate:,.0f} a second")
        self._on_tokens(tokens)

    def _forget_tokens(self) -> None:
        if self._live is not None:
            self._live.drop()

    def _done(self, trace: Trace) -> None:
        self._forget_tokens()
        self._busy(on=False)
        self._say("")
        self._session.trace = trace

    def _failed(self, problem: Exception) -> None:
        self._forget_tokens()
        self._busy(on=False)
        self._say(f"{type(problem).__name__}: {problem}", alert=True)
        self._session.trace = self._before

    def _busy(self, *, on: bool) -> None:
        self.generate.disabled, self.stop.disabled = on, not on
        self.progress.max, self.progress.value = self.limit.value, 0
        self.progress.layout.display = None if on else "none"

    def _say(self, text: str, *, alert: bool = False) -> None:
        self.status.value = f'<span role="alert">⚠ {escape(text)}</span>' if alert else escape(text)

    def _trace_changed(self, change: Any) -> None:  # noqa: ANN401
        """The question of the trace on show is the one to vary."""
        question = change["new"] and change["new"].meta.get("question")
        if question:
            self.prompt.value = question

    def _model_changed(self, _: Any = None) -> None:  # noqa: ANN401
        model = self._session.model
        self.layout.display = "none" if model is None else None
        if model is not None:
            settings = self._session.sampler or Sampler.from_generation_config(model.hf.generation_config)
            steps = {step.name: step for step in settings.steps}
            self.temperature.value = settings.temperature
            self.top_p.value = getattr(steps.get("top_p"), "p", 1.0)
            self.top_k.value = getattr(steps.get("top_k"), "k", 0)

    def close(self) -> None:
        """Stop what runs and let go of the session."""
        self.halt()
        if self._connected:  # a widget is closed once more when it is collected
            self._session.unobserve(self._model_changed, "model")
            self._session.unobserve(self._trace_changed, "trace")
            self._connected = False
            self.feedback.close()
        super().close()
