"""The parts of a session that have files of their own, traces and kept figures: how each is written and read."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import plotly.graph_objects as go
import plotly.io
import polars as pl

from widgets.controls.export_bar import Exportable
from widgets.session_files import FILES, SessionError, checked, present, store
from workbench.atomic import replacing
from workbench.traces import Trace

if TYPE_CHECKING:
    from pathlib import Path

TRACES, FIGURES = "traces", "figures"
"""The folders that hold them."""

_DTYPES = frozenset({"i1", "u1", "i2", "u2", "i4", "u4", "f4", "f8"})


def put_trace(folder: Path, trace: Trace) -> str:
    """Write a trace unless it is there; its file's name.

    Raises:
        WorkbenchError: the folder cannot be written, or the disk is full.
    """
    name = FILES.name(trace)
    if not present(folder / TRACES, name):
        name = store(folder / TRACES, ".parquet", trace.save)
        FILES.put(trace, name)
    return str(name)


def get_trace(folder: Path, name: object) -> Trace:
    """Read a trace back.

    Raises:
        WorkbenchError: it is missing or damaged.
    """
    path = checked(folder / TRACES, name)
    trace = Trace.load(path)
    FILES.put(trace, path.name)
    return trace


def put_figure(folder: Path, figure: Exportable) -> dict[str, str]:
    """Write a kept figure unless it is there: plotly's JSON with name and settings, and the data as Parquet.

    Raises:
        WorkbenchError: the folder cannot be written, or the disk is full.
        TypeError, ValueError, PolarsError: it holds what neither format has a word for.
    """
    home = folder / FIGURES
    names = FILES.name(figure)
    if names is None or not all(present(home, name) for name in names.split()):
        about = {
            "name": figure.name, "tall": figure.tall, "settings": dict(figure.settings),
            "figure": json.loads(plotly.io.to_json(figure.figure, validate=False)),
        }  # fmt: skip
        text = json.dumps(about, default=str)
        names = f"{store(home, '.json', lambda path: _write(path, text))} {_put_data(home, figure.data)}"
        FILES.put(figure, names)
    return dict(zip(("figure", "data"), names.split(), strict=True))


def get_figure(folder: Path, names: Any) -> Exportable:  # noqa: ANN401  -- as the file has it
    """Read a kept figure back. Its JSON makes plotly objects and nothing else: plotly refuses what it does not know.

    Raises:
        WorkbenchError: a file is missing or damaged.
        TypeError, KeyError, ValueError, PolarsError: it holds something else than `put_figure` wrote.
    """
    home = folder / FIGURES
    figure, data = (checked(home, names[part]) for part in ("figure", "data"))
    about = json.loads(figure.read_text(encoding="utf-8"))
    drawn = go.Figure(_arrays(about["figure"]))
    settings = dict(about["settings"])
    kept = Exportable(str(about["name"]), drawn, pl.read_parquet(data), settings, tall=float(about["tall"]))
    FILES.put(kept, f"{figure.name} {data.name}")
    return kept


def _arrays(value: Any) -> Any:  # noqa: ANN401  -- JSON
    """Plotly's JSON with its arrays as arrays again: plotly itself leaves them as {"dtype", "bdata", "shape"}."""
    if isinstance(value, list):
        return [_arrays(item) for item in value]
    if not isinstance(value, dict):
        return value
    if value.keys() >= {"dtype", "bdata"}:
        if value["dtype"] not in _DTYPES:
            raise ValueError(f"plotly has no arrays of {value['dtype']!r:.20}")
        array = np.frombuffer(base64.b64decode(value["bdata"], validate=True), dtype=value["dtype"])
        shape = value.get("shape")  # "2, 3"
        return array if shape is None else array.reshape([int(side) for side in str(shape).split(",")])
    return {key: _arrays(item) for key, item in value.items()}


def _put_data(home: Path, data: pl.DataFrame) -> str:
    def write(path: Path) -> None:
        with replacing(path, SessionError) as part:
            data.write_parquet(part, compression="zstd")

    return store(home, ".parquet", write)


def _write(path: Path, text: str) -> None:
    with replacing(path, SessionError) as part:
        part.write_text(text, encoding="utf-8")
