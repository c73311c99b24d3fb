"""Metadata inside exported files: how to put a JSON object into each format, and how to get it out again."""

from __future__ import annotations

import html
import json
import re
import struct
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import polars as pl

from workbench.errors import ExportError

KEY = "entropy-workbench"
"""Under which name each format stores it."""

Meta = Mapping[str, Any]


def as_json(meta: Meta | None) -> str:
    """One line of ASCII JSON; what JSON has no word for is written as text."""
    return json.dumps(dict(meta or {}), default=str, sort_keys=True)


def in_png(data: bytes, meta: Meta, *, dots_per_metre: int | None = None) -> bytes:
    """PNG with a tEXt chunk after its header, and a pHYs chunk where the print resolution is known."""
    header_end = 8 + 25  # signature, IHDR
    chunks = _chunk(b"tEXt", KEY.encode() + b"\0" + as_json(meta).encode())
    if dots_per_metre is not None:
        chunks = _chunk(b"pHYs", struct.pack(">IIB", dots_per_metre, dots_per_metre, 1)) + chunks
    return data[:header_end] + chunks + data[header_end:]


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def in_svg(data: bytes, meta: Meta) -> bytes:
    """SVG with a <metadata> element as its first child."""
    at = data.index(b">", data.index(b"<svg")) + 1
    element = f'<metadata id="{KEY}">{html.escape(as_json(meta), quote=False)}</metadata>'
    return data[:at] + element.encode() + data[at:]


def in_pdf(data: bytes, meta: Meta) -> bytes:
    """PDF with the JSON under /EntropyWorkbench in its information dictionary, as an incremental update.

    The new version of the dictionary, its cross-reference and a trailer are appended; nothing before is touched
    (ISO 32000-1, 7.5.6). A file without a classic trailer is returned as it is.
    """
    trailer = re.search(rb"trailer\s*<<(.*?)>>\s*startxref\s+(\d+)\s+%%EOF\s*$", data, re.DOTALL)
    info = trailer and re.search(rb"/Info (\d+) 0 R", trailer[1])
    old = info and re.search(rb"\n%s 0 obj\s*<<(.*?)>>\s*endobj" % info[1], data, re.DOTALL)
    if not trailer or not info or not old:
        return data
    data = data.rstrip() + b"\n"
    number, text = info[1], as_json(meta).encode().replace(b"\\", rb"\\").replace(b"(", rb"\(").replace(b")", rb"\)")
    entry = b"%s 0 obj\n<<%s\n/EntropyWorkbench (%s)>>\nendobj\n" % (number, old[1], text)
    table = b"xref\n%s 1\n%010d 00000 n \n" % (number, len(data))
    closing = b"trailer\n<<%s\n/Prev %s>>\nstartxref\n%d\n%%%%EOF\n" % (trailer[1], trailer[2], len(data) + len(entry))
    return data + entry + table + closing


def html_parts(meta: Meta) -> tuple[str, str]:
    """(script, table): the JSON for programs and the same for readers. Neither can break out of its element."""
    machine = as_json(meta).replace("<", "\\u003c")
    rows = "".join(
        f"<dt>{html.escape(str(key))}</dt><dd>{html.escape(value if isinstance(value, str) else _shown(value))}</dd>"
        for key, value in meta.items()
    )
    return f'<script type="application/json" id="{KEY}">{machine}</script>', f"<dl>{rows}</dl>"


def _shown(value: object) -> str:
    return json.dumps(value, default=str, ensure_ascii=False)


def read_metadata(path: str | Path) -> dict[str, Any]:
    """The metadata that an exported file carries.

    Raises:
        ExportError: the file cannot be read, or carries none.
    """
    path = Path(path)
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise ExportError(f"{path}: not one of the formats that carry metadata: {', '.join(_READERS)}.")
    try:
        text = reader(path)
        return dict(json.loads(text)) if text is not None else _none(path)
    except (OSError, ValueError, pl.exceptions.PolarsError) as problem:
        raise ExportError(f"{path}: cannot be read: {problem}") from problem


def _none(path: Path) -> dict[str, Any]:
    raise ExportError(f"{path}: carries no metadata of this workbench.")


def _from_png(path: Path) -> str | None:
    data, at = path.read_bytes(), 8
    while at + 8 <= len(data):
        length, kind = struct.unpack(">I4s", data[at : at + 8])
        body = data[at + 8 : at + 8 + length]
        if kind == b"tEXt" and body.startswith(KEY.encode() + b"\0"):
            return body.split(b"\0", 1)[1].decode()
        at += 12 + length
    return None


def _between(pattern: str, decode: Callable[[str], str]) -> Callable[[Path], str | None]:
    def read(path: Path) -> str | None:
        # the last one: a page holds all of plotly.js before it, a PDF its earlier versions
        found = re.findall(pattern, path.read_bytes().decode("latin-1"), re.DOTALL)
        return decode(found[-1]) if found else None

    return read


def _from_csv(path: Path) -> str | None:
    with path.open(encoding="utf-8") as lines:
        first = lines.readline()
    return first.removeprefix("# ") if first.startswith("# {") else None


_READERS: dict[str, Callable[[Path], str | None]] = {
    ".png": _from_png,
    ".svg": _between(rf'<metadata id="{KEY}">(.*?)</metadata>', html.unescape),
    ".pdf": _between(r"/EntropyWorkbench \((.*?)\)>>\nendobj", lambda text: re.sub(r"\\(.)", r"\1", text)),
    ".html": _between(rf'<script type="application/json" id="{KEY}">(.*?)</script>', str),
    ".csv": _from_csv,
    ".parquet": lambda path: pl.read_parquet_metadata(path).get(KEY),
    ".json": lambda path: path.read_text(encoding="utf-8"),
}
