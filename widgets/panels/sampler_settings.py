"""The sampler panel's settings: chain, undo, presets and the sampler to compare with, shared through the session."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from widgets.controls.chain_builder import ChainBuilder
from widgets.controls.history import History
from widgets.controls.sampler_words import in_words
from widgets.controls.step_card import Link
from widgets.panels.sampler_toolbar import SamplerToolbar
from workbench.errors import WorkbenchError
from workbench.samplers import Sampler

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping

    from widgets.session import Session


class SamplerSettings:
    """Sampler A on the cards of a chain, mirrored by the session both ways, and B, a frozen copy.

    Args:
        session: whose sampler is A.
        a_changed: called after every change of A.
        b_changed: called after every change of B.
    """

    def __init__(self, session: Session, *, a_changed: Callable[[], None], b_changed: Callable[[], None]) -> None:
        self._session, self._a_changed, self._b_changed = session, a_changed, b_changed
        session.sampler = session.sampler or first_sampler(session)
        self.chain = ChainBuilder([Link(step) for step in session.sampler.steps], changed=self._moved)
        self.history = History(self.chain.links)
        undo, redo = (lambda: self._restore(self.history.undo())), (lambda: self._restore(self.history.redo()))
        self.toolbar = SamplerToolbar(
            lambda preset: self.take(preset.sampler),
            {"undo": undo, "redo": redo, "keep": self.keep, "swap": self.swap, "forget": self.forget},
        )
        self._enable()
        session.observe(self._session_changed, "sampler")

    @property
    def sampler(self) -> Sampler:
        """A: the steps that are switched on, in order."""
        return self.chain.sampler

    @property
    def b(self) -> Sampler | None:
        """What A is compared with; the session's second sampler."""
        return self._session.sampler_b

    @property
    def replayed(self) -> Sampler:
        """What to show as A: the raw distribution where the chain is switched off as a whole."""
        return self.sampler if self.toolbar.active.value else Sampler()

    def take(self, sampler: Sampler) -> None:
        """Make a sampler A, as one change."""
        self.chain.show([Link(step) for step in sampler.steps])
        self._moved(None)

    def keep(self) -> None:
        """Freeze A as B."""
        self._compare(self.sampler)

    def forget(self) -> None:
        """Compare with nothing."""
        self._compare(None)

    def swap(self) -> None:
        """Put B on the cards, and what was there in B's place."""
        if self.b is not None:
            a, b = self.sampler, self.b
            self.take(b)
            self._compare(a)

    def in_words(self) -> dict[str, str]:
        """What the columns of a comparison stand for."""
        without = "" if self.toolbar.active.value else " (switched off: raw)"
        words = {"before": "raw: temperature 1, nothing filtered", "A": f"{in_words(self.sampler)}{without}"}
        return words if self.b is None else words | {"B": in_words(self.b)}

    def _moved(self, source: Hashable) -> None:
        self.history.add(self.chain.links, source)
        self._changed()

    def _session_changed(self, change: Mapping[str, Any]) -> None:
        """Another panel, or a program, set the session's sampler."""
        sampler = change["new"] or first_sampler(self._session)
        if sampler.steps != self.chain.steps:
            self.chain.adopt(sampler.steps)
            self._moved(None)

    def _restore(self, links: tuple[Link, ...]) -> None:
        self.chain.show(links)
        self._changed()

    def _changed(self) -> None:
        self._session.sampler = self.sampler
        self._enable()
        self._a_changed()

    def _compare(self, sampler: Sampler | None) -> None:
        self._session.sampler_b = sampler
        self._enable()
        self._b_changed()

    def _enable(self) -> None:
        self.toolbar.show(undo=self.history.can_undo, redo=self.history.can_redo, b=self.b)

    def close(self) -> None:
        """Let go of the session and close the controls."""
        self._session.unobserve(self._session_changed, "sampler")
        self.chain.close()
        self.toolbar.close()


def first_sampler(session: Session) -> Sampler:
    """How the session's trace was drawn; where that is not known, the model's own settings; else none at all."""
    given = None if session.trace is None else session.trace.meta.get("sampler")
    if isinstance(given, dict):
        try:
            return Sampler.from_dict(given)
        except (
            WorkbenchError,
            TypeError,
            AttributeError,
        ):  # a step that is not defined here, or another program's notes
            pass
    return Sampler() if session.model is None else Sampler.from_generation_config(session.model.hf.generation_config)
