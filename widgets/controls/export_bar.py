"""Take away what a panel shows: the figure, its data, its settings."""

from __future__ import annotations

import copy
import threading
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ipywidgets

from widgets.controls.job import Job
from widgets.figures import export_data, export_settings, save_figure
from widgets.figures.export import PRINT_DPI, PRINT_SIZES
from workbench.errors import WorkbenchError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import plotly.graph_objects as go
    import polars as pl

FIGURES = ("PNG", "SVG", "PDF", "HTML")
DATA = ("CSV", "Parquet")
SETTINGS = ("JSON",)
_CSS_DPI = 96
_PAGE_HEIGHT = 420  # pixels of a figure in an HTML page


@dataclass(frozen=True)
class Exportable:
    """What can be exported at this moment."""

    name: str
    """Stem of the file's name."""
    figure: go.Figure
    data: pl.DataFrame
    settings: Mapping[str, Any]
    """Model, sampler, seed, versions and the panel's own controls; travels in every file."""
    tall: float = 1.0
    """Height against that of the usual figure, for one with several plots or many rows."""


class ExportBar(ipywidgets.HBox):
    """One button a format. Files go to `folder`, numbered rather than overwritten; the path is shown when it is there.

    Args:
        current: called at the press of a button for what the panel shows then; None where there is nothing yet.
        folder: where files go; `exports` beside the notebook by default.
    """

    def __init__(self, current: Callable[[], Exportable | None], folder: str | Path = "exports") -> None:
        self.current, self.folder = current, Path(folder)
        self.saved: Path | None = None
        self._job: Job[Path] = Job(self._done, self._failed)
        self.buttons = {format_: self._button(format_) for format_ in (*FIGURES, *DATA, *SETTINGS)}
        self.column = ipywidgets.Dropdown(
            options=[("single column", "single"), ("double column", "double")],
            value="double",
            tooltip="Width of the exported figure: 89 mm or 183 mm",
            layout={"width": "130px"},
        )
        self.status = ipywidgets.HTML()
        super().__init__(
            [ipywidgets.Label("Export"), self.column, *self.buttons.values(), self.status],
            layout={"flex_flow": "row wrap", "align_items": "center"},
        )
        self.add_class("workbench-export")

    def export(self, format_: str) -> None:
        """Write the file of that format in the background, as the button does."""
        current = self.current()
        if current is None:
            self._failed(WorkbenchError("There is nothing to export yet: record or open a trace first."))
            return
        size = self.column.value
        for button in self.buttons.values():
            button.disabled = True
        self.status.value = f"writing {format_} …"
        self._job.start(lambda _: self._write(current, format_, size))

    def wait(self, seconds: float = 60) -> None:
        """Wait for a file under way."""
        self._job.wait(seconds)

    def _button(self, format_: str) -> ipywidgets.Button:
        what = "the figure" if format_ in FIGURES else "its data" if format_ in DATA else "its settings"
        button = ipywidgets.Button(
            description=format_, tooltip=f"Save {what} as {format_}", layout={"width": "auto", "min_width": "48px"}
        )
        button.on_click(lambda _: self.export(format_))
        return button

    def _write(self, current: Exportable, format_: str, size: str) -> Path:
        self.folder.mkdir(parents=True, exist_ok=True)
        path = unused(self.folder / f"{current.name}.{format_.lower()}")
        if format_ in DATA:
            return export_data(current.data, path.name, dict(current.settings), folder=self.folder)
        if format_ in SETTINGS:
            return export_settings(current.settings, path.name, folder=self.folder)
        figure, dimensions, scale = _sized(current, size)
        return save_figure(
            figure, path.name, size=dimensions, scale=scale, meta=dict(current.settings), folder=self.folder
        )

    def _done(self, path: Path) -> None:
        self._enable()
        self.saved = path = self.folder / path.name  # as the user knows it, not resolved
        kilobytes = max(1, round(path.stat().st_size / 1000))
        self.status.value = f"saved <code>{escape(str(path))}</code> ({kilobytes:,} kB)"

    def _failed(self, problem: Exception) -> None:
        self._enable()
        self.status.value = f'<span role="alert">⚠ {escape(str(problem))}</span>'

    def _enable(self) -> None:
        for button in self.buttons.values():
            button.disabled = False

    def close(self) -> None:
        """Close the bar; a file under way is still finished."""
        for child in (*self.children,):
            child.close()
        super().close()


def _sized(current: Exportable, column: str) -> tuple[go.Figure, Any, float | None]:
    """The figure, its size and scale: a column's own, or as wide and taller, with text of the same 7 pt."""
    if current.tall == 1.0:
        return current.figure, column, None
    width, height = (mm / 25.4 * _CSS_DPI for mm in PRINT_SIZES[column])
    figure = copy.deepcopy(current.figure)
    figure.update_layout(font_size=7 / 72 * _CSS_DPI, height=_PAGE_HEIGHT * current.tall)  # the height is for HTML
    return figure, (width, height * current.tall), PRINT_DPI / _CSS_DPI


_names = threading.Lock()


def unused(path: Path) -> Path:
    """`path`, or the first of path-2, path-3, … that is not there."""
    with _names:
        candidate, number = path, 1
        while candidate.exists():
            number += 1
            candidate = path.with_stem(f"{path.stem}-{number}")
        return candidate
