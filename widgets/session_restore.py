"""A session that was saved: what it says it holds, and how it is put back."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import polars as pl
import traitlets

from widgets.panels.model_form import ModelRequest
from widgets.session_files import FILES, SessionError
from widgets.session_parts import FIGURES, TRACES, get_figure, get_trace
from workbench.errors import WorkbenchError
from workbench.samplers import Sampler

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from widgets.controls.export_bar import Exportable
    from widgets.session import Session
    from workbench.traces import Trace

T = TypeVar("T")

# what a file may raise that is whole but was not written by this program
_UNREADABLE = (
    WorkbenchError, traitlets.TraitError, pl.exceptions.PolarsError, OSError, TypeError, KeyError, IndexError,
    ValueError, AttributeError,
)  # fmt: skip


@dataclass(frozen=True)
class SavedSession:
    """One session file."""

    path: Path
    saved: datetime
    """When it was last written, UTC."""
    about: Mapping[str, Any]
    """What the file says."""

    @property
    def models(self) -> dict[str, ModelRequest]:
        """What to ask `wb.load` for to have the models of both slots again: `model`, `second_model`, where known."""
        given = self.about.get("models")
        found = {}
        for slot in ("model", "second_model"):
            source = given.get(slot) if isinstance(given, dict) else None
            if isinstance(source, dict) and isinstance(source.get("source"), str):
                known = {field.name for field in fields(ModelRequest)}
                found[slot] = ModelRequest(**{
                    name: value for name, value in source.items() if name in known and isinstance(value, str)
                })  # fmt: skip
        return found

    def summary(self) -> str:
        """When it was saved and what it holds, in a line of plain text."""
        parts = [
            f"{count} {what if count == 1 else what + 's'}"
            for what, count in (("trace", len(self._list(TRACES))), ("kept figure", len(self._list(FIGURES))))
            if count
        ]
        parts += [request.source for request in self.models.values()]
        return f"{self.saved:%Y-%m-%d %H:%M} UTC: {', '.join(parts) or 'settings alone'}"

    def names(self, part: str) -> set[str]:
        """The files it needs of `traces` or of `figures`."""
        keys = ("file",) if part == TRACES else ("figure", "data")
        return {str(entry.get(key)) for entry in self._list(part) if isinstance(entry, dict) for key in keys}

    def restore(self, session: Session) -> list[str]:
        """Put everything that can be read back into `session`; what could not, in words. Nothing raises.

        Traces and figures come before those that are there; samplers, cursor and settings take the place of theirs.
        Models are not loaded: `models` says which they were.
        """
        lost = [str(words) for words in self._list("left_out")]
        traces = [self._trace(index, session, lost) for index in range(len(self._list(TRACES)))]
        figures = [self._figure(index, session, lost) for index in range(len(self._list(FIGURES)))]
        _try("The settings", lost, lambda: self._settings(session))
        for name in ("sampler", "sampler_b"):
            _try(f"The setting {name}", lost, partial(self._sampler, session, name))
        session.traces = _first(traces, session.traces)
        session.figures = _first(figures, session.figures)
        _try("Which trace was on show", lost, lambda: self._show(session, traces))
        return lost

    # --- parts ----------------------------------------------------------------------------------------------------

    def _list(self, name: str) -> list[Any]:
        found = self.about.get(name)
        return found if isinstance(found, list) else []

    def _trace(self, index: int, session: Session, lost: list[str]) -> Trace | None:
        entry = self._list(TRACES)[index]
        name = entry.get("file") if isinstance(entry, dict) else None
        known: Trace | None = _known(session.traces, name)
        if known is not None:
            return known
        restored: Trace | None = _try(f"Trace {index + 1}", lost, lambda: get_trace(self.path.parent, name))
        return restored

    def _figure(self, index: int, session: Session, lost: list[str]) -> Exportable | None:
        entry = self._list(FIGURES)[index]
        names = f"{entry.get('figure')} {entry.get('data')}" if isinstance(entry, dict) else None
        known: Exportable | None = _known(session.figures, names)
        if known is not None:
            return known
        restored: Exportable | None = _try(f"Figure {index + 1}", lost, lambda: get_figure(self.path.parent, entry))
        return restored

    def _settings(self, session: Session) -> None:
        given = self.about["settings"]
        kept = {name: state for name, state in given.items() if isinstance(state, dict)}
        session.settings = {**session.settings, **kept}

    def _sampler(self, session: Session, name: str) -> None:
        given = self.about[name]
        session.set_trait(name, None if given is None else Sampler.from_dict(given))

    def _show(self, session: Session, traces: list[Trace | None]) -> None:
        index = self.about["trace"]
        if index is not None and (trace := traces[index]) is not None:
            session.trace = trace
            session.cursor = self.about["cursor"]


def read_session(path: Path, version: str) -> SavedSession:
    """Read a session file of that version of the format.

    Raises:
        SessionError: it cannot be read, is damaged, or of another version.
    """
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
        if about["format"] == version:
            saved = datetime.fromisoformat(about["saved"]).astimezone(UTC)
            return SavedSession(path, saved, about)
    except OSError as problem:
        raise SessionError(f"{path.name} cannot be read ({problem.strerror or problem}).") from problem
    except (ValueError, TypeError, KeyError, RecursionError) as problem:
        raise SessionError(f"{path.name} is damaged and cannot be read. Its traces are in {TRACES}/.") from problem
    raise SessionError(
        f"{path.name} has session format {about['format']!r:.20}; this version reads {version}. Upgrade "
        "entropy-workbench."
    )


def _try(what: str, lost: list[str], get: Callable[[], T]) -> T | None:
    """What `get` gives; where it fails, say so in `lost`."""
    try:
        return get()
    except _UNREADABLE as problem:
        words = str(problem) if isinstance(problem, WorkbenchError) else f"{type(problem).__name__}: {problem}"
        lost.append(f"{what} could not be restored: {words}")
        return None


def _known(things: tuple[T, ...], name: str | None) -> T | None:
    """That of `things` which is in the file of that name."""
    return next((thing for thing in things if name is not None and FILES.name(thing) == name), None)


def _first(restored: list[Any], there: tuple[Any, ...]) -> tuple[Any, ...]:
    """What was restored, then what was there and is not among it."""
    found = [thing for thing in restored if thing is not None]
    return (*found, *(thing for thing in there if not any(thing is other for other in found)))
