"""The three regions of DiffAdapt's curve, and by how much entropy falls from the first to the second."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import polars as pl

from workbench.difficulty.bootstrap import percentile_interval
from workbench.errors import DifficultyError

if TYPE_CHECKING:
    from workbench.difficulty.regression import Floats

REGIONS = ("overthinking", "certainty", "capability limit")
"""Easy, medium and hard, in DiffAdapt's words."""


class Regions(NamedTuple):
    """Borders on the difficulty axis: easy below `medium`, hard above `hard`, what lies on a border is medium."""

    medium: float
    hard: float

    @classmethod
    def of(cls, medium: float, hard: float) -> Regions:
        """Checked borders.

        Raises:
            DifficultyError: not two finite numbers in ascending order.
        """
        if not (np.isfinite([medium, hard]).all() and medium <= hard):
            raise DifficultyError(f"regions must be two finite borders, the lower first, not ({medium}, {hard}).")
        return cls(float(medium), float(hard))


@dataclass(frozen=True)
class Reduction:
    """1 − H_medium / H_easy with its bootstrap interval, DiffAdapt's measure of overthinking (theirs: 0.22 to 0.25)."""

    value: float
    low: float
    high: float
    easy: float
    """Mean entropy of the easy region's problems, nats."""
    medium: float
    level: float

    def to_frame(self) -> pl.DataFrame:
        """One row."""
        return pl.DataFrame({name: [getattr(self, name)] for name in self.__dataclass_fields__})


def default_regions(levels: Floats) -> Regions:
    """Thirds of the range between the easiest and the hardest level.

    The paper draws its borders by eye and gives no numbers. Thirds do not look at the entropies: borders put around
    the lowest ones would find a reduction in noise.
    """
    low, high = float(levels.min()), float(levels.max())
    return Regions(low + (high - low) / 3, high - (high - low) / 3)


def region_names(levels: Floats, borders: Regions) -> pl.Series:
    """The region of each level, as the column "region"."""
    codes = (levels >= borders.medium).astype(int) + (levels > borders.hard)
    return pl.Series("region", [REGIONS[code] for code in codes], dtype=pl.String)


def reduction_of(levels: pl.DataFrame, sums: Floats, borders: Regions, level: float) -> Reduction | None:
    """The reduction with a percentile interval; a region's entropy is the weighted mean of all its problems.

    Args:
        levels: with columns level, entropy, weight, sparse.
        sums: (draws, levels, 2) resampled Σ weight · entropy and Σ weight.
        borders: of the regions.
        level: of the interval.
    """
    names, usable = region_names(levels["level"].to_numpy(), borders).to_numpy(), ~levels["sparse"].to_numpy()
    easy, medium = (usable & (names == region) for region in REGIONS[:2])
    if not (easy.any() and medium.any()):
        return None
    drawn = [sums[:, rows].sum(axis=1) for rows in (easy, medium)]
    means = [part[:, 0] / part[:, 1] for part in drawn]
    point = [_mean(levels, rows) for rows in (easy, medium)]
    if point[0] <= 0 or (means[0] <= 0).any():
        return None
    low, high = percentile_interval(1 - means[1] / means[0], level)
    return Reduction(1 - point[1] / point[0], float(low), float(high), point[0], point[1], level)


def _mean(levels: pl.DataFrame, rows: np.ndarray) -> float:
    weight = levels["weight"].to_numpy()[rows]
    return float(levels["entropy"].to_numpy()[rows] @ weight / weight.sum())
