"""A result that takes a while: asked for by what it depends on, made off the comm thread, the newest wins."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from widgets.controls.job import Job
from workbench.errors import WorkbenchError

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator

    from workbench.models import LanguageModel

T = TypeVar("T")
_UNASKED = object()


class StoppedError(WorkbenchError):
    """Somebody stopped it, or something newer took its place."""


class Background(Generic[T]):
    """Holds the result of the newest work, or why there is none.

    Args:
        changed: called when a result or a problem has come.
    """

    def __init__(self, changed: Callable[[], None]) -> None:
        self._changed, self._key = changed, _UNASKED
        self._job: Job[T] = Job(self._done, self._failed)
        self.result: T | None = None
        self.problem = ""
        self.waiting = False
        """Whether the newest work is under way."""

    def ask(self, key: Hashable, work: Callable[[threading.Event], T]) -> None:
        """Have `work` done, unless that of this key is done or under way; the result before stays until then."""
        if key == self._key:
            return
        self._key, self.problem, self.waiting = key, "", True
        self._job.start(work)

    def refuse(self, why: str) -> None:
        """There can be no result, and this is why."""
        self._job.stop()
        self._key, self.result, self.problem, self.waiting = _UNASKED, None, why, False

    def wait(self, seconds: float = 60) -> bool:
        """Wait for what is under way; true when there is nothing left."""
        return self._job.wait(seconds)

    def close(self) -> None:
        """Ask the work to end, and hear nothing of it."""
        self.refuse("")

    def _done(self, result: T) -> None:
        if self.waiting:  # else it has been refused since
            self.result, self.waiting = result, False
            self._changed()

    def _failed(self, problem: Exception) -> None:
        if self.waiting:
            said = str(problem) if isinstance(problem, WorkbenchError) else f"{type(problem).__name__}: {problem}"
            self.result, self.problem, self.waiting = None, said, False
            self._changed()


@contextmanager
def watched(
    model: LanguageModel, stop: threading.Event, reached: Callable[[int, int], None] | None = None
) -> Iterator[None]:
    """Within the block each pass of the model in this thread says how far it has come, and ends when stopped.

    Args:
        model: whose layers are watched.
        stop: set to end the pass before its next layer.
        reached: called with (layers done, all layers).

    Raises:
        StoppedError: it was stopped.
    """
    thread = threading.get_ident()
    known = [
        (module, layer) for module in model.hf.modules() if (layer := getattr(module, "layer_idx", None)) is not None
    ]
    order = {layer: place for place, layer in enumerate(sorted({layer for _, layer in known}))}

    def arrive(module: Any, *_: object) -> None:  # noqa: ANN401  -- a layer of the model
        if threading.get_ident() != thread:
            return  # somebody else decodes with the same model
        if stop.is_set():
            raise StoppedError("Stopped before it was done.")
        if reached is not None:
            reached(order[module.layer_idx], len(order))

    hooks = [module.register_forward_pre_hook(arrive) for module, _ in known]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
