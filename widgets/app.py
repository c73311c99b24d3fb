"""All panels in one workbench, over one session."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import ipywidgets

from widgets.controls.closing import close_tree
from widgets.panels.gallery_words import kept_now
from widgets.panels.page import Page
from widgets.panels.saved_sessions import SavedSessions
from widgets.panels.settings_panel import alert
from widgets.panels.trace_shelf import TraceShelf
from widgets.session import Session
from widgets.tabs import TABS, prepare_meanwhile
from workbench.errors import ParameterError, WorkbenchError

if TYPE_CHECKING:
    from workbench.models import LanguageModel
    from workbench.traces import Trace


class Workbench(ipywidgets.VBox):
    """Tabs Model, Trace, Sampler, Think/Answer, Difficulty, Heads and Figures over one session.

    A panel is built when its tab is opened and closed when it is left, with what was set in it remembered; one that is
    decoding or loading is left to finish. Traces, settings, cursor and kept figures are saved as one goes, in
    `folder`/session, and offered again when the next workbench opens there.

    Args:
        model: to begin with; else the tab Model loads one.
        trace: to begin with.
        session: to share with panels elsewhere in the notebook; its own where none is given.
        folder: where traces, exports and the saved session go.
        autosave: whether the session is saved as one goes.
    """

    _open = False

    def __init__(
        self,
        model: LanguageModel | None = None,
        *,
        trace: Trace | None = None,
        session: Session | None = None,
        folder: str | Path = "workbench-files",
        autosave: bool = True,
    ) -> None:
        self.session, self._own = session or Session(), session is None
        for name, value in (("model", model), ("trace", trace)):
            if value is not None:
                self.session.set_trait(name, value)
        self.folder = Path(folder)
        self.pages = tuple(
            Page(title, self.session, partial(build, self.session, self.folder)) for title, build in TABS.items()
        )
        self.tabs = ipywidgets.Tab(self.pages, titles=[page.title for page in self.pages])
        self._make_top()
        self.saved = SavedSessions(
            self.session, self.folder / "session", save=autosave, before=self.remember, restored=self._restored
        )
        super().__init__([self.top, self.saved, self.tabs], layout={"width": "100%"})
        self.add_class("workbench-app")
        self._open = True
        self.tabs.selected_index = 0 if self.session.model is None and self.session.trace is None else 1
        self._turned()
        self.tabs.observe(lambda _: self._turned(), "selected_index")
        prepare_meanwhile()

    def _make_top(self) -> None:
        self.shelf = TraceShelf(self.session, folder=self.folder / "traces")
        self.keep = ipywidgets.Button(
            description="Keep figure", icon="thumb-tack", layout={"width": "auto"},
            tooltip="Put the figure on show, with its data and settings, into the tab Figures",
        )  # fmt: skip
        self.keep.on_click(lambda _: self.keep_figure())
        self.kept_words = ipywidgets.HTML()
        self.top = ipywidgets.HBox(
            [self.shelf, self.kept_words, self.keep], layout={"flex_flow": "row wrap", "align_items": "flex-start"}
        )

    def _restored(self) -> None:
        """Other settings: comparison and open panel take them on, unless that one is in the middle of something."""
        self.shelf.recall()
        if not getattr(self.page.panel, "busy", False):
            self.page.shut()
            self.page.enter()

    # --- tabs -----------------------------------------------------------------------------------------------------

    @property
    def page(self) -> Page:
        """The one in sight."""
        return self.pages[self.tabs.selected_index or 0]

    def turn_to(self, title: str) -> ipywidgets.Widget | None:
        """Bring the tab of that title to the front; its panel, or None where that could not be made.

        Raises:
            ParameterError: there is no such tab.
        """
        titles = [page.title for page in self.pages]
        if title not in titles:
            raise ParameterError(f"There is no tab {title!r}; there are {', '.join(titles)}.")
        self.tabs.selected_index = titles.index(title)
        return self.page.panel

    def remember(self) -> None:
        """Put what is set in the panels into the session."""
        self.shelf.remember()
        for page in self.pages:
            page.remember()

    def _turned(self) -> None:
        page = self.page
        for other in self.pages:
            if other is not page and other.panel is not None:
                other.leave()
        page.enter()
        self.kept_words.value = ""
        self.keep.disabled = page.title in ("Model", "Figures")

    # --- figures --------------------------------------------------------------------------------------------------

    def keep_figure(self) -> None:
        """Keep what the open panel would export now."""
        try:
            found = self.page.exportable()
        except WorkbenchError as problem:
            self.kept_words.value = alert(str(problem))
            return
        if found is None:
            self.kept_words.value = alert("There is no figure here yet.")
            return
        self.session.figures = (*self.session.figures, kept_now(found))
        self.kept_words.value = f"kept, {len(self.session.figures)} in Figures"

    # --- end ------------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Save, stop what runs, and close all panels; a session of the workbench's own lets go of its models too."""
        if self._open:
            self._open = False
            self.remember()
            for part in (*self.pages, self.top, self.saved, self.tabs):
                close_tree(part)
            if self._own:
                self.session.model = self.session.second_model = self.session.trace = None
                self.session.traces = self.session.figures = ()
            self.layout.close()
        super().close()
