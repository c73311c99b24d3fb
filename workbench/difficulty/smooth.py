"""A penalised cubic regression spline with its standard errors, to look for the bottom of a curve."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import linalg, optimize
from scipy.interpolate import CubicSpline

from workbench.errors import DifficultyError

if TYPE_CHECKING:
    from workbench.difficulty.regression import Data, Floats

BASIS = 10
"""Largest number of basis functions, as in the reference."""


@dataclass(frozen=True)
class Smooth:
    """Fitted values (n,) at the average covariates, and their standard errors (n,)."""

    fitted: Floats
    standard_error: Floats
    penalty: float
    """λ, in units of x³."""
    effective_parameters: float
    """Trace of the smoother matrix A."""


def smooth(data: Data) -> Smooth:
    """Minimise Σ (y − f(x) − covariates)² + λ ∫ f″² over natural cubic splines f, λ by generalised cross-validation.

    f has min(10, distinct x) knots at even steps through the sorted distinct x, GCV(λ) = n RSS / (n − tr A)², and
    the errors are the Bayesian ones, σ² (XᵀX + λS)⁻¹ with σ² = RSS / (n − tr A). Basis, knots, penalty, criterion and
    errors are those of mgcv's `gam(y ~ s(x, bs = "cr", k = min(10, n_x)))`, which the reference calls. What differs:
    λ is searched for on a grid and then refined between its neighbours, where mgcv takes Newton steps, so that the
    two may end in different local minima of a criterion that is often flat.

    Raises:
        DifficultyError: fewer than three distinct x, or no more observations than coefficients.
    """
    distinct = np.unique(data.x)
    n, size = len(data.x), min(BASIS, len(distinct))
    if size < 3 or n <= size + data.covariates.shape[1]:
        raise DifficultyError(f"{n} observation(s) at {len(distinct)} value(s) of x are too few for a smooth curve.")
    basis, penalty = _basis(data.x, distinct, size)
    X = np.column_stack([basis, data.covariates])  # (n, k + covariates)
    S = linalg.block_diag(penalty, np.zeros((data.covariates.shape[1],) * 2))
    y = data.y - data.y.mean()
    gram = X.T @ X
    # both matrices diagonal at once: Zᵀ gram Z = I, Zᵀ S Z = diag(s); then every λ costs k operations
    try:
        s, Z = linalg.eigh(S, gram)
    except linalg.LinAlgError as error:
        raise DifficultyError(
            "x and the covariates depend on each other: no smooth curve can be told apart."
        ) from error
    s, projected = s.clip(min=0.0), Z.T @ (X.T @ y)
    outside = max(float(y @ y - projected @ projected), 0.0)  # what no λ can fit
    weight = _best_penalty(s, projected, outside, n)
    kept = 1 / (1 + weight * s)
    variance = (outside + float(((1 - kept) * projected) @ ((1 - kept) * projected))) / max(n - kept.sum(), 1.0)
    curve = basis @ Z[:size]  # (n, k + covariates)
    errors = np.sqrt(variance * (curve**2 @ kept))
    penalty_weight = weight * float(np.ptp(distinct)) ** 3
    return Smooth(data.y.mean() + curve @ (kept * projected), errors, penalty_weight, float(kept.sum()))


def _basis(x: Floats, distinct: Floats, size: int) -> tuple[Floats, Floats]:
    """Cardinal natural splines at x (n, k), the j-th 1 at knot j and 0 at the others; and range³ ∫ f″ f″ᵀ (k, k).

    f″ is linear between knots, so that the integral is one of products of hat functions.
    """
    places = np.linspace(0, len(distinct) - 1, size)
    knots = np.interp(places, np.arange(len(distinct)), distinct)
    spline = CubicSpline(knots, np.eye(size), bc_type="natural")
    bends, steps = spline(knots, 2), np.diff(knots)
    hats = np.zeros((size, size))
    inner = np.arange(size - 1)
    hats[inner, inner] += steps / 3
    hats[inner + 1, inner + 1] += steps / 3
    hats[inner, inner + 1] = hats[inner + 1, inner] = steps / 6
    # the scale of x would only rescale λ; taking it out keeps the numbers near one
    return spline(x), bends.T @ hats @ bends * np.ptp(distinct) ** 3


def _best_penalty(s: Floats, projected: Floats, outside: float, n: int) -> float:
    """λ of the least GCV. s (k,) are the penalties of the directions, `projected` (k,) what y has of each."""

    def criterion(log_penalty: float) -> float:
        shrunk = 1 - 1 / (1 + np.exp(log_penalty) * s)
        residual = outside + float((shrunk * projected) @ (shrunk * projected))
        free = n - len(s) + float(shrunk.sum())
        return n * residual / free**2

    scale = np.log(s[s > s.max() * 1e-9].mean()) if s.max() > 0 else 0.0
    grid = np.linspace(-25.0, 25.0, 101) - scale
    best = int(np.argmin([criterion(at) for at in grid]))
    around = grid[max(best - 1, 0)], grid[min(best + 1, len(grid) - 1)]
    return float(np.exp(optimize.minimize_scalar(criterion, bounds=around, method="bounded").x))
