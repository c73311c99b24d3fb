"""The measured text as a token strip coloured by one head's rows, and the cursor it shares with the session."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from widgets.panels.trace_layers import strip_phases
from widgets.strip import Layer, TokenStrip
from widgets.strip.columns import Columns

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from widgets.session import Session
    from workbench.attention import HeadStats
    from workbench.traces import Trace

UNITS = {"support": "of ln support", "length": "of ln T", "none": "nats"}


class HeadStrip(TokenStrip):
    """Tokens of the whole text, a trace's prompt included.

    The session's cursor counts the tokens of its trace: where the text is that trace, the strip's is the same with the
    prompt before it.

    Args:
        session: whose cursor.
        moved: called when the cursor or the pointer is at another token.
    """

    _connected = False

    def __init__(self, session: Session, moved: Callable[[], None]) -> None:
        self._session, self._told = session, moved
        self._stats: HeadStats | None = None
        self._trace: Trace | None = None
        self._filling = False
        super().__init__(
            layers=_layers(None, (0, 0), "support"), max_height=87, layout={"min_height": "112px", "display": "none"}
        )
        self.observe(self._moved, ["cursor", "hover"])
        session.observe(self._session_moved, ["cursor", "hover"])
        self._connected = True

    @property
    def token(self) -> int | None:
        """The token under the pointer, else the cursor's, else None."""
        found = self.hover if self.hover >= 0 else self.cursor
        return found if found >= 0 else None

    def show(self, stats: HeadStats | None, trace: Trace | None, chosen: tuple[int, int], normalizer: str) -> None:
        """Colour by the rows of one head; the cursor stays where the text does.

        Args:
            stats: of the text; None hides the strip.
            trace: what the text is, where it is a trace.
            chosen: layer and head.
            normalizer: of the entropies.
        """
        self.layout.display = "none" if stats is None else None
        if stats is None:
            return
        same = self._stats is not None and self._stats.token_ids == stats.token_ids
        self._stats, self._trace = stats, trace
        layers = _layers(stats, chosen, normalizer)
        if same:  # the cursor stays, also one that is on its way here from the page
            self._columns = Columns(stats.texts, self._phases(), layers, epoch=self._columns.epoch + 1)
            return
        self._filling = True
        try:
            self.replace(stats.texts, self._phases(), layers)
        finally:
            self._filling = False
        if self._follows:
            self._session_moved({"name": "cursor", "new": self._session.cursor})

    @property
    def _follows(self) -> bool:
        """Whether the text is the session's trace."""
        return self._trace is not None and self._trace is self._session.trace

    @property
    def _prompt(self) -> int:
        return 0 if self._trace is None else len(self._trace.prompt_ids)

    def _phases(self) -> list[str]:
        if self._trace is None or self._stats is None:
            return ["text"] * (0 if self._stats is None else len(self._stats.texts))
        return ["prompt"] * self._prompt + strip_phases(self._trace.tokens)

    def _there(self, position: int) -> int:
        """The session's number of a token of the text; -1 for one of the prompt."""
        return max(position - self._prompt, -1)

    def _moved(self, change: Mapping[str, Any]) -> None:
        if self._filling:
            return
        if self._follows:
            self._session.set_trait(change["name"], self._there(change["new"]) if change["new"] >= 0 else -1)
        self._told()

    def _session_moved(self, change: Mapping[str, Any]) -> None:
        here = getattr(self, change["name"])
        if self._follows and change["new"] != (self._there(here) if here >= 0 else -1):
            self.set_trait(change["name"], change["new"] + self._prompt if change["new"] >= 0 else -1)

    def close(self) -> None:
        """Let go of the session."""
        if self._connected:
            self._connected = False
            self._session.unobserve(self._session_moved, ["cursor", "hover"])
        super().close()


def row_shares(stats: HeadStats, chosen: tuple[int, int], normalizer: str) -> NDArray[np.float64]:
    """(T,) the row entropies of one head by a normaliser; NaN where a row sees one key and has no largest."""
    entropy = stats.row_entropy(*chosen).astype(np.float64)
    support = stats.support[stats.layers.index(chosen[0])]
    if normalizer == "none":
        return entropy
    largest = np.log(np.maximum(support, 2)) if normalizer == "support" else np.log(stats.length)
    return np.where(support < 2, np.nan, entropy / largest)


def _layers(stats: HeadStats | None, chosen: tuple[int, int], normalizer: str) -> dict[str, Layer]:
    def values(name: str) -> NDArray[np.float32]:
        return np.zeros(0, np.float32) if stats is None else stats.row_values(name, *chosen)

    whose = f"layer {chosen[0]} head {chosen[1]}"
    shares = np.zeros(0) if stats is None else row_shares(stats, chosen, normalizer)
    return {
        "row_entropy": Layer(
            shares, f"row entropy, {whose}", UNITS[normalizer], "how widely this token attends",
            range=None if normalizer == "none" else (0.0, 1.0),
        ),
        "max_weight": Layer(values("max_weight"), "largest weight", "", f"on any one token, {whose}", range=(0.0, 1.0)),
        "sink": Layer(values("sink"), "weight on the first token", "", whose, range=(0.0, 1.0)),
        "previous": Layer(
            values("previous_token"), "weight on the token before", "", "", range=(0.0, 1.0), selectable=False
        ),
        "distance": Layer(values("distance"), "mean distance", "tokens", "", digits=1, selectable=False),
    }  # fmt: skip
