import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from widgets.figures.series import Window, band, isolated, line, thinned

gappy = st.lists(st.one_of(st.just(np.nan), st.floats(0, 10)), min_size=1, max_size=80).map(np.array)


def test_a_line_breaks_where_a_value_is_unknown():
    y = np.array([1.0, 2, np.nan, 4])
    drawn = line(np.arange(4.0), y, np.array([0, 1, 3]))
    np.testing.assert_array_equal(drawn["x"], [0, 1, 2, 3])
    np.testing.assert_array_equal(drawn["y"], [1, 2, np.nan, 4])


@given(gappy)
def test_a_line_breaks_between_all_runs_and_nowhere_else(y):
    x = np.arange(float(len(y)))
    rows = Window.of(x, None, 1000).chosen(y)
    drawn = line(x, y, rows)
    known = ~np.isnan(y)
    runs = int(np.sum(known & ~np.concatenate([[False], known[:-1]])))
    assert np.isnan(drawn["y"]).sum() == max(runs - 1, 0)
    np.testing.assert_array_equal(drawn["y"][~np.isnan(drawn["y"])], y[known])
    assert (np.diff(drawn["x"]) > 0).all()


@given(gappy)
def test_isolated_tokens_are_the_runs_of_one(y):
    padded = np.concatenate([[np.nan], y, [np.nan]])
    expected = [i for i in range(len(y)) if not np.isnan(y[i]) and np.isnan(padded[i]) and np.isnan(padded[i + 2])]
    assert isolated(y).tolist() == expected


def test_a_band_is_one_closed_polygon_a_stretch():
    high = np.array([2.0, 3, np.nan, 5])
    area = band(np.arange(4.0), high - 1, high, np.array([0, 1, 3]))
    first, second = np.split(area["y"], np.flatnonzero(np.isnan(area["y"])) + 1)[:2]
    np.testing.assert_array_equal(first[:-1], [2, 3, 2, 1, 2])  # along the top, back along the bottom, closed
    np.testing.assert_array_equal(second[:-1], [5, 5, 4, 4, 5])  # a single token gets half a token of width


def test_an_empty_band_is_empty():
    nothing = np.array([np.nan])
    assert band(np.zeros(1), nothing, nothing, np.array([], dtype=np.int64))["x"].size == 0


@given(st.integers(1, 5000), st.integers(10, 300), st.integers(0, 2**32 - 1))
@example(count=157, points=60, seed=148)  # where MinMaxLTTB dropped the highest peak
def test_reduction_keeps_order_budget_and_extremes(count, points, seed):
    y = np.random.default_rng(seed).exponential(size=count)
    rows = Window.of(np.arange(float(count)), None, points).chosen(y)
    assert len(rows) <= min(points, count)
    assert (np.diff(rows) > 0).all()
    assert {int(y.argmax()), int(y.argmin())} <= set(rows.tolist())


def test_window_takes_one_neighbour_on_either_side():
    window = Window.of(np.arange(100.0), (10, 20), 1000)
    assert (window.start, window.stop) == (9, 22)


def test_window_outside_the_trace_is_empty():
    assert Window.of(np.arange(5.0), (50, 60), 100).chosen(np.ones(5)).size <= 1


def test_too_few_points_are_refused():
    with pytest.raises(ValueError, match="points"):
        Window.of(np.arange(5.0), None, 3)


@given(st.integers(1, 3000), st.integers(4, 500), st.integers(0, 2**32 - 1))
def test_thinning_keeps_budget_and_outliers(count, points, seed):
    x, y = np.random.default_rng(seed).normal(size=(2, count))
    x[count // 2], y[count // 2] = 1e3, 1e3
    rows = thinned(x, y, np.arange(count), points)
    assert len(rows) <= points
    assert len(np.unique(rows)) == len(rows)
    if points >= 8:  # at least a grid of two by two
        assert count // 2 in rows
