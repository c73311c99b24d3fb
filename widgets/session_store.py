"""Sessions on disk: everything a session holds but the models, whole or not at all.

A folder holds one `session-TIME.json` a run, and what it names in `traces` and `figures`, in files named by their
content. Each file takes its place whole, the session file last, so that a killed process leaves the session as it was
last saved.
"""

from __future__ import annotations

import json
import threading
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from widgets.panels.model_form import ModelRequest
from widgets.session_files import SessionError, make_folder, sweep
from widgets.session_parts import FIGURES, TRACES, put_figure, put_trace
from widgets.session_restore import SavedSession, read_session
from workbench.atomic import replacing

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from widgets.controls.export_bar import Exportable
    from widgets.session import Session
    from workbench.models import LanguageModel
    from workbench.traces import Trace

__all__ = ["FORMAT", "KEPT", "SavedSession", "SessionError", "SessionList", "State", "list_sessions", "save_session"]

FORMAT = "1"
"""Version of the layout; a reader refuses what it does not know."""
KEPT = 10
"""Session files in a folder; the oldest goes when another comes."""

_TIME = "%Y%m%dT%H%M%S.%fZ"
_writing = threading.Lock()


@dataclass(frozen=True)
class State:
    """What a session held at one moment; taking it costs nothing, writing it may be left to another thread."""

    traces: tuple[Trace, ...]
    trace: int | None
    """Index of the one on show."""
    cursor: int
    figures: tuple[Exportable, ...]
    about: Mapping[str, Any]
    """The samplers, the settings and where the models are from, as JSON."""

    @classmethod
    def of(cls, session: Session) -> State:
        """The session as it is now."""
        traces, shown = tuple(session.traces), session.trace
        if shown is not None and not any(trace is shown for trace in traces):
            traces = (*traces, shown)
        index = next((i for i, trace in enumerate(traces) if trace is shown), None)
        about = {
            "sampler": None if session.sampler is None else session.sampler.to_dict(),
            "sampler_b": None if session.sampler_b is None else session.sampler_b.to_dict(),
            "settings": _json_able(session.settings),
            "models": {slot: _source(getattr(session, slot)) for slot in ("model", "second_model")},
        }
        return cls(traces, index, session.cursor, tuple(session.figures), about)

    def write(self, folder: Path, path: Path) -> None:
        """Write what is not there yet, and then the session file that names it.

        Raises:
            WorkbenchError: the folder cannot be written, or the disk is full; what was saved before is untouched.
        """
        traces = [_named(put_trace(folder, trace), trace) for trace in self.traces]
        figures: list[dict[str, str]] = []
        left_out: list[str] = []
        for figure in self.figures:
            try:
                figures.append({"name": figure.name, **put_figure(folder, figure)})
            except (TypeError, ValueError, pl.exceptions.PolarsError) as problem:
                left_out.append(f"The figure {figure.name!r} was not saved: {problem}.")
        text = json.dumps({
            "format": FORMAT, "version": version("entropy-workbench"), "saved": datetime.now(UTC).isoformat(),
            "traces": traces, "trace": self.trace, "cursor": self.cursor, **self.about, "figures": figures,
            "left_out": left_out,
        }, indent=1)  # fmt: skip
        with replacing(path, SessionError) as part:
            part.write_text(text, encoding="utf-8")


def save_session(session: Session, folder: str | Path) -> Path:
    """Save traces, which one is on show, cursor, samplers, settings, kept figures, and where the models are from.

    What is saved already is not written again. The newest KEPT session files stay; traces and figures that none of
    them names any more are removed.

    Args:
        session: to be saved; the models themselves are not.
        folder: made where it is missing.

    Raises:
        WorkbenchError: the folder cannot be written, or the disk is full; what was saved before is untouched.
    """
    return save_state(State.of(session), new_session_file(folder))


def new_session_file(folder: str | Path) -> Path:
    """A path for a session file that sorts behind all others of the folder.

    Raises:
        SessionError: the folder cannot be made.
    """
    home = Path(folder).expanduser()
    make_folder(home)
    now = datetime.now(UTC)
    if earlier := _files(home):
        with suppress(ValueError):  # a file of that name but not of ours
            last = datetime.strptime(earlier[-1].stem.removeprefix("session-"), _TIME).replace(tzinfo=UTC)
            now = max(now, last + timedelta(microseconds=1))  # clocks are set back
    return home / f"session-{now.strftime(_TIME)}.json"


def save_state(state: State, path: Path) -> Path:
    """Write a state to a session file, new or not, and clear away what is not needed any more; the path.

    Raises:
        WorkbenchError: as `save_session`.
    """
    with _writing:
        state.write(path.parent, path)
        _rotate(path.parent)
    return path


class SessionList(list[SavedSession]):
    """Saved sessions, newest first."""

    damaged: tuple[str, ...] = ()
    """What could not be read, and why, in words."""


def list_sessions(folder: str | Path) -> SessionList:
    """The sessions saved in a folder, newest first; damaged ones are left out and named in `.damaged`.

    A folder that does not exist holds none.
    """
    found, damaged = SessionList(), []
    for path in _files(Path(folder).expanduser()):
        try:
            found.append(read_session(path, FORMAT))
        except SessionError as problem:
            damaged.append(str(problem))
    found.sort(key=lambda session: session.saved, reverse=True)
    found.damaged = tuple(damaged)
    return found


def _rotate(folder: Path) -> None:
    """Remove the oldest session files, and the traces and figures that only they named."""
    files = sorted(_files(folder), key=lambda path: path.stat().st_mtime)  # a long run's file has an old name
    for path in files[:-KEPT]:
        with suppress(OSError):
            path.unlink()
    try:
        kept = [read_session(path, FORMAT) for path in files[-KEPT:]]
    except SessionError:  # nobody knows what a damaged one needs, so that nothing is removed while it is there
        return
    for part in (TRACES, FIGURES):
        sweep(folder / part, {name for session in kept for name in session.names(part)})


def _files(folder: Path) -> list[Path]:
    """Session files, oldest first."""
    return sorted(folder.glob("session-*.json"))


def _named(name: str, trace: Trace) -> dict[str, Any]:
    """A trace's file, and what a reader is told of it where the file is gone."""
    return {"file": name, "tokens": len(trace), "model": trace.meta.get("model"), "seed": trace.meta.get("seed")}


def _source(model: LanguageModel | None) -> dict[str, Any] | None:
    """What to ask `wb.load` for to have this model again."""
    if model is None:
        return None
    return asdict(ModelRequest(model.name, str(model.device), model.dtype, model.revision, model.quantization))


def _json_able(settings: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of the settings; an entry that JSON has no words for is left out."""
    return dict(_entries(settings.items()))


def _entries(items: Iterable[tuple[str, Any]]) -> Iterable[tuple[str, Any]]:
    for name, value in items:
        with suppress(TypeError, ValueError):
            yield str(name), json.loads(json.dumps(value))
