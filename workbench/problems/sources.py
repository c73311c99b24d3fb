"""Anything problems may come from, as a polars frame with the columns it has."""

from __future__ import annotations

import difflib
import importlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from workbench import locations
from workbench.errors import MissingPackageError, ProblemError

if TYPE_CHECKING:
    from collections.abc import Callable

_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+(/[\w.-]+)?")
_SHARD = re.compile(r"(?P<split>.+)-\d{5}-of-\d{5}")


@dataclass(frozen=True)
class Table:
    """A source as it was read."""

    name: str
    frame: pl.DataFrame


def bundled_names() -> tuple[str, ...]:
    """The problem sets that come with the workbench."""
    return tuple(sorted(path.stem for path in locations.PROBLEMS.glob("*.parquet")))


def read(source: object, split: str | None) -> Table:
    """Read a bundled set, a file, a folder of Parquet files, a frame, a dataset, or a dataset of the hub.

    Raises:
        ProblemError: it is none of these, cannot be read, or has several splits and none was named.
        MissingPackageError: a dataset of the hub without the package datasets.
    """
    if isinstance(source, (str, os.PathLike)):
        return _read_named(source, split)
    if isinstance(source, Mapping) and source and not all(_is_column(part) for part in source.values()):
        return read(_one_split(source, split), None)
    if split is not None:
        raise ProblemError(f"split={split!r} goes with a folder, a dataset of several splits or one of the hub.")
    return Table("problems", _frame_of(source))


def _read_named(source: str | os.PathLike[str], split: str | None) -> Table:
    name = os.fspath(source)
    path = Path(name).expanduser()
    if isinstance(source, str) and name in bundled_names():
        path = locations.PROBLEMS / f"{name}.parquet"
    if name and path.is_dir():
        return Table(path.resolve().name, _read_folder(path, split))
    if name and path.exists():
        if split is not None:
            raise ProblemError(f"split={split!r}: {name} is one table, which has no splits.")
        return Table(path.stem, _read_file(path))
    looks_like_a_file = path.suffix.lower() in _READERS or name.startswith((".", "/", "~"))
    if isinstance(source, str) and not looks_like_a_file and _HUB_ID.fullmatch(name):
        return Table(name.split("/")[1], _frame_of(_from_hub(name, split)))
    raise ProblemError(_unknown(name))


def _unknown(name: str) -> str:
    names = bundled_names()
    close = difflib.get_close_matches(name, names, n=1)
    guess = f" Did you mean {close[0]!r}?" if close else ""
    return (
        f"{name!r} is no bundled problem set, and there is no such file or folder.{guess} Bundled are: "
        f"{', '.join(names) or 'none'}. A dataset of the hub is given as owner/name, or owner/name/configuration."
    )


def _read_file(path: Path) -> pl.DataFrame:
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise ProblemError(f"{path}: problems are read from {', '.join(_READERS)} files, and this is none of them.")
    try:
        return reader(path)
    except (pl.exceptions.PolarsError, OSError, UnicodeDecodeError) as problem:
        reason = str(problem).splitlines()[0] if str(problem) else type(problem).__name__
        raise ProblemError(
            f"{path} cannot be read as {path.suffix.lower()[1:]} ({reason}). Is it whole, and what its name says?"
        ) from problem


def _read_folder(folder: Path, split: str | None) -> pl.DataFrame:
    paths = sorted(path for path in folder.rglob("*.parquet") if not path.name.startswith("."))
    if not paths:
        raise ProblemError(f"{folder} holds no Parquet file. Give the file itself if it is of another kind.")
    splits: dict[str, list[Path]] = {}
    for path in paths:
        splits.setdefault(_split_of(path, folder, named=split is not None), []).append(path)
    chosen = _one_split(splits, split)
    frames = [_read_file(path) for path in chosen]
    try:
        return pl.concat(frames, how="vertical_relaxed")
    except pl.exceptions.PolarsError as problem:
        raise ProblemError(
            f"The Parquet files in {folder} do not have the same columns ({problem}). Give one of the files."
        ) from problem


def _split_of(path: Path, folder: Path, *, named: bool) -> str:
    """The split in a name such as test-00000-of-00001, or the subfolder; a plain name only where one was asked for."""
    shard = _SHARD.fullmatch(path.stem)
    if shard:
        return shard["split"]
    if path.parent != folder:
        return path.parent.name
    return path.stem if named else ""


