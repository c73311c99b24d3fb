"""Several figures with their settings and data as one HTML page that stands alone."""

from __future__ import annotations

import html
import json
import platform
from datetime import UTC, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Protocol

import plotly.graph_objects as go

from widgets.figures import embed
from widgets.figures.export import inside, write
from widgets.figures.pages import FIGURE_HEIGHT, document, drawing, table
from widgets.figures.report_style import STYLE
from widgets.figures.template import apply_theme
from widgets.figures.text import thousands
from workbench.errors import ExportError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    import polars as pl

ROWS = 100
"""Rows of a figure's data that a report shows; all of them are in the exported data files."""

_PACKAGES = ("entropy-workbench", "plotly", "polars", "numpy", "torch", "transformers")


class ReportFigure(Protocol):
    """What a report needs to know of a figure; `widgets.controls.export_bar.Exportable` is one."""

    @property
    def name(self) -> str:
        """Its title."""

    @property
    def figure(self) -> go.Figure:
        """Drawn in the light theme, whatever it shows; it is not changed."""

    @property
    def data(self) -> pl.DataFrame:
        """The numbers behind it."""

    @property
    def settings(self) -> Mapping[str, Any]:
        """How it was made."""

    @property
    def tall(self) -> float:
        """Height against that of the usual figure."""


def write_report(
    figures: Sequence[ReportFigure],
    path: str | Path,
    *,
    title: str,
    folder: str | Path | None = None,
    progress: Callable[[int], None] | None = None,
    failed: Callable[[str, Exception], None] | None = None,
) -> Path:
    """Write one HTML file: each figure with its settings and the first ROWS rows of its data folded away beneath it.

    plotly.js is in the file, once, and the page is forbidden to fetch anything. `read_metadata` gets title, time,
    versions and every figure's settings out again.

    Args:
        figures: in the order in which they are to stand.
        path: where to, with the suffix .html; the file is replaced whole or left as it was.
        title: of the page, as plain text.
        folder: where given, `path` counts from there and must stay inside.
        progress: called with the number of each figure, from 1, before it is drawn. What it raises ends the report,
            and nothing is written.
        failed: called with the name of a figure that cannot be drawn, and why; the page says so in its place. Without
            it, such a figure ends the report.

    Raises:
        ExportError: no figures, another suffix, a path that leaves `folder`, a missing folder, a full disk, a figure
            that cannot be drawn. Nothing is half-written.
    """
    target = inside(path, folder)
    if target.suffix.lower() != ".html":
        raise ExportError(f"{target}: a report is written as .html.")
    if not figures:
        raise ExportError("There are no figures to report: keep one first.")
    sections, made = [], []
    for number, figure in enumerate(figures, start=1):
        if progress is not None:
            progress(number)
        try:
            settings = _as_json(figure.settings)
            sections.append(_section(number, figure, settings))
            made.append({"name": figure.name, "settings": settings})
        except Exception as problem:
            if failed is None:
                raise ExportError(f"{figure.name}: cannot be drawn: {problem}") from problem
            failed(figure.name, problem)
            sections.append(_missing(number, figure.name, problem))
    about = {"title": title, "time": datetime.now(UTC).isoformat(timespec="seconds"), "versions": versions()}
    script, _ = embed.html_parts({**about, "figures": made})
    parts = (_head(title, about, figures), *sections, script)
    return write(target, document(title, STYLE, "\n".join(parts)))


def caption(settings: Mapping[str, Any]) -> str:
    """A figure's origin in a few plain words: the model, the seed, when it was recorded, as far as they are known."""
    model, seed = settings.get("model"), settings.get("seed")
    words = [model if isinstance(model, str) else "", f"seed {seed}" if isinstance(seed, int) else ""]
    return " · ".join(word for word in (*words, _moment(settings.get("time"))) if word)


def _moment(time: object) -> str:
    """A time in ISO 8601 for readers; "" where it is none."""
    try:
        return f"{datetime.fromisoformat(str(time)).astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    except (ValueError, OverflowError):
        return ""


def versions() -> dict[str, str]:
    """Python's version and those of the packages that had a part in a figure."""
    return {"python": platform.python_version(), **{name: version(name) for name in _PACKAGES}}


def _head(title: str, about: Mapping[str, Any], figures: Sequence[ReportFigure]) -> str:
    """Title, time, versions and the table of contents."""
    made = ", ".join(f"{name} {number}" for name, number in about["versions"].items())
    entries = "\n".join(
        f'<li><a href="#part-{number}">{html.escape(figure.name)}</a>'
        f" <span>{html.escape(caption(figure.settings))}</span></li>"
        for number, figure in enumerate(figures, start=1)
    )
    count = f"{len(figures)} figure{'s' * (len(figures) != 1)}"
    return (
        f"<header><h1>{html.escape(title)}</h1>\n"
        f'<p>{count}, written <time datetime="{about["time"]}">{_moment(about["time"])}</time></p>\n'
        f'<p class="versions">{html.escape(made)}</p></header>\n'
        f'<nav aria-label="Figures"><ol>\n{entries}\n</ol></nav>'
    )


def _section(number: int, item: ReportFigure, settings: Mapping[str, Any]) -> str:
    light = apply_theme(go.Figure(item.figure), "light")
    height = round(FIGURE_HEIGHT * item.tall)
    light.update_layout(height=height, width=None)  # one that was drawn for a panel may have set its own
    shown, count = item.data.head(ROWS), len(item.data)
    rows = f"all {count}" if count <= ROWS else f"{thousands(len(shown))} of {thousands(count)}"
    plain = html.escape(json.dumps(settings, indent=2, ensure_ascii=False))
    return (
        f'<section id="part-{number}">\n{_title(number, item.name)}\n'
        f"<p>{html.escape(caption(settings))}</p>\n"
        f'<figure aria-label="{html.escape(item.name)}">'
        f"{drawing(light, identifier=f'figure-{number}', height=height)}</figure>\n"
        f"<details><summary>Settings</summary><pre>{plain}</pre></details>\n"
        f"<details><summary>Data <span>{rows} rows</span></summary>"
        f'<div class="data" tabindex="0">{table(shown)}</div></details>\n</section>'
    )


def _missing(number: int, name: str, problem: Exception) -> str:
    return (
        f'<section id="part-{number}">\n{_title(number, name)}\n'
        f'<p class="missing">⚠ This figure cannot be drawn: {html.escape(str(problem))}</p>\n</section>'
    )


def _title(number: int, name: str) -> str:
    return f"<h2><span>{number}</span> {html.escape(name)}</h2>"


def _as_json(settings: Mapping[str, Any]) -> dict[str, Any]:
    """As JSON holds it: every key a string, what it has no word for as text."""
    return dict(json.loads(json.dumps(dict(settings), default=str)))
