"""Routing: the rule against a slow twin, its properties, and settings that are refused."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.errors import ParameterError
from workbench.samplers.switching import Router, Switching, route

# Eighths: sums are exact, and window means meet thresholds exactly.
EIGHTHS = st.integers(0, 24).map(lambda n: n / 8)
THRESHOLDS = st.one_of(EIGHTHS, st.sampled_from([-math.inf, -1.0, math.inf]))
SETTINGS = st.builds(
    Switching,
    threshold=THRESHOLDS,
    window=st.integers(1, 9),
    dwell=st.integers(0, 9),
    hysteresis=st.integers(0, 8).map(lambda n: n / 8),
    start=st.sampled_from(["small", "large"]),
    monitor=st.sampled_from(["active", "small"]),
)
STREAMS = st.lists(st.tuples(EIGHTHS, EIGHTHS), max_size=80)


def obvious(pairs, settings):
    """The models of each token, what entered the window, and its means."""
    models, stream, means = [], [], []
    model, since = settings.start, 0
    for small, large in pairs:
        models.append(model)
        stream.append(small if settings.monitor == "small" or model == "small" else large)
        recent = stream[-settings.window :]
        means.append(sum(recent) / len(recent))
        since += 1
        wanted = model
        if means[-1] > settings.threshold:
            wanted = "large"
        elif means[-1] <= settings.threshold - settings.hysteresis:
            wanted = "small"
        if since >= settings.dwell and wanted != model:
            model, since = wanted, 0
    return models, stream, means


def columns(pairs):
    return np.array([small for small, _ in pairs], float), np.array([large for _, large in pairs], float)


@given(pairs=STREAMS, settings=SETTINGS)
def test_equals_the_obvious_twin(pairs, settings):
    found = route(*columns(pairs), settings)
    models, stream, means = obvious(pairs, settings)
    assert found.large.tolist() == [model == "large" for model in models]
    assert found.monitored.tolist() == stream
    assert found.mean.tolist() == means


@given(pairs=STREAMS, settings=SETTINGS)
def test_token_by_token_is_the_same_as_all_at_once(pairs, settings):
    router = Router(settings, len(pairs))
    for small, large in pairs:
        router.take(large if router.large and settings.monitor == "active" else small)
    one, other = router.route(), route(*columns(pairs), settings)
    for name in ("large", "monitored", "mean", "switch_points"):
        assert np.array_equal(getattr(one, name), getattr(other, name)), name


@given(pairs=STREAMS, settings=SETTINGS)
def test_every_turn_but_the_last_lasts_the_dwell(pairs, settings):
    points = route(*columns(pairs), settings).switch_points
    assert (np.diff([0, *points]) >= max(settings.dwell, 1))[: len(points)].all()


@given(pairs=STREAMS, settings=SETTINGS)
def test_switches_up_above_the_threshold_and_down_below_the_hysteresis(pairs, settings):
    found = route(*columns(pairs), settings)
    for t in found.switch_points:
        before = found.mean[t - 1]
        assert before > settings.up if found.large[t] else before <= settings.down


@given(pairs=STREAMS, settings=SETTINGS)
def test_without_dwell_or_hysteresis_the_mean_alone_decides(pairs, settings):
    plain = Switching(threshold=settings.threshold, window=settings.window, dwell=0, monitor=settings.monitor)
    found = route(*columns(pairs), plain)
    assert np.array_equal(found.large[1:], found.mean[:-1] > plain.threshold)


def test_two_thresholds_hold_between_them():
    rise_and_fall = np.array([0, 0, 1.0, 0.8, 0.6, 0.5, 0.6, 0.8, 0])
    settings = Switching(threshold=0.75, hysteresis=0.25, window=1, dwell=0)
    found = route(rise_and_fall, rise_and_fall, settings)
    assert found.large.tolist() == [False, False, False, True, True, True, False, False, True]
    assert found.switch_points.tolist() == [3, 6, 8]


@pytest.mark.parametrize("window", [1, 5, 4096])
def test_limits(window):
    entropies = np.random.default_rng(0).gamma(1.0, size=200)
    never = route(entropies, entropies, Switching(threshold=math.inf, window=window))
    always = route(entropies, entropies, Switching(threshold=-1.0, window=window, dwell=12))
    assert not never.large.any()
    assert np.flatnonzero(always.large).tolist() == list(range(12, 200))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"threshold": math.nan}, "threshold"),
        ({"window": 0}, "window"),
        ({"window": 2.5}, "whole"),
        ({"dwell": -1}, "dwell"),
        ({"hysteresis": -0.1}, "hysteresis"),
        ({"hysteresis": math.inf}, "hysteresis"),
        ({"start": "medium"}, "small, large"),
        ({"monitor": "large"}, "active, small"),
    ],
)
def test_settings_out_of_range_are_refused(settings, words):
    with pytest.raises(ParameterError, match=words):
        Switching(**settings)


def test_settings_go_through_a_dictionary():
    settings = Switching(threshold=1.5, dwell=3, monitor="small")
    assert Switching.from_dict(settings.to_dict()) == settings
    assert {one.name for one in Switching.parameters()} == set(settings.to_dict())


def test_streams_that_do_not_fit_are_refused():
    with pytest.raises(ParameterError, match="2 entropies of the small model but 1"):
        route([1, 2], [1], Switching())
    with pytest.raises(ParameterError, match="large model's entropy of token 1"):
        route([1, 2], [1, math.nan], Switching())
