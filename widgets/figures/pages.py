"""HTML pages that stand alone: one file, nothing fetched, nothing from outside interpreted."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

from plotly.offline import get_plotlyjs

from widgets.figures.template import CONFIG

if TYPE_CHECKING:
    import plotly.graph_objects as go
    import polars as pl

FIGURE_HEIGHT = 420
"""Pixels of a usual figure in a page."""

# What a saved page may do: run what it contains. It can fetch nothing and send nothing.
POLICY = (
    "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; img-src data: blob:; "
    "base-uri 'none'; form-action 'none'"
)


def document(title: str, style: str, body: str) -> bytes:
    """A whole page with plotly.js in it, once.

    Args:
        title: plain text.
        style: CSS.
        body: HTML, its outside texts escaped.
    """
    page = (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{html.escape(title)}</title>\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<style>{style}</style>\n<script>{get_plotlyjs()}</script>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )
    return page.encode(errors="replace")  # half a surrogate pair, which a name may hold, has no bytes


def drawing(fig: go.Figure, *, identifier: str = "figure", height: int = FIGURE_HEIGHT) -> str:
    """`fig` as an element of a `document`, as wide as its place.

    Args:
        fig: drawn as it is.
        identifier: the element's id, one of its own in the page.
        height: pixels; a height that the figure sets itself goes before it.
    """
    return str(
        fig.to_html(
            full_html=False,
            include_plotlyjs=False,  # the document's head has it
            include_mathjax=False,
            default_height=f"{height}px",
            div_id=identifier,
            config=CONFIG,
        )
    )


def table(frame: pl.DataFrame) -> str:
    """`frame` as an HTML table: text as written and never interpreted, a dash for what is not known.

    Cells of anything but numbers have the class `text`.
    """
    kinds = ["" if dtype.is_numeric() else ' class="text"' for dtype in frame.dtypes]
    names = zip(frame.columns, kinds, strict=True)
    head = "".join(f'<th scope="col"{kind}>{html.escape(name)}</th>' for name, kind in names)
    rows = (
        "".join(f"<td{kind}>{_cell(value)}</td>" for value, kind in zip(row, kinds, strict=True))
        for row in frame.iter_rows()
    )
    body = "\n".join(f"<tr>{cells}</tr>" for cells in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _cell(value: object) -> str:
    if value is None:
        return '<span title="not known">–</span>'
    if isinstance(value, float):
        return f"{value:.6g}"
    text = str(value).replace("\n", "⏎").replace("\t", "⇥")
    return html.escape(text)
