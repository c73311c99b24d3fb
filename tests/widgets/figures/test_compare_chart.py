"""The chart that lays traces over each other: alignments, units, kinds, gaps, reduction, words made harmless."""

import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.widgets.figures.figure_cases import make_tokens, role
from widgets.figures.compare_chart import AXIS, MOST, aligned, along, compare_chart, compare_cursor
from widgets.figures.template import apply_theme
from workbench.errors import ParameterError
from workbench.traces.rolling import rolling

THINKING = 60


@pytest.fixture(scope="module")
def short():
    return make_tokens(100, THINKING, seed=1)


@pytest.fixture(scope="module")
def long():
    return make_tokens(160, 90, seed=2)


def line(fig, index=0):
    return role(fig, f"compare:{index}")


def test_lines_are_the_rolling_means(short, long):
    fig = compare_chart([("a", short), ("b", long)], window=9)
    for index, tokens in enumerate((short, long)):
        np.testing.assert_allclose(line(fig, index).y, rolling(tokens["entropy"], 9).mean)
        np.testing.assert_array_equal(line(fig, index).x, np.arange(len(tokens)))
    assert len(line(fig, 2).x) == len(line(fig, 3).x) == 0


def test_a_window_of_one_draws_the_entropies(short):
    fig = compare_chart([("a", short)], window=1, kind="sampled")
    np.testing.assert_allclose(line(fig).y, short["sampled_entropy"])
    assert fig.layout.yaxis.title.text == "sampled entropy (nats)"


def test_bits_and_the_axis_says_which(short):
    fig = compare_chart([("a", short)], unit="bits", window=5)
    np.testing.assert_allclose(line(fig).y, rolling(short["entropy"], 5).mean / math.log(2))
    assert fig.layout.yaxis.title.text == "raw entropy, mean of 5 tokens (bits)"


def test_aligned_at_the_end_of_thinking_the_answer_begins_at_zero(short, long):
    for tokens in (short, long):
        x = aligned(tokens, "phase end")
        phases = tokens["phase"].to_numpy()
        assert phases[x == 0] == "answer"
        assert set(phases[x >= 0]) == {"answer"}
        assert phases[x == -1] == "marker"
    fig = compare_chart([("a", short), ("b", long)], align="phase end")
    assert [shape.x0 for shape in fig.layout.shapes] == [-0.5]
    assert fig.layout.xaxis.range == (-90.5, 70 - 0.5)


def test_without_thinking_the_answer_begins_at_the_first_token_and_unknown_phases_are_no_thought():
    tokens = make_tokens(5, 0).with_columns(pl.Series("phase", ["answer", None, "answer", None, "answer"]))
    assert aligned(tokens, "phase end").tolist() == [0, 1, 2, 3, 4]
    unfinished = make_tokens(5, 3).with_columns(phase=pl.lit("think"))
    assert aligned(unfinished, "phase end").tolist() == [-5, -4, -3, -2, -1]


@given(st.integers(0, 50))
def test_shares_run_from_nought_to_a_hundred(count):
    x = aligned(make_tokens(count, 0), "share")
    assert len(x) == count
    if count > 1:
        assert (x[0], x[-1]) == (0, 100)
        assert (np.diff(x) > 0).all()


def test_an_empty_list_an_empty_trace_and_one_token_can_be_drawn(short):
    assert "choose traces" in compare_chart([]).layout.annotations[0].text
    for align in AXIS:
        fig = compare_chart([("none", short.head(0)), ("one", short.head(1))], align=align)
        low, high = fig.layout.xaxis.range
        assert low < high
        assert not fig.layout.annotations


def test_what_no_trace_knows_is_said():
    tokens = make_tokens(30, 0, sampled_entropy=[None] * 30)
    assert "sampled" in compare_chart([("a", tokens)], kind="sampled").layout.annotations[0].text


def test_unknown_values_leave_gaps(short):
    holed = short.with_columns(entropy=pl.when(pl.col("position").is_between(40, 70)).then(None).otherwise("entropy"))
    y = np.asarray(line(compare_chart([("a", holed)], window=3)).y)
    assert np.isnan(y).sum() == 1


def test_lines_differ_by_dash_and_by_colour_in_both_themes(short):
    fig = compare_chart([(str(index), short) for index in range(MOST)])
    assert len({line(fig, index).line.dash for index in range(MOST)}) == MOST
    colours = {}
    for theme in ("light", "dark"):
        apply_theme(fig, theme)
        assert all(line(fig, index).line.color is None for index in range(MOST))  # so that the template's apply
        colours[theme] = fig.layout.template.layout.colorway[:MOST]
        assert len(set(colours[theme])) == MOST
    assert colours["light"] != colours["dark"]
    assert [mark.meta for mark in fig.data][:MOST] == [f"compare:{index}" for index in range(MOST)]


def test_the_cursor_stands_on_its_own_line(short, long):
    fig = compare_chart([("a", short), ("b", long)], cursor=(1, 95), align="phase end")
    assert list(role(fig, "cursor").x) == [5, 5]
    assert list(role(fig, "cursor_point").y) == pytest.approx([rolling(long["entropy"]).mean[95]])
    each = along("b", long, unit="nats", kind="raw", window=51, align="phase end")
    assert compare_cursor(each, 95)["cursor_point"]["x"] == list(role(fig, "cursor_point").x)
    assert compare_cursor(each, None)["cursor"] == {"x": [], "y": []}
    assert compare_cursor(each, 10**6)["cursor"] == {"x": [], "y": []}
    assert len(role(compare_chart([("a", short)], cursor=(3, 0)), "cursor").x) == 0


def test_a_click_tells_trace_and_token(short, long):
    fig = compare_chart([("a", short), ("b", long)], align="share")
    assert line(fig, 1).customdata[7].tolist() == [1, 7]


def test_long_traces_are_reduced_and_said_to_be(short):
    tokens = make_tokens(9000, 5000)
    fig = compare_chart([("a", tokens), ("b", short)], window=1, points=400)
    assert len(line(fig).x) <= 400
    assert np.max(line(fig).y) == pytest.approx(tokens["entropy"].max())  # no peak is lost
    assert "of 9\u2009100 tokens shown" in fig.layout.xaxis.title.text
    near = compare_chart([("a", tokens)], window=1, points=400, visible=(100, 300))
    assert "shown" not in near.layout.xaxis.title.text
    assert near.layout.xaxis.range == (100, 300)
    assert {100.0, 200.0, 300.0} <= set(line(near).x)


def test_labels_are_never_markup(short):
    name = line(compare_chart([('<a href="javascript:x">$x$</a>', short)])).name
    assert "<" not in name
    assert "$" not in name


def test_errors_say_what_is_possible(short):
    with pytest.raises(ParameterError, match="4 traces at most"):
        compare_chart([("a", short)] * 5)
    with pytest.raises(ParameterError, match="raw or sampled"):
        compare_chart([("a", short)], kind="cooked")
    with pytest.raises(ParameterError, match="phase end"):
        compare_chart([("a", short)], align="left")
    with pytest.raises(ParameterError, match="window"):
        compare_chart([("a", short)], window=0)
    with pytest.raises(ValueError, match="nats"):
        compare_chart([("a", short)], unit="dits")
