"""The numbers behind a chart, a page at a time."""

from __future__ import annotations

from html import escape

import ipywidgets
import polars as pl

PAGE = 25

_STYLE = """<style>
.workbench-table table { border-collapse: collapse; font-variant-numeric: tabular-nums; width: 100%; }
.workbench-table th, .workbench-table td { padding: 2px 8px; text-align: right; white-space: pre;
  border-bottom: 1px solid var(--jp-border-color2, #ddd); color: var(--jp-ui-font-color1, inherit); }
.workbench-table th { font-weight: 600; }
.workbench-table td.text, .workbench-table th.text { text-align: left; unicode-bidi: isolate; max-width: 260px;
  font-family: var(--jp-code-font-family, monospace); overflow: hidden; text-overflow: ellipsis; }
.workbench-table tr.cursor { background: var(--jp-brand-color3, #bbdefb); outline: 1px solid currentColor; }
</style>"""


class Table(ipywidgets.VBox):
    """A data frame as an HTML table of 25 rows with page buttons; the cursor's row is marked and turned to.

    Text is escaped: it is shown, never interpreted.
    """

    def __init__(self, frame: pl.DataFrame | None = None) -> None:
        self._frame = pl.DataFrame() if frame is None else frame
        self._page, self._cursor = 0, None
        self._html = ipywidgets.HTML(layout={"overflow": "auto", "max_height": "330px"})
        self._html.add_class("workbench-table")
        self._where = ipywidgets.Label()
        before = ipywidgets.Button(icon="chevron-left", tooltip="Previous page", layout={"width": "40px"})
        after = ipywidgets.Button(icon="chevron-right", tooltip="Next page", layout={"width": "40px"})
        before.on_click(lambda _: self.turn(self._page - 1))
        after.on_click(lambda _: self.turn(self._page + 1))
        super().__init__([ipywidgets.HBox([before, after, self._where]), self._html])
        self.turn(0)

    def show(self, frame: pl.DataFrame, cursor: int | None = None) -> None:
        """Show another frame, or the same with its cursor moved."""
        self._frame, self._cursor = frame, cursor
        self.turn(self._page if cursor is None else cursor // PAGE)

    def turn(self, page: int) -> None:
        """Go to a page; a number beyond the ends goes to the end."""
        pages = max(1, -(-len(self._frame) // PAGE))
        self._page = min(max(page, 0), pages - 1)
        first = self._page * PAGE
        rows = self._frame.slice(first, PAGE)
        self._where.value = (
            f"rows {first} to {first + max(len(rows) - 1, 0)} of {len(self._frame):,}" if len(rows) else "no rows"
        )
        self._html.value = _STYLE + _table(rows, None if self._cursor is None else self._cursor - first)

    def close(self) -> None:
        """Close the table with its buttons."""
        for child in (*self.children[0].children, *self.children):
            child.close()
        super().close()


def _table(rows: pl.DataFrame, marked: int | None) -> str:
    kinds = [' class="text"' if dtype == pl.String else "" for dtype in rows.dtypes]
    head = "".join(f"<th{kind}>{escape(name)}</th>" for name, kind in zip(rows.columns, kinds, strict=True))
    body = []
    for i, row in enumerate(rows.iter_rows()):
        cells = "".join(f"<td{kind}>{_cell(value)}</td>" for value, kind in zip(row, kinds, strict=True))
        body.append(f'<tr class="cursor" aria-current="true">{cells}</tr>' if i == marked else f"<tr>{cells}</tr>")
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody></table>"


def _cell(value: object) -> str:
    if value is None:
        return "<span title='not known'>–</span>"
    if isinstance(value, float):
        return f"{round(value, 4) + 0.0:.4f}"  # + 0 turns −0 into 0
    if isinstance(value, str):
        return escape(value.replace("\n", "⏎").replace("\t", "⇥"))
    return escape(str(value))
