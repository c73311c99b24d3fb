"""Samples drawn with the settings at hand: Generate and Stop, the texts as they come, and a list to choose from."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

import ipywidgets

from widgets.controls.decoding import NARROW, Decoding
from widgets.controls.sampler_words import in_words
from workbench.samplers import Sampler
from workbench.traces import Trace

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from widgets.session import Session
    from workbench.traces.recorder import Token

STREAMED = 6
"""Samples whose texts are shown as they come."""
_TAIL = 110  # characters of each
_ROWS = 6
_STYLE = "font-family:var(--jp-code-font-family,monospace);white-space:pre;overflow:hidden;text-overflow:ellipsis"


class SampleBar(Decoding):
    """Decodes n samples of a prompt with the current sampler; they join the session's traces, listed below.

    What is on show stays until a sample is chosen from the list, unless nothing was on show. A decode that is stopped
    leaves what it has.

    Args:
        session: whose model decodes, and whose traces are listed.
        sampler: asked for the settings when a decode begins.
    """

    def __init__(self, session: Session, *, sampler: Callable[[], Sampler]) -> None:
        self._settings = sampler
        self._texts: list[str] = []
        self._quiet = False
        super().__init__(session, on_tokens=self._grow)
        self.stream = ipywidgets.HTML(layout={"display": "none", "width": "100%"})
        self.list = ipywidgets.Select(
            rows=2, layout={"width": "100%", "height": "auto"}, tooltip="Traces of this session; choose one to show it"
        )
        self.children = (*self.children, self.stream, self.list)
        self.list.observe(self._chosen, "value")
        session.observe(self._list_traces, ["traces", "trace"])
        self.add_class("workbench-samples")
        self._list_traces()

    def _make_controls(self) -> None:
        super()._make_controls()
        self.generate.description, self.generate.layout.width = "Generate samples", "160px"
        self.generate.tooltip = "Decode the prompt with sampler A and record every token"
        self.n = ipywidgets.BoundedIntText(
            4, min=1, max=256, description="samples", style=NARROW, layout={"width": "120px"},
            tooltip="How many sequences; the i-th is drawn with seed + i",
        )  # fmt: skip

    def _row(self) -> list[ipywidgets.Widget]:
        return [self.generate, self.stop, self.n, self.limit, self.seed, self.feedback]

    @property
    def sampler(self) -> Sampler:
        """The panel's own."""
        return self._settings()

    @property
    def sequences(self) -> int:
        """How many are decoded."""
        return int(self.n.value)

    def _begins(self) -> None:
        self._texts = [""] * self.sequences
        self.stream.value = ""
        self.stream.layout.display = None

    def _grow(self, tokens: Sequence[Token]) -> None:
        for token in tokens:
            if token.sequence < len(self._texts):
                self._texts[token.sequence] += token.row["text"]
        lines = [
            f'<div style="{_STYLE}"><b>{i + 1}</b>&ensp;<bdi>{escape(_tail(text))}</bdi></div>'
            for i, text in enumerate(self._texts[:STREAMED])
        ]
        more = len(self._texts) - STREAMED
        self.stream.value = "".join(lines) + (f"<div>… and {more} more</div>" if more > 0 else "")

    def _ends(self, result: Trace | list[Trace] | None) -> None:
        self.stream.layout.display = "none"
        made = [] if result is None else [result] if isinstance(result, Trace) else result
        made = [trace for trace in made if len(trace)]
        if made:
            self._session.traces = (*self._session.traces, *made)
            if self._session.trace is None:
                self._session.trace = made[0]

    def _list_traces(self, _: Any = None) -> None:  # noqa: ANN401
        """The session's traces as they are now, the one on show chosen."""
        traces, shown = self._session.traces, self._session.trace
        self._quiet = True
        try:
            options = [(_label(number, trace), number - 1) for number, trace in enumerate(traces, start=1)]
            if list(self.list.options) != options:
                self.list.options = options
                self.list.rows = min(max(len(options), 2), _ROWS)
            self.list.value = next((i for i, trace in enumerate(traces) if trace is shown), None)
        finally:
            self._quiet = False
        self.list.layout.display = "none" if len(traces) < 2 else None

    def _chosen(self, change: dict[str, Any]) -> None:
        if not self._quiet and change["new"] is not None:
            self._session.trace = self._session.traces[change["new"]]

    def close(self) -> None:
        """Stop what runs and let go of the session."""
        if self._connected:
            self._session.unobserve(self._list_traces, ["traces", "trace"])
            for part in (self.stream, self.list):
                part.close()
        super().close()


def _label(number: int, trace: Trace) -> str:
    """A trace in one line: its number, length, seed, mean raw entropy, sampler, and how it ends."""
    facts = [f"{len(trace):,} tokens"]
    if trace.meta.get("seed") is not None:
        facts.append(f"seed {trace.meta['seed']}")
    mean = trace.tokens["entropy"].mean()
    if isinstance(mean, float):
        facts.append(f"mean raw entropy {mean:.3f} nats")
    if isinstance(trace.meta.get("sampler"), dict):
        facts.append(_named(trace.meta["sampler"]))
    return f"{number}.  {', '.join(facts)}:  {_tail(trace.text, 60)}"


def _named(settings: dict[str, Any]) -> str:
    try:
        return in_words(Sampler.from_dict(settings))
    except Exception:  # noqa: BLE001  -- a trace from elsewhere may name a step that is not defined here
        return "another sampler"


def _tail(text: str, characters: int = _TAIL) -> str:
    shown = text.strip().replace("\n", "⏎").replace("\t", "⇥")
    return shown if len(shown) <= characters else "…" + shown[-characters:]
