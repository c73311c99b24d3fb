"""The two-lines test of Simonsohn (2018): one line falls significantly, the other rises significantly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import polars as pl
from scipy import stats

from workbench.difficulty.regression import Data, Fit, Floats, StandardError, least_squares
from workbench.difficulty.smooth import smooth
from workbench.errors import DifficultyError

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from numpy.typing import ArrayLike

    from workbench.difficulty.quadratic import Shape

DISTINCT = 3
"""Distinct values of x that each line needs, the break included."""


@dataclass(frozen=True)
class TwoLines:
    """Result of `two_lines`. Where `identifiable` is False the numbers are NaN and `reason` says why."""

    slope_low: float
    """Average slope for x ≤ break."""
    slope_high: float
    """Average slope for x ≥ break."""
    z_low: float
    z_high: float
    p_low: float
    """Two-sided."""
    p_high: float
    break_at: float
    value_low: float
    """Where the line of the low side ends, at the break and the average covariates."""
    value_high: float
    """Where the line of the high side begins."""
    supported: bool
    """Slopes of opposite sign, in the order of the shape asked for, both p below `level`."""
    identifiable: bool
    reason: str | None
    flat: tuple[float, float] | None
    """Least and largest x among which the break was looked for; None where it was given."""
    shape: str
    """What the break was looked for: "u" or "inverted"."""
    n: int
    se: StandardError
    level: float

    def to_frame(self) -> pl.DataFrame:
        """One row; NaN becomes null."""
        low, high = self.flat or (None, None)
        numbers = (
            "slope_low", "slope_high", "z_low", "z_high", "p_low", "p_high", "break_at", "value_low", "value_high",
        )  # fmt: skip
        row = {name: getattr(self, name) for name in numbers} | {"flat_low": low, "flat_high": high}
        words = ("shape", "supported", "identifiable", "reason", "n", "se", "level")
        frame = pl.DataFrame(
            row | {name: getattr(self, name) for name in words}, schema_overrides={"reason": pl.String}
        )
        return frame.with_columns(pl.col(*row).cast(pl.Float64).fill_nan(None))


@dataclass(frozen=True)
class _Lines:
    """Slopes, statistics, two-sided p and values at the break: (low, high) each."""

    slopes: tuple[float, float]
    statistics: tuple[float, float]
    p: tuple[float, float]
    values: tuple[float, float]
    se: StandardError


def two_lines(
    x: ArrayLike,
    y: ArrayLike,
    *,
    break_at: float | None = None,
    covariates: ArrayLike | None = None,
    clusters: Sequence[Hashable] | ArrayLike | None = None,
    shape: Shape = "auto",
    trim: float = 0.1,
    level: float = 0.05,
) -> TwoLines:
    """Two lines that meet at a break, or jump there, each with the significance of its slope.

    1. The sign of a parabola's slope at the smallest x says whether a bottom or a top is looked for ("auto").
    2. A spline gives ŷ and its error at every x strictly between the quantiles `trim` and 1 − `trim`. Flat are the
       points whose ŷ is within one error of the lowest (or highest) ŷ there.
    3. With z₁ and z₂ of the lines broken at the median flat x, the break is the quantile |z₂| / (|z₁| + |z₂|) of the
       flat x ("Robin Hood": the weaker side gets more points). Quantiles are R's type 7.
    4. y = a + b₁ min(x − c, 0) + b₂ max(x − c, 0) + d·[x beyond c], fitted twice: points at c belong to the low side
       for b₁ and to the high side for b₂.

    Errors are HC3 (HC1 where a point has leverage 1) with normal p, as in the reference; with `clusters` they are
    clustered, with t of G − 1 degrees of freedom, which the reference does not offer. The spline's one difference
    from the reference's is told at `workbench.difficulty.smooth.smooth`.

    Args:
        x: (n,).
        y: (n,).
        break_at: the break, where it is known beforehand.
        covariates: (n,) or (n, k) more regressors.
        clusters: (n,) labels, such as the problem of each sequence.
        shape: "u" or "inverted" ask for that order of signs; "auto" supports either, as the reference does.
        trim: share of points at either end that cannot hold the break.
        level: of each slope's two-sided test.

    Returns:
        The lines; with fewer than three distinct x on a side, or no candidate for the break, a result that is not
        identifiable rather than an error.

    Raises:
        DifficultyError: numbers that are not finite, or arguments out of range.

    Source: U. Simonsohn, "Two lines", Advances in Methods and Practices in Psychological Science 1(4), 2018;
    urisohn/statuser, R/twolines.R (0.52).
    """
    _check(shape, trim, level, break_at)
    data = Data.of(x, y, covariates, clusters)
    flat: Floats | None = None
    orientation = "u" if shape == "auto" else shape
    try:
        if shape == "auto":
            orientation = _orientation(data)
        if break_at is None:
            flat = _flat(data, trim, 1 if orientation == "u" else -1)
            break_at = _robin_hood(data, flat)
        lines = _fit(data, break_at)
    except DifficultyError as error:
        return _not_identifiable(data, str(error), break_at=break_at, flat=flat, shape=orientation, level=level)
    low, high = lines.slopes
    wanted = {"u": low < 0 < high, "inverted": low > 0 > high, "auto": low * high < 0}[shape]
    return TwoLines(
        *lines.slopes, *lines.statistics, *lines.p, float(break_at), *lines.values,
        supported=bool(wanted and max(lines.p) < level), identifiable=True, reason=None, flat=_span(flat),
        shape=orientation, n=len(data.x), se=lines.se, level=level,
    )  # fmt: skip


def _check(shape: str, trim: float, level: float, break_at: float | None) -> None:
    if shape not in ("u", "inverted", "auto"):
        raise DifficultyError(f"shape must be 'u', 'inverted' or 'auto', not {shape!r}.")
    if not 0 <= trim < 0.5:
        raise DifficultyError(f"trim must lie between 0 and 0.5, not {trim}.")
    if not 0 < level < 1:
        raise DifficultyError(f"level must lie between 0 and 1, not {level}.")
    if break_at is not None and not np.isfinite(break_at):
        raise DifficultyError(f"break_at must be a finite number, not {break_at}.")


def _not_identifiable(
    data: Data, reason: str, *, break_at: float | None, flat: Floats | None, shape: str, level: float
) -> TwoLines:
    nan = float("nan")
    at = nan if break_at is None else float(break_at)
    return TwoLines(
        nan, nan, nan, nan, nan, nan, at, nan, nan, supported=False, identifiable=False, reason=reason,
        flat=_span(flat), shape=shape, n=len(data.x), se="hc3" if data.clusters is None else "cluster", level=level,
    )  # fmt: skip


def _span(flat: Floats | None) -> tuple[float, float] | None:
    return None if flat is None else (float(flat.min()), float(flat.max()))


def _orientation(data: Data) -> Literal["u", "inverted"]:
    """By the sign of the fitted parabola's slope at the smallest x."""
    scale = np.ptp(data.x) or 1.0
    u = (data.x - data.x.min()) / scale
    design = np.column_stack([np.ones_like(u), u, u**2, data.covariates])
    return "u" if least_squares(design, data.y - data.y[0], se="ols").coefficients[1] <= 0 else "inverted"