def _one_split(splits: Mapping[Any, Any], split: str | None) -> Any:  # noqa: ANN401  -- paths, or a dataset
    if split is None and len(splits) == 1:
        return next(iter(splits.values()))
    if split in splits:
        return splits[split]
    names = ", ".join(repr(name) for name in splits)
    asked = "There are several splits" if split is None else f"There is no split {split!r}"
    raise ProblemError(f"{asked}: choose one of {names} with split=...")


def _read_delimited(path: Path, separator: str) -> pl.DataFrame:
    # Nothing is inferred: 007 and 1,000 stay what was written.
    return pl.read_csv(path, infer_schema=False, separator=separator)


def _read_json_lines(path: Path) -> pl.DataFrame:
    rows = []
    for number, line in enumerate(path.read_text(encoding="utf-8-sig").splitlines(), start=1):
        if line.strip():
            rows.append(_parsed(line, f"{path} line {number}"))
    return _from_rows(rows, path)


def _read_json(path: Path) -> pl.DataFrame:
    content = _parsed(path.read_text(encoding="utf-8-sig"), str(path))
    if isinstance(content, dict) and content and all(isinstance(part, list) for part in content.values()):
        return _frame_of(content)
    return _from_rows(content, path)


def _parsed(text: str, where: str) -> Any:  # noqa: ANN401  -- JSON
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as problem:
        raise ProblemError(f"{where} is not valid JSON: {problem}.") from problem


def _from_rows(rows: Any, path: Path) -> pl.DataFrame:  # noqa: ANN401  -- JSON
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ProblemError(f"{path}: expected one JSON object a problem, each with its prompt and its answer.")
    return _frame_of(rows)


_READERS: Mapping[str, Callable[[Path], pl.DataFrame]] = {
    ".parquet": pl.read_parquet,
    ".csv": lambda path: _read_delimited(path, ","),
    ".tsv": lambda path: _read_delimited(path, "\t"),
    ".jsonl": _read_json_lines,
    ".ndjson": _read_json_lines,
    ".json": _read_json,
}


def _frame_of(source: Any) -> pl.DataFrame:  # noqa: ANN401  -- a user may pass anything
    """Frames and datasets of whatever make; datasets.Dataset by its `to_polars`, or by its plain columns."""
    try:
        if isinstance(source, (pl.DataFrame, pl.LazyFrame)):
            return source.lazy().collect()
        if hasattr(source, "to_polars"):
            return pl.DataFrame(source.to_polars())
        if hasattr(source, "column_names") and hasattr(source, "to_dict"):
            return pl.DataFrame(source.to_dict(), strict=False)
        if hasattr(source, "__arrow_c_stream__") or isinstance(source, Mapping):
            return pl.DataFrame(source, strict=False)
        if isinstance(source, (list, tuple)) and all(isinstance(row, Mapping) for row in source):
            return pl.DataFrame([dict(row) for row in source], strict=False, infer_schema_length=None)
    except (pl.exceptions.PolarsError, TypeError, ValueError, OverflowError) as problem:
        raise ProblemError(f"This {type(source).__name__} is no table of problems: {problem}") from problem
    raise ProblemError(
        f"Problems cannot be read from a {type(source).__name__}. Give a bundled name, a file, a folder of Parquet "
        "files, a polars or pandas frame, a dataset, or owner/name of a dataset of the hub."
    )


def _is_column(part: object) -> bool:
    return isinstance(part, (list, tuple, pl.Series)) or type(part).__name__ == "ndarray"


def _from_hub(name: str, split: str | None) -> Any:  # noqa: ANN401  -- datasets is an optional package
    try:
        datasets = importlib.import_module("datasets")
    except ImportError as problem:
        raise MissingPackageError(
            f"{name!r} is no file or folder here; as a dataset of the hub it needs the package datasets: "
            "pip install datasets"
        ) from problem
    owner, dataset, *configuration = name.split("/")
    try:
        loaded = datasets.load_dataset(f"{owner}/{dataset}", *configuration, split=split)
    except Exception as problem:
        raise ProblemError(
            f"The dataset {name} could not be loaded: {problem}. A configuration is given as owner/name/configuration, "
            "a split as split=...; without a network, give a file or folder that was downloaded before."
        ) from problem
    return _one_split(loaded, None) if isinstance(loaded, Mapping) else loaded
