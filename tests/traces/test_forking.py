import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.errors import ParameterError
from workbench.traces.forking import FALLBACK_THRESHOLD, batch_threshold, forking_tokens, high_window_entropy

series = st.lists(st.one_of(st.none(), st.floats(0, 12)), max_size=60)
percentiles = st.floats(0, 100)


def slow_quantile(values, percentile):
    """Linear interpolation between order statistics, by hand."""
    ordered = sorted(values)
    at = (len(ordered) - 1) * percentile / 100
    low, high = ordered[math.floor(at)], ordered[math.ceil(at)]
    return low + (high - low) * (at - math.floor(at))


def slow_means(values, window, first):
    """Mean of values[t + first : t + first + window] for each t; None without a full and known window."""
    means = []
    for t in range(len(values)):
        inside = values[t + first : t + first + window]
        full = len(inside) == window and None not in inside
        means.append(math.fsum(inside) / window if full else None)
    return means


def test_top_fifth_of_ten_tokens():
    result = forking_tokens(np.arange(10.0), 80)
    assert result.threshold == pytest.approx(7.2)
    assert result.indices.tolist() == [8, 9]
    assert result.to_frame().rows() == [(8, 8.0), (9, 9.0)]


def test_a_token_on_the_threshold_does_not_fork():
    assert forking_tokens([1.0, 1.0, 1.0, 1.0], 50).indices.size == 0
    assert forking_tokens([0.0, 1.0, 2.0], 50).indices.tolist() == [2]


def test_nothing_known_means_nothing_forks():
    for values in ([], [None, None]):
        result = forking_tokens(values)
        assert result.indices.size == 0
        assert math.isnan(result.threshold)


@given(series, percentiles)
def test_forking_equals_the_loop(values, percentile):
    known = [v for v in values if v is not None]
    result = forking_tokens(values, percentile)
    if known:
        assert result.threshold == pytest.approx(slow_quantile(known, percentile), abs=1e-9)
    assert result.indices.tolist() == [i for i, v in enumerate(values) if v is not None and v > result.threshold]


@given(st.lists(st.floats(0, 12), min_size=1, max_size=200), percentiles)
def test_never_more_than_the_share_asked_for(values, percentile):
    assert len(forking_tokens(values, percentile).indices) <= math.ceil(
        (1 - percentile / 100) * (len(values) - 1) + 1e-6
    )


@given(series, percentiles, percentiles)
def test_a_higher_percentile_keeps_a_subset(values, first, second):
    low, high = sorted((first, second))
    assert set(forking_tokens(values, high).indices) <= set(forking_tokens(values, low).indices)


def test_paper_window_runs_forward_from_the_token_itself():
    entropies = [0.0, 0, 0, 4, 4, 0, 0, 0]
    result = high_window_entropy(entropies, window=2, percentile=50)
    assert result.threshold == 0  # the median of the tokens
    assert result.indices.tolist() == [2, 3, 4]
    np.testing.assert_allclose(result.means, [0, 0, 2, 4, 2, 0, 0, np.nan])


def test_reference_window_starts_after_the_trigger_and_ties_count():
    entropies = [0.0, 0, 0, 4, 4, 0, 0, 0]
    result = high_window_entropy(entropies, window=2, percentile=100, variant="reference")
    np.testing.assert_allclose(result.means, [0, 2, 4, 2, 0, 0, np.nan, np.nan])
    assert result.threshold == 4  # the largest window mean
    assert result.indices.tolist() == [2]
    assert high_window_entropy(entropies, window=2, percentile=100).indices.size == 0


@given(series, st.integers(1, 12), percentiles, st.sampled_from(["paper", "reference"]))
def test_high_windows_equal_the_loop(values, window, percentile, variant):
    means = slow_means(values, window, 0 if variant == "paper" else 1)
    result = high_window_entropy(values, window=window, percentile=percentile, variant=variant)
    np.testing.assert_allclose(result.means, np.array(means, dtype=float), rtol=1e-12, atol=1e-12)
    population = [v for v in (values if variant == "paper" else means) if v is not None]
    if population:
        assert result.threshold == pytest.approx(slow_quantile(population, percentile), abs=1e-9)
    above = result.means > result.threshold if variant == "paper" else result.means >= result.threshold
    assert result.indices.tolist() == np.flatnonzero(above).tolist()
    assert result.to_frame()["high"].sum() == len(result.indices)


@given(series, percentiles)
def test_paper_window_of_one_is_the_forking_rule(values, percentile):
    one = high_window_entropy(values, window=1, percentile=percentile)
    assert one.indices.tolist() == forking_tokens(values, percentile).indices.tolist()


@given(series, st.integers(1, 8))
def test_reference_means_are_the_papers_one_token_later(values, window):
    paper = high_window_entropy(values, window=window).means
    reference = high_window_entropy(values, window=window, variant="reference").means
    np.testing.assert_array_equal(reference[:-1], paper[1:])


def test_window_longer_than_the_trace_triggers_nothing():
    for variant in ("paper", "reference"):
        assert high_window_entropy([9.0, 9.0], window=3, variant=variant).indices.size == 0


def test_a_threshold_from_elsewhere_is_used_as_given():
    assert high_window_entropy([1.0, 2.0, 3.0], window=1, threshold=1.5).indices.tolist() == [1, 2]


def test_paper_batch_threshold_is_the_mean_of_quantiles():
    assert batch_threshold([[0.0, 1.0], [0.0, 3.0], [0.0, 8.0]], percentile=100) == pytest.approx(4)


def test_reference_batch_threshold_is_the_median_then_smoothed():
    traces = [[0.0, 1.0], [0.0, 3.0], [0.0, 8.0], [5.0]]  # the last is too short for a window
    settings = {"window": 1, "percentile": 100, "variant": "reference"}
    assert batch_threshold(traces, **settings) == pytest.approx(3)
    assert batch_threshold(traces, previous=1.0, **settings) == pytest.approx(0.99 * 1 + 0.01 * 3)


def test_reference_batch_without_windows_keeps_the_previous_or_the_fallback():
    assert batch_threshold([[1.0]], variant="reference") == FALLBACK_THRESHOLD
    assert batch_threshold([[1.0]], variant="reference", previous=0.7) == pytest.approx(0.7)


def test_paper_batch_of_nothing_known_is_refused():
    with pytest.raises(ParameterError, match="known entropy"):
        batch_threshold([[None]])


@given(series.filter(lambda values: any(v is not None for v in values)), percentiles)
def test_batch_of_one_is_that_traces_own_threshold(values, percentile):
    own = high_window_entropy(values, percentile=percentile).threshold
    assert batch_threshold([values], percentile=percentile) == own


def test_bad_settings_are_named():
    with pytest.raises(ParameterError, match="percentile"):
        forking_tokens([1.0], 101)
    with pytest.raises(ParameterError, match="variant"):
        high_window_entropy([1.0], variant="mean")
    with pytest.raises(ParameterError, match="window"):
        high_window_entropy([1.0], window=0)
    with pytest.raises(ParameterError, match="decay"):
        batch_threshold([[1.0]], decay=2)
