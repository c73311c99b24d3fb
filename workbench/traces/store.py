"""Traces on disk: one Parquet file a trace, a folder of them is one lazily scanned dataset."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

import polars as pl

from workbench.atomic import replacing
from workbench.errors import TraceError
from workbench.traces.columns import SCHEMA
from workbench.traces.sketch import LogitSketch
from workbench.traces.trace import Trace

FORMAT = "1"
"""Version of the file layout; a reader refuses what it does not know."""

_KEY = "workbench.trace"
_SKETCH = "sketch_"


def save(trace: Trace, path: Path) -> Path:
    """Write `trace` to `path`: token columns, sketch columns, everything else as the file's key-value metadata.

    Raises:
        TraceError: the folder is missing or not writable, or the disk is full; no partial file is left.
    """
    frame = trace.tokens
    about: dict[str, Any] = {
        "prompt": trace.prompt, "prompt_ids": list(trace.prompt_ids), "text": trace.text, "meta": dict(trace.meta),
        "names": {str(token): text for token, text in trace.names.items()},
    }  # fmt: skip
    if trace.sketch is not None:
        sketch = trace.sketch.to_frame()
        frame = frame.hstack(sketch.rename({name: _SKETCH + name for name in sketch.columns}))
        about["sketch"] = {"vocabulary": trace.sketch.vocabulary, "bin_width": trace.sketch.bin_width}
    path = path.expanduser()
    with replacing(path, TraceError) as part:
        frame.write_parquet(part, compression="zstd", metadata={_KEY: FORMAT, "about": json.dumps(about)})
    return path


def load(path: Path) -> Trace:
    """Read a trace written by `save`.

    Raises:
        TraceError: no such file, not a Parquet file, truncated, not a trace, of another version, a column missing.
    """
    path = path.expanduser()
    about = _about(path)
    try:
        frame = pl.read_parquet(path)
    except (pl.exceptions.PolarsError, OSError) as problem:
        raise TraceError(
            f"{path} is truncated or damaged and cannot be read ({problem}). Record it again."
        ) from problem
    missing = [name for name in SCHEMA if name not in frame.columns]
    if missing:
        raise TraceError(f"{path} lacks the columns {missing}. It was changed after it was saved; record it again.")
    own = [name for name in frame.columns if not name.startswith(_SKETCH)]
    sketch = None
    if "sketch" in about:
        columns = frame.select(pl.exclude(own)).rename(lambda name: name.removeprefix(_SKETCH))
        try:
            sketch = LogitSketch.from_frame(columns, **about["sketch"])
        except (pl.exceptions.PolarsError, KeyError, TypeError, ValueError) as problem:
            raise TraceError(f"{path}: its logit sketch is incomplete ({problem}). Record it again.") from problem
    names = {int(token): text for token, text in about["names"].items()}
    prompt_ids = tuple(about["prompt_ids"])
    return Trace(frame.select(own), about["prompt"], prompt_ids, about["text"], about["meta"], sketch, names)


def _about(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise TraceError(f"{path}: there is no such file.")
    try:
        found = pl.read_parquet_metadata(path)
    except (pl.exceptions.PolarsError, OSError) as problem:
        raise TraceError(f"{path} is not a Parquet file, or it is truncated ({problem}).") from problem
    version = found.get(_KEY)
    if version is None:
        raise TraceError(f"{path} is a Parquet file but not a trace. wb.read_trace reads what other engines recorded.")
    if version != FORMAT:
        raise TraceError(f"{path} has trace format {version}; this version reads {FORMAT}. Upgrade entropy-workbench.")
    return json.loads(found["about"])


@dataclass(frozen=True)
class Traces(Sequence[Trace]):
    """A folder of traces: a sequence that reads a trace when asked for it, and lazy frames over all of them."""

    folder: Path
    files: tuple[Path, ...]

    @overload
    def __getitem__(self, index: int) -> Trace: ...
    @overload
    def __getitem__(self, index: slice) -> Traces: ...
    def __getitem__(self, index: int | slice) -> Trace | Traces:
        if isinstance(index, slice):
            return Traces(self.folder, self.files[index])
        return load(self.files[index])

    def __len__(self) -> int:
        return len(self.files)

    def __iter__(self) -> Iterator[Trace]:
        return (load(file) for file in self.files)

    @property
    def tokens(self) -> pl.LazyFrame:
        """All token tables as one lazy frame, with a column `file`; sketches are not touched."""
        if not self.files:
            return pl.LazyFrame(schema={**SCHEMA, "file": pl.String()})
        scan = pl.scan_parquet(
            list(self.files), include_file_paths="file", missing_columns="insert", extra_columns="ignore"
        )
        return scan.select(*SCHEMA, pl.col("file").str.split("/").list.last())

    def summary(self) -> pl.DataFrame:
        """A row a trace: file, model, seed, kind, finish, tokens, prompt and text; reads the files' metadata only."""
        rows = []
        for file in self.files:
            about = _about(file)
            meta = about["meta"]
            rows.append({
                "file": file.name, "model": meta.get("model"), "seed": meta.get("seed"), "kind": meta.get("kind"),
                "finish": meta.get("finish"), "tokens": pl.scan_parquet(file).select(pl.len()).collect().item(),
                "prompt": about["prompt"], "text": about["text"],
            })  # fmt: skip
        schema = {"file": pl.String, "model": pl.String, "seed": pl.Int64, "kind": pl.String, "finish": pl.String,
                  "tokens": pl.Int64, "prompt": pl.String, "text": pl.String}  # fmt: skip
        return pl.DataFrame(rows, schema=schema)


def open_traces(folder: str | Path) -> Traces:
    """Open a folder of traces written by `Trace.save`, without reading them.

    Raises:
        TraceError: there is no such folder, or no trace in it.
    """
    path = Path(folder).expanduser()
    if not path.is_dir():
        raise TraceError(f"{path}: there is no such folder.")
    files = tuple(sorted(path.glob("*.parquet")))
    if not files:
        raise TraceError(f"{path} holds no traces (*.parquet). Save some with trace.save('{path}/name.parquet').")
    return Traces(path, files)