def _flat(data: Data, trim: float, turned: int) -> Floats:
    """The x among which the break is looked for, once for each observation there."""
    curve = smooth(data)
    low, high = np.quantile(data.x, [trim, 1 - trim])
    middle = (data.x > low) & (data.x < high)
    if not middle.any():
        raise DifficultyError("No x lies strictly between the trimmed ends: x has too few distinct values inside.")
    fitted = turned * curve.fitted[middle]
    return data.x[middle][fitted - curve.standard_error[middle] <= fitted.min()]


def _robin_hood(data: Data, flat: Floats) -> float:
    z_low, z_high = (abs(z) for z in _fit(data, float(np.median(flat))).statistics)
    if np.isinf([z_low, z_high]).any() or z_low + z_high == 0:
        return float(np.median(flat))
    return float(np.quantile(flat, z_high / (z_low + z_high)))


def _fit(data: Data, at: float) -> _Lines:
    """Both regressions of step 4."""
    below, above = len(np.unique(data.x[data.x <= at])), len(np.unique(data.x[data.x >= at]))
    if min(below, above) < DISTINCT:
        raise DifficultyError(
            f"With the break at {at:.4g} there are {below} distinct x on the low side and {above} on the high side; "
            f"each line needs {DISTINCT}. Add levels there, or problems with difficulties in between."
        )
    se: StandardError = "hc3" if data.clusters is None else "cluster"
    fits = [_interrupted(data, at, beyond, se) for beyond in (data.x > at, data.x >= at)]
    picked = [fit.slope(np.eye(len(fit.coefficients))[1 + side]) for side, fit in enumerate(fits)]
    p_low, p_high = (2 * _tail(abs(z), fit) for (_, z), fit in zip(picked, fits, strict=True))
    first = float(data.y[0])
    values = first + float(fits[0].coefficients[0]), first + float(fits[1].coefficients[[0, 3]].sum())
    used = "hc1" if "hc1" in (fits[0].se, fits[1].se) else se
    return _Lines((picked[0][0], picked[1][0]), (picked[0][1], picked[1][1]), (p_low, p_high), values, used)


def _interrupted(data: Data, at: float, beyond: np.ndarray, se: StandardError) -> Fit:
    from_break = data.x - at
    columns = [np.ones_like(data.x), np.where(beyond, 0, from_break), np.where(beyond, from_break, 0), beyond]
    # y from its first value: a constant y then has slopes of exactly 0
    return least_squares(
        np.column_stack([*columns, data.covariates]), data.y - data.y[0], se=se, clusters=data.clusters
    )


def _tail(z: float, fit: Fit) -> float:
    return float(stats.t.sf(z, fit.df) if fit.se == "cluster" else stats.norm.sf(z))
