"""Correlation of length and entropy: against scipy, its intervals, and what has none."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from workbench.errors import ParameterError
from workbench.phases import length_correlation


def sample(n=80, seed=0):
    random = np.random.default_rng(seed)
    difficulty = random.integers(1, 6, n)
    length = np.exp(random.normal(3 + 0.3 * difficulty, 0.3))
    return length, 0.1 * difficulty + random.normal(0, 0.1, n), difficulty


def test_coefficients_and_fisher_intervals_are_scipys():
    length, entropy, _ = sample()
    found = length_correlation(length, entropy)
    pearson = stats.pearsonr(length, entropy)
    assert found.pearson.r == pytest.approx(pearson.statistic)
    low, high = pearson.confidence_interval(0.95)
    assert (found.pearson.low, found.pearson.high) == (pytest.approx(low), pytest.approx(high))
    assert found.spearman.r == pytest.approx(stats.spearmanr(length, entropy).statistic)
    assert found.partial is None


def test_given_difficulty_is_the_correlation_of_the_residuals():
    length, entropy, difficulty = sample()
    found = length_correlation(length, entropy, difficulty=difficulty)
    left = [y - np.polyval(np.polyfit(difficulty, y, 1), difficulty) for y in (length, entropy)]
    assert found.partial.r == pytest.approx(stats.pearsonr(*left).statistic)
    assert abs(found.partial.r) < found.pearson.r  # difficulty drives both
    r = found.partial.r
    half = stats.norm.ppf(0.975) / np.sqrt(len(length) - 4)
    assert found.partial.low == pytest.approx(np.tanh(np.arctanh(r) - half))
    assert found.to_frame()["method"].to_list() == ["pearson", "spearman", "partial"]


@given(st.integers(0, 50), st.floats(0.1, 10), st.floats(-5, 5))
def test_units_of_length_and_entropy_do_not_matter(seed, scale, shift):
    length, entropy, difficulty = sample(30, seed)
    one = length_correlation(length, entropy, difficulty=difficulty)
    other = length_correlation(length * scale + shift, entropy / np.log(2), difficulty=difficulty)
    for a, b in zip(one, other, strict=True):
        assert a.r == pytest.approx(b.r, abs=1e-8)


def test_responses_to_one_problem_are_resampled_together():
    length, entropy, _ = sample(25)
    repeated = [np.repeat(values, 4) for values in (length, entropy)]
    problem = np.repeat(np.arange(25), 4)
    naive, clustered = length_correlation(*repeated), length_correlation(*repeated, problem=problem)
    assert clustered.pearson.interval == "bootstrap over problems"
    assert clustered.pearson.r == naive.pearson.r
    # copies of a response hold no more than the response, and Fisher's interval takes them for new ones
    assert clustered.pearson.high - clustered.pearson.low > 1.4 * (naive.pearson.high - naive.pearson.low)
    assert clustered == length_correlation(*repeated, problem=problem)


def test_constant_input_has_no_correlation_and_says_why():
    found = length_correlation([10] * 6, np.arange(6.0), difficulty=np.arange(6.0))
    assert np.isnan(found.pearson.r)
    assert found.pearson.reason == "all lengths are equal"
    assert "all lengths are equal" in found.pearson.describe()
    assert "all entropies" in length_correlation(np.arange(6), [0.5] * 6).spearman.reason
    explained = length_correlation(np.arange(6) * 2 + 1, np.random.default_rng(0).random(6), difficulty=np.arange(6))
    assert "difficulty leaves nothing" in explained.partial.reason
    assert found.to_frame()["r"].to_list()[0] is None


def test_few_responses():
    assert "at least 2" in length_correlation([1.0], [1.0]).pearson.reason
    assert np.isnan(length_correlation([1, 2, 4], [1, 3, 2]).pearson.low)
    assert "takes 4 responses" in length_correlation([1, 2, 4], [1, 3, 2]).pearson.describe()
    unknown = length_correlation([1, 2, 3, 4, np.nan], [1.0, 3.0, 2.0, np.nan, 9.0])
    assert unknown.pearson.n == 3
    alone = length_correlation([1, 2, 3, 5], [1, 3, 2, 4], problem=["p"] * 4)
    assert alone.pearson.reason == "too few problems to resample"


def test_a_perfect_correlation_has_an_interval_of_no_width():
    found = length_correlation(np.arange(8.0), np.arange(8.0) * 2)
    assert found.pearson.r == pytest.approx(1)
    assert found.pearson.high <= 1


def test_shapes_that_disagree():
    with pytest.raises(ParameterError, match="one number a response"):
        length_correlation([1, 2, 3], [1, 2])
    with pytest.raises(ParameterError, match="one problem a response"):
        length_correlation([1, 2, 3], [1, 2, 3], problem=["a"])
    with pytest.raises(ParameterError, match="confidence"):
        length_correlation([1, 2, 3], [1, 2, 3], confidence=1.0)
