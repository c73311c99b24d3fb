"""The charts of phases, rewards and early stopping draw what was computed, say raw or sampled, and cap it."""

import dataclasses

import numpy as np
import polars as pl
import pytest

import workbench as wb
from tests.widgets.figures.figure_cases import make_tokens, role
from widgets.figures.eat_chart import eat_chart, eat_layout
from widgets.figures.eat_series import LEAST_VARIANCE, eat_series
from widgets.figures.phase_chart import PhaseData, phase_chart, phase_layout, phase_series
from widgets.figures.phase_distribution import PAIRS, distribution_layout, distribution_series, phase_distribution
from widgets.figures.phase_length import length_layout, length_series, phase_length
from widgets.figures.phase_reward import LINES, phase_reward, reward_layout, reward_series
from widgets.figures.phase_styles import phase_styles
from widgets.figures.phase_sweep import SweepPoints
from widgets.figures.series import update_figure
from widgets.figures.template import palette
from workbench.phases import EatRun, eat_outcome, length_correlation, phase_entropy, reward_curve, split

HOSTILE = "<img src=x onerror=alert(1)>&lt;$x$"


def data_of(count=400, thinking=300, *, kind="raw", unit="nats", **columns):
    trace = wb.Trace(make_tokens(count, thinking, **columns), meta={})
    return PhaseData(trace.tokens, split(trace), phase_entropy(trace, kind=kind), unit)


def table_of(n=60, seed=0, **columns):
    random = np.random.default_rng(seed)
    frame = {
        "problem": [f"p{i // 4}" for i in range(n)],
        "sample": [i % 4 for i in range(n)],
        "tokens": random.integers(20, 400, n),
        "entropy": random.gamma(2, 0.1, n),
        "sampled_entropy": random.gamma(2, 0.05, n),
        "think_entropy": random.gamma(2, 0.12, n),
        "answer_entropy": [None if i % 5 == 0 else value for i, value in enumerate(random.gamma(2, 0.06, n))],
        "sampled_think_entropy": random.gamma(2, 0.06, n),
        "sampled_answer_entropy": random.gamma(2, 0.03, n),
        "correct": [(True, False, None)[i % 3] for i in range(n)],
    }
    return pl.DataFrame(frame | columns, strict=False)


def run_of(count=30, *, answered=True, name="r"):
    random = np.random.default_rng(1)
    asked = {
        "answers": (HOSTILE,) * count,
        "answer_tokens": np.full(count, 4),
        "correct": np.arange(count) % 2 == 1,
        "full_correct": True,
    }
    return EatRun(
        name, np.arange(1, count + 1) * 5 + 1, np.exp(-np.arange(count) / 4) + random.random(count) * 1e-3, 1,
        count * 5 + 1, count * 5 + 9, "\n</think>", 2, "line", **(asked if answered else {}),
    )  # fmt: skip


def texts_of(fig):
    """Every text plotly would draw."""
    names = [trace.name or "" for trace in fig.data]
    hover = [text for trace in fig.data if getattr(trace, "text", None) is not None for text in trace.text]
    return [*names, *hover, fig.layout.xaxis.title.text or "", *(note.text for note in fig.layout.annotations)]


def same(one, other):
    for mine, yours in zip(one.data, other.data, strict=True):
        assert mine.meta == yours.meta
        assert mine.to_plotly_json().keys() >= {"meta"}
        np.testing.assert_array_equal(np.asarray(mine.x, float), np.asarray(yours.x, float), mine.meta)
        assert (mine.name, mine.visible in (None, True)) == (yours.name, yours.visible in (None, True))
    return one.layout.to_plotly_json() == other.layout.to_plotly_json()


# --- one trace


def test_each_phase_has_its_line_and_its_mean():
    data = data_of()
    fig = phase_chart(data)
    H, phases = data.tokens["entropy"].to_numpy(), data.tokens["phase"].to_numpy()
    for phase, level in (("think", data.entropy.think), ("answer", data.entropy.answer)):
        drawn = role(fig, f"phase_line:{phase}")
        at = np.asarray(drawn.x)[~np.isnan(drawn.y)].astype(int)
        np.testing.assert_array_equal(at, np.flatnonzero(phases == phase))
        np.testing.assert_allclose(np.asarray(drawn.y)[~np.isnan(drawn.y)], H[at])
        mean = role(fig, f"phase_mean:{phase}")
        assert set(mean.y) == {level}
        assert f"mean {level:.3f} nats, n = {(phases == phase).sum()}" in mean.name
    assert role(fig, "phase_mean:think").line.dash != role(fig, "phase_mean:answer").line.dash
    assert np.asarray(role(fig, "phase_boundary").x)[:2].tolist() == [299.0, 299.0]
    assert fig.layout.yaxis.title.text == "raw entropy (nats)"


