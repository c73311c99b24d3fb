"""Export of all kept figures at once, a file each, or of all in one report."""

from __future__ import annotations

from dataclasses import replace
from html import escape
from typing import TYPE_CHECKING

import ipywidgets

from widgets.controls.export_bar import DATA, FIGURES, Exportable, ExportBar, unused
from widgets.controls.job import Job, loop_caller
from widgets.figures.report import write_report
from widgets.panels.gallery_words import Batch, batch_words, file_stem
from widgets.panels.heads_background import StoppedError
from workbench.errors import ExportError, WorkbenchError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from threading import Event

REPORT = "Report"


class GalleryExports(ExportBar):
    """The export bar for several figures: progress, Stop between two figures, and one that fails stops no other.

    Args:
        figures: called at the press of a button for the figures to export.
        folder: where files go.
    """

    def __init__(self, figures: Callable[[], Sequence[Exportable]], folder: str | Path) -> None:
        super().__init__(lambda: next(iter(figures()), None), folder)
        self.figures = figures
        self.batch: Batch | None = None
        """What the last export came to."""
        self._batches: Job[Batch] = Job(self._finished, self._failed)
        self.buttons[REPORT] = self._button(REPORT)
        self.buttons[REPORT].icon = "file-text-o"
        self.title = ipywidgets.Text(
            "Entropy Workbench", description="titled", style={"description_width": "40px"}, layout={"width": "230px"},
            tooltip="Title of the report",
        )  # fmt: skip
        self.stop = ipywidgets.Button(
            description="Stop", icon="stop", disabled=True, layout={"width": "auto"},
            tooltip="Stop after the figure under way; what is written stays",
        )  # fmt: skip
        self.stop.on_click(lambda _: self.halt())
        before, *_ = self.children
        before.value = "Export all as"
        report = self.buttons[REPORT]
        others = [button for button in self.buttons.values() if button is not report]
        self.children = (before, *others, self.column, report, self.title, self.stop, self.status)
        self.status.layout.flex = "1 1 300px"

    @property
    def running(self) -> bool:
        """Whether files are being written."""
        return self._batches.running

    def export(self, format_: str) -> None:
        """Write the files of that format in the background, as the button does."""
        items = tuple(self.figures())
        if not items:
            self._failed(WorkbenchError("There is nothing to export yet: keep a figure first."))
            return
        for button in self.buttons.values():
            button.disabled = True
        self.stop.disabled = False
        call, column, title = loop_caller(), self.column.value, self.title.value.strip() or "Entropy Workbench"

        def reached(number: int) -> None:
            call(self._say, f"{format_}: {number} of {len(items)}, {items[number - 1].name} …")

        def work(stop: Event) -> Batch:
            self._make_folder()
            if format_ == REPORT:
                return self._report(items, title, stop, reached)
            return self._files(items, format_, column, stop, reached)

        self._batches.start(work)

    def halt(self) -> None:
        """Stop after the figure under way."""
        self._batches.stop()

    def wait(self, seconds: float = 60) -> None:
        """Wait for what is under way."""
        self._batches.wait(seconds)

    def _button(self, format_: str) -> ipywidgets.Button:
        button = super()._button(format_)
        what = "figure" if format_ in FIGURES else "figure's data" if format_ in DATA else "figure's settings"
        whole = "Save all figures with settings and data as one HTML page that needs no network"
        button.tooltip = whole if format_ == REPORT else f"Save every {what} as {format_}, a file each"
        return button

    def _make_folder(self) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as problem:
            why = problem.strerror or problem
            raise ExportError(f"{self.folder} cannot be made a folder ({why}). Choose another: folder=….") from problem

    def _files(
        self, items: Sequence[Exportable], format_: str, column: str, stop: Event, reached: Callable[[int], None]
    ) -> Batch:
        """A file a figure."""
        written, failed = [], []
        for number, item in enumerate(items, start=1):
            if stop.is_set():
                break
            reached(number)
            try:
                written.append(self._write(replace(item, name=file_stem(item.name)), format_, column))
            except Exception as problem:  # noqa: BLE001  -- whatever it is, the other figures are written
                failed.append((item.name, _why(problem)))
        stopped = len(written) + len(failed) < len(items)
        return Batch(format_, len(items), tuple(written), tuple(failed), stopped)

    def _report(self, items: Sequence[Exportable], title: str, stop: Event, reached: Callable[[int], None]) -> Batch:
        """All in one file; stopped, there is none."""
        failed: list[tuple[str, str]] = []

        def progress(number: int) -> None:
            if stop.is_set():
                raise StoppedError("Stopped before it was done.")
            reached(number)

        path = unused(self.folder / f"{file_stem(title)}.html")
        try:
            path = write_report(
                items, path.name, title=title, folder=self.folder, progress=progress,
                failed=lambda name, problem: failed.append((name, _why(problem))),
            )  # fmt: skip
        except StoppedError:
            return Batch(REPORT, len(items), (), tuple(failed), stopped=True)
        return Batch(REPORT, len(items), (path,), tuple(failed))

    def _finished(self, batch: Batch) -> None:
        self._enable()
        self.batch = batch
        self.saved = self.folder / batch.written[-1].name if batch.written else None
        self.status.value = batch_words(batch, self.folder)

    def _say(self, words: str) -> None:
        if not self.stop.disabled:  # else this comes after the result
            self.status.value = escape(words)

    def _enable(self) -> None:
        super()._enable()
        self.stop.disabled = True

    def close(self) -> None:
        """Stop after the figure under way and close the bar."""
        self.halt()
        super().close()


def _why(problem: Exception) -> str:
    return str(problem) if isinstance(problem, WorkbenchError) else f"{type(problem).__name__}: {problem}"
