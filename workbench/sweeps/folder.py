"""A sweep on disk: settings, problems, and two Parquet datasets of which a unit's files are whole or not there."""

from __future__ import annotations

import json
import re
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import polars as pl

from workbench.atomic import replacing
from workbench.errors import SweepError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

FORMAT = 1
"""Version of the layout; a reader refuses what it does not know."""
RESULTS: dict[str, Any] = {
    "model": pl.String, "sampler": pl.String, "problem": pl.String, "sample": pl.Int32, "difficulty": pl.Float64,
    "prompt": pl.String, "answer": pl.String, "text": pl.String, "extracted": pl.String, "correct": pl.Boolean,
    "seed": pl.Int64, "finish": pl.String, "prompt_tokens": pl.Int32, "tokens": pl.Int32, "entropy": pl.Float64,
    "sampled_entropy": pl.Float64, "think_entropy": pl.Float64, "answer_entropy": pl.Float64,
    "sampled_think_entropy": pl.Float64, "sampled_answer_entropy": pl.Float64, "think_tokens": pl.Int32,
    "answer_tokens": pl.Int32, "closings": pl.Int32, "unfinished": pl.Boolean, "prompt_ids": pl.List(pl.Int32),
}  # fmt: skip
"""Columns of the results, a row a sequence; entropies are means over tokens in nats, null where a phase has none."""
KEY = ("model", "sampler", "problem", "sample")
"""What names a sequence in both datasets."""

_SETTINGS, _PROBLEMS, _LOCK = "sweep.json", "problems.parquet", ".lock"
_PART = re.compile(r"part-(\d+)\.parquet")
_FREE = ("versions", "started", "workers", "backend")
"""Settings that may differ between a sweep and its continuation: the rows do not depend on them."""


class SweepFolder:
    """Names and writes a sweep's files. `results/part-N.parquet` is what says that unit N is done."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def part(self, kind: str, number: int) -> Path:
        """The file of a unit; kind is traces or results."""
        return self.path / kind / f"part-{number:05d}.parquet"

    def exists(self) -> bool:
        """Whether there is a sweep."""
        return (self.path / _SETTINGS).is_file()

    # --- settings -------------------------------------------------------------------------------------------------

    def begin(self, settings: Mapping[str, Any], problems: pl.DataFrame) -> dict[str, Any]:
        """Write the settings of a new sweep, or check that they are those of the one that is there.

        Returns:
            The settings that hold: those of the folder where there is a sweep.

        Raises:
            SweepError: the folder holds another sweep or something else, or cannot be written.
        """
        if self.exists():
            known = self.settings()
            _check_same(known, settings, self.path)
            self._sweep_up()
            return known
        if self.path.is_dir() and any(self.path.glob("*")):
            raise SweepError(f"{self.path} holds other files. Choose an empty folder, or one that is not there yet.")
        for kind in ("traces", "results"):
            _make(self.path / kind)
        with replacing(self.path / _PROBLEMS, SweepError) as part:
            problems.write_parquet(part, compression="zstd")
        with replacing(self.path / _SETTINGS, SweepError) as part:  # last: with it the sweep is there
            part.write_text(json.dumps({"format": FORMAT, **settings}, indent=1, ensure_ascii=False))
        return dict(settings)

    def settings(self) -> dict[str, Any]:
        """What the sweep was started with.

        Raises:
            SweepError: there is no sweep, or it is of another version.
        """
        if not self.exists():
            raise SweepError(
                f"{self.path} holds no sweep (no {_SETTINGS}). wb.sweeps.run(..., out='{self.path}') makes one."
            )
        try:
            found = json.loads((self.path / _SETTINGS).read_text())
        except (OSError, ValueError) as problem:
            raise SweepError(
                f"{self.path / _SETTINGS} cannot be read ({problem}). Start the sweep anew elsewhere."
            ) from problem
        if found.pop("format", None) != FORMAT:
            raise SweepError(f"{self.path} is a sweep of another version; upgrade entropy-workbench.")
        return dict(found)

    def problems(self) -> pl.DataFrame:
        """The problems of the sweep.

        Raises:
            SweepError: the file is missing or damaged.
        """
        try:
            return pl.read_parquet(self.path / _PROBLEMS)
        except (OSError, pl.exceptions.PolarsError) as problem:
            raise SweepError(f"{self.path / _PROBLEMS} cannot be read ({problem}). Start the sweep anew.") from problem

    # --- units ----------------------------------------------------------------------------------------------------

    def done(self) -> set[int]:
        """Numbers of the units that are written."""
        found = (_PART.fullmatch(path.name) for path in (self.path / "results").glob("part-*.parquet"))
        return {int(match[1]) for match in found if match and self.part("traces", int(match[1])).is_file()}

    def write(self, number: int, traces: pl.DataFrame, results: pl.DataFrame, about: Mapping[str, Any]) -> None:
        """Write a unit: its traces, then its results, each file whole or not at all.

        Raises:
            SweepError: no permission, or the disk is full.
        """
        metadata = {"workbench.sweep": str(FORMAT), "about": json.dumps(about)}
        for kind, frame in (("traces", traces), ("results", results)):
            with replacing(self.part(kind, number), SweepError) as part:
                frame.write_parquet(part, compression="zstd", compression_level=9, metadata=metadata)

    def about(self, number: int) -> dict[str, Any]:
        """What `write` was given besides the frames."""
        return dict(json.loads(pl.read_parquet_metadata(self.part("traces", number))["about"]))

    def _sweep_up(self) -> None:
        """Remove what a killed run left half-written."""
        for left in self.path.rglob(".*.part"):
            with suppress(OSError):
                left.unlink()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder for one run; the lock goes with the process, however that ends.

        Raises:
            SweepError: another run writes there.
        """
        _make(self.path)
        with (self.path / _LOCK).open("w") as handle:
            try:
                import fcntl  # noqa: PLC0415  -- not on Windows, where nothing guards the folder
            except ImportError:
                yield
                return
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as problem:
                raise SweepError(
                    f"Another run writes to {self.path}. Wait for it, stop it, or choose another folder."
                ) from problem
            yield


def _check_same(known: Mapping[str, Any], given: Mapping[str, Any], path: Path) -> None:
    differ = [
        f"{name} was {known.get(name)!r} and is {value!r}"
        for name, value in given.items()
        if name not in _FREE and value is not None and known.get(name) != value
    ]
    if differ:
        raise SweepError(
            f"{path} holds a sweep with other settings ({'; '.join(differ)}). Use the same settings to continue it, or "
            "another folder."
        )


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise SweepError(
            f"{folder} cannot be made ({problem.strerror or problem}). Choose a folder of your own."
        ) from problem
