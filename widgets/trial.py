"""`python -m widgets.trial TRACE FOLDER`: draw a trace's entropies into FOLDER as HTML and PNG, a line of JSON each.

`workbench doctor` runs it: whether figures can be drawn and saved is found out by doing it.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from widgets.figures import entropy_chart, save_figure
from workbench.errors import ExportError
from workbench.traces import Trace

if TYPE_CHECKING:
    import plotly.graph_objects as go

FORMATS = ("HTML", "PNG")


def draw(figure: go.Figure, format_: str, folder: Path) -> dict[str, Any]:
    """Save it in that format: format and bytes and seconds, or format and problem."""
    began = time.perf_counter()
    try:
        path = save_figure(figure, folder / f"figure.{format_.lower()}", size="single")
    except ExportError as problem:
        return {"format": format_, "problem": str(problem)}
    return {"format": format_, "bytes": path.stat().st_size, "seconds": time.perf_counter() - began}


def main(trace: str, folder: str) -> None:
    """Draw all formats."""
    figure = entropy_chart(Trace.load(trace).tokens)
    for format_ in FORMATS:
        print(json.dumps(draw(figure, format_, Path(folder))), flush=True)  # noqa: T201  -- its output


if __name__ == "__main__":
    main(*sys.argv[1:])
