import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.errors import ParameterError
from workbench.traces.rolling import rolling

series = st.lists(st.one_of(st.none(), st.floats(0, 12)), max_size=60)


def slow(values, window):
    """One window after the other, in plain Python."""
    rows = []
    for t in range(len(values)):
        inside = [values[i] for i in range(t - window // 2, t - window // 2 + window) if 0 <= i < len(values)]
        inside = [v for v in inside if v is not None]
        mean = math.fsum(inside) / len(inside) if inside else math.nan
        sd = math.sqrt(math.fsum((v - mean) ** 2 for v in inside) / len(inside)) if inside else math.nan
        rows.append((mean, sd))
    return np.array(rows).reshape(-1, 2)


def test_three_tokens_by_hand():
    result = rolling([0.0, 3.0, 6.0], 3)
    np.testing.assert_allclose(result.mean, [1.5, 3, 4.5])
    np.testing.assert_allclose(result.sd, [1.5, math.sqrt(6), 1.5])


def test_even_window_reaches_one_token_further_left():
    np.testing.assert_allclose(rolling([0.0, 0, 4, 0, 0], 2).mean, [0, 0, 2, 2, 0])


def test_line_keeps_its_values_away_from_the_edges():
    np.testing.assert_allclose(rolling(np.arange(100.0), 51).mean[25:75], np.arange(25, 75))


def test_unknown_values_take_no_part_and_an_empty_window_is_unknown():
    result = rolling([1.0, None, None, None, 5.0], 3)
    np.testing.assert_allclose(result.mean, [1, 1, np.nan, 5, 5])
    assert result.to_frame()["mean"].to_list()[2] is None


def test_polars_nulls_are_unknown():
    np.testing.assert_allclose(rolling(pl.Series([1, None, 3]), 3).mean, [1, 2, 3])


@given(series, st.integers(1, 70))
def test_equals_the_loop(values, window):
    result, expected = rolling(values, window), slow(values, window)
    np.testing.assert_allclose(result.mean, expected[:, 0], atol=1e-9)
    np.testing.assert_allclose(result.sd, expected[:, 1], atol=2e-6)


@given(st.floats(0, 12), st.integers(1, 50), st.integers(1, 60))
def test_constant_series_has_no_spread(value, count, window):
    result = rolling([value] * count, window)
    np.testing.assert_allclose(result.mean, value)
    np.testing.assert_allclose(result.sd, 0, atol=1e-9)


@given(series.filter(len), st.floats(-3, 3), st.floats(0.1, 5))
def test_shift_and_scale_pass_through(values, shift, scale):
    x = np.array(values, dtype=float)
    plain, moved = rolling(x, 7), rolling(scale * x + shift, 7)
    np.testing.assert_allclose(moved.mean, scale * plain.mean + shift, atol=1e-9)
    np.testing.assert_allclose(moved.sd, scale * plain.sd, atol=1e-5)


def test_empty_series_gives_empty_result():
    assert rolling([], 5).to_frame().shape == (0, 3)


@pytest.mark.parametrize("window", [0, -1, 2.5])
def test_bad_window_is_named(window):
    with pytest.raises(ParameterError, match="window"):
        rolling([1.0], window)


@pytest.mark.parametrize("values", [[[1.0, 2.0]], ["a"], [1.0, math.inf]])
def test_what_is_no_series_is_refused(values):
    with pytest.raises(ParameterError):
        rolling(values, 3)
