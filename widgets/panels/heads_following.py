"""When the heads panel measures: what it was given at once, the session's trace once somebody looks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from widgets.panels.heads_keys import Seen
from widgets.panels.heads_measure import MeasureBar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from widgets.session import Session
    from workbench.attention import HeadStats
    from workbench.models import LanguageModel


class Following:
    """The bar that measures, and the session whose model and trace it follows.

    Args:
        session: whose model measures, and whose trace is measured where nobody has typed a text.
        measured: called with the statistics, what they are of, and the model.
        changed: called when the session has another model.
    """

    def __init__(
        self, session: Session, measured: Callable[[HeadStats, Any, LanguageModel], None], changed: Callable[[], None]
    ) -> None:
        self._session, self._changed = session, changed
        self._due = False
        self.seen = Seen()
        self.bar = MeasureBar(lambda: session.model, measured)
        self.seen.observe(lambda _: self._measure_due(), "seen")
        session.observe(self._trace_changed, "trace")
        session.observe(self._model_changed, "model")

    def begin(self, text: Any, *, known: bool) -> None:  # noqa: ANN401  -- a string, token ids, a trace or None
        """Measure the text at once; without one, and where no statistics are known, the session's trace when seen."""
        if text is None and not known:
            self.bar.offer(self._session.trace)
            self._due = self._session.trace is not None
        elif text is not None:
            self.bar.offer(text)
            if self._session.model is not None:
                self.bar.start()

    def _trace_changed(self, change: Mapping[str, Any]) -> None:
        """A new trace is measured, unless somebody has typed a text; None while a decode runs."""
        if change["new"] is not None and not self.bar.text.value:
            self.bar.offer(change["new"])
            self._due = True
            self._measure_due()

    def _model_changed(self, _: Any) -> None:  # noqa: ANN401
        self.bar.refresh()
        self._measure_due()
        self._changed()

    def _measure_due(self) -> None:
        if self._due and self.seen.seen and self._session.model is not None and self.bar.source is not None:
            self._due = False
            self.bar.start()

    def close(self) -> None:
        """Stop what runs, and let go of the session."""
        self._session.unobserve(self._trace_changed, "trace")
        self._session.unobserve(self._model_changed, "model")
        self.bar.close()
        self.seen.close()
