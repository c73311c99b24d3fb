"""The fold-out that opens trace files: a list of those in the folder, and a field for a name."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

import ipywidgets

from widgets.controls.job import Job
from widgets.panels.settings_panel import alert
from widgets.panels.trace_shelf_files import SUFFIXES, read_file, trace_files

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from workbench.traces import Trace


class OpenTraces(ipywidgets.HBox):
    """Reads the chosen file in the background.

    Args:
        folder: files outside it are not opened.
        opened: called with the file's name and its traces.
        said: called with HTML that says what happens.
    """

    def __init__(self, folder: Path, opened: Callable[[str, list[Trace]], None], said: Callable[[str], None]) -> None:
        self.folder, self._opened, self._said = folder, opened, said
        self._job: Job[tuple[str, list[Trace]]] = Job(self._done, self._failed)
        self.files = ipywidgets.Select(
            options=[], rows=6, layout={"width": "460px"}, tooltip="Trace files in the folder, newest first"
        )
        self.name = ipywidgets.Text(
            placeholder=f"or its name in the folder ({', '.join(SUFFIXES)})", continuous_update=False,
            layout={"width": "330px"}, tooltip="A trace saved here, or what a server recorded: JSON or JSONL",
        )  # fmt: skip
        self.read = ipywidgets.Button(description="Open file", icon="folder-open", layout={"width": "auto"})
        self.again = ipywidgets.Button(
            description="Look again", icon="repeat", tooltip="Read the folder anew", layout={"width": "auto"}
        )
        self.about = ipywidgets.HTML()
        self.read.on_click(lambda _: self.start())
        self.again.on_click(lambda _: self.look())
        self._buttons = ipywidgets.HBox([self.read, self.again])
        self._column = ipywidgets.VBox([self.about, self.name, self._buttons])
        super().__init__([self.files, self._column], layout={"flex_flow": "row wrap", "display": "none"})

    def look(self) -> None:
        """Bring the list up to date."""
        names, total = trace_files(self.folder)
        more = f"; the newest {len(names)} of {total:,} are shown" if len(names) < total else ""
        self.files.options = names
        self.files.value = names[0] if names else None
        where = f"<code>{escape(str(self.folder))}</code>"
        self.about.value = f"Trace files in {where}{more}" if names else f"There are no trace files in {where} yet."

    def start(self) -> None:
        """Open what the field names; where that is empty, what the list has chosen."""
        name = self.name.value.strip() or self.files.value
        if not name:
            self._said(alert("Choose a file from the list, or write its name."))
            return
        self.read.disabled = True
        self._said(f"opening <code>{escape(name)}</code> …")
        self._job.start(lambda _: (name, read_file(self.folder, name)))

    def wait(self, seconds: float = 60) -> bool:
        """Wait for a file under way; True when it is read."""
        return self._job.wait(seconds)

    def _done(self, found: tuple[str, list[Trace]]) -> None:
        self.read.disabled = False
        self.name.value = ""
        self._opened(*found)

    def _failed(self, problem: Exception) -> None:
        self.read.disabled = False
        self._said(alert(str(problem)))

    def close(self) -> None:
        """Close the fold-out."""
        for part in (self.about, self.name, self.read, self.again, self._buttons, *self.children):
            part.close()
        super().close()
