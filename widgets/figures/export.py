"""Figures, their data and their settings as files, each carrying how it was made."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import plotly.graph_objects as go

from widgets.figures import embed
from widgets.figures.pages import document, drawing
from widgets.figures.renderer import RENDERER
from widgets.figures.template import FONT, apply_theme
from workbench.atomic import replacing
from workbench.errors import ExportError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import polars as pl

Size = Literal["single", "double"] | tuple[float, float]

# width and height in mm of a journal's one and two columns
PRINT_SIZES = {"single": (89.0, 64.0), "double": (183.0, 80.0)}
PRINT_DPI = 300
_CSS_DPI = 96  # CSS pixels an inch: what a browser lays out in
_MM_PER_INCH = 25.4
_PRINT_FONT = 7 * _CSS_DPI / 72  # 7 pt
_PRINT_MARKS = 0.65  # lines and markers against those on a screen

LARGEST_SIDE = 16_000
"""Pixels; beyond that browsers' canvases fail."""
LARGEST_AREA = 100_000_000
MOST_POINTS = 200_000

STATIC = (".png", ".svg", ".pdf")


def save_figure(
    fig: go.Figure,
    path: str | Path,
    *,
    size: Size = "double",
    scale: float | None = None,
    meta: Mapping[str, Any] | None = None,
    folder: str | Path | None = None,
) -> Path:
    """Write `fig` as PNG, SVG, PDF or HTML, by the suffix of `path`; in the light theme on white, whatever it shows.

    Args:
        fig: the figure; it is not changed.
        path: where to; the file is replaced whole or left as it was.
        size: "single" (89 mm) or "double" (183 mm) column with 7 pt text, or (width, height) in CSS pixels. In HTML
            the figure takes the window's width.
        scale: pixels of a PNG per CSS pixel; by default 300 dots an inch for the print sizes and 2 for others.
        meta: model, sampler, seed, versions …, written into the file; `read_metadata` gets it out.
        folder: where given, `path` counts from there and must stay inside.

    Raises:
        ExportError: an unknown suffix or size, a path that leaves `folder`, a missing folder, a full disk, no browser,
            a figure too large. Nothing is half-written.
    """
    target = inside(path, folder)
    suffix = target.suffix.lower()
    about = dict(meta or {})
    light = apply_theme(go.Figure(fig), "light")
    if suffix == ".html":
        return write(target, _page(light, about))
    if suffix not in STATIC:
        raise ExportError(f"{target}: figures are written as {', '.join(STATIC)} or .html; the suffix chooses.")
    width, height, scale = _pixels(size, scale)
    _refuse_too_large(light, width * scale, height * scale)
    if isinstance(size, str):
        _for_print(light)
    options = {
        "format": suffix[1:],
        "width": round(width),
        "height": round(height),
        "scale": scale if suffix == ".png" else 1,
    }
    data = RENDERER.render(light.to_dict(), options)
    if suffix == ".png":
        return write(target, embed.in_png(data, about, dots_per_metre=round(_CSS_DPI * scale / _MM_PER_INCH * 1000)))
    return write(target, (embed.in_svg if suffix == ".svg" else embed.in_pdf)(data, about))


def export_data(
    frame: pl.DataFrame, path: str | Path, meta: Mapping[str, Any] | None = None, *, folder: str | Path | None = None
) -> Path:
    """Write `frame` as CSV or Parquet, by the suffix of `path`, with `meta` inside.

    Parquet holds it as key-value metadata. A CSV's first line is `# ` and the JSON: read the table with
    `polars.read_csv(path, skip_lines=1)` or `pandas.read_csv(path, skiprows=1)`. Rather not by a comment prefix: some
    readers also find it inside quoted tokens.

    Raises:
        ExportError: an unknown suffix, a path that leaves `folder`, a missing folder, a full disk, lists in CSV.
    """
    target = inside(path, folder)
    about = embed.as_json(meta)
    suffix = target.suffix.lower()
    if suffix not in (".csv", ".parquet"):
        raise ExportError(f"{target}: tables are written as .csv or .parquet; the suffix chooses.")
    if suffix == ".csv" and (nested := [name for name, dtype in frame.schema.items() if dtype.is_nested()]):
        raise ExportError(f"{target}: CSV has no lists, and {nested} hold some. Save as .parquet.")
    with replacing(target, ExportError) as part:
        if suffix == ".parquet":
            frame.write_parquet(part, metadata={embed.KEY: about})
        else:
            part.write_text(f"# {about}\n{frame.write_csv()}", encoding="utf-8", newline="")
    return target


