"""A line of controls and below it the one panel that they choose."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ipywidgets

from widgets.controls.closing import close_tree

if TYPE_CHECKING:
    from widgets.controls.export_bar import ExportBar


class ChosenPanel(ipywidgets.VBox):
    """Base of pages that show one panel at a time; another takes its place and it is closed.

    Args:
        control: what the panel is chosen with; what came of it is said in `status` beside it.
    """

    def __init__(self, control: ipywidgets.Widget) -> None:
        self.panel: ipywidgets.Widget | None = None
        self.status = ipywidgets.HTML()
        self.line = ipywidgets.HBox([control, self.status], layout={"align_items": "center"})
        super().__init__([self.line], layout={"width": "100%"})

    @property
    def busy(self) -> bool:
        """Whether the panel is in the middle of something."""
        return getattr(self.panel, "busy", False)

    @property
    def export_bar(self) -> ExportBar | None:
        """The panel's."""
        return getattr(self.panel, "export_bar", None)

    def put(self, panel: ipywidgets.Widget | None) -> None:
        """Show a panel in place of the one before, or none."""
        before, self.panel = self.panel, panel
        self.children = (self.line,) if panel is None else (self.line, panel)
        if before is not None:
            close_tree(before)

    def close(self) -> None:
        """Close the panel and the line."""
        for part in (*self.line.children, *self.children):
            part.close()
        super().close()
