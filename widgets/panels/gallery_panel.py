"""The gallery: figures that were kept, in the order of the report, to look at, rename, drop and export together."""

from __future__ import annotations

from dataclasses import replace
from html import escape
from typing import TYPE_CHECKING, Any

import ipywidgets
import plotly.graph_objects as go
import polars as pl

from widgets.controls.theme import Theme
from widgets.figures.report import caption
from widgets.figures.template import apply_theme
from widgets.panels.chart_tabs import ChartTabs, TabChart
from widgets.panels.gallery_exports import GalleryExports
from widgets.panels.gallery_words import file_stem, kept_at, line

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from widgets.controls.export_bar import Exportable
    from widgets.session import Session

_HEIGHT = 380
_EMPTY = (
    "<b>No figures kept yet.</b><br>Open a chart in another tab and press <i>Keep figure</i> above the tabs: it comes "
    "here as it is at that moment, with its data and settings. All of them can then be exported at once, each as a "
    "file or together as one report."
)


class GalleryPanel(ipywidgets.VBox):
    """A list of the session's kept figures, a preview of the chosen one, and the export of all.

    Args:
        session: whose `figures` these are; the panel follows them.
        folder: where exports go.
    """

    _connected = False

    def __init__(self, session: Session, folder: str | Path = "exports") -> None:
        self.session = session
        self._removed: list[tuple[int, Exportable]] = []
        self._filling = False
        self._make_list()
        self._make_preview()
        self.export_bar = GalleryExports(lambda: self.session.figures, folder)
        words = ipywidgets.HTML(f'<div style="line-height:1.6;max-width:640px">{_EMPTY}</div>')
        self.undo_row = ipywidgets.HBox([self.undo])  # the same button: the last figure removed comes back, too
        self.empty = ipywidgets.VBox([words, self.undo_row], layout={"padding": "24px 8px"})
        self.body = ipywidgets.HBox([self.left, self.right], layout={"width": "100%"})
        super().__init__([self.theme, self.empty, self.body, self.export_bar], layout={"width": "100%"})
        self.add_class("workbench-panel")
        self.add_class("workbench-gallery")
        self._connected = True
        self.session.observe(self._figures_changed, "figures")
        self._fill(0)

    # --- parts ----------------------------------------------------------------------------------------------------

    def _make_list(self) -> None:
        self.list = ipywidgets.Select(rows=14, layout={"width": "auto", "height": "260px"})
        self.list.tooltip = "Kept figures, in the order of the report"
        self.list.observe(lambda _: self._chosen(), "index")
        self.name = ipywidgets.Text(
            description="name", continuous_update=False, style={"description_width": "44px"}, layout={"width": "auto"},
            tooltip="Title in the report, and what its files are called; Enter renames",
        )  # fmt: skip
        self.name.observe(lambda _: self._renamed(), "value")
        self.up = _button("", "Move the figure up", "arrow-up", lambda: self.move(-1))
        self.down = _button("", "Move the figure down", "arrow-down", lambda: self.move(1))
        self.remove = _button("Remove", "Remove the figure; its exported files stay", "trash", self.drop)
        self.undo = _button("Undo remove", "Put the figure removed last back in its place", "undo", self.bring_back)
        row = {"flex_flow": "row wrap"}
        self.left = ipywidgets.VBox(
            [self.list, self.name, ipywidgets.HBox([self.up, self.down, self.remove, self.undo], layout=row)],
            layout={"flex": "0 0 300px", "width": "300px", "margin": "0 12px 0 0"},
        )

    def _make_preview(self) -> None:
        self.theme = Theme()
        self.theme.observe(lambda _: self._preview(), "dark")
        self.about = ipywidgets.HTML(layout={"min_height": "28px"})
        chart = TabChart("Figure", "figure", self._draw, self._frame, height=_HEIGHT)
        self.tabs = ChartTabs((chart,))
        self.tabs.observe(lambda _: self._fit(), "selected_index")
        self.right = ipywidgets.VBox([self.about, self.tabs], layout={"flex": "1 1 auto", "min_width": "0"})

    # --- what is chosen -------------------------------------------------------------------------------------------

    @property
    def chosen(self) -> Exportable | None:
        """The figure in the preview."""
        index = self.list.index
        return None if index is None or index >= len(self.session.figures) else self.session.figures[index]

    @property
    def busy(self) -> bool:
        """Whether files are being written."""
        return self.export_bar.running

    def kept(self) -> dict[str, ipywidgets.Widget]:
        """The controls to be remembered, by name."""
        return {"column": self.export_bar.column, "title": self.export_bar.title, "tab": self.tabs}

    def drop(self) -> None:
        """Remove the chosen figure."""
        item, index = self.chosen, self.list.index
        if item is not None:
            self._removed.append((index, item))
            self._put((*self.session.figures[:index], *self.session.figures[index + 1 :]), index)

    def bring_back(self) -> None:
        """Put the figure removed last back in its place."""
        if self._removed:
            index, item = self._removed.pop()
            figures = list(self.session.figures)
            figures.insert(index, item)
            self._put(figures, min(index, len(figures) - 1))

    def move(self, by: int) -> None:
        """Move the chosen figure down by so many places, up where `by` is negative; not beyond the ends."""
        item, index = self.chosen, self.list.index
        if item is not None:
            figures = list(self.session.figures)
            figures.insert(target := min(max(index + by, 0), len(figures) - 1), figures.pop(index))
            self._put(figures, target)

    def _renamed(self) -> None:
        item, name = self.chosen, self.name.value.strip()
        if self._filling or item is None or name == item.name:
            return
        if not name:
            self._chosen()  # the name before comes back
            return
        index = self.list.index
        figures = list(self.session.figures)
        figures[index] = replace(item, name=name)
        self._put(figures, index)

    def _put(self, figures: Sequence[Exportable], index: int) -> None:
        """Make these the session's figures, with that one chosen."""
        self._filling = True
        try:
            self.session.figures = tuple(figures)
        finally:
            self._filling = False
        self._fill(index)

    def _figures_changed(self, change: dict[str, Any]) -> None:
        """Somebody else keeps or drops figures: the chosen one stays chosen while it is there."""
        if self._filling:
            return
        index = self.list.index or 0
        before = change["old"][index] if index < len(change["old"]) else None
        places = [place for place, item in enumerate(change["new"]) if item is before]
        self._fill(places[0] if places else len(change["new"]) - 1)

    # --- what is shown --------------------------------------------------------------------------------------------

    def _fill(self, index: int) -> None:
        """Write the list anew and choose one of it."""
        figures = self.session.figures
        self._filling = True
        try:
            self.list.options = [(line(number, item), number) for number, item in enumerate(figures, start=1)]
            self.list.index = min(max(index, 0), len(figures) - 1) if figures else None
        finally:
            self._filling = False
        seen, unseen = (None, "none") if figures else ("none", None)
        self.body.layout.display = self.export_bar.layout.display = seen
        self.empty.layout.display = unseen
        self._chosen()

    def _chosen(self) -> None:
        """Another figure, or the same in another place."""
        if self._filling:
            return
        item, index, last = self.chosen, self.list.index, len(self.session.figures) - 1
        self.up.disabled, self.down.disabled = item is None or index == 0, item is None or index == last
        self.undo.disabled = not self._removed
        self.undo_row.layout.display = None if self._removed else "none"
        self._filling = True
        try:
            self.name.value = "" if item is None else item.name
        finally:
            self._filling = False
        if item is None:
            return
        words = [f"<b>{escape(item.name)}</b>", escape(caption(item.settings)), f"{len(item.data):,} rows of data"]
        when = kept_at(item)
        words += [f"kept {when}"] * bool(when)
        if (stem := file_stem(item.name)) != item.name:
            words.append(f"its files are called <code>{escape(stem)}</code>")
        self.about.value = " · ".join(word for word in words if word)
        self._preview()

    def _preview(self) -> None:
        if self.chosen is not None:
            self.tabs.refresh()
            self._fit()

    def _draw(self) -> go.Figure:
        """The chosen figure in the theme that is on."""
        item = self.chosen
        figure = apply_theme(go.Figure() if item is None else go.Figure(item.figure), self.theme.name)
        # a mark on the axes that differs from figure to figure: no figure takes over the zoom of the one before
        figure.update_xaxes(uirevision=id(item)).update_yaxes(uirevision=id(item))
        return figure.update_layout(height=self._height(), width=None)

    def _frame(self) -> pl.DataFrame:
        item = self.chosen
        return pl.DataFrame() if item is None else item.data

    def _height(self) -> int:
        return round(_HEIGHT * (1.0 if self.chosen is None else self.chosen.tall))

    def _fit(self) -> None:
        """As tall as the figure wants to be; the box itself knows one height only."""
        box = self.tabs.box("figure")
        if box.figure is not None and box.figure.layout.height != self._height():
            box.update({}, {"height": self._height()})

    def close(self) -> None:
        """Stop the export after the figure under way, close the preview and let go of the session."""
        if self._connected:
            self._connected = False
            self.session.unobserve(self._figures_changed, "figures")
            rows = (*self.left.children[2].children, *self.left.children, *self.right.children, *self.empty.children)
            for part in (*rows, self.left, self.right, *self.children):
                part.close()
        super().close()


def _button(text: str, tooltip: str, icon: str, act: Any) -> ipywidgets.Button:  # noqa: ANN401  -- any function
    button = ipywidgets.Button(description=text, tooltip=tooltip, icon=icon, layout={"width": "auto"})
    button.on_click(lambda _: act())
    return button
