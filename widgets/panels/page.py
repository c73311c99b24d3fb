"""One tab of the workbench: its panel is built when the tab is opened and closed when it is left."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ipywidgets

from widgets.controls.closing import close_tree
from widgets.controls.problems import problem_words
from widgets.controls.remembered import recall, store
from widgets.panels.settings_panel import alert

if TYPE_CHECKING:
    from collections.abc import Callable

    from widgets.controls.export_bar import Exportable
    from widgets.session import Session


class Page(ipywidgets.VBox):
    """Holds one panel while it is wanted; what was set in it is kept by the session under the page's title.

    A panel says by `kept()` which of its controls are remembered, and by `busy` that it is in the middle of something:
    such a panel is left alone until the next time the page is left.

    Args:
        title: of the tab.
        session: what the panels share.
        build: makes the panel.
    """

    def __init__(self, title: str, session: Session, build: Callable[[], ipywidgets.Widget]) -> None:
        self.title, self._session, self._build = title, session, build
        self.panel: ipywidgets.Widget | None = None
        super().__init__(layout={"width": "100%"})

    def enter(self) -> None:
        """Build the panel, unless it is there; where that fails, say why in its place."""
        if self.panel is not None:
            return
        before, waiting = self.children, ipywidgets.HTML("opening …")
        self.children = (waiting,)
        try:
            self.panel = self._build()
        except Exception as problem:  # noqa: BLE001  -- whatever it is, the other tabs stay usable
            self._failed(problem)
        else:
            state = self._session.settings.get(self.title, {})
            for _ in range(2):  # what the first of them says may bring up another panel inside, with its own
                recall(kept(self.panel), state)
            self.children = (self.panel,)
        for part in (*before, waiting):
            close_tree(part)

    def leave(self) -> None:
        """Remember what was set and close the panel, unless it is in the middle of something."""
        self.remember()
        if not getattr(self.panel, "busy", False):
            self.shut()

    def remember(self) -> None:
        """Put what is set in the panel into the session."""
        if self.panel is not None:
            store(self._session, self.title, kept(self.panel))

    def shut(self) -> None:
        """Close the panel, whatever it is doing."""
        shown, self.panel, self.children = self.children, None, ()
        for part in shown:
            close_tree(part)

    def exportable(self) -> Exportable | None:
        """What the panel would export now; None where there is nothing."""
        bar = getattr(self.panel, "export_bar", None)
        return None if bar is None else bar.current()

    def close(self) -> None:
        """Close the panel and the page."""
        self.shut()
        super().close()

    def _failed(self, problem: Exception) -> None:
        again = ipywidgets.Button(description="Try again", icon="repeat", layout={"width": "auto"})
        again.on_click(lambda _: self.enter())
        self.children = (ipywidgets.HTML(alert(problem_words(problem))), again)


def kept(panel: Any) -> dict[str, ipywidgets.Widget]:  # noqa: ANN401  -- any widget
    """The controls a panel wants remembered; none where it does not say."""
    say = getattr(panel, "kept", None)
    return {} if say is None else dict(say())
