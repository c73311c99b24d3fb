"""Triggers: closed forms, a slow twin in plain Python, and the same found token by token."""

import math
import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.errors import ParameterError
from workbench.samplers.reflective import Reflective, triggers
from workbench.samplers.reflective.triggers import Monitor


def twin(entropies, settings):
    """Thresholds (inf for none) and triggers, as paper and reference state them."""
    thresholds, found = [], []
    for t, entropy in enumerate(entropies):
        before = entropies[t - settings.window : t] if t >= settings.window else None
        if settings.threshold_rule == "paper":
            limit = math.inf
            if before is not None and math.isfinite(settings.k):
                limit = statistics.fmean(before) + settings.k * statistics.pstdev(before)
        elif before is None:
            limit = settings.warm_up_threshold
        elif math.isinf(settings.k):
            limit = math.inf
        else:
            spread = max(statistics.stdev(before), settings.minimal_std)
            limit = max(statistics.fmean(before) + settings.k * spread, settings.minimal_threshold)
        thresholds.append(limit)
        found.append(entropy > limit and sum(found) < settings.max_corrections)
    return np.array(thresholds), np.array(found, dtype=bool)


SETTINGS = st.builds(
    Reflective,
    window=st.integers(2, 8),
    k=st.sampled_from([0.0, 0.5, 1.0, 3.0, math.inf]),
    minimal_std=st.sampled_from([0.0, 0.5]),
    minimal_threshold=st.sampled_from([0.0, 1.8]),
    warm_up_threshold=st.sampled_from([0.0, 1.0, 5.0]),
    max_corrections=st.sampled_from([0, 1, 3, 100]),
    threshold_rule=st.sampled_from(["paper", "reference"]),
)
# Multiples of 1/16 in windows whose thresholds then lie away from them, or exactly on them at k = 0.
ENTROPIES = st.lists(st.integers(0, 160).map(lambda n: n / 16), max_size=40)


@given(ENTROPIES, SETTINGS)
def test_thresholds_and_triggers_are_those_of_the_slow_twin(entropies, settings):
    found = triggers(entropies, settings)
    thresholds, triggered = twin(entropies, settings)
    np.testing.assert_allclose(found.threshold, thresholds, rtol=1e-12, atol=1e-12)
    close = np.isfinite(thresholds) & (np.abs(np.array(entropies) - thresholds) < 1e-9)
    if not close.any():  # a tie is decided by the last bit of a square root
        assert found.triggered.tolist() == triggered.tolist()


@given(st.lists(st.floats(0, 12), max_size=60), SETTINGS)
def test_token_by_token_gives_the_same_bits_as_all_at_once(entropies, settings):
    monitor = Monitor(settings)
    said = [monitor.extend(np.array([entropy])) for entropy in entropies]
    live, whole = monitor.triggers, triggers(entropies, settings)
    assert live.threshold.tolist() == whole.threshold.tolist()
    assert said == live.triggered.tolist() == whole.triggered.tolist()


def test_a_long_run_outgrows_the_first_arrays():
    entropies = np.random.default_rng(0).gamma(0.5, 1.0, 1000)
    settings = Reflective(max_corrections=1000, k=2.0)
    monitor = Monitor(settings)
    said = [monitor.extend(entropies[t : t + 1]) for t in range(1000)]
    assert said == twin(entropies.tolist(), settings)[1].tolist()
    assert sum(said) > 20


@pytest.mark.parametrize("value", [0.0, 0.1, 1 / 3, 7.7])
def test_a_constant_series_never_triggers_whatever_k(value):
    found = triggers([value] * 60, Reflective(k=0.0))
    assert (found.threshold[25:] == value).all()  # not a rounding away from it
    assert not found.triggered.any()


def test_one_jump_out_of_a_constant_series_triggers_under_the_paper_rule_alone():
    entropies = [0.1] * 30 + [0.1 + 1e-9] + [0.1] * 5
    assert triggers(entropies, Reflective()).positions.tolist() == [30]
    assert triggers(entropies, Reflective(threshold_rule="reference")).positions.tolist() == []
    entropies[30] = 0.1 + 4 * 0.5 + 1e-9
    assert triggers(entropies, Reflective(threshold_rule="reference")).positions.tolist() == [30]


def test_the_window_must_be_full_under_the_paper_rule():
    entropies = [9.0 if t % 2 else 0.0 for t in range(26)] + [99.0]
    found = triggers(entropies, Reflective(k=4.0))
    assert np.isinf(found.threshold[:25]).all()
    assert found.positions.tolist() == [26]


def test_the_reference_warms_up_with_a_fixed_threshold_that_must_be_exceeded():
    entropies = [3.0, 3.0001, 0.0]
    found = triggers(entropies, Reflective(threshold_rule="reference", warm_up_threshold=3.0))
    assert found.triggered.tolist() == [False, True, False]


def test_infinite_k_never_triggers_even_out_of_a_constant_series():
    assert not triggers([0.0] * 40 + [5.0], Reflective(k=math.inf)).triggered.any()


@given(ENTROPIES, SETTINGS)
def test_a_larger_k_triggers_at_no_more_tokens(entropies, settings):
    unlimited = {**settings.to_dict(), "max_corrections": 1000}
    few, many = (triggers(entropies, Reflective(**{**unlimited, "k": k})).triggered for k in (2.0, 1.0))
    assert not (few & ~many).any()


def test_unknown_entropies_are_passed_over():
    known = [0.1, 0.3, 0.2, 0.1, 2.0, 0.2]
    settings = Reflective(window=3, k=1.0)
    with_gaps = [None, 0.1, 0.3, None, 0.2, 0.1, 2.0, None, 0.2]
    found, plain = triggers(with_gaps, settings), triggers(known, settings)
    at = [i for i, value in enumerate(with_gaps) if value is not None]
    assert found.triggered[at].tolist() == plain.triggered.tolist()
    assert found.threshold[at].tolist() == plain.threshold.tolist()
    assert not found.triggered[[0, 3, 7]].any()
    assert found.to_frame()["entropy"].null_count() == 3


def test_the_frame_says_null_where_there_is_no_threshold():
    frame = triggers([0.1] * 30, Reflective()).to_frame()
    assert frame.columns == ["position", "entropy", "threshold", "triggered"]
    assert frame["threshold"].null_count() == 25


def test_nothing_gives_nothing():
    assert len(triggers([], Reflective()).to_frame()) == 0


@pytest.mark.parametrize("wrong", [[[1.0, 2.0]], ["high"], [math.inf]])
def test_what_is_no_series_of_numbers_is_refused(wrong):
    with pytest.raises(ParameterError):
        triggers(wrong, Reflective())
