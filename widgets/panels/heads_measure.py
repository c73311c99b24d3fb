"""A text to measure: what it will take, Measure and Stop, how far it has come."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

import ipywidgets

from widgets.controls.job import Job, loop_caller
from widgets.controls.problems import problem_words
from widgets.panels.heads_background import StoppedError, watched
from widgets.panels.settings_panel import alert
from workbench.attention import estimate_memory, head_stats
from workbench.attention.capture import BLOCK
from workbench.attention.running import read_tokens
from workbench.errors import WorkbenchError
from workbench.traces import Trace

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Sequence

    from workbench.attention import AttentionMemory, HeadStats
    from workbench.models import LanguageModel

_HINT = "A text to measure, taken verbatim"


class MeasureBar(ipywidgets.HBox):
    """Measures the heads of a model over a text, off the comm thread.

    Args:
        model: asked for the model when it is needed; without one the bar is not shown.
        measured: called with the statistics, what they are of, and the model.
    """

    def __init__(
        self, model: Callable[[], LanguageModel | None], measured: Callable[[HeadStats, Any, LanguageModel], None]
    ) -> None:
        self._model, self._measured = model, measured
        self._job: Job[HeadStats] = Job(self._done, self._failed)
        self._given: str | Sequence[int] | Trace | None = None
        self._under_way: tuple[Any, Any] = (None, None)
        self.text = ipywidgets.Textarea(
            placeholder=_HINT, rows=1, continuous_update=False, tooltip=_HINT,
            layout={"flex": "1 1 240px", "width": "auto", "min_width": "120px", "height": "32px"},
        )  # fmt: skip
        self.measure = ipywidgets.Button(
            description="Measure", button_style="primary", icon="play", layout={"width": "100px"},
            tooltip="Run the model over the text once, and measure every row of attention of every head",
        )  # fmt: skip
        self.stop = ipywidgets.Button(
            description="Stop",
            icon="stop",
            disabled=True,
            layout={"width": "76px"},
            tooltip="End before the next layer",
        )
        self.progress = ipywidgets.IntProgress(0, min=0, max=1, layout={"width": "90px", "display": "none"})
        self.status = ipywidgets.HTML(layout={"flex": "0 1 auto"})
        super().__init__(
            [self.text, self.measure, self.stop, self.progress, self.status],
            layout={"flex_flow": "row wrap", "align_items": "center"},
        )
        self.text.observe(lambda _: self.estimate(), "value")
        self.measure.on_click(lambda _: self.start())
        self.stop.on_click(lambda _: self.halt())
        self.refresh()

    @property
    def source(self) -> str | Sequence[int] | Trace | None:
        """What would be measured: what is typed, else what was given."""
        return self.text.value or self._given

    @property
    def running(self) -> bool:
        """Whether a text is being measured."""
        return self._job.running

    def offer(self, source: str | Sequence[int] | Trace | None) -> None:
        """Have something else to measure; a string can be edited, tokens stay as they are until somebody types."""
        if isinstance(source, str):
            self._given, words = None, _HINT
        else:
            self._given = source
            what = "trace with its prompt" if isinstance(source, Trace) else "token ids as they were given"
            words = _HINT if source is None else f"The {what}; type here to measure another text"
        self.text.placeholder = words
        self.text.value = source if isinstance(source, str) else ""
        self.estimate()

    def refresh(self) -> None:
        """The model is another."""
        self.layout.display = "none" if self._model() is None else None
        self.estimate()

    def estimate(self) -> AttentionMemory | None:
        """Say how long the text is and what measuring it takes, before it is taken."""
        model, source = self._model(), self.source
        if model is None or source is None or self.running:
            return None
        try:
            found = estimate_memory(model, len(read_tokens(model, source)), block=BLOCK)
            found.check()
        except WorkbenchError as problem:
            self.status.value = alert(str(problem))
            return None
        free = "" if found.available is None else f" of {_bytes(found.available)} free"
        self._say(f"{found.tokens:,} tokens: about {_bytes(found.needed)}{free}")
        return found

    def start(self) -> None:
        """Measure what is there now; what runs is stopped."""
        model, source = self._model(), self.source
        if model is None or source is None:
            self.status.value = alert("Load a model first." if model is None else "Type a text to measure.")
            return
        call, self._under_way = loop_caller(), (source, model)
        self._busy(on=True)
        self._say("reading …")

        def work(stop: threading.Event) -> HeadStats:
            with watched(model, stop, lambda done, layers: call(self._reached, done, layers)):
                return head_stats(model, source)

        self._job.start(work)

    def halt(self) -> None:
        """Stop; what was on show stays."""
        self._job.stop()

    def wait(self, seconds: float = 60) -> bool:
        """Wait for the measuring thread to end."""
        return self._job.wait(seconds)

    def _reached(self, done: int, layers: int) -> None:
        self.progress.max, self.progress.value = layers, done
        if self.measure.disabled:  # else this comes after the result
            self._say(f"layer {done + 1} of {layers}")

    def _done(self, stats: HeadStats) -> None:
        self._busy(on=False)
        self._say(f"{len(stats.token_ids):,} tokens measured")
        self._measured(stats, *self._under_way)

    def _failed(self, problem: Exception) -> None:
        self._busy(on=False)
        if isinstance(problem, StoppedError):
            self._say("Stopped: what was on show stays.")
            return
        self.status.value = alert(problem_words(problem))

    def _busy(self, *, on: bool) -> None:
        self.measure.disabled, self.stop.disabled = on, not on
        self.progress.value, self.progress.layout.display = 0, None if on else "none"

    def _say(self, text: str) -> None:
        self.status.value = f'<span style="opacity:.85">{escape(text)}</span>'

    def close(self) -> None:
        """Stop what runs, close the controls."""
        self.halt()
        for part in self.children:
            part.close()
        super().close()


def _bytes(amount: int) -> str:
    return f"{amount / 1e9:,.1f} GB" if amount >= 1e8 else f"{max(amount / 1e6, 0.1):,.1f} MB"
