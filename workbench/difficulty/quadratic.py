"""The test of Lind and Mehlum (2010) for a U: a parabola that falls at one end of the range and rises at the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import polars as pl
from scipy import stats

from workbench.difficulty.regression import Data, Fit, Floats, StandardError, least_squares
from workbench.errors import DifficultyError

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from numpy.typing import ArrayLike

Shape = Literal["u", "inverted", "auto"]


@dataclass(frozen=True)
class LindMehlum:
    """Result of `lind_mehlum`. Slopes are in units of y per unit of x."""

    slope_low: float
    """d_L = b1 + 2 b2 x_low."""
    slope_high: float
    """d_H = b1 + 2 b2 x_high."""
    t_low: float
    t_high: float
    p_value: float
    """The larger of the two one-sided p: the test rejects where both slopes do."""
    extremum: float
    """x* = −b1 / (2 b2); NaN for a straight line."""
    fieller: tuple[float, float] | None
    """The (1 − 2·level) interval of the extremum; None where it is unbounded."""
    coefficients: tuple[float, ...]
    """b0 (at the average covariates), b1, b2, then the covariates' coefficients."""
    df: int
    n: int
    shape: str
    """What was tested for, "u" or "inverted"; "auto" has become one of them."""
    x_range: tuple[float, float]
    """The ends at which the slopes are taken."""
    se: StandardError
    level: float

    @property
    def supported(self) -> bool:
        """Whether p < level."""
        return self.p_value < self.level

    def predict(self, x: ArrayLike) -> Floats:
        """b0 + b1 x + b2 x², at the average covariates."""
        at = np.asarray(x, dtype=np.float64)
        b0, b1, b2 = self.coefficients[:3]
        return b0 + at * (b1 + at * b2)

    def to_frame(self) -> pl.DataFrame:
        """One row."""
        low, high = self.fieller or (None, None)
        b0, b1, b2 = self.coefficients[:3]
        return pl.DataFrame(
            {
                "shape": self.shape, "slope_low": self.slope_low, "slope_high": self.slope_high,
                "t_low": self.t_low, "t_high": self.t_high, "p_value": self.p_value, "supported": self.supported,
                "extremum": self.extremum, "fieller_low": low, "fieller_high": high,
                "b0": b0, "b1": b1, "b2": b2, "x_low": self.x_range[0], "x_high": self.x_range[1],
                "df": self.df, "n": self.n, "se": self.se, "level": self.level,
            },
            schema_overrides={"fieller_low": pl.Float64, "fieller_high": pl.Float64},
        )  # fmt: skip


