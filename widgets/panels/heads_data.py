"""The statistics behind the heads panel: what was measured, of what and by which model, and the heads on show."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from widgets.panels.heads_grid import HeadGrid
from workbench.traces import Trace

if TYPE_CHECKING:
    from widgets.panels.heads_settings import HeadView
    from widgets.session import Session
    from workbench.attention import HeadStats
    from workbench.models import LanguageModel


class HeadData:
    """One text's heads at a time; means are made anew only where a setting that they depend on has moved.

    Args:
        session: whose model it is, until another one has measured.
        stats: measured before.
    """

    def __init__(self, session: Session, stats: HeadStats | None) -> None:
        self._session = session
        self._by: LanguageModel | None = None
        self.stats = stats
        self.means = stats
        """The same with the view's first rows left out."""
        self.source: Any = None
        """What was measured: a string, token ids, a trace; None where statistics were given."""
        self.count = 0
        """How many measurements there have been."""
        self._known: tuple[object, HeadGrid | None] = (None, None)

    @property
    def model(self) -> LanguageModel | None:
        """The model that measured; the session's before that."""
        return self._session.model if self._by is None else self._by

    @property
    def trace(self) -> Trace | None:
        """The trace that was measured, where it was one."""
        return self.source if isinstance(self.source, Trace) else None

    def take(self, stats: HeadStats, source: Any, model: LanguageModel) -> None:  # noqa: ANN401  -- as `source`
        """A text has been measured."""
        self.stats, self.source, self._by = stats, source, model
        self.count += 1

    def grid(self, view: HeadView) -> HeadGrid | None:
        """The text's heads as the view has them.

        Raises:
            ParameterError: more rows to skip than the text has.
        """
        if self.stats is None:
            return None
        key = (self.count, view.skip_rows, view.collapse_cut, view.normalizer)
        if self._known[0] != key:
            if self.means is None or self.means.rows is not self.stats.rows or self.means.skip_rows != view.skip_rows:
                self.means = self.stats.skipping(view.skip_rows)
            of = f"of {self.stats.model} over {self.stats.length:,} tokens"
            self._known = key, HeadGrid.of_stats(self.means, view, of)
        return self._known[1]

    def about(self) -> dict[str, Any]:
        """What travels in every exported file."""
        named = {} if self.stats is None else {"model": self.stats.model, "tokens": self.stats.length}
        text = self.source if isinstance(self.source, str) else None
        return {**({} if self.trace is None else self.trace.meta), **named, "text": text}