def test_sampled_and_bits_are_said_and_drawn():
    data = data_of(kind="sampled", unit="bits")
    fig = phase_chart(data)
    assert fig.layout.yaxis.title.text == "sampled entropy (bits)"
    assert role(fig, "phase_mean:think").y[0] == pytest.approx(data.entropy.think / np.log(2))
    assert "sampled entropy" in role(fig, "tokens").text[0]


def test_a_long_trace_says_how_much_of_it_is_shown():
    fig = phase_chart(data_of(32_000, 25_000))
    drawn = [len(np.flatnonzero(~np.isnan(role(fig, f"phase_line:{phase}").y))) for phase in ("think", "answer")]
    assert 0 < sum(drawn) <= 2000
    assert "of 32\u2009000 tokens shown" in fig.layout.xaxis.title.text


@pytest.mark.parametrize("thinking", [2, 400])
def test_a_phase_without_tokens_has_no_mean_line(thinking):
    tokens = make_tokens(400, thinking)
    phase = ["answer"] * 400 if thinking == 2 else ["think"] * 400
    trace = wb.Trace(tokens.with_columns(phase=pl.Series(phase)), meta={})
    fig = phase_chart(PhaseData(trace.tokens, split(trace), phase_entropy(trace)))
    empty, full = ("think", "answer") if thinking == 2 else ("answer", "think")
    assert len(role(fig, f"phase_mean:{empty}").x) == 0
    assert "no tokens" in role(fig, f"phase_mean:{empty}").name
    assert len(role(fig, f"phase_mean:{full}").x) == 3
    assert not role(fig, "phase_boundary").visible


# --- a sweep


def test_pairs_and_boxes_of_a_sweep():
    data = SweepPoints(table_of())
    fig = phase_distribution(data)
    think, answer = data.entropy("think"), data.entropy("answer")
    right = role(fig, "phase_points:correct")
    rows = np.asarray(right.customdata, dtype=int)
    half = len(rows) // 2
    np.testing.assert_allclose(right.y[:half], think[rows[:half]])
    np.testing.assert_allclose(right.y[half:], answer[rows[half:]])
    box = role(fig, "phase_box:answer")
    known = answer[~np.isnan(answer)]
    assert (box.q1[0], box.median[0], box.q3[0]) == tuple(np.quantile(known, [0.25, 0.5, 0.75]))
    pairs = np.asarray(role(fig, "phase_pairs").y).reshape(-1, 3)
    assert len(pairs) == len(known)
    assert not np.isnan(pairs[:, :2]).any()
    assert fig.layout.xaxis.ticktext == ("thinking<br>n = 60", "answer<br>n = 48")


def test_what_differs_in_meaning_differs_by_more_than_colour():
    styles = phase_styles(palette("light"))
    points = [styles[f"phase_points:{verdict}"]["marker"]["symbol"] for verdict in ("correct", "wrong", "unknown")]
    assert len(set(points)) == 3
    lines = [styles[f"phase_mean:{phase}"]["line"]["dash"] for phase in ("think", "answer")]
    assert len(set(lines)) == 2


@pytest.mark.parametrize(("kind", "unit"), [("raw", "nats"), ("sampled", "bits")])
def test_axes_of_a_sweep_say_kind_and_unit(kind, unit):
    data = SweepPoints(table_of(), kind, unit)
    for fig in (phase_distribution(data), phase_length(data)):
        assert kind in fig.layout.yaxis.title.text
        assert f"({unit})" in fig.layout.yaxis.title.text
    column = "sampled_entropy" if kind == "sampled" else "entropy"
    scale = np.log(2) if unit == "bits" else 1
    wrong = role(phase_length(data), "phase_points:wrong")
    rows = np.asarray(wrong.customdata, dtype=int)
    np.testing.assert_allclose(wrong.y, data.table[column].to_numpy()[rows] / scale)