def lind_mehlum(
    x: ArrayLike,
    y: ArrayLike,
    *,
    se: StandardError = "ols",
    clusters: Sequence[Hashable] | ArrayLike | None = None,
    covariates: ArrayLike | None = None,
    x_range: tuple[float, float] | None = None,
    shape: Shape = "auto",
    level: float = 0.05,
) -> LindMehlum:
    """Fit y = b0 + b1 x + b2 x² (+ covariates) and test both end slopes at once.

    For a U the alternative is d_L < 0 and d_H > 0 (an inverted U: the signs turned) with d = b1 + 2 b2 x, and
    var(d) = v11 + 4x v12 + 4x² v22. As an intersection-union test it rejects where both one-sided t tests do:
    p = max(p_L, p_H), above one half where a slope has the wrong sign, which the authors call a trivial failure to
    reject. A significant b2 with its extremum inside the range is not enough: ln x has both.

    The Fieller interval holds all θ with (b1 + 2 b2 θ)² ≤ t²_{1−level} (v11 + 4θ v12 + 4θ² v22). At the same level
    the test rejects exactly where the interval is bounded and lies strictly inside `x_range`.

    Args:
        x: (n,) with at least three distinct values.
        y: (n,).
        se: "ols" or "hc3" with n − k degrees of freedom, "cluster" with G − 1.
        clusters: (n,) labels, for "cluster".
        covariates: (n,) or (n, k) more regressors.
        x_range: where the slopes are taken; None for the smallest and the largest x.
        shape: "u", "inverted", or "auto" for that of b2's sign. "auto" tests either shape at `level` each.
        level: of the test, between 0 and one half.

    Raises:
        DifficultyError: numbers that are not finite, too few observations or distinct x, arguments out of range.

    Source: J. T. Lind and H. Mehlum, "With or without U?", Oxford Bulletin of Economics and Statistics 72(1), 2010;
    their package jotlind/utest, R/utest.R.
    """
    if shape not in ("u", "inverted", "auto"):
        raise DifficultyError(f"shape must be 'u', 'inverted' or 'auto', not {shape!r}.")
    if not 0 < level < 0.5:
        raise DifficultyError(f"level must lie between 0 and 0.5, not {level}.")
    data = Data.of(x, y, covariates, clusters)
    distinct = len(np.unique(data.x))
    if distinct < 3:
        raise DifficultyError(f"A parabola needs three distinct values of x; there are {distinct}. Add levels.")
    ends = _ends(data.x, x_range)
    # in u = (x − centre) / scale, from −1 to 1, and y from its first value, so that nothing is lost to rounding
    centre, scale = (data.x.max() + data.x.min()) / 2, np.ptp(data.x) / 2
    u = (data.x - centre) / scale
    design = np.column_stack([np.ones_like(u), u, u**2, data.covariates])
    fit = least_squares(design, data.y - data.y[0], se=se, clusters=data.clusters)
    slopes = [fit.slope(_contrast((end - centre) / scale, design.shape[1])) for end in ends]
    c0, c1, c2, *controls = fit.coefficients.tolist()
    turned = -1 if shape == "inverted" or (shape == "auto" and c2 < 0) else 1
    t_low, t_high = (t for _, t in slopes)
    p_value = max(stats.t.sf(-turned * t_low, fit.df), stats.t.sf(turned * t_high, fit.df))
    interval = _fieller(fit, float(stats.t.isf(level, fit.df)))
    b2 = c2 / scale**2
    return LindMehlum(
        slope_low=slopes[0][0] / float(scale),
        slope_high=slopes[1][0] / float(scale),
        t_low=t_low,
        t_high=t_high,
        p_value=float(p_value),
        extremum=float(centre - scale * c1 / (2 * c2)) if c2 else float("nan"),
        fieller=interval and (float(centre + scale * interval[0]), float(centre + scale * interval[1])),
        coefficients=(
            float(data.y[0] + c0 - c1 * centre / scale + b2 * centre**2),
            float(c1 / scale - 2 * b2 * centre),
            float(b2),
            *controls,
        ),
        df=fit.df,
        n=len(u),
        shape="inverted" if turned < 0 else "u",
        x_range=ends,
        se=fit.se,
        level=level,
    )


def _ends(x: Floats, x_range: tuple[float, float] | None) -> tuple[float, float]:
    low, high = (float(x.min()), float(x.max())) if x_range is None else map(float, x_range)
    if not (np.isfinite(low) and np.isfinite(high) and low < high):
        raise DifficultyError(f"x_range must be two finite numbers, the lower first, not ({low}, {high}).")
    return low, high


def _contrast(u: float, size: int) -> Floats:
    """Picks c1 + 2 c2 u out of the coefficients."""
    contrast = np.zeros(size)
    contrast[1:3] = 1, 2 * u
    return contrast


def _fieller(fit: Fit, t: float) -> tuple[float, float] | None:
    """Solve A θ² + B θ + C ≤ 0; None where A ≤ 0: a curvature that may be 0 puts no bound on the extremum."""
    b1, b2 = fit.coefficients[1:3]
    v11, v12, v22 = fit.covariance[1, 1], fit.covariance[1, 2], fit.covariance[2, 2]
    A, B, C = 4 * (b2**2 - t**2 * v22), 4 * (b1 * b2 - t**2 * v12), b1**2 - t**2 * v11
    if A <= 0:
        return None
    # the extremum itself always satisfies it, so a negative discriminant is rounding
    root = np.sqrt(max(B**2 - 4 * A * C, 0.0))
    return (-B - root) / (2 * A), (-B + root) / (2 * A)
