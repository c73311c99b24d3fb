"""Units one after the other in this process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.models import LanguageModel, load

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from workbench.sweeps.folder import SweepFolder
    from workbench.sweeps.plan import Unit
    from workbench.sweeps.progress import Reporter
    from workbench.sweeps.task import Task


class Worker:
    """Decodes units of one sweep and writes them; keeps one model and its prompts at a time."""

    def __init__(self, folder: SweepFolder, task: Task, models: Mapping[str, LanguageModel | str]) -> None:
        self._folder, self._task, self._models = folder, task, models
        self._name: str | None = None
        self._model: LanguageModel | None = None
        self._prompts: dict[str, list[list[int]]] = {}

    def model(self, name: str) -> LanguageModel:
        """The model of that name, loaded when first asked for."""
        if self._model is None or self._name != name:
            self._model = None  # gone before the next one is loaded
            given = self._models[name]
            self._model, self._name = given if isinstance(given, LanguageModel) else load(given), name
            self._prompts = {}
        return self._model

    def prompts(self, model: str, sampler: str) -> list[list[int]]:
        """Token ids of every problem's prompt."""
        found = self.model(model)
        if sampler not in self._prompts:
            self._prompts[sampler] = self._task.prompts(found, sampler)
        return self._prompts[sampler]

    def run(
        self, unit: Unit, *, stop: Callable[[], bool] | None = None, on_step: Callable[[int], None] | None = None
    ) -> int | None:
        """Decode and write one unit; its tokens, or None where it was stopped."""
        prompts = self.prompts(unit.model, unit.sampler)
        written = self._task.decode(self.model(unit.model), unit, prompts, stop=stop, on_step=on_step)
        if written is None:
            return None
        self._folder.write(unit.number, written.traces, written.results, written.about)
        return len(written.traces)


def run_here(worker: Worker, units: Iterable[Unit], reporter: Reporter, stop: Callable[[], bool]) -> None:
    """Run the units until they are done, or until `stop` says so; the unit under way is then left undone."""
    for unit in units:
        if stop() or worker.run(unit, stop=stop, on_step=reporter.tokens) is None:
            return
        reporter.sequences(len(unit))
