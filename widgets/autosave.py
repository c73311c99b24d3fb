"""A session that is saved as one goes."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import traitlets

from widgets.controls.job import Job
from widgets.controls.soon import Soon
from widgets.session_store import State, new_session_file, save_state
from workbench.errors import WorkbenchError

if TYPE_CHECKING:
    from widgets.session import Session

SAVED = (
    "traces", "trace", "cursor", "sampler", "sampler_b", "settings", "figures", "model", "second_model",
)  # fmt: skip
"""The traits of a session whose changes are saved."""


class Autosave(traitlets.HasTraits):
    """Saves a session soon after a change, in a thread; the last state wins. A run has one session file.

    Args:
        session: to be saved.
        folder: where; made with the first change.
        after: seconds after a change, so that many in a row are one.
    """

    problem = traitlets.Unicode(help="why the last state could not be saved; empty where it was")
    path = traitlets.Instance(Path, allow_none=True, help="the session file, once there is one")

    def __init__(self, session: Session, folder: str | Path, after: float = 1.0) -> None:
        super().__init__()
        self._session, self._folder = session, folder
        self._changed = self._under_way = False
        self._turn = threading.Lock()
        self._soon = Soon(self._save, after=after)
        self._job: Job[Path] = Job(self._done, self._failed)
        self._open = True
        session.observe(self._note, SAVED)

    @property
    def due(self) -> bool:
        """Whether a change is not known to be saved."""
        return self._changed or self._under_way

    def wait(self, seconds: float | None = None) -> bool:
        """Wait for a file that is being written; True when it is."""
        return self._job.wait(seconds)

    def _note(self, _: Any) -> None:  # noqa: ANN401  -- traitlets'
        self._changed = True
        self._soon.ask()

    def _save(self) -> None:
        with self._turn:
            if self._under_way or not self._changed or not self._open:
                return  # the one under way looks again when it ends
            self._under_way, self._changed = True, False
        state = State.of(self._session)
        self._job.start(lambda _: self._write(state))

    def _write(self, state: State) -> Path:
        return save_state(state, self.path or new_session_file(self._folder))

    def _done(self, path: Path) -> None:
        self.path = path
        self._ended("")

    def _failed(self, problem: Exception) -> None:
        self._ended(_words(problem))

    def _ended(self, problem: str) -> None:
        if not self._open:  # close has written a newer state since, and says how that went
            return
        with self._turn:
            self._under_way, again = False, self._changed
            self._changed = again or bool(problem)
        self.problem = problem
        if again:
            self._soon.ask()

    def close(self) -> None:
        """Save what is due, here and now, and let go of the session; where that fails, `problem` says why."""
        if not self._open:
            return
        self._open = False
        self._session.unobserve(self._note, SAVED)
        self._soon.cancel()
        self._job.wait()
        if self.due:
            try:
                self.path = self._write(State.of(self._session))
            except (WorkbenchError, OSError) as problem:
                self.problem = _words(problem)
            else:
                self.problem, self._changed = "", False


def _words(problem: Exception) -> str:
    return str(problem) if isinstance(problem, WorkbenchError) else f"{type(problem).__name__}: {problem}"
