"""Files named by their content: what is there already is never written twice, and damage is seen."""

from __future__ import annotations

import hashlib
import os
import re
import threading
import time
import weakref
from contextlib import suppress
from typing import TYPE_CHECKING
from uuid import uuid4

from workbench.errors import WorkbenchError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from pathlib import Path

SPARED_FOR = 3600.0
"""Seconds for which a file that no session names is left alone: another program may be about to name it."""

_NAME = re.compile(r"[0-9a-f]{32}\.(parquet|json)")


class SessionError(WorkbenchError):
    """A session could not be saved, or a part of a saved one could not be read."""


class Remembered:
    """Which file an object is in, for objects that never change; none is kept alive by it."""

    def __init__(self) -> None:
        self._names: dict[int, tuple[weakref.ref[object], str]] = {}
        self._lock = threading.Lock()

    def name(self, thing: object) -> str | None:
        """The name that was put down for it."""
        with self._lock:
            found = self._names.get(id(thing))
        return found[1] if found is not None and found[0]() is thing else None

    def put(self, thing: object, name: str) -> None:
        """Put down its name."""
        key = id(thing)

        def forget(reference: weakref.ref[object]) -> None:
            # not under the lock: this runs wherever an object dies, also in the thread that holds it
            if (found := self._names.get(key)) is not None and found[0] is reference:
                self._names.pop(key, None)

        with self._lock:
            self._names[key] = (weakref.ref(thing, forget), name)


FILES = Remembered()


def store(folder: Path, suffix: str, write: Callable[[Path], object]) -> str:
    """Have a file written and name it by its content; the name.

    Args:
        folder: where to; made where it is missing.
        suffix: `.parquet` or `.json`.
        write: writes the file at the path it is given, and raises where it cannot.

    Raises:
        SessionError: the folder cannot be made or written, or the disk is full.
    """
    make_folder(folder)
    staged = folder / f".{uuid4().hex}.part"
    try:
        write(staged)
        name = _digest(staged.read_bytes()) + suffix
        os.replace(staged, folder / name)  # noqa: PTH105  -- the one call that is atomic by contract
    except OSError as problem:
        raise SessionError(f"{folder}: could not be written ({problem.strerror or problem}).") from problem
    except WorkbenchError as problem:
        raise SessionError(str(problem).replace(str(staged), str(folder))) from problem
    finally:
        with suppress(OSError):
            staged.unlink(missing_ok=True)
    return name


def present(folder: Path, name: str | None) -> bool:
    """Whether the file of that name is there; it counts as new then, since it is needed anew."""
    if name is None:
        return False
    try:
        os.utime(folder / name)
    except OSError:
        return False
    return True


def checked(folder: Path, name: object) -> Path:
    """The path of a stored file, once it is seen to be what was written.

    Raises:
        SessionError: no name that `store` gives, no such file, or other content.
    """
    if not isinstance(name, str) or _NAME.fullmatch(name) is None:
        raise SessionError(f"{str(name)!r:.80} is no name of a file of this session.")
    path = folder / name
    if not path.is_file():
        raise SessionError(f"its file {name} is not there any more.")
    try:
        content = path.read_bytes()
    except OSError as problem:
        raise SessionError(f"its file {name} cannot be read ({problem.strerror or problem}).") from problem
    if _digest(content) != name.partition(".")[0]:
        raise SessionError(f"its file {name} is damaged: it holds something else than was written.")
    return path


def sweep(folder: Path, needed: Collection[str]) -> None:
    """Remove stored files that are not needed, and what killed writers left; young ones are spared."""
    if not folder.is_dir():
        return
    for path in folder.iterdir():
        ours = _NAME.fullmatch(path.name) is not None or (path.name.startswith(".") and path.suffix == ".part")
        if ours and path.name not in needed:
            with suppress(OSError):  # another program was quicker
                if time.time() - path.lstat().st_mtime > SPARED_FOR:
                    path.unlink()


def make_folder(folder: Path) -> None:
    """Make the folder and those above it.

    Raises:
        SessionError: that is not possible.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        words = problem.strerror or problem
        raise SessionError(f"{folder}: the folder cannot be made ({words}). Choose one of your own.") from problem


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:32]
