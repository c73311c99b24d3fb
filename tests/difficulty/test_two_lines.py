"""Simonsohn's two lines: golden values, the Robin Hood break, invariances, false positives, and what it refuses."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.interpolate import CubicSpline, make_smoothing_spline

from tests.difficulty.difficulty_cases import golden, logarithm
from workbench.difficulty import two_lines
from workbench.difficulty.regression import Data
from workbench.difficulty.smooth import smooth
from workbench.errors import DifficultyError


def bowl(seed=0, n=150, noise=0.1):
    random = np.random.default_rng(seed)
    x = random.uniform(0, 10, n)
    return x, 0.04 * (x - 4) ** 2 + random.normal(0, noise, n)


def test_golden_values_with_the_break_given():
    found = two_lines(*golden(), break_at=4)
    assert (found.slope_low, found.slope_high) == pytest.approx((-0.060259, 0.119737), abs=5e-7)
    assert (found.z_low, found.z_high) == pytest.approx((-12.40, 35.06), abs=5e-3)
    assert found.supported
    assert found.identifiable
    assert (found.break_at, found.flat, found.se) == (4, None, "hc3")


def test_with_few_levels_the_flat_region_may_be_one_of_them():
    found = two_lines(*golden())
    assert (found.break_at, found.flat, found.shape) == (4, (4, 4), "u")
    assert found == two_lines(*golden(), shape="u")


def test_each_slope_is_that_of_its_own_side_the_break_included():
    x, y = golden()
    found = two_lines(x, y, break_at=4)
    low, high = np.polyfit(x[x <= 4], y[x <= 4], 1), np.polyfit(x[x >= 4], y[x >= 4], 1)
    assert (found.slope_low, found.slope_high) == pytest.approx((low[0], high[0]))
    assert (found.value_low, found.value_high) == pytest.approx((np.polyval(low, 4), np.polyval(high, 4)))
    assert found.p_low == pytest.approx(2 * stats.norm.sf(abs(found.z_low)))


def test_the_break_is_the_quantile_of_the_flat_region_that_the_weaker_side_asks_for():
    x, y = bowl()
    found = two_lines(x, y)
    curve = smooth(Data.of(x, y))
    low, high = np.quantile(x, [0.1, 0.9])
    middle = (x > low) & (x < high)
    lowest = curve.fitted[middle].min()
    flat = x[middle & (curve.fitted - curve.standard_error <= lowest)]
    halfway = two_lines(x, y, break_at=np.median(flat))
    share = abs(halfway.z_high) / (abs(halfway.z_low) + abs(halfway.z_high))
    assert found.flat == (flat.min(), flat.max())
    assert found.break_at == pytest.approx(np.quantile(flat, share, method="linear"))
    assert found.break_at != pytest.approx(np.median(flat))
    assert found.supported


def test_the_spline_solves_the_penalised_problem():
    random = np.random.default_rng(4)
    x = np.repeat([1.0, 2, 3, 5, 6, 8, 9, 11], 6)
    y = np.sin(x / 2) + random.normal(0, 0.3, len(x))
    found = smooth(Data.of(x, y))
    knots, counts = np.unique(x, return_counts=True)
    means = np.array([y[x == knot].mean() for knot in knots])
    # with a knot at every x the problem is the smoothing spline's, whose penalty is per observation alike
    reference = make_smoothing_spline(knots, means, w=counts.astype(float), lam=found.penalty)
    np.testing.assert_allclose(found.fitted, reference(x), atol=1e-7)
    assert 2 < found.effective_parameters < 8


def test_the_splines_penalty_has_the_least_cross_validation_score_and_bayesian_errors():
    x, y = bowl(n=60)
    found = smooth(Data.of(x, y))
    distinct = np.unique(x)
    knots = np.interp(np.linspace(0, 59, 10), np.arange(60), distinct)

    def dense(penalty):
        spline = CubicSpline(knots, np.eye(10), bc_type="natural")
        grid, weights = np.polynomial.legendre.leggauss(4)
        S = np.zeros((10, 10))
        for start, stop in itertools.pairwise(knots):
            bends = spline((start + stop) / 2 + (stop - start) / 2 * grid, 2)
            S += (bends.T * weights * (stop - start) / 2) @ bends
        X = spline(x)
        inverse = np.linalg.inv(X.T @ X + penalty * S)
        A = X @ inverse @ X.T
        residuals, trace = y - A @ y, np.trace(A)
        variance = residuals @ residuals / (60 - trace)
        return 60 * residuals @ residuals / (60 - trace) ** 2, A @ y, np.sqrt(variance * np.diag(A)), trace

    score, fitted, errors, trace = dense(found.penalty)
    np.testing.assert_allclose(found.fitted, fitted, atol=1e-8)
    np.testing.assert_allclose(found.standard_error, errors, atol=1e-8)
    assert found.effective_parameters == pytest.approx(trace)
    assert score <= min(dense(found.penalty * factor)[0] for factor in (0.01, 0.5, 0.9, 1.1, 2, 100)) + 1e-12


@given(st.integers(0, 2**32 - 1), st.floats(-50, 50), st.floats(0.1, 10))
def test_shifting_and_stretching_y_changes_no_z(seed, shift, stretch):
    x, y = bowl(seed, n=60)
    one, other = two_lines(x, y, break_at=4.3), two_lines(x, shift + stretch * y, break_at=4.3)
    assert (other.z_low, other.z_high) == pytest.approx((one.z_low, one.z_high), rel=1e-6)
    assert other.slope_low == pytest.approx(stretch * one.slope_low, rel=1e-6)


@given(st.integers(0, 50))
def test_reversing_x_mirrors_the_lines(seed):
    x, y = bowl(seed, n=80)
    one, other = two_lines(x, y, shape="u"), two_lines(-x, y, shape="u", break_at=-two_lines(x, y, shape="u").break_at)
    assert (other.z_low, other.z_high) == pytest.approx((-one.z_high, -one.z_low), rel=1e-6)


@given(st.integers(0, 50))
def test_affine_x_moves_the_break_along(seed):
    x, y = bowl(seed, n=80)
    one, other = two_lines(x, y), two_lines(100 + 3 * x, y)
    assert other.break_at == pytest.approx(100 + 3 * one.break_at, rel=1e-3)
    assert other.supported == one.supported


def test_an_inverted_u_is_found_where_it_is_asked_for():
    x, y = bowl()
    assert two_lines(x, -y).supported
    assert two_lines(x, -y).shape == "inverted"
    assert two_lines(x, -y, shape="inverted").supported
    assert not two_lines(x, -y, shape="u").supported


def test_what_is_monotone_is_refused():
    assert not two_lines(*logarithm()).supported
    for function in (np.log, np.sqrt, np.exp, lambda x: x):
        x = np.linspace(1, 5, 200)
        y = function(x) + np.random.default_rng(0).normal(0, 0.1, 200)
        assert not two_lines(x, y).supported


def test_on_logarithms_it_errs_rarely_where_a_significant_bend_errs_nearly_always():
    wrong, naive = 0, 0
    for seed in range(200):
        random = np.random.default_rng(seed)
        x = random.uniform(0.5, 10, 150)
        y = np.log(x) + random.normal(0, 0.3, 150)
        (bend, slope, _), covariance = np.polyfit(x, y, 2, cov=True)
        inside = x.min() < -slope / (2 * bend) < x.max()
        naive += inside and abs(bend) > 1.96 * np.sqrt(covariance[0, 0])
        wrong += two_lines(x, y).supported
    assert wrong <= 10  # 5 % of 200
    assert naive >= 100


def test_noise_is_rarely_a_u():
    found = 0
    for seed in range(200):
        random = np.random.default_rng(seed)
        found += two_lines(random.uniform(0, 1, 80), random.normal(0, 1, 80)).supported
    assert found <= 14


def test_repeated_sequences_of_a_problem_add_no_evidence():
    x, y = bowl(3, n=30, noise=0.5)
    alone = two_lines(x, y, break_at=4)
    naive = two_lines(np.tile(x, 10), np.tile(y, 10), break_at=4)
    clustered = two_lines(np.tile(x, 10), np.tile(y, 10), break_at=4, clusters=np.tile(np.arange(30), 10))
    assert abs(naive.z_high) > 2.5 * abs(alone.z_high)
    assert abs(clustered.z_high) == pytest.approx(abs(alone.z_high), rel=0.25)
    assert clustered.se == "cluster"
    assert clustered.p_high == pytest.approx(2 * stats.t.sf(abs(clustered.z_high), 29))


@pytest.mark.parametrize("at", [1, 2, 2.5, 9.5])
def test_fewer_than_three_values_on_a_side_are_a_result_not_an_error(at):
    found = two_lines(*golden(), break_at=at)
    assert not found.identifiable
    assert not found.supported
    assert math.isnan(found.slope_low)
    assert "each line needs 3" in found.reason
    frame = found.to_frame()
    assert frame["slope_low"].item() is None
    assert frame["identifiable"].item() is False


@pytest.mark.parametrize("levels", [1, 2, 3, 4])
def test_too_few_levels_are_not_identifiable(levels):
    x = np.repeat(np.arange(levels), 20)
    found = two_lines(x, np.random.default_rng(0).normal(0, 1, len(x)))
    assert not found.identifiable
    assert found.reason


def test_a_constant_is_no_u_and_no_accident():
    found = two_lines(np.repeat(np.arange(8.0), 5), np.full(40, 0.1))
    assert found.identifiable
    assert not found.supported
    assert (found.slope_low, found.p_low) == (0, 1)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"trim": 0.5}, "trim"),
        ({"level": 0}, "level"),
        ({"shape": "v"}, "shape"),
        ({"break_at": math.nan}, "break_at"),
        ({"covariates": [1, 2]}, "covariates has 2"),
    ],
)
def test_arguments_out_of_range_are_told(settings, words):
    with pytest.raises(DifficultyError, match=words):
        two_lines(*golden(), **settings)
