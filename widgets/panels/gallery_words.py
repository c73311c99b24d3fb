"""Kept figures in words: when they were kept, their line in the list, names of their files, what became of them."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from html import escape
from typing import TYPE_CHECKING

from widgets.panels.settings_panel import alert

if TYPE_CHECKING:
    from pathlib import Path

    from widgets.controls.export_bar import Exportable

KEPT = "kept"
"""The setting that says when a figure was kept."""
_LONGEST = 120  # bytes of a file's stem; file systems allow 255 for the whole name


def kept_now(figure: Exportable) -> Exportable:
    """The figure, its settings saying that it was kept at this moment."""
    return replace(figure, settings={**figure.settings, KEPT: datetime.now(UTC).isoformat(timespec="seconds")})


def kept_at(figure: Exportable) -> str:
    """When a figure was kept, in this machine's time; "" where that is not known."""
    try:
        moment = datetime.fromisoformat(str(figure.settings.get(KEPT)))
    except (ValueError, OverflowError):
        return ""
    return f"{moment.astimezone():%Y-%m-%d %H:%M}"


def line(number: int, figure: Exportable) -> str:
    """A figure's line in the list, plain text."""
    when = kept_at(figure)
    return f"{number}. {figure.name}" + (f"  ({when})" if when else "")


def file_stem(name: str) -> str:
    """A name that stays in its folder: letters, digits and + - = . _ as they are, a dash for anything between."""
    stem = re.sub(r"[^\w+=.-]+", "-", name).encode(errors="ignore")[:_LONGEST].decode(errors="ignore")
    return stem.strip("-. ") or "figure"


@dataclass(frozen=True)
class Batch:
    """What an export of several figures came to."""

    format: str
    asked: int
    """Figures it was asked for."""
    written: tuple[Path, ...]
    failed: tuple[tuple[str, str], ...]
    """(name, why) of each figure that could not be written."""
    stopped: bool = False


def batch_words(batch: Batch, folder: Path) -> str:
    """What was written and what was not, as HTML; figures that failed for the same reason are named together."""
    count, size = len(batch.written), sum(path.stat().st_size for path in batch.written if path.exists())
    names = ", ".join(path.name for path in batch.written[:3]) + (" …" if count > 3 else "")
    words = "Stopped. " if batch.stopped else ""
    if batch.format == "Report" and count:
        words += f"saved <code>{escape(str(folder / names))}</code> ({_kilobytes(size)}) with {batch.asked} figures"
    elif count:
        words += f"{count} of {batch.asked} saved in <code>{escape(str(folder))}</code> ({_kilobytes(size)}): "
        words += escape(names)
    else:
        words += "Nothing was written."
    reasons: dict[str, list[str]] = {}
    for name, why in batch.failed:
        reasons.setdefault(why, []).append(name)
    return words + "".join(alert(f"{', '.join(names)}: {why}") for why, names in reasons.items())


def _kilobytes(size: int) -> str:
    return f"{max(1, round(size / 1000)):,} kB"
