"""Least squares with the standard errors the shape tests need: OLS, HC3 (HC1) and clustered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from workbench.errors import DifficultyError

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]
StandardError = Literal["ols", "hc1", "hc3", "cluster"]

_FULL_LEVERAGE = 1 - 1e-10  # an observation that the fit follows exactly: its residual says nothing


@dataclass(frozen=True)
class Data:
    """Checked numbers of one regression: all finite, all of the same length."""

    x: Floats
    """(n,)"""
    y: Floats
    """(n,)"""
    covariates: Floats
    """(n, k) about their means, so that an intercept is the value at the average covariates; k may be 0."""
    clusters: Indices | None
    """(n,) codes 0 … G − 1, or None."""

    @classmethod
    def of(
        cls,
        x: ArrayLike,
        y: ArrayLike,
        covariates: ArrayLike | None = None,
        clusters: Sequence[Hashable] | ArrayLike | None = None,
    ) -> Data:
        """Check the arguments of a test.

        Raises:
            DifficultyError: not numbers, not finite, of different lengths, or none at all.
        """
        checked = finite("x", x)
        n = len(checked)
        if n == 0:
            raise DifficultyError("There are no observations. Give at least one pair of x and y.")
        response = _as_long("y", finite("y", y), n)
        controls = np.empty((n, 0))
        if covariates is not None:
            controls = _as_long("covariates", finite("covariates", covariates, dimensions=2), n)
        codes = None
        if clusters is not None:
            codes = _as_long("clusters", np.unique(np.asarray(clusters), return_inverse=True)[1], n)
        return cls(checked, response, controls - controls.mean(axis=0), codes)


def finite(name: str, values: ArrayLike, *, dimensions: int = 1) -> Floats:
    """`values` as float64 (n,), or (n, k) with `dimensions` = 2.

    Raises:
        DifficultyError: not numbers, not finite, or of another number of dimensions.
    """
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DifficultyError(f"{name} must hold numbers only. Convert it, or leave out what is no number.") from error
    if dimensions == 2 and array.ndim == 1:
        array = array[:, None]
    if array.ndim != dimensions:
        raise DifficultyError(f"{name} must have {dimensions} dimension(s), not {array.ndim}.")
    if bad := int((~np.isfinite(array)).sum()):
        raise DifficultyError(f"{name} has {bad} value(s) that are NaN or infinite. Leave those observations out.")
    return array


def _as_long(name: str, values: NDArray[Any], n: int) -> NDArray[Any]:
    if len(values) != n:
        raise DifficultyError(f"{name} has {len(values)} value(s) and x has {n}. Give one for each observation.")
    return values


@dataclass(frozen=True)
class Fit:
    """Coefficients b (k,) of y = X b + e, their covariance (k, k), and the degrees of freedom of their t."""

    coefficients: Floats
    covariance: Floats
    df: int
    se: StandardError
    """What was really used: "hc3" becomes "hc1" where a leverage is 1."""

    def slope(self, contrast: Floats) -> tuple[float, float]:
        """Estimate and t of the combination cᵀb; t is 0 where both estimate and standard error vanish."""
        estimate = float(contrast @ self.coefficients)
        error = max(float(contrast @ self.covariance @ contrast), 0.0) ** 0.5
        if error == 0:
            return estimate, 0.0 if estimate == 0 else float(np.copysign(np.inf, estimate))
        return estimate, estimate / error


def least_squares(X: Floats, y: Floats, *, se: StandardError, clusters: Indices | None = None) -> Fit:
    """Ordinary least squares with the covariance (XᵀX)⁻¹ M (XᵀX)⁻¹, h_i the leverages and e_i the residuals.

    - ols: M = σ² XᵀX, σ² = Σ e² / (n − k)
    - hc1: M = n / (n − k) · Σ e_i² x_i x_iᵀ
    - hc3: M = Σ (e_i / (1 − h_i))² x_i x_iᵀ (MacKinnon and White 1985; the form of the R package sandwich)
    - cluster: M = G/(G − 1) · (n − 1)/(n − k) · Σ_g (X_gᵀ e_g)(X_gᵀ e_g)ᵀ, with G − 1 degrees of freedom

    Args:
        X: (n, k), intercept included.
        y: (n,).
        se: which of the four.
        clusters: (n,) codes, for "cluster".

    Raises:
        DifficultyError: no more observations than coefficients, columns that depend on each other, an unknown `se`,
            or "cluster" without clusters or with a single one.
    """
    n, k = X.shape
    if n <= k:
        raise DifficultyError(f"{n} observation(s) cannot carry {k} coefficients and their errors. Add observations.")
    Q, R = np.linalg.qr(X)
    pivots = np.abs(np.diag(R)) / np.linalg.norm(X, axis=0).clip(min=np.finfo(float).tiny)
    if pivots.min() < 1e-10:
        raise DifficultyError(
            "The columns of this regression depend on each other: x has too few distinct values, or a covariate "
            "follows from x and the others. Leave out that covariate, or add levels."
        )
    inverse = np.linalg.inv(R)
    coefficients = inverse @ (Q.T @ y)
    residuals = y - X @ coefficients
    used = "hc1" if se == "hc3" and _leverages(Q).max() > _FULL_LEVERAGE else se
    meat, df = _meat(Q, residuals, used, clusters)
    return Fit(coefficients, inverse @ meat @ inverse.T, df, used)


def _leverages(Q: Floats) -> Floats:
    return np.einsum("ij,ij->i", Q, Q)


def _meat(Q: Floats, residuals: Floats, se: StandardError, clusters: Indices | None) -> tuple[Floats, int]:
    """Qᵀ Ω Q (k, k) and the degrees of freedom: with X = QR, (XᵀX)⁻¹ XᵀΩX (XᵀX)⁻¹ = R⁻¹ QᵀΩQ R⁻ᵀ."""
    n, k = Q.shape
    if se == "ols":
        return np.eye(k) * float(residuals @ residuals) / (n - k), n - k
    if se == "hc1":
        scores = Q * residuals[:, None] * np.sqrt(n / (n - k))
        return scores.T @ scores, n - k
    if se == "hc3":
        scores = Q * (residuals / (1 - _leverages(Q)))[:, None]
        return scores.T @ scores, n - k
    if se != "cluster":
        raise DifficultyError(f"se must be 'ols', 'hc1', 'hc3' or 'cluster', not {se!r}.")
    if clusters is None:
        raise DifficultyError("se='cluster' needs clusters: one label for each observation, such as its problem.")
    groups = int(clusters.max()) + 1
    if groups < 2:
        raise DifficultyError("All observations are of one cluster. Clustered errors need at least two.")
    sums = np.zeros((groups, k))
    np.add.at(sums, clusters, Q * residuals[:, None])
    return sums.T @ sums * (groups / (groups - 1)) * ((n - 1) / (n - k)), groups - 1
