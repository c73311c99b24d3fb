"""What EAT is measured on: the trace on show or some of the sweep, and the model that reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workbench.errors import ParameterError
from workbench.models import load

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from widgets.panels.sweep_rows import SweepRows
    from widgets.session import Session
    from workbench.models import LanguageModel
    from workbench.traces import Trace

Thought = tuple[str, "Trace", "Callable[[str], bool] | None"]
"""A name, a trace, and what grades its answer, where that is known."""


class Thoughts:
    """Asked in the background, since loading takes a while.

    Args:
        session: whose model and trace.
        rows: of the sweep.
        row: asked for the sweep's row of the trace on show, None where it is not one of the sweep's.
    """

    def __init__(self, session: Session, rows: SweepRows, row: Callable[[], Mapping[str, Any] | None]) -> None:
        self._session, self._rows, self._row = session, rows, row
        self._loaded: dict[str, LanguageModel] = {}

    def model(self) -> LanguageModel:
        """The session's, or the sweep's own, loaded once.

        Raises:
            ParameterError: there is none.
            ModelError: the sweep's cannot be loaded.
        """
        if self._session.model is not None:
            return self._session.model
        name = self._rows.model
        if name is None:
            raise ParameterError("There is no model to read with: PhasePanel(trace, model=wb.load(...)).")
        if name not in self._loaded:
            self._loaded[name] = load(name)
        return self._loaded[name]

    def take(self, count: int) -> Sequence[Thought]:
        """The trace on show (0), or the first `count` sequences of the sweep.

        Raises:
            ParameterError: there is no such thing.
        """
        if count:
            return self._rows.thoughts(count)
        trace, row = self._session.trace, self._row()
        if trace is None:
            raise ParameterError("There is no trace to measure: record or open one first.")
        name = "this trace" if row is None else f"{row['problem']}, sample {row['sample']}"
        return [(name, trace, None if row is None else self._rows.grader(row))]
