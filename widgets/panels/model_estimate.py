"""What the model named in the form would take, said before anybody loads it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ipywidgets

from widgets.controls.job import Job
from widgets.controls.soon import Soon
from widgets.panels.model_fit import Fit, measure_fit
from widgets.panels.model_words import fit_words, reason_words
from widgets.panels.settings_panel import alert

if TYPE_CHECKING:
    from collections.abc import Callable

    from widgets.panels.model_form import ModelRequest
    from workbench.models import LanguageModel


class EstimateLine(ipywidgets.HTML):
    """Measured in the background, since a model on the hub is asked about there.

    Args:
        request: gives what the form says now.
        held: gives the model that unloading would free.
    """

    _open = False

    def __init__(self, request: Callable[[], ModelRequest], held: Callable[[], LanguageModel | None]) -> None:
        self._request, self._held = request, held
        self.fit: Fit | None = None
        self._job: Job[Fit] = Job(self._measured, self._failed)
        self._soon = Soon(self._measure)
        super().__init__(layout={"min_height": "42px"})
        self._open = True

    def ask(self) -> None:
        """Measure anew, because the form says something else."""
        self._soon.ask()

    def refresh(self) -> None:
        """Say it again, because a model came or went: other memory is free, and a download may be done."""
        if self.fit is not None and self.fit.download:
            self.ask()
        elif self.fit is not None:
            self._measured(self.fit.now())

    def wait(self, seconds: float = 60) -> bool:
        """Wait for the thread to end; True when it has."""
        return self._job.wait(seconds)

    def _measure(self) -> None:
        request, self.fit = self._request(), None
        if not request.source:
            self.value = "Name a folder, or a model on the hub as owner/name."
            return
        self.value = "looking at its size …"
        self._job.start(lambda _: measure_fit(request))

    def _measured(self, fit: Fit) -> None:
        if self._open and fit.memory.name == self._request().source:
            self.fit = fit
            self.value = fit_words(fit, self._held())

    def _failed(self, problem: Exception) -> None:
        if self._open and self._request().source:
            self.value = f'<div style="line-height:1.5">{alert(reason_words(problem))}</div>'

    def close(self) -> None:
        """Let what is still measured go by."""
        self._open = False
        self._soon.cancel()
        super().close()
