"""Standard errors against explicit formulas and against leaving observations out."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.difficulty.regression import least_squares
from workbench.errors import DifficultyError


def regression(seed, n=25, k=4):
    random = np.random.default_rng(seed)
    X = np.column_stack([np.ones(n), random.normal(0, 1, (n, k - 1))])
    return X, X @ random.normal(0, 1, k) + random.normal(0, 1, n) * np.abs(X[:, 1])


@given(st.integers(0, 2**32 - 1))
def test_hc3_is_the_formula_with_leverages(seed):
    X, y = regression(seed)
    inverse = np.linalg.inv(X.T @ X)
    residuals = y - X @ inverse @ X.T @ y
    leverages = np.diag(X @ inverse @ X.T)
    expected = inverse @ X.T @ np.diag((residuals / (1 - leverages)) ** 2) @ X @ inverse
    found = least_squares(X, y, se="hc3")
    np.testing.assert_allclose(found.covariance, expected, rtol=1e-7, atol=1e-12)
    np.testing.assert_allclose(found.coefficients, np.linalg.lstsq(X, y)[0], rtol=1e-7, atol=1e-10)


def test_hc3_is_the_spread_of_the_fits_with_one_observation_left_out():
    X, y = regression(0)
    b = np.linalg.lstsq(X, y)[0]
    without = np.array([np.linalg.lstsq(np.delete(X, i, 0), np.delete(y, i))[0] for i in range(len(y))]) - b
    np.testing.assert_allclose(least_squares(X, y, se="hc3").covariance, without.T @ without, rtol=1e-8)


def test_clusters_of_one_give_hc1_and_the_sums_are_by_cluster():
    X, y = regression(2)
    n, k = X.shape
    alone = least_squares(X, y, se="cluster", clusters=np.arange(n))
    # G/(G − 1) · (n − 1)/(n − k) = n/(n − k) for G = n
    np.testing.assert_allclose(alone.covariance, least_squares(X, y, se="hc1").covariance, rtol=1e-9)
    assert alone.df == n - 1
    codes = np.arange(n) % 7
    residuals = y - X @ np.linalg.lstsq(X, y)[0]
    meat = sum(np.outer(s, s) for s in (X[codes == g].T @ residuals[codes == g] for g in range(7)))
    inverse = np.linalg.inv(X.T @ X)
    expected = 7 / 6 * (n - 1) / (n - k) * inverse @ meat @ inverse
    np.testing.assert_allclose(least_squares(X, y, se="cluster", clusters=codes).covariance, expected, rtol=1e-8)


def test_a_point_the_fit_must_follow_makes_hc3_fall_back():
    X, y = regression(5)
    X[:, 3] = 0
    X[4, 3] = 1
    found = least_squares(X, y, se="hc3")
    assert found.se == "hc1"
    assert np.isfinite(found.covariance).all()
    np.testing.assert_allclose(found.covariance, least_squares(X, y, se="hc1").covariance)


def test_dependent_columns_are_told():
    X, y = regression(6)
    X[:, 2] = X[:, 1] * 3 - 1
    with pytest.raises(DifficultyError, match="depend on each other"):
        least_squares(X, y, se="ols")
