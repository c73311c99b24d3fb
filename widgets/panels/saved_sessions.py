"""The session as it was saved: offered when a workbench opens, and saved as one goes."""

from __future__ import annotations

import asyncio
from html import escape
from typing import TYPE_CHECKING

import ipywidgets

from widgets.autosave import Autosave
from widgets.controls.job import Job
from widgets.controls.problems import problem_words
from widgets.panels.settings_panel import alert
from widgets.session_store import list_sessions
from workbench.models import load

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from threading import Event

    from widgets.session import Session
    from widgets.session_restore import SavedSession
    from workbench.models import LanguageModel

_EVERY = 3.0
"""Seconds between two looks at what is set in the open panel, which the session is not told by itself."""

Models = dict[str, "LanguageModel"]


class SavedSessions(ipywidgets.HBox):
    """A line with the sessions saved in a folder and Restore, while there is something to restore; else out of sight.

    Args:
        session: to be restored into, and saved.
        folder: where the saved ones are.
        save: whether this one is saved as one goes.
        before: called before each save, to put into the session what is only in panels yet.
        restored: called when settings or models are back.
    """

    def __init__(
        self, session: Session, folder: str | Path, *, save: bool, before: Callable[[], None],
        restored: Callable[[], None],
    ) -> None:  # fmt: skip
        self.session, self._before, self._restored = session, before, restored
        found = list_sessions(folder)
        self._lost = ""
        self._job: Job[Models] = Job(self._loaded, self._not_loaded)
        self.menu = ipywidgets.Dropdown(
            options=[(one.summary(), one) for one in found], description="Saved here", layout={"width": "440px"},
            style={"description_width": "initial"}, tooltip="Sessions that were saved as somebody worked, newest first",
        )  # fmt: skip
        self.take = _button("Restore", "Bring back its traces, settings and figures, and load its models", "history")
        self.leave = _button("Not now", "Begin anew; it stays saved", "times")
        self.take.on_click(lambda _: self.restore(self.menu.value))
        self.leave.on_click(lambda _: self._dismiss())
        self.status = ipywidgets.HTML()
        self.offer = ipywidgets.HBox([self.menu, self.take, self.leave], layout={"align_items": "center"})
        super().__init__([self.offer, self.status], layout={"align_items": "center", "flex_flow": "row wrap"})
        self._open = True
        if not found:
            self._dismiss()
        self._say("".join(alert(words) for words in found.damaged))
        self.autosave = Autosave(session, folder) if save else None
        self._tick: asyncio.TimerHandle | None = None
        if self.autosave is not None:
            self.autosave.observe(lambda change: self._say(_not_saved(change["new"])), "problem")
            self._look()

    def restore(self, saved: SavedSession) -> None:
        """Put a saved session back, then load its models in the background; what could not come back is said."""
        self._lost = "".join(map(alert, saved.restore(self.session)))
        self._dismiss()
        self._restored()
        wanted = {slot: request for slot, request in saved.models.items() if getattr(self.session, slot) is None}
        names = " and ".join(request.source for request in wanted.values())
        self._say(self._lost + (f"Restored. Loading {escape(names)} again …" if wanted else "Restored."))

        def work(stop: Event) -> Models:
            return {slot: load(**request.arguments()) for slot, request in wanted.items() if not stop.is_set()}

        if wanted:
            self._job.start(work)

    def wait(self, seconds: float = 60) -> bool:
        """Wait for models on their way."""
        return self._job.wait(seconds)

    def _loaded(self, models: Models) -> None:
        if self._open:
            self._before()
            for slot, model in models.items():
                if getattr(self.session, slot) is None:
                    self.session.set_trait(slot, model)
            self._restored()  # a new model brings settings of its own
            self._say(f"{self._lost}Restored.")

    def _not_loaded(self, problem: Exception) -> None:
        self._say(self._lost + alert(f"Restored, but not its models: {problem_words(problem)}"))

    def _look(self) -> None:
        """Take in what is set in the open panel, now and every few seconds."""
        self._before()
        try:
            self._tick = asyncio.get_running_loop().call_later(_EVERY, self._look)
        except RuntimeError:  # no loop: the app saves when it closes
            self._tick = None

    def _dismiss(self) -> None:
        self.offer.layout.display = "none"

    def _say(self, words: str) -> None:
        if self._open:
            self.status.value = words

    def close(self) -> None:
        """Save what is due, and close."""
        if self._open:
            self._open = False
            self._job.stop()
            if self._tick is not None:
                self._tick.cancel()
            if self.autosave is not None:
                self.autosave.close()
            for part in (*self.offer.children, *self.children):
                part.close()
        super().close()


def _button(text: str, tooltip: str, icon: str) -> ipywidgets.Button:
    return ipywidgets.Button(description=text, tooltip=tooltip, icon=icon, layout={"width": "auto"})


def _not_saved(problem: str) -> str:
    return alert(f"The session is not saved: {problem}") if problem else ""
