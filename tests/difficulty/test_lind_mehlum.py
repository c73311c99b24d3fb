"""The test of Lind and Mehlum: golden values, duality with Fieller's interval, invariances."""

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from tests.difficulty.difficulty_cases import golden, logarithm
from workbench.difficulty import lind_mehlum
from workbench.errors import DifficultyError

seeds = st.integers(0, 2**32 - 1)
errors = st.sampled_from(["ols", "hc3", "cluster"])


def noisy(seed, n=40):
    """A parabola of random bend and bottom under noise: some reject, some do not."""
    random = np.random.default_rng(seed)
    x = random.uniform(-1, 1, n)
    y = random.normal(0, 1.5) * x**2 + random.normal(0, 1.5) * x + random.normal(0, 0.7, n) * (1 + np.abs(x))
    return x, y, random.integers(0, 12, n)


def test_golden_values_with_classical_errors():
    found = lind_mehlum(*golden())
    np.testing.assert_allclose(found.coefficients, (0.81867853, -0.15940688, 0.01994316), atol=5e-9)
    assert found.slope_low == pytest.approx(-0.119521, abs=5e-7)
    assert found.slope_high == pytest.approx(0.239456, abs=5e-7)
    assert found.t_low == pytest.approx(-29.4434, abs=5e-5)
    assert found.t_high == pytest.approx(58.9891, abs=5e-5)
    assert found.extremum == pytest.approx(3.99653, abs=5e-6)
    assert found.fieller == pytest.approx((3.92393, 4.06524), abs=5e-6)
    assert found.p_value == pytest.approx(2.2e-90, rel=0.01)
    assert (found.df, found.n, found.shape, found.supported) == (297, 300, "u", True)


def test_golden_values_with_hc3():
    found = lind_mehlum(*golden(), se="hc3")
    assert found.t_low == pytest.approx(-29.0346, abs=5e-5)
    assert found.t_high == pytest.approx(58.6965, abs=5e-5)
    assert found.fieller == pytest.approx((3.92254, 4.06650), abs=5e-6)


def test_a_logarithm_is_no_u_although_the_extremum_lies_inside_and_the_bend_is_significant():
    x, y = logarithm()
    found = lind_mehlum(x, y)
    assert found.shape == "inverted"
    assert found.p_value == pytest.approx(0.247, abs=5e-4)
    assert not found.supported
    assert found.extremum == pytest.approx(9.917, abs=5e-4)
    curvature = np.polyfit(x, y, 2, cov=True)
    assert curvature[0][0] / np.sqrt(curvature[1][0, 0]) < -5  # what a naive test would go by
    assert lind_mehlum(x, y, shape="u").p_value == pytest.approx(1)


@given(seeds, errors, st.sampled_from([0.01, 0.05, 0.2]))
def test_it_rejects_exactly_where_the_fieller_interval_lies_inside_the_range(seed, se, level):
    x, y, clusters = noisy(seed)
    found = lind_mehlum(x, y, se=se, clusters=clusters, level=level)
    inside = found.fieller is not None and x.min() < found.fieller[0] and found.fieller[1] < x.max()
    assert found.supported == inside


@given(seeds, errors, st.floats(-100, 100), st.floats(0.01, 100))
def test_shifting_and_stretching_y_changes_no_p(seed, se, shift, stretch):
    x, y, clusters = noisy(seed)
    one = lind_mehlum(x, y, se=se, clusters=clusters)
    other = lind_mehlum(x, shift + stretch * y, se=se, clusters=clusters)
    assert other.p_value == pytest.approx(one.p_value, rel=1e-6)
    assert other.slope_low == pytest.approx(stretch * one.slope_low, rel=1e-6)


