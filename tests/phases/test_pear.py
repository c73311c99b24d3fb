"""PEAR's penalty and reward: the sheet's closed forms, piecewise linearity in alpha, flags and group advantage."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.phases.phase_cases import trace_of
from workbench.errors import ParameterError
from workbench.phases import (
    pear_kink,
    pear_penalty,
    pear_reward,
    pear_rewards,
    phase_entropy,
    reward_curve,
)

nats = st.floats(0, 5)
alphas = st.floats(-1, 3)


@pytest.mark.parametrize(
    ("letters", "entropy", "alpha", "penalty", "reward"),
    [
        ("otttcaa", [9, 0.4, 0.6, 0.5, 9, 0.1, 0.2], 1.0, 0.35, 0.65),
        ("otca", [9, 0.1, 9, 0.5], 1.0, 0.0, 1.0),
        ("otca", [9, 0.1, 9, 0.5], -1.0, 0.6, 0.4),
    ],
)
def test_closed_forms(letters, entropy, alpha, penalty, reward):
    found = phase_entropy(trace_of(letters, entropy))
    assert pear_penalty(found.think, found.answer, alpha=alpha) == pytest.approx(penalty, abs=1e-12)
    assert pear_reward(found.think, found.answer, True, alpha=alpha) == pytest.approx(reward, abs=1e-12)
    assert pear_reward(found.think, found.answer, False, alpha=alpha, format_reward=0.2) == 0.2


@given(think=nats, answer=nats, alpha=alphas, c=st.floats(0, 3))
def test_a_shift_of_both_phases_changes_the_penalty_by_its_share(think, answer, alpha, c):
    before, after = think - alpha * answer, (think + c) - alpha * (answer + c)
    assert pear_penalty(think + c, answer + c, alpha=1) == pytest.approx(pear_penalty(think, answer), abs=1e-9)
    if before > 1e-6 and after > 1e-6:
        gained = pear_penalty(think + c, answer + c, alpha=alpha) - pear_penalty(think, answer, alpha=alpha)
        assert gained == pytest.approx((1 - alpha) * c, abs=1e-9)


@given(think=nats, answer=st.floats(0.01, 5), s=st.floats(0, 1))
def test_the_reward_is_linear_up_to_the_kink_and_flat_beyond(think, answer, s):
    kink = pear_kink(think, answer)
    below, above = kink - np.array([2.0, 1.0, 0.5]), kink + np.array([1e-6, 0.5, 2.0])
    curve = reward_curve(think, answer, True, [*below, *above], s=s)
    assert curve.kinks[0] == pytest.approx(kink)
    np.testing.assert_allclose(curve.rewards[0, :3], s + (below - kink) * answer, atol=1e-9)
    np.testing.assert_allclose(curve.rewards[0, 3:], s, atol=1e-9)


def test_the_curve_is_the_reward_at_every_alpha():
    random = np.random.default_rng(0)
    think, answer, right = random.random(20), random.random(20), random.random(20) < 0.5
    grid = np.linspace(-1, 3, 9)
    curve = reward_curve(think, answer, right, grid, s=0.8, format_reward=0.1)
    for i in range(20):
        for j, alpha in enumerate(grid):
            alone = pear_reward(think[i], answer[i], bool(right[i]), alpha=float(alpha), s=0.8, format_reward=0.1)
            assert curve.rewards[i, j] == pytest.approx(alone)
    np.testing.assert_allclose(curve.mean, curve.rewards.mean(axis=0))
    assert np.isnan(curve.kinks[~right]).all()
    assert len(curve.to_frame()) == 180


def test_without_an_answer_alpha_changes_nothing():
    assert math.isnan(pear_kink(0.5, 0.0))
    assert pear_reward(0.5, 0.0, True, alpha=-1) == pear_reward(0.5, 0.0, True, alpha=3) == 0.5


def test_correct_answers_that_earn_less_than_wrong_ones_are_flagged():
    found = pear_rewards([0.2, 0.95, 1.8, 1.8], [0, 0, 0, 0], [True, True, True, False], format_reward=0.1)
    np.testing.assert_allclose(found.reward, [0.8, 0.05, -0.8, 0.1])
    assert found.below_format.tolist() == [False, True, True, False]
    assert found.negative.tolist() == [False, False, True, False]
    frame = found.to_frame()
    assert frame["reward"].to_list() == found.reward.tolist()


def test_the_advantage_is_standardised_within_the_group():
    found = pear_rewards([0.2, 0.6, 0.4], [0, 0, 0], [True, True, False])
    expected = (found.reward - found.reward.mean()) / found.reward.std()
    np.testing.assert_allclose(found.advantage, expected)
    assert found.advantage.mean() == pytest.approx(0, abs=1e-12)
    assert found.advantage.std() == pytest.approx(1)


@pytest.mark.parametrize("n", [1, 3, 7])
def test_a_group_that_agrees_has_no_advantage(n):
    assert pear_rewards([0.1] * n, [0.3] * n, [True] * n, alpha=0.1).advantage.tolist() == [0.0] * n


@pytest.mark.parametrize(
    "wrong",
    [{"alpha": math.nan}, {"s": 1.2}, {"s": -0.1}, {"format_reward": 2}],
)
def test_parameters_out_of_range(wrong):
    with pytest.raises(ParameterError, match=next(iter(wrong))):
        pear_reward(0.1, 0.1, True, **wrong)


def test_entropies_that_are_none():
    with pytest.raises(ParameterError, match="answer: a mean entropy"):
        pear_reward(0.1, math.nan, True)
    with pytest.raises(ParameterError, match="true or false a response"):
        pear_rewards([0.1, 0.2], [0.1, 0.2], [True])
    with pytest.raises(ParameterError, match="Leave out responses without a verdict"):
        pear_rewards([0.1, 0.2], [0.1, 0.2], [True, None])
