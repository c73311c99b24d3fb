"""Files that are either whole or not there."""

from __future__ import annotations

import errno
import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING
from uuid import uuid4

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from workbench.errors import WorkbenchError


@contextmanager
def replacing(path: Path, error: type[WorkbenchError]) -> Iterator[Path]:
    """Yield a temporary path beside `path` that takes its place when the block ends well, and vanishes when not.

    Readers see the old file or the new one, never a part. The temporary name starts with a dot and ends in `.part`, so
    that a folder scan for `*.parquet` passes over what a killed process left.

    Raises:
        WorkbenchError: of the class `error`, if the folder is missing, not writable, or the disk is full.
    """
    if not path.parent.is_dir():
        raise error(f"{path}: the folder {path.parent} does not exist. Create it first, or choose another.")
    part = path.parent / f".{path.name}.{uuid4().hex}.part"
    try:
        yield part
        _flush_to_disk(part)
        os.replace(part, path)  # noqa: PTH105  -- the one call that is atomic by contract
    except OSError as problem:
        raise error(_explain(path, problem)) from problem
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def _flush_to_disk(path: Path) -> None:
    with path.open("rb+") as handle:
        os.fsync(handle.fileno())


def _explain(path: Path, problem: OSError) -> str:
    if problem.errno == errno.ENOSPC:
        return f"{path}: the disk is full. Nothing was written; free some space or choose another folder."
    if problem.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"{path}: no permission to write there. Choose a folder of your own."
    return f"{path}: could not be written ({problem.strerror or problem}). An earlier file of that name is untouched."
