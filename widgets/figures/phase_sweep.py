"""A sweep's sequences as points: which are drawn, what they are called, whether they were right."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import numpy as np

from widgets.figures.series import Floats, Indices, column
from widgets.figures.text import Unit, per_unit, safe

if TYPE_CHECKING:
    import polars as pl

POINTS = 1500
"""Sequences drawn at most; boxes and correlations are always over all of them."""
VERDICTS = ("correct", "wrong", "unknown")
_NAMED = ("model", "sampler", "problem", "sample")


@dataclass(frozen=True)
class SweepPoints:
    """A row a sequence: a sweep's results, or what `phase_table` gives (with a column `correct` where it is known)."""

    table: pl.DataFrame
    kind: Literal["raw", "sampled"] = "raw"
    unit: Unit = "nats"
    points: int = POINTS

    def entropy(self, phase: Literal["think", "answer"] | None = None) -> Floats:
        """(n,) mean entropy of a phase, or of all tokens, in the unit; NaN where it is not known."""
        names = [] if self.kind == "raw" else ["sampled"]
        name = "_".join([*names, *([phase] if phase else []), "entropy"])
        return column(self.table, name) / per_unit(self.unit)

    @cached_property
    def verdicts(self) -> np.ndarray:
        """(n,) one of VERDICTS."""
        if "correct" not in self.table.columns:
            return np.full(len(self.table), "unknown")
        verdict = {True: "correct", False: "wrong", None: "unknown"}
        return np.array([verdict[correct] for correct in self.table["correct"].to_list()], dtype="U7")

    def subset(self, known: np.ndarray) -> Indices:
        """At most `points` of the rows that are `known` (n,), at even steps, so the same ones every time."""
        rows = np.flatnonzero(known)
        if len(rows) <= self.points:
            return rows
        return rows[np.linspace(0, len(rows) - 1, self.points).astype(np.int64)]

    def names(self, rows: Indices) -> list[str]:
        """What each sequence is called, harmless in a figure."""
        columns = [name for name in _NAMED if name in self.table.columns]
        picked = self.table.select(columns)[rows] if columns else None
        if picked is None:
            return [f"sequence {row}" for row in rows.tolist()]
        return [safe(", ".join(f"{name} {value}" for name, value in row.items())) for row in picked.to_dicts()]
