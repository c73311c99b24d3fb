"""The charts of switching and of triggers draw what the replays say, and updating equals building."""

import math

import numpy as np
import pytest

import workbench as wb
from tests.widgets.figures.figure_cases import make_tokens, role
from widgets.figures.series import update_figure
from widgets.figures.switching_chart import switching_chart, switching_cursor, switching_layout, switching_series
from widgets.figures.template import apply_theme
from widgets.figures.trigger_chart import trigger_chart, trigger_cursor, trigger_layout, trigger_series
from workbench.samplers import reflective, switching
from workbench.samplers.reflective import Reflective
from workbench.samplers.switching import Switching

HOSTILE = "<img src=x onerror=alert(1)><b>b</b>&lt;$x$"


def trace_of(count=300, seed=0, **columns):
    return wb.Trace(make_tokens(count, 200, seed, **columns), prompt_ids=[1, 2, 3], meta={"parameters": 10 + seed})


def switched(settings=None, **about):
    return switching.replay(trace_of(**about), trace_of(seed=1), settings or Switching(threshold=0.8, dwell=4))


def triggered(settings=None, **about):
    return reflective.replay(trace_of(**about), settings or Reflective(window=20, k=2.0))


def same(one, other):
    """Whether two figures draw the same."""
    for mine, yours in zip(one.data, other.data, strict=True):
        assert mine.meta == yours.meta
        for name in ("x", "y"):
            np.testing.assert_array_equal(np.asarray(mine[name], float), np.asarray(yours[name], float), mine.meta)
        if len(mine.x):
            assert np.all(np.asarray(mine.text == yours.text)), mine.meta
            assert (mine.name, mine.visible in (None, True)) == (yours.name, yours.visible in (None, True))
    return one.layout.to_plotly_json() == other.layout.to_plotly_json()


def test_entropy_mean_and_route_are_the_replays_in_bits():
    found = switched()
    fig = switching_chart(found)
    small, large = (one.tokens["entropy"].to_numpy() / math.log(2) for one in (found.small, found.large))
    np.testing.assert_allclose(role(fig, "raw").y, np.where(found.route.large, large, small))
    np.testing.assert_array_equal(role(fig, "mean").y, found.route.mean)
    edges, state = np.asarray(role(fig, "route").x), np.asarray(role(fig, "route").y)
    for position, large in enumerate(found.route.large):
        inside = (edges[::2] < position) & (position < edges[1::2])
        assert inside.sum() == 1
        assert state[::2][inside] == state[1::2][inside] == large
    assert fig.layout.yaxis.title.text == "raw entropy (bits)"
    assert tuple(fig.layout.yaxis2.ticktext) == ("small", "large")


def test_who_draws_is_told_by_words_and_hatching_not_by_colour_alone():
    found = switched()
    fig = switching_chart(found)
    assert role(fig, "drawn_large").fillpattern.shape == role(fig, "route").fillpattern.shape == "/"
    starts = np.asarray(role(fig, "drawn_large").x)[::6]
    opened = np.flatnonzero(found.route.large & ~np.append(False, found.route.large[:-1]))
    np.testing.assert_array_equal(starts, opened - 0.5)
    texts = role(fig, "tokens").text
    assert ["drawn by the large model" in text for text in texts] == found.route.large.tolist()


def test_the_lower_threshold_is_drawn_only_with_hysteresis_and_an_infinite_one_nowhere():
    fig = switching_chart(switched())
    assert (role(fig, "threshold").visible, role(fig, "threshold_down").visible) == (True, False)
    fig = switching_chart(switched(Switching(threshold=0.8, hysteresis=0.3)))
    assert set(role(fig, "threshold").y) == {0.8}
    assert set(role(fig, "threshold_down").y) == {0.5}
    assert role(fig, "threshold").line.dash != role(fig, "threshold_down").line.dash
    fig = switching_chart(switched(Switching(threshold=math.inf)))
    assert role(fig, "threshold").visible is False
    assert role(fig, "drawn_large").visible is False


def test_the_legend_says_whose_entropy_is_monitored():
    assert "small model" in role(switching_chart(switched(Switching(monitor="small"))), "raw").name
    assert "at work" in role(switching_chart(switched()), "raw").name


def test_triggers_and_thresholds_are_the_replays_in_nats():
    found = triggered()
    fig = trigger_chart(found)
    positions = found.triggers.positions
    assert len(positions) > 2
    np.testing.assert_array_equal(role(fig, "triggered").x, positions)
    np.testing.assert_array_equal(role(fig, "triggered").y, found.triggers.entropy[positions])
    np.testing.assert_array_equal(role(fig, "threshold").x, np.arange(20, 300))  # the paper's first N have none
    np.testing.assert_array_equal(role(fig, "threshold").y, found.triggers.threshold[20:])
    assert fig.layout.yaxis.title.text == "raw entropy (nats)"
    assert f"({len(positions)})" in role(fig, "triggered").name


def test_a_tempered_entropy_is_not_called_raw():
    logits = np.random.default_rng(0).normal(0, 3, (40, 60)).astype(np.float32)
    trace = wb.Trace.from_logits(logits, logits.argmax(axis=1))
    fig = trigger_chart(reflective.replay(trace, Reflective.reference(), temperature=0.7))
    assert "softmax(z / T)" in fig.layout.yaxis.title.text
    assert "raw" not in fig.layout.yaxis.title.text + role(fig, "raw").name


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_updating_equals_building(theme):
    fig = switching_chart(switched(), cursor=3, theme=theme)
    other = switched(Switching(threshold=0.5, window=3, dwell=1, hysteresis=0.2, monitor="small"))
    update_figure(fig, switching_series(other) | switching_cursor(7), switching_layout(other, theme=theme))
    assert same(fig, switching_chart(other, cursor=7, theme=theme))
    fig = trigger_chart(triggered(), theme=theme)
    other = triggered(Reflective(window=5, k=6.0))
    update_figure(fig, trigger_series(other) | trigger_cursor(9), trigger_layout(other, theme=theme))
    assert same(fig, trigger_chart(other, cursor=9, theme=theme))


def test_recolouring_equals_building_in_that_theme():
    for chart, found in ((switching_chart, switched()), (trigger_chart, triggered())):
        assert same(apply_theme(chart(found), "dark"), chart(found, theme="dark"))


def test_nothing_to_show_is_said_and_leaves_nothing_older():
    for chart, series, layout, found in (
        (switching_chart, switching_series, switching_layout, switched()),
        (trigger_chart, trigger_series, trigger_layout, triggered()),
    ):
        fig = update_figure(chart(found), series(None), layout(None))
        assert all(not len(mark.x) for mark in fig.data)
        assert fig.layout.annotations[0].text == "nothing to show"


def test_long_series_are_reduced_and_say_so():
    found = switching.replay(trace_of(5000), trace_of(5000, 1), Switching(threshold=0.8))
    fig = switching_chart(found, points=500)
    assert len(role(fig, "raw").x) <= 500
    assert max(role(fig, "raw").y) == found.route.monitored.max()
    assert "of 5\u2009000 tokens shown" in fig.layout.xaxis.title.text
    fig = trigger_chart(triggered(count=5000), points=500, visible=(100, 200))
    np.testing.assert_array_equal(role(fig, "raw").x, np.arange(99, 202))
    assert tuple(fig.layout.xaxis.range) == (100, 200)


def test_token_text_is_never_markup():
    hostile = {"text": [HOSTILE] * 300}
    for fig in (switching_chart(switched(**hostile)), trigger_chart(triggered(**hostile))):
        text = role(fig, "tokens").text[0]
        assert "<img" not in text
        assert "$" not in text
