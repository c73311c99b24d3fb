"""One place for a model: which, whether it fits, Load and Stop, what is loaded, Verify and Unload."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from contextlib import suppress
from html import escape
from typing import TYPE_CHECKING, Any

import ipywidgets
import torch

from widgets.controls.job import Job
from widgets.panels.model_estimate import EstimateLine
from widgets.panels.model_fit import downloaded
from widgets.panels.model_form import ModelForm, ModelRequest
from widgets.panels.model_report import VerifyReport
from widgets.panels.model_words import ready_words, reason_words, size_words
from widgets.panels.settings_panel import alert
from workbench.models import load

if TYPE_CHECKING:
    from threading import Event

    from widgets.session import Session
    from workbench.models import LanguageModel

NOTHING, LOADING, READY, FAILED = "nothing loaded", "loading", "ready", "failed"
_TURN = threading.Lock()
"""One load at a time: transformers sets process-wide state while it loads, and two could exceed the memory together."""
_TICK = 0.5
_ALL = 1000


class ModelSlot(ipywidgets.VBox):
    """Loads a model off the comm thread into one of the session's traits; the one before stays until the new is there.

    Args:
        session: whose trait it is.
        trait: `model` or `second_model`.
        title: what the slot is for.
        request: what the form says at first.
    """

    _connected = False

    def __init__(self, session: Session, trait: str, *, title: str, request: ModelRequest) -> None:
        self.session, self.trait = session, trait
        self.problem = ""
        self._loading: ModelRequest | None = None
        self._waits = False
        self._began, self._cached = 0.0, 0
        self._ticking: asyncio.TimerHandle | None = None
        self._load_job: Job[LanguageModel | None] = Job(self._loaded, self._load_failed)
        self._make_parts(title, request)
        super().__init__(
            [self.title, self.form, self.estimate, self.buttons, self.status, self.report],
            layout={
                "flex": "1 1 440px", "min_width": "0", "padding": "6px 10px", "margin": "0 8px 8px 0",
                "border": "1px solid var(--jp-border-color2, #ccc)",
            },
        )  # fmt: skip
        self.add_class("workbench-model")
        self._connected = True
        session.observe(self._model_changed, trait)
        self._refresh()
        self.estimate.ask()

    # --- parts ----------------------------------------------------------------------------------------------------

    def _make_parts(self, title: str, request: ModelRequest) -> None:
        self.title = ipywidgets.HTML(f"<b>{escape(title)}</b>")
        self.status = ipywidgets.HTML(layout={"min_height": "48px"})
        self.report = VerifyReport(self._refresh)
        self.load = _button("Load", "download", "Load this model; the one before stays until it is there", "primary")
        self.stop = _button("Stop", "stop", "Give up loading and go on as before")
        self.verify = _button("Verify", "check", "Prove on a short text that the workbench's assumptions hold for it")
        self.unload = _button("Unload", "eject", "Let the model go and free its memory")
        self.progress = ipywidgets.IntProgress(0, min=0, max=_ALL, layout={"width": "160px", "display": "none"})
        self.load.on_click(lambda _: self.start())
        self.stop.on_click(lambda _: self.halt())
        self.verify.on_click(lambda _: self.check())
        self.unload.on_click(lambda _: self.drop())
        row = {"flex_flow": "row wrap", "align_items": "center"}
        self.buttons = ipywidgets.HBox([self.load, self.stop, self.verify, self.unload, self.progress], layout=row)
        self.form = ModelForm(request, self._form_changed)
        self.estimate = EstimateLine(lambda: self.form.request, lambda: self.model)

    # --- state ----------------------------------------------------------------------------------------------------

    @property
    def model(self) -> LanguageModel | None:
        """What is loaded."""
        found: LanguageModel | None = getattr(self.session, self.trait)
        return found

    @property
    def state(self) -> str:
        """Nothing loaded, loading, ready, or failed; after a failure `model` may still be the one before."""
        if self._loading is not None:
            return LOADING
        return FAILED if self.problem else NOTHING if self.model is None else READY

    def wait(self, seconds: float = 60) -> bool:
        """Wait for all threads to end; True when they have."""
        return all(part.wait(seconds) for part in (self._load_job, self.estimate, self.report))

    def _refresh(self) -> None:
        """Buttons and words as the state is."""
        loading, model = self._loading, self.model
        self.load.disabled = loading is not None or not self.form.request.source
        self.stop.disabled = loading is None
        self.verify.disabled = model is None or self.report.running
        self.unload.disabled = model is None
        if loading is None:
            self.progress.layout.display = "none"
        words = "" if model is None else ready_words(model)
        self.status.value = f'<div role="status" aria-live="polite" style="line-height:1.5">{self._lead()}{words}</div>'

    def _lead(self) -> str:
        """The state in words; a model that is still there follows."""
        kept = "" if self.model is None else " The model before stays:"
        if self._loading is not None:
            return f"<div>◔ <b>loading</b> {escape(self._loading.source)} … {self._how_far()}{kept}</div>"
        if self.problem:
            return alert(f"failed: {self.problem}") + (f"<div>{kept}</div>" if kept else "")
        return "<div>○ nothing loaded</div>" if self.model is None else "<div>● <b>ready</b></div>"

    def _form_changed(self) -> None:
        if self._connected:
            self._refresh()
            self.estimate.ask()

    def _how_far(self) -> str:
        seconds = f"{time.perf_counter() - self._began:.0f} s"
        if self._waits:
            return f"waits until the load before it has ended, {seconds}."
        fit = self.estimate.fit
        if fit is None or not fit.download or fit.memory.name != getattr(self._loading, "source", None):
            return f"{seconds}."
        share = min((downloaded(fit.memory.name) - self._cached) / max(1, fit.weights), 1.0)
        self.progress.layout.display = None
        self.progress.value = round(_ALL * max(share, 0.0))
        if share >= 1:
            return f"downloaded, reading the weights, {seconds}."
        return f"{size_words(max(share, 0.0) * fit.weights)} of {size_words(fit.weights)} downloaded, {seconds}."

    # --- loading --------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Load what the form says, in the background; a load under way is stopped."""
        request = self.form.request
        if not request.source:
            return
        self._loading, self.problem, self._began = request, "", time.perf_counter()
        self._cached = downloaded(request.source)
        self._load_job.start(lambda stop: self._work(request, stop))
        self._tick()

    def halt(self) -> None:
        """Give up the load: all is as it was before, and what still arrives is thrown away."""
        self._loading = None
        self._load_job.stop()
        self._refresh()

    def _work(self, request: ModelRequest, stop: Event) -> LanguageModel | None:
        self._waits = _TURN.locked()
        with _TURN:  # one that was stopped ends first
            self._waits = False
            model = None if stop.is_set() else load(**request.arguments(), stop=stop)
            if stop.is_set():
                del model
                release()
                return None
            return model

    def _tick(self) -> None:
        """Say how far it is, now and while it goes on."""
        if self._ticking is not None:
            self._ticking.cancel()
            self._ticking = None
        self._refresh()
        if self._loading is not None:
            with suppress(RuntimeError):  # no event loop: nobody is looking
                self._ticking = asyncio.get_running_loop().call_later(_TICK, self._tick)

    def _loaded(self, model: LanguageModel | None) -> None:
        if self._loading is None or model is None:
            return
        self._loading = None
        try:
            self.session.set_trait(self.trait, model)
        finally:
            self._refresh()
            release()

    def _load_failed(self, problem: Exception) -> None:
        if self._loading is None:
            return
        self._loading, self.problem = None, reason_words(problem)
        self._refresh()
        release()

    def drop(self) -> None:
        """Unload: nobody here holds the model any longer."""
        self.problem = ""
        self.session.set_trait(self.trait, None)
        release()
        self._refresh()
        self.estimate.refresh()

    def _model_changed(self, _: Any) -> None:  # noqa: ANN401
        self.problem = ""
        self.report.clear()
        self._refresh()
        self.estimate.refresh()

    def check(self) -> None:
        """Verify the model, in the background."""
        if self.model is not None:
            self.report.check(self.model)

    def close(self) -> None:
        """Stop what runs and let go of the session; its models stay."""
        if self._connected:
            self._connected = False
            self._loading = None
            self.report.clear()
            self._load_job.stop()
            self._tick()
            self.session.unobserve(self._model_changed, self.trait)
            for part in (*self.buttons.children, *self.children):
                part.close()
        super().close()


def release() -> None:
    """Give back what models that nobody holds still take: they are in reference cycles, and devices cache memory."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _button(description: str, icon: str, tooltip: str, style: str = "") -> ipywidgets.Button:
    return ipywidgets.Button(
        description=description, icon=icon, tooltip=tooltip, button_style=style, layout={"width": "96px"}
    )