def test_thousands_of_sequences_are_thinned_alike_every_time():
    data = SweepPoints(table_of(8000))
    for draw in (phase_distribution, phase_length):
        fig, again = draw(data), draw(data)
        points = [trace for trace in fig.data if str(trace.meta).startswith("phase_points")]
        drawn = np.unique(np.concatenate([np.asarray(trace.customdata, dtype=int) for trace in points]))
        assert 0 < len(drawn) <= 1500
        assert f"{len(drawn):,} of 8,000 sequences".replace(",", "\u2009") in fig.layout.xaxis.title.text
        assert same(fig, again)
    assert len(role(phase_distribution(data), "phase_pairs").x) == 3 * PAIRS
    box = role(phase_distribution(data), "phase_box:think")
    assert box.median[0] == np.median(data.entropy("think"))  # over all, not over those drawn


def test_the_caption_states_the_correlation_or_why_there_is_none():
    data = SweepPoints(table_of())
    found = length_correlation(data.table["tokens"], data.table["entropy"])
    assert f"Pearson r = {found.pearson.r:.2f}" in phase_length(data, found).layout.xaxis.title.text
    flat = length_correlation([10] * 60, data.table["entropy"])
    assert "all lengths are equal" in phase_length(data, flat).layout.xaxis.title.text


def test_a_sweep_without_what_is_drawn_says_so():
    bare = SweepPoints(pl.DataFrame({"problem": ["a"], "tokens": [3]}))
    assert "raw entropy by phase" in phase_distribution(bare).layout.annotations[0].text
    assert "raw entropy" in phase_length(bare).layout.annotations[0].text


# --- rewards


def test_one_response_has_its_kink_and_the_present_alpha():
    curve = reward_curve(0.5, 0.4, True, np.linspace(-1, 3, 41), format_reward=0.1)
    fig = phase_reward(curve, 0.9)
    assert role(fig, "reward_kinks").x.tolist() == [1.25]
    assert role(fig, "reward_kinks").y.tolist() == [1.0]
    assert 1.25 in role(fig, "reward_mean").x
    assert role(fig, "reward_now").y[0] == pytest.approx(1 - (0.5 - 0.9 * 0.4))
    assert set(role(fig, "reward_alpha").x) == {0.9}
    assert set(role(fig, "reward_format").y) == {0.1}
    assert not role(fig, "reward_each").visible
    assert "raw entropy (nats)" in fig.layout.xaxis.title.text


def test_many_responses_have_a_mean_over_all_and_some_lines():
    random = np.random.default_rng(0)
    curve = reward_curve(random.random(3000), random.random(3000), random.random(3000) < 0.5, np.linspace(-1, 3, 21))
    fig = phase_reward(curve, 1.0, kind="sampled")
    np.testing.assert_allclose(role(fig, "reward_mean").y, curve.mean)
    assert np.isnan(role(fig, "reward_each").y).sum() == LINES
    assert "60 of 3\u2009000 responses shown" in fig.layout.xaxis.title.text
    assert "sampled" in fig.layout.xaxis.title.text


# --- early stopping


def test_the_three_panels_of_early_stopping():
    run = run_of()
    stop = run.stop(min_distance=5, delta=0.01)
    fig = eat_chart(run, stop)
    np.testing.assert_allclose(role(fig, "eat_entropy").y, run.entropy)
    np.testing.assert_allclose(role(fig, "eat_mean").y, stop.mean)
    np.testing.assert_allclose(role(fig, "eat_variance").y, np.maximum(stop.variance[1:], LEAST_VARIANCE))
    assert fig.layout.yaxis2.type == "log"
    low, high = fig.layout.yaxis2.range
    assert 10**low <= min(stop.variance[1:].min(), 0.01) <= max(stop.variance.max(), 0.01) <= 10**high
    assert set(role(fig, "eat_delta").y) == {0.01}
    for panel in ("entropy", "variance", "verdict"):
        assert set(role(fig, f"eat_stop:{panel}").x) == {run.kept[stop.index] - run.start}
    assert np.asarray(role(fig, "eat_right").customdata).tolist() == list(range(1, 30, 2))
    assert role(fig, "eat_right").marker.symbol != role(fig, "eat_wrong").marker.symbol
    assert max(role(fig, "eat_too_early").x) == run.kept[5] - run.start
    assert "raw entropy (nats)" in fig.layout.yaxis.title.text