def export_settings(settings: Mapping[str, Any], path: str | Path, *, folder: str | Path | None = None) -> Path:
    """Write `settings` as JSON.

    Raises:
        ExportError: another suffix than .json, a path that leaves `folder`, a missing folder, a full disk.
    """
    target = inside(path, folder)
    if target.suffix.lower() != ".json":
        raise ExportError(f"{target}: settings are written as .json.")
    return write(target, (json.dumps(dict(settings), default=str, indent=2, ensure_ascii=False) + "\n").encode())


def inside(path: str | Path, folder: str | Path | None) -> Path:
    """`path`, counted from `folder` where there is one.

    Raises:
        ExportError: it leaves `folder`.
    """
    if folder is None:
        return Path(path)
    home = Path(folder).resolve()
    target = (home / path).resolve()  # links are followed before the comparison
    if not target.is_relative_to(home):
        raise ExportError(f"{path} lies outside {folder}. Choose a name inside that folder.")
    return target


def write(target: Path, data: bytes) -> Path:
    """Put `data` there, whole or not at all.

    Raises:
        ExportError: a missing folder, one that may not be written to, a full disk.
    """
    with replacing(target, ExportError) as part:
        part.write_bytes(data)
    return target


def _pixels(size: Size, scale: float | None) -> tuple[float, float, float]:
    """Width and height in CSS pixels, and device pixels per CSS pixel."""
    if isinstance(size, str):
        if size not in PRINT_SIZES:
            raise ExportError(
                f"size must be one of {', '.join(PRINT_SIZES)} or (width, height) in pixels, not {size!r}."
            )
        width, height = (mm / _MM_PER_INCH * _CSS_DPI for mm in PRINT_SIZES[size])
        return width, height, PRINT_DPI / _CSS_DPI if scale is None else scale
    width, height = size
    scale = 2.0 if scale is None else scale
    if min(width, height, scale) <= 0:
        raise ExportError(f"Width, height and scale must be above zero, not {width}, {height}, {scale}.")
    return width, height, scale


def _for_print(fig: go.Figure) -> None:
    """Text of 7 pt, margins and marks to match."""
    fig.update_layout(font_size=_PRINT_FONT, margin={"l": 40, "r": 8, "t": 16, "b": 32}, legend_x=-0.05)
    for trace in fig.data:
        line, marker = getattr(trace, "line", None), getattr(trace, "marker", None)
        if line is not None and line.width:
            line.width *= _PRINT_MARKS
        if marker is not None and isinstance(getattr(marker, "size", None), (int, float)):
            marker.size *= _PRINT_MARKS
            marker.line.width = (marker.line.width or 0) * _PRINT_MARKS


def _refuse_too_large(fig: go.Figure, width: float, height: float) -> None:
    if max(width, height) > LARGEST_SIDE or width * height > LARGEST_AREA:
        raise ExportError(
            f"{width:.0f} × {height:.0f} pixels are more than a browser draws ({LARGEST_SIDE} a side, "
            f"{LARGEST_AREA // 10**6} million in all). Choose a smaller size or scale; SVG and PDF need no scale."
        )
    points = sum(len(trace.x) for trace in fig.data if trace.x is not None)
    if points > MOST_POINTS:
        raise ExportError(
            f"The figure has {points} points; above {MOST_POINTS} a browser stalls. Draw it with a smaller "
            "`points`, or export its data as CSV or Parquet instead."
        )


def _page(fig: go.Figure, meta: Mapping[str, Any]) -> bytes:
    script, table = embed.html_parts(meta)
    style = (
        f"body{{font:14px {FONT};color:#1f2328;background:#fff;margin:1.5em auto;max-width:1100px;padding:0 1em}}"
        "dl{display:grid;grid-template-columns:max-content 1fr;gap:.2em 1em}dt{color:#59636e}"
        "dd{margin:0;overflow-wrap:anywhere}"
    )
    return document(str(meta.get("title", "Entropy Workbench")), style, f"{drawing(fig)}\n{table}\n{script}")
