import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import workbench as wb
from tests.models.architectures import make_model
from workbench import attention
from workbench.attention import STATISTICS, HeadStats
from workbench.errors import ParameterError

GOLDEN = {(2, 1): 0.494199917, (16, 4): 1.018039766, (128, 8): 0.358889903, (512, 10): 0.247509783}


def stats_from(entropy):
    """Statistics whose row entropies (L, H, T) are given, as of a causal text of different tokens."""
    entropy = np.asarray(entropy, np.float32)
    layers, _, tokens = entropy.shape
    rows = np.zeros((len(STATISTICS), *entropy.shape), np.float32)
    rows[0] = entropy
    support = np.broadcast_to(np.arange(1, tokens + 1, dtype=np.int32), (layers, tokens))
    ids = tuple(range(tokens))
    return HeadStats(rows, support, tuple(range(layers)), ids, ("x",) * tokens, np.ones(tokens, bool), "made up")


def uniform_and_one_hot(tokens):
    """One layer of three uniform heads and one that is one-hot, and one layer of one-hot heads."""
    rows = np.zeros((2, 4, tokens))
    rows[0, :3] = np.log(np.arange(1, tokens + 1))
    return stats_from(rows)


@pytest.mark.parametrize("tokens", [2, 16, 128])
def test_uniform_heads_are_overloaded_and_one_hot_heads_collapsed(tokens):
    bins = attention.entropy_bins(uniform_and_one_hot(tokens))
    np.testing.assert_array_equal(bins.shares, [[0.25, 0, 0, 0.75], [1, 0, 0, 0]])
    np.testing.assert_array_equal(bins.collapse, [0.25, 1])
    np.testing.assert_array_equal(bins.overload, [0.75, 0])
    assert bins.to_frame()["share"].to_list() == [0.25, 0, 0, 0.75, 1, 0, 0, 0]
    collapsed = uniform_and_one_hot(tokens).collapsed()
    np.testing.assert_array_equal(collapsed, [[0, 0, 0, 1], [1, 1, 1, 1]])


@pytest.mark.parametrize(("tokens", "top"), [(32, 0.0), (64, 0.75), (128, 0.75)])
def test_by_length_a_uniform_head_reaches_the_top_bin_only_in_longer_texts(tokens, top):
    stats = uniform_and_one_hot(tokens)
    assert attention.entropy_bins(stats, normalizer="length").overload[0] == top
    assert stats.entropy_over_log_length[0, 0] == pytest.approx(math.lgamma(tokens + 1) / tokens / math.log(tokens))
    assert stats.normalized_entropy[0, 0] == pytest.approx(1)


def test_bins_and_penalties_refuse_what_has_no_meaning():
    stats = uniform_and_one_hot(8)
    for wrong in ({"normalizer": "none"}, {"edges": (0.5, 0.25)}, {"edges": (0.0, 0.5)}, {"edges": (0.5, 1.0)}):
        with pytest.raises(ParameterError):
            attention.entropy_bins(stats, **wrong)
    for thresholds in (1.5, -0.1, [0.1, 0.2, 0.3], np.zeros((3, 4)), np.nan):
        with pytest.raises(ParameterError, match="Thresholds"):
            attention.entropy_penalty(stats, thresholds)
    for wrong in ({"margin": 1.5}, {"normalizer": "none"}):
        with pytest.raises(ParameterError, match="margin"):
            attention.entropy_penalty(stats, 0.5, **wrong)


def test_the_penalty_is_the_square_beyond_the_margin_and_nothing_at_it():
    stats = uniform_and_one_hot(64)
    most, uniform = math.log(64), math.lgamma(65) / 64
    found = attention.entropy_penalty(stats, 0.5, margin=0.2)
    expected = (uniform - 0.5 * most) ** 2
    np.testing.assert_allclose(found.penalty[0], [expected] * 3 + [0.25 * most**2], rtol=1e-6)
    assert found.mean == pytest.approx((3 * expected + 5 * 0.25 * most**2) / 8)
    assert not attention.entropy_penalty(stats, 0.5, margin=0.5).penalty[1].any()  # |delta| is the margin exactly
    assert attention.entropy_penalty(stats, [[0.0], [1.0]], margin=0.0).penalty[1].min() == pytest.approx(most**2)
    assert attention.entropy_penalty(stats, 1.0, normalizer="support").penalty[0, 0] == 0
    assert found.to_frame().shape == (8, 4)


@pytest.mark.parametrize(("at", "bound"), GOLDEN.items())
def test_bound_golden(at, bound):
    support, sigma = at
    assert attention.entropy_bound(sigma, support) == pytest.approx(bound, abs=1e-9)


def test_the_bound_is_reached():
    sigma, n = 4.0, 16
    scores = np.full(n, -sigma / math.sqrt(n * (n - 1)))
    scores[0] = sigma * math.sqrt((n - 1) / n)
    weights = np.exp(scores) / np.exp(scores).sum()
    assert -(weights * np.log(weights)).sum() == pytest.approx(float(attention.entropy_bound(sigma, n)), abs=1e-14)
    assert attention.entropy_bound(7.0, 1) == 0
    assert attention.entropy_bound(0.0, 5) == pytest.approx(math.log(5))
    for wrong in ((-1.0, 4), (1.0, 0)):
        with pytest.raises(ParameterError):
            attention.entropy_bound(*wrong)


@given(hnp.arrays(np.float64, st.integers(2, 40), elements=st.floats(-40, 40)))
def test_no_scores_have_less_entropy_than_their_bound(scores):
    weights = np.exp(scores - scores.max())
    weights /= weights.sum()
    entropy = -(weights * np.log(np.where(weights > 0, weights, 1))).sum()
    sigma = np.linalg.norm(scores - scores.mean())
    assert entropy >= attention.entropy_bound(sigma, len(scores)) - 1e-9


@pytest.mark.parametrize("kind", ["llama", "gemma2_softcap", "mistral_sliding"])
def test_no_row_of_a_model_is_below_its_bound(kind):
    model = wb.wrap(make_model(kind))
    stats = attention.head_stats(model, np.random.default_rng(0).integers(3, 320, 40), skip_rows=2)
    bounds = attention.entropy_bounds(stats)
    assert bounds.violations == 0
    assert np.isnan(bounds.bound[..., :2]).all()
    frame = bounds.to_frame()
    assert frame.height == 8
    assert (frame["smallest_gap"] > -1e-4).all()
    assert (frame["bound"] > 0).all()
    assert "0 below" in repr(bounds)
