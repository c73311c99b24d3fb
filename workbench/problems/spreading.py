"""A few problems that stand for all difficulties."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl


def spread(difficulties: pl.Series, ids: pl.Series, n: int) -> list[int]:
    """`n` row numbers, ascending, the same from every level as far as it goes; unknown difficulty is a level too."""
    levels: dict[float | None, list[int]] = {}
    for row, level in enumerate(difficulties):
        levels.setdefault(level, []).append(row)
    ordered = [levels[level] for level in sorted(levels, key=lambda level: (level is None, level or 0.0))]
    # Sources are often sorted by subject: a hash of the id picks from all of a level, and the same ones for every n.
    for rows in ordered:
        rows.sort(key=lambda row: hashlib.blake2b(ids[row].encode(), digest_size=8).digest())
    chosen = [
        row for rows, k in zip(ordered, shares([len(rows) for rows in ordered], n), strict=True) for row in rows[:k]
    ]
    return sorted(chosen)


def shares(sizes: Sequence[int], n: int) -> list[int]:
    """How many to take of each level: equal shares, no more than there are, the rest over levels spread evenly."""
    taken = [0] * len(sizes)
    while n:
        open_levels = [i for i, size in enumerate(sizes) if taken[i] < size]
        each = min(n // len(open_levels), *(sizes[i] - taken[i] for i in open_levels))
        chosen = open_levels if each else [open_levels[place] for place in _evenly(len(open_levels), n)]
        for i in chosen:
            taken[i] += each or 1
        n -= len(chosen) * (each or 1)
    return taken


def _evenly(length: int, n: int) -> list[int]:
    """`n` places of `length`, the first and the last among them; the middle for one."""
    if n == 1:
        return [(length - 1) // 2]
    return [round(i * (length - 1) / (n - 1)) for i in range(n)]