@given(seeds, errors, st.floats(-1000, 1000), st.floats(0.01, 100))
def test_affine_x_changes_no_t_and_carries_the_extremum_along(seed, se, shift, stretch):
    x, y, clusters = noisy(seed)
    one = lind_mehlum(x, y, se=se, clusters=clusters)
    other = lind_mehlum(shift + stretch * x, y, se=se, clusters=clusters)
    assert (other.t_low, other.t_high) == pytest.approx((one.t_low, one.t_high), rel=1e-5)
    assume(one.fieller is not None)
    assert other.fieller is not None
    np.testing.assert_allclose(other.fieller, shift + stretch * np.array(one.fieller), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(other.extremum, shift + stretch * one.extremum, rtol=1e-5, atol=1e-5)


@given(seeds, errors)
def test_reversing_x_swaps_the_statistics_with_their_signs(seed, se):
    x, y, clusters = noisy(seed)
    one, other = (lind_mehlum(sign * x, y, se=se, clusters=clusters) for sign in (1, -1))
    assert (other.t_low, other.t_high) == pytest.approx((-one.t_high, -one.t_low), rel=1e-8)
    assert other.p_value == pytest.approx(one.p_value, rel=1e-8)


@given(seeds)
def test_turning_y_over_turns_the_shape(seed):
    x, y, _ = noisy(seed)
    one, other = lind_mehlum(x, y, shape="u"), lind_mehlum(x, -y, shape="inverted")
    assert other.p_value == pytest.approx(one.p_value, rel=1e-9)
    better = min(one.p_value, lind_mehlum(x, y, shape="inverted").p_value)
    auto = lind_mehlum(x, y).p_value
    assert auto == pytest.approx(better) if better < 0.5 else auto > 0.5


def test_p_is_that_of_the_weaker_end_and_above_one_half_for_a_wrong_sign():
    x, y = golden()
    found = lind_mehlum(x, y, x_range=(3.9, 10))
    assert found.p_value == pytest.approx(stats.t.sf(-found.t_low, 297))
    assert 0 < -found.t_low < 4
    assert lind_mehlum(x, y, x_range=(5, 10)).p_value > 0.5


def test_the_slopes_are_those_of_the_parabola_at_the_ends():
    x, y = golden()
    found = lind_mehlum(x, y, x_range=(2, 9))
    step = 1e-6
    for end, slope in zip((2, 9), (found.slope_low, found.slope_high), strict=True):
        assert np.diff(found.predict([end - step, end + step]))[0] / (2 * step) == pytest.approx(slope, rel=1e-6)
    around = found.predict(np.linspace(1, 10, 1001))
    assert found.predict(found.extremum) <= around.min()
    assert around.argmin() == np.abs(np.linspace(1, 10, 1001) - found.extremum).argmin()


def test_a_flat_curve_has_no_statistics_worth_anything():
    found = lind_mehlum(np.arange(12), np.full(12, 0.3))
    assert (found.slope_low, found.t_low, found.p_value, found.fieller) == (0, 0, 0.5, None)
    assert math.isnan(found.extremum)
    assert not found.supported


def test_a_covariate_that_makes_the_u_takes_it_away():
    random = np.random.default_rng(1)
    x = np.repeat(np.arange(1.0, 11), 20)
    length = (x - 5) ** 2 + random.normal(0, 3, 200)
    y = 0.1 * length + random.normal(0, 0.3, 200)
    assert lind_mehlum(x, y).supported
    found = lind_mehlum(x, y, covariates=length)
    assert not found.supported
    assert found.df == 196
    assert found.coefficients[3] == pytest.approx(0.1, abs=0.02)


def test_clustered_errors_see_that_repeats_tell_nothing_new():
    x, y, _ = noisy(3)
    once = lind_mehlum(x, y, se="hc1")
    names = [f"problem {i}" for i in range(40)] * 5
    naive = lind_mehlum(np.tile(x, 5), np.tile(y, 5), se="hc1")
    clustered = lind_mehlum(np.tile(x, 5), np.tile(y, 5), se="cluster", clusters=names)
    assert clustered.df == 39
    assert abs(naive.t_low) > 2 * abs(once.t_low)
    # the sandwich is the same; the small-sample factors are 40/39 · 199/197 and 40/37
    assert clustered.t_low == pytest.approx(once.t_low * np.sqrt((40 / 37) / (40 / 39 * 199 / 197)), rel=1e-9)


def test_the_frame_has_every_number():
    frame = lind_mehlum(*golden()).to_frame()
    assert frame["fieller_low"].item() == pytest.approx(3.92393, abs=5e-6)
    assert lind_mehlum(np.arange(12), np.full(12, 0.3)).to_frame()["fieller_low"].item() is None


@pytest.mark.parametrize(
    ("x", "y", "settings", "words"),
    [
        ([1, 2, 1, 2, 1], [1, 2, 3, 4, 5], {}, "three distinct"),
        ([1, 2, 3], [1, 2, 3], {}, "cannot carry"),
        ([], [], {}, "no observations"),
        ([1, 2, 3, math.nan, 4], [1, 2, 3, 4, 5], {}, "x has 1 value.*NaN"),
        ([1, 2, 3, 4, 5], [1, 2, math.inf, 4, 5], {}, "y has 1 value.*infinite"),
        (["easy", "hard", "x", "y", "z"], [1, 2, 3, 4, 5], {}, "numbers only"),
        ([1, 2, 3, 4, 5], [1, 2, 3], {}, "y has 3 value"),
        ([[1, 2, 3, 4, 5]], [1, 2, 3, 4, 5], {}, "dimension"),
        ([1, 2, 3, 4, 5], [1, 2, 3, 4, 9], {"covariates": [2, 4, 6, 8, 10]}, "depend on each other"),
        ([1, 2, 3, 4, 5], [1, 2, 3, 4, 9], {"se": "cluster"}, "needs clusters"),
        ([1, 2, 3, 4, 5], [1, 2, 3, 4, 9], {"se": "cluster", "clusters": [0] * 5}, "one cluster"),
        ([1, 2, 3, 4, 5], [1, 2, 3, 4, 9], {"se": "hc9"}, "'hc9'"),
        ([1, 2, 3, 4, 5], [1, 2, 3, 4, 9], {"shape": "w"}, "shape must be"),
        ([1, 2, 3, 4, 5], [1, 2, 3, 4, 9], {"level": 0.5}, "level must"),
        ([1, 2, 3, 4, 5], [1, 2, 3, 4, 9], {"x_range": (5, 1)}, "x_range"),
    ],
)
def test_what_cannot_be_tested_is_told_with_the_remedy(x, y, settings, words):
    with pytest.raises(DifficultyError, match=words):
        lind_mehlum(x, y, **settings)
