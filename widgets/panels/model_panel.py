"""The model panel: load, check and let go of the session's model, and of a second one beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ipywidgets

from widgets.controls.job import Job
from widgets.controls.theme import Theme
from widgets.panels.model_form import ModelRequest
from widgets.panels.model_slot import LOADING, ModelSlot
from widgets.panels.model_words import pair_words
from widgets.panels.settings_panel import alert
from widgets.session import Session

if TYPE_CHECKING:
    from collections.abc import Callable
    from threading import Event

    from workbench.models import LanguageModel


class ModelPanel(ipywidgets.VBox):
    """Two slots for models: the session's `model`, and its `second_model` for switching and comparison.

    Each says before loading what it would take and whether that fits, loads off the comm thread with Stop, says
    afterwards what it holds, verifies it, and lets it go again. Below them stands what the two can do together.

    Args:
        session: whose models they are; a session of its own where none is given.
        source: what the first slot's form says at first: a bundled model, a folder or a hub id.
        second_source: the second's.
    """

    _connected = False

    def __init__(
        self, session: Session | None = None, *, source: str = "demo", second_source: str = "demo-small"
    ) -> None:
        self.session = session or Session()
        self._pair_job: Job[str] = Job(self._say_pair, lambda problem: self._say_pair(alert(str(problem))))
        self.theme = Theme()
        self.first = ModelSlot(self.session, "model", title="Model", request=ModelRequest(source))
        self.second = ModelSlot(
            self.session, "second_model", title="Second model, for switching and comparison",
            request=ModelRequest(second_source),
        )  # fmt: skip
        self.slots = ipywidgets.HBox(
            [self.first, self.second], layout={"flex_flow": "row wrap", "align_items": "stretch"}
        )
        self.pair = ipywidgets.HTML()
        super().__init__([self.theme, self.slots, self.pair], layout={"width": "100%"})
        self.add_class("workbench-panel")
        self.add_class("workbench-models")
        self._connected = True
        self.session.observe(self._models_changed, ["model", "second_model"])
        self._models_changed()

    @property
    def busy(self) -> bool:
        """Whether a model is being loaded or verified, which closing the panel would give up."""
        return any(slot.state == LOADING or slot.report.running for slot in (self.first, self.second))

    def kept(self) -> dict[str, ipywidgets.Widget]:
        """The controls to be remembered, by name."""
        slots = {"first": self.first, "second": self.second}
        return {f"{place} {name}": one for place, slot in slots.items() for name, one in slot.form.kept().items()}

    def wait(self, seconds: float = 60) -> bool:
        """Wait for loads, estimates and checks under way; True when all threads have ended."""
        return all(part.wait(seconds) for part in (self.first, self.second, self._pair_job))

    def _models_changed(self, _: Any = None) -> None:  # noqa: ANN401
        self._pair_job.start(_comparison(self.session.model, self.session.second_model))

    def _say_pair(self, words: str) -> None:
        if self._connected:
            self.pair.value = f'<div role="status" style="line-height:1.5">{words}</div>' if words else ""

    def close(self) -> None:
        """Stop what runs, close the slots and let go of the session, whose models stay."""
        if self._connected:
            self._connected = False
            self.session.unobserve(self._models_changed, ["model", "second_model"])
            for part in (self.first, self.second, *self.children):
                part.close()
        super().close()


def _comparison(first: LanguageModel | None, second: LanguageModel | None) -> Callable[[Event], str]:
    """Large vocabularies take a moment to compare."""
    return lambda _: pair_words(first, second)
