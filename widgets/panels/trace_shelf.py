"""The traces of a session in one slim line: switch, save, open, drop and compare."""

from __future__ import annotations

import threading
from collections import deque
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ipywidgets

from widgets.controls.export_bar import unused
from widgets.controls.job import Job
from widgets.controls.remembered import recall, store
from widgets.panels.settings_panel import alert
from widgets.panels.trace_compare import TraceCompare
from widgets.panels.trace_shelf_labels import file_stem, index_of, numbered
from widgets.panels.trace_shelf_open import OpenTraces
from workbench.errors import TraceError, WorkbenchError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from widgets.session import Session
    from workbench.traces import Trace

_NONE = -1
_naming = threading.Lock()  # from finding a free name until it is taken
_COMPARED = "Compare"  # under which the session keeps what is set in the comparison
_DROPPED = 5  # that Undo brings back; older ones are let go, with their memory


class TraceShelf(ipywidgets.VBox):
    """A menu of the session's traces, newest first, and what can be done with them; it says what happened.

    Args:
        session: whose traces they are.
        folder: where Save writes to and Open reads from; made when something is saved. No other file is touched.
    """

    _connected = False

    def __init__(self, session: Session, folder: str | Path = "traces") -> None:
        self.session, self.folder = session, Path(folder)
        self.saved: Path | None = None
        self.comparison: TraceCompare | None = None
        self._dropped: deque[tuple[int, Trace]] = deque(maxlen=_DROPPED)
        self._quiet = False
        self._job: Job[Path] = Job(self._was_saved, self._failed)
        self._make_parts()
        super().__init__([self.line, self.files], layout={"flex": "1 1 640px", "min_width": "0"})
        self.add_class("workbench-shelf")
        self._connected = True
        session.observe(self._session_changed, ["traces", "trace"])
        self._refresh()

    def _make_parts(self) -> None:
        self.menu = ipywidgets.Dropdown(
            options=[("no traces yet", _NONE)],
            layout={"flex": "9 1 200px", "width": "auto", "max_width": "410px"},
            tooltip="The trace that all panels show",
        )
        self.save = _button("Save", "save", f"Write this trace to {self.folder}", self.save_trace)
        self.browse = _toggle("Open…", "folder-open", "Open a saved trace, or what a server recorded", self._fold_files)
        self.drop = _button("Drop", "trash", "Take this trace out of the session; its file stays", self.drop_trace)
        self.undo = _button("Undo", "undo", "Bring back the trace that was dropped last", self.undo_drop)
        self.compare = _toggle("Compare", "columns", "Several traces side by side", self._fold_comparison)
        self.status = ipywidgets.HTML(layout={"flex": "1 1 auto", "min_width": "0", "margin": "0 0 0 8px"})
        self.files = OpenTraces(self.folder, self._opened, self._say)
        self.menu.observe(self._switched, "value")
        self.line = ipywidgets.HBox(
            [self.menu, self.save, self.browse, self.drop, self.undo, self.compare, self.status],
            layout={"flex_flow": "row wrap", "align_items": "center"},
        )

    # --- which one ------------------------------------------------------------------------------------------------

    def _session_changed(self, _: Mapping[str, Any]) -> None:
        self._refresh()

    def _refresh(self) -> None:
        """The menu and the buttons as the session is."""
        traces = self.session.traces
        shown = index_of(traces, self.session.trace)
        nothing = "no trace on show" if traces else "no traces yet"
        self._quiet = True
        self.menu.options = [*numbered(traces), *([(nothing, _NONE)] if shown is None else [])]
        self.menu.value = _NONE if shown is None else shown
        self._quiet = False
        self.save.disabled = shown is None or self._job.running
        self.drop.disabled = shown is None
        self.compare.disabled = not traces and not self.compare.value
        self.undo.layout.display = "" if self._dropped else "none"

    def _switched(self, change: Mapping[str, Any]) -> None:
        if not self._quiet and change["new"] not in (None, _NONE):
            self.session.trace = self.session.traces[change["new"]]
            self._say("")

    # --- save and open --------------------------------------------------------------------------------------------

    def save_trace(self) -> None:
        """Write the trace on show into the folder, in the background, under a name that is not taken."""
        trace = self.session.trace
        if trace is None:
            self._say(alert("There is no trace to save: record or open one first."))
            return
        self.save.disabled = True
        self._say("saving …")
        self._job.start(lambda _: _write(trace, self.folder))

    def open_file(self, name: str) -> None:
        """Open the file of that name in the folder, in the background, and show its last trace."""
        self.files.name.value = name
        self.files.start()

    def wait(self, seconds: float = 60) -> bool:
        """Wait for files under way; True when they are done."""
        return self._job.wait(seconds) and self.files.wait(seconds)

    def _was_saved(self, path: Path) -> None:
        self.saved = path
        self._say(f"saved <code>{escape(str(path))}</code> ({max(1, round(path.stat().st_size / 1000)):,} kB)")
        self.save.disabled = self.session.trace is None
        if self.browse.value:
            self.files.look()

    def _failed(self, problem: Exception) -> None:
        self.save.disabled = self.session.trace is None
        words = str(problem) if isinstance(problem, WorkbenchError) else f"{type(problem).__name__}: {problem}"
        self._say(alert(words))

    def _opened(self, name: str, traces: list[Trace]) -> None:
        self.session.traces = (*self.session.traces, *traces)
        self.session.trace = traces[-1]
        count = f", {len(traces)} traces" if len(traces) > 1 else ""
        self._say(f"opened <code>{escape(name)}</code>{count}")

    # --- drop -----------------------------------------------------------------------------------------------------

    def drop_trace(self) -> None:
        """Take the trace on show out of the session and show the next older one, else the next newer."""
        traces, trace = self.session.traces, self.session.trace
        index = index_of(traces, trace)
        if trace is None or index is None:
            self._say(alert("There is no trace to drop."))
            return
        self._dropped.append((index, trace))
        rest = (*traces[:index], *traces[index + 1 :])
        self.session.traces = rest
        self.session.trace = rest[max(index - 1, 0)] if rest else None
        self._refresh()
        self._say(f"dropped trace {index + 1}; Undo brings it back")

    def undo_drop(self) -> None:
        """Put the trace that was dropped last back to its place and show it."""
        if self._dropped:
            index, trace = self._dropped.pop()
            traces = self.session.traces
            if index_of(traces, trace) is None:
                self.session.traces = (*traces[:index], trace, *traces[index:])
            self.session.trace = trace
            self._refresh()
            self._say("brought back")

    # --- folded out -----------------------------------------------------------------------------------------------

    def _fold_files(self, out: bool) -> None:  # noqa: FBT001
        self.files.layout.display = "" if out else "none"
        if out:
            self.files.look()

    def _fold_comparison(self, out: bool) -> None:  # noqa: FBT001
        if out and self.comparison is None:
            self.comparison = TraceCompare(self.session)
            self.recall()
            self.children = (self.line, self.files, self.comparison)
        elif not out and self.comparison is not None:
            self.remember()
            self.children = (self.line, self.files)
            self.comparison.close()
            self.comparison = None
        self._refresh()

    def remember(self) -> None:
        """Put what is set in the comparison into the session."""
        if self.comparison is not None:
            store(self.session, _COMPARED, self.comparison.kept())

    def recall(self) -> None:
        """Set the comparison to what the session keeps of it."""
        if self.comparison is not None:
            recall(self.comparison.kept(), self.session.settings.get(_COMPARED, {}))

    def _say(self, words: str) -> None:
        """What happened, as HTML."""
        self.status.value = words

    def close(self) -> None:
        """Close everything and let go of the session and of what was dropped; a file under way is still finished."""
        if self._connected:  # a widget is closed once more when it is collected, also one that was never finished
            self._connected = False
            self.session.unobserve(self._session_changed, ["traces", "trace"])
            self._dropped.clear()
            for part in (*self.line.children, *self.children):
                part.close()
        super().close()


def _write(trace: Trace, folder: Path) -> Path:
    try:
        folder.expanduser().mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        words = problem.strerror or problem
        raise TraceError(f"{folder}: the folder cannot be made ({words}). Choose a folder of your own.") from problem
    with _naming:
        return trace.save(unused(folder.expanduser() / f"{file_stem(trace)}.parquet"))


def _button(label: str, icon: str, tooltip: str, pressed: Callable[[], None]) -> ipywidgets.Button:
    button = ipywidgets.Button(description=label, icon=icon, tooltip=tooltip, layout={"width": "auto"})
    button.on_click(lambda _: pressed())
    return button


def _toggle(label: str, icon: str, tooltip: str, turned: Callable[[bool], None]) -> ipywidgets.ToggleButton:
    button = ipywidgets.ToggleButton(description=label, icon=icon, tooltip=tooltip, layout={"width": "auto"})
    button.observe(lambda change: turned(change["new"]), "value")
    return button
