import numpy as np
import pytest
from numba import njit

from workbench.kernels.exp import LOWEST_EXP, LOWEST_EXP64, exp_nonpositive, exp_nonpositive64


@njit
def each(function, x, out):
    for i in range(x.shape[0]):
        out[i] = function(x[i])
    return out


def exp32(x):
    x = np.asarray(x, np.float32)
    return each(exp_nonpositive, x, np.empty_like(x))


def exp64(x):
    x = np.asarray(x, np.float64)
    return each(exp_nonpositive64, x, np.empty_like(x))


def test_zero_is_exactly_one_and_minus_infinity_exactly_nothing():
    assert exp32([0.0, -0.0, -np.inf]).tolist() == [1.0, 1.0, 0.0]
    assert exp64([0.0, -0.0, -np.inf]).tolist() == [1.0, 1.0, 0.0]


def test_float32_is_within_two_units_in_the_last_place_over_the_whole_range():
    x = np.concatenate([np.linspace(LOWEST_EXP, 0, 1_000_001), -np.geomspace(1e-30, 87, 100_001)]).astype(np.float32)
    truth = np.exp(x.astype(np.float64))
    assert (np.abs(exp32(x) - truth) / truth).max() < 2 * np.finfo(np.float32).eps


def test_float64_is_within_two_units_in_the_last_place_over_the_whole_range():
    x = np.concatenate([np.linspace(LOWEST_EXP64, 0, 1_000_001), -np.geomspace(1e-300, 700, 100_001)])
    truth = np.exp(x.astype(np.longdouble))
    assert float((np.abs(exp64(x) - truth) / truth).max()) < 4 * np.finfo(np.float64).eps


@pytest.mark.parametrize(("function", "lowest"), [(exp32, LOWEST_EXP), (exp64, LOWEST_EXP64)])
def test_flushes_to_zero_below_the_lowest_argument_only(function, lowest):
    below = np.nextafter(lowest, type(lowest)(-np.inf))
    value, flushed, far = function([lowest, below, np.finfo(np.float32).min])
    assert value > 0
    assert flushed == far == 0


def test_never_falls_where_its_argument_rises():
    assert (np.diff(exp32(np.linspace(-87, 0, 200_001))) >= 0).all()
