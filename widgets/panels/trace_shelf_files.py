"""Trace files under one folder: which there are, and reading one without ever leaving it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from workbench.errors import TraceError
from workbench.traces import Trace
from workbench.traces.imports import read_traces

if TYPE_CHECKING:
    from collections.abc import Iterator

SUFFIXES = (".parquet", ".json", ".jsonl")
"""Traces of our own, and what servers recorded."""
LISTED, LOOKED_AT = 200, 5000
"""Names in the list, and files looked at for it."""


def trace_files(folder: Path) -> tuple[list[str], int]:
    """Names of trace files under `folder`, newest first, LISTED at most; and how many there are in all.

    Hidden files, and links that lead out of the folder, are none; a folder that does not exist has none.
    """
    home = folder.expanduser().resolve()
    found = []
    for path in _walk(home):
        try:
            target = path.resolve()
            if target.is_file() and target.is_relative_to(home):
                found.append((target.stat().st_mtime, path.relative_to(home).as_posix()))
                found[-1][1].encode()
        except UnicodeEncodeError:  # a name that is no text cannot be shown
            found.pop()
        except (OSError, RuntimeError):  # gone by now, or a circle of links
            continue
    found.sort(reverse=True)
    return [name for _, name in found[:LISTED]], len(found)


def inside(folder: Path, name: str) -> Path:
    """The file of that name under `folder`, links followed.

    Raises:
        TraceError: it lies outside, there is none, or it is no kind of file that holds traces.
    """
    home = folder.expanduser().resolve()
    try:
        path = (home / name).resolve()
        there = path.is_file()
    except (OSError, RuntimeError, ValueError) as problem:  # too long, a circle of links, a NUL
        raise TraceError(f"{name!r:.80} is no name of a file ({problem}).") from problem
    if not path.is_relative_to(home):
        raise TraceError(f"{name!r:.80} lies outside {folder}. Copy the file into that folder, then open it.")
    if not there:
        raise TraceError(f"There is no file {name!r:.80} in {folder}. Choose one from the list.")
    if path.suffix.lower() not in SUFFIXES:
        raise TraceError(f"{name!r:.80} is no trace file; those end in {', '.join(SUFFIXES)}.")
    return path


def read_file(folder: Path, name: str) -> list[Trace]:
    """All traces in the file of that name under `folder`: one of our own, or those of a server's record.

    Raises:
        TraceError: as `inside`, or the file is damaged or of no known format.
    """
    path = inside(folder, name)
    try:
        return [Trace.load(path)] if path.suffix.lower() == ".parquet" else read_traces(path)
    except (  # what a file may raise that is whole but was changed by hand
        ValueError, KeyError, TypeError, AttributeError, RecursionError, pl.exceptions.PolarsError,
        pl.exceptions.PanicException,
    ) as problem:  # fmt: skip
        raise TraceError(
            f"{name} is damaged or was changed by another program ({type(problem).__name__}: {problem!s:.120}). "
            "Record or download it again."
        ) from problem


def _walk(home: Path) -> Iterator[Path]:
    """Visible files with a known suffix; linked folders are not entered."""
    looked = 0
    for parent, folders, names in os.walk(home):
        folders[:] = sorted(folder for folder in folders if not folder.startswith("."))
        for name in sorted(names):
            looked += 1
            if looked > LOOKED_AT:
                return
            if not name.startswith(".") and name.lower().endswith(SUFFIXES):
                yield Path(parent, name)