def test_a_run_that_never_stops_and_was_not_asked():
    run = run_of(answered=False)
    fig = eat_chart(run, run.stop(min_distance=500), unit="bits")
    assert role(fig, "eat_stop:entropy").name == "never stops"
    assert not role(fig, "eat_stop:entropy").visible
    assert not role(fig, "eat_right").visible
    np.testing.assert_allclose(role(fig, "eat_entropy").y, run.entropy / np.log(2))
    np.testing.assert_allclose(role(fig, "eat_delta").y, 1e-3 / np.log(2) ** 2)


def test_thousands_of_boundaries_are_thinned():
    run = run_of(6000)
    fig = eat_chart(run)
    assert len(role(fig, "eat_entropy").x) <= 1500
    assert "of 6\u2009000 boundaries shown" in fig.layout.xaxis.title.text


def test_the_stop_drawn_is_the_one_counted():
    run = run_of()
    settings = {"min_distance": 5, "delta": 0.01}
    counted = eat_outcome([run], **settings).runs["thinking_used"][0]
    assert set(role(eat_chart(run, run.stop(**settings)), "eat_stop:variance").x) == {counted}


# --- all of them


def test_hostile_text_is_drawn_as_text():
    data = data_of(text=[HOSTILE] * 400)
    table = SweepPoints(table_of(problem=[HOSTILE] * 60))
    run = dataclasses.replace(run_of(), closing=f"</think>{HOSTILE}", every=HOSTILE)
    for fig in (phase_chart(data), phase_distribution(table), phase_length(table), eat_chart(run)):
        said = "".join(texts_of(fig))
        assert "onerror" in said
        assert "<img" not in said
        assert "$x$" not in said


UPDATES = [
    (phase_chart, phase_series, phase_layout, lambda: (data_of(200, 100),), lambda: (data_of(kind="sampled"),)),
    (
        phase_distribution, distribution_series, distribution_layout,
        lambda: (SweepPoints(table_of(9)),), lambda: (SweepPoints(table_of(40), "sampled"),),
    ),
    (
        phase_length, length_series, length_layout,
        lambda: (SweepPoints(table_of(9)),), lambda: (SweepPoints(table_of()),),
    ),
    (eat_chart, eat_series, eat_layout, lambda: (run_of(9),), lambda: (run_of(answered=False),)),
]  # fmt: skip


@pytest.mark.parametrize(("build", "series", "layout", "first", "then"), UPDATES)
def test_updating_equals_building_and_nothing_draws_empty(build, series, layout, first, then):
    fig, target = build(*first()), build(*then())
    assert same(update_figure(fig, series(*then()), layout(*then())), target)
    empty = build(None)
    assert empty.layout.annotations[0].text == "nothing to show"
    assert same(update_figure(empty, series(*then()), layout(*then())), target)


def test_the_reward_chart_updates_too():
    one, other = (reward_curve(think, 0.4, True, np.linspace(-1, 3, 41)) for think in (0.5, 0.8))
    fig = update_figure(phase_reward(one, 0.0), reward_series(other, 2.0), reward_layout(other))
    assert same(fig, phase_reward(other, 2.0))
    assert "no response" in phase_reward(None, 1.0).layout.annotations[0].text


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_mark_is_in_the_colours_of_the_theme(theme):
    curve = reward_curve(0.5, 0.4, True, [0.0, 1.0])
    table = SweepPoints(table_of())
    figures = [phase_chart(data_of(), theme=theme), phase_distribution(table, theme=theme)]
    figures += [phase_length(table, theme=theme), phase_reward(curve, 1.0, theme=theme)]
    figures.append(eat_chart(run_of(), theme=theme))
    colours = set(palette(theme).values())
    for fig in figures:
        for trace in fig.data:
            if trace.meta != "tokens":
                used = {trace.line.color, trace.marker.color, trace.fillcolor} - {None}
                assert used, trace.meta
                assert used <= colours, trace.meta
    with pytest.raises(ValueError, match="light"):
        phase_chart(data_of(), theme="blue")
