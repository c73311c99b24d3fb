"""A sweep on disk: settings, problems, and two Parquet datasets of which a unit's files are whole or not there."""

from __future__ import annotations

import json
import os
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
    "answer_tokens": pl.Int32, "closings": pl.Int32, "unfinished": pl.Boolean, "prompt_text": pl.String,
    "prompt_ids": pl.List(pl.Int32),
}  # fmt: skip
"""Columns of the results, a row a sequence; entropies are means over tokens in nats, null where a phase has none.

`prompt` is the problem, `prompt_text` what the model was given, with its chat template."""
KEY = ("model", "sampler", "problem", "sample")
"""What names a sequence in both datasets."""

_SETTINGS, _PROBLEMS, _LOCK, _STOP = "sweep.json", "problems.parquet", ".lock", ".stop"
_KINDS = ("traces", "results")
_NEEDED = {"problems", "grader", "models", "samplers", "samples", "seed", "max_new_tokens", "batch_size", "top"}
_MAGIC = b"PAR1"
"""The first and last bytes of a whole Parquet file."""
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

        Call it while the folder is `locked`. Settings under which nothing was decoded yet are replaced, so that a sweep
        refused for want of memory can start smaller in the same folder.

        Returns:
            The settings that hold: those of the folder where there is a sweep.

        Raises:
            SweepError: the folder holds another sweep or something else, or cannot be written.
        """
        self._check_ours()
        self._sweep_up()
        if self.exists():
            known = self.settings()  # somebody else's sweep.json ends here
            if any(self._parts("results")):
                _check_same(known, settings, self.path)
                return known
        for left in self._parts("traces"):  # without results, and of other settings perhaps
            left.unlink(missing_ok=True)
        for kind in _KINDS:
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
        if not isinstance(found, dict):
            raise SweepError(f"{self.path / _SETTINGS} holds no settings. Start the sweep anew elsewhere.")
        if found.pop("format", None) != FORMAT:
            raise SweepError(f"{self.path} is a sweep of another version; upgrade entropy-workbench.")
        if lacking := sorted(_NEEDED - found.keys()):
            raise SweepError(f"{self.path / _SETTINGS} lacks {', '.join(lacking)}. Start the sweep anew elsewhere.")
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
        """Numbers of the units that are written; one of which a file was cut short since is to be done again."""
        found = {_number(path) for path in self._parts("results") if _is_whole(path)}
        return {number for number in found if _is_whole(self.part("traces", number))}

    def write(self, number: int, traces: pl.DataFrame, results: pl.DataFrame, about: Mapping[str, Any]) -> None:
        """Write a unit: its traces, then its results, each file whole or not at all.

        Raises:
            SweepError: no permission, or the disk is full.
        """
        metadata = {"workbench.sweep": str(FORMAT), "about": json.dumps(about)}
        for kind, frame in (("traces", traces), ("results", results)):
            with replacing(self.part(kind, number), SweepError) as part:
                frame.write_parquet(part, compression="zstd", compression_level=12, statistics=False, metadata=metadata)

    def about(self, number: int) -> dict[str, Any]:
        """What `write` was given besides the frames."""
        return dict(json.loads(pl.read_parquet_metadata(self.part("traces", number))["about"]))

    def _parts(self, kind: str) -> Iterator[Path]:
        return (path for path in (self.path / kind).glob("part-*.parquet") if _PART.fullmatch(path.name))

    def _check_ours(self) -> None:
        """A folder without settings may hold what a run killed at its very beginning left, and nothing else."""
        if self.exists() or not self.path.is_dir():
            return
        half = {path.name for path in self.path.glob(".*.part")}
        others = {path.name for path in self.path.iterdir()} - half - {*_KINDS, _PROBLEMS, _LOCK, _STOP}
        if others or any(part for kind in _KINDS for part in self._parts(kind)):
            raise SweepError(f"{self.path} holds other files. Choose an empty folder, or one that is not there yet.")

    def _sweep_up(self) -> None:
        """Remove what a killed run left half-written. Only under the lock: a run under way has such files too."""
        self.stop_file.unlink(missing_ok=True)
        for folder in (self.path, *(self.path / kind for kind in _KINDS)):
            for left in folder.glob(".*.part"):
                with suppress(OSError):
                    left.unlink()

    # --- one run at a time ----------------------------------------------------------------------------------------

    @property
    def stop_file(self) -> Path:
        """While it is there, workers in other processes leave what they are at and end."""
        return self.path / _STOP

    def attempts_file(self, number: int) -> Path:
        """Where workers in other processes note that they are at a unit; named as what a killed run leaves."""
        return self.path / "traces" / f".attempts-{number:05d}.part"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder for one run; the lock goes with the process, however that ends.

        Raises:
            SweepError: another run writes there, or the folder is no place for a sweep.
        """
        self._check_ours()  # a folder of other things gets not even a lock
        _make(self.path)
        try:
            opened = (self.path / _LOCK).open("w")
        except OSError as problem:
            raise SweepError(
                f"{self.path / _LOCK} cannot be written ({problem.strerror or problem}). Choose a folder of your own."
            ) from problem
        with opened as handle:
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
        if name not in _FREE and known.get(name) != value
    ]
    if differ:
        raise SweepError(
            f"{path} holds a sweep with other settings ({'; '.join(differ)}). Use the same settings to continue it, or "
            "another folder."
        )


def _number(part: Path) -> int:
    return int(part.stem.removeprefix("part-"))


def _is_whole(part: Path) -> bool:
    """Whether it begins and ends as a Parquet file does: one that lost its end did lose what is read first."""
    try:
        with part.open("rb") as handle:
            if handle.read(len(_MAGIC)) != _MAGIC:
                return False
            handle.seek(-len(_MAGIC), os.SEEK_END)
            return handle.read() == _MAGIC
    except OSError:
        return False


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise SweepError(
            f"{folder} cannot be made ({problem.strerror or problem}). Choose a folder of your own."
        ) from problem
