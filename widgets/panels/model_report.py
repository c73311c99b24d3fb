"""The result of a model's self-check, as a small table."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ipywidgets

from widgets.controls.job import Job
from widgets.panels.model_words import reason_words, verification_words
from widgets.panels.settings_panel import alert

if TYPE_CHECKING:
    from collections.abc import Callable

    from workbench.models import LanguageModel, Verification


class VerifyReport(ipywidgets.HTML):
    """Runs `model.verify()` in the background; the result of a model that is gone by then is not shown.

    Args:
        changed: called when a check begins or ends.
    """

    def __init__(self, changed: Callable[[], None]) -> None:
        self._changed = changed
        self._number = 0
        self._job: Job[tuple[int, Verification]] = Job(self._done, self._failed)
        self.running = False
        super().__init__()

    def check(self, model: LanguageModel) -> None:
        """Begin."""
        self._number += 1
        number, self.running, self.value = self._number, True, "verifying …"
        self._changed()
        self._job.start(lambda _: (number, model.verify()))

    def clear(self) -> None:
        """The model is another: what was found, or still will be, is not about this one."""
        self._number += 1
        self.running, self.value = False, ""

    def wait(self, seconds: float = 60) -> bool:
        """Wait for the thread to end; True when it has."""
        return self._job.wait(seconds)

    def _done(self, result: tuple[int, Verification]) -> None:
        if result[0] == self._number:
            self._say(verification_words(result[1]))

    def _failed(self, problem: Exception) -> None:
        if self.running:
            self._say(alert(reason_words(problem)))

    def _say(self, words: str) -> None:
        self.running, self.value = False, words
        self._changed()
