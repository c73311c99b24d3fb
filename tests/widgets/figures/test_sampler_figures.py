"""The charts of samplers: what they draw is what the replay says, whole or reduced, and updating equals building."""

import numpy as np
import polars as pl
import pytest

import workbench as wb
from tests.widgets.figures.figure_cases import role
from widgets.figures.sampler_chart import sampler_chart, sampler_cursor, sampler_layout
from widgets.figures.sampler_series import FOLLOW_A, SamplerView, moved_series, sampler_series
from widgets.figures.series import update_figure
from widgets.figures.template import apply_theme
from widgets.figures.top_tokens import percent, top_layout, top_series, top_tokens
from workbench.samplers import LocallyTypical, MinP, Temperature, TopK, TopP

A = wb.Sampler.chain([Temperature(0.7), TopP(0.8)])
B = wb.Sampler.chain([Temperature(1.4), MinP(0.1)])


def made(tokens=60, vocabulary=400, top=256, seed=0, **about):
    random = np.random.default_rng(seed)
    logits = random.normal(0, 3, (tokens, vocabulary)).astype(np.float32)
    ids = np.array([random.choice(vocabulary, p=softmax(row)) for row in logits])
    return wb.Trace.from_logits(logits, ids, top=top, **about), logits


def softmax(logits):
    weights = np.exp(logits.astype(np.float64) - logits.max())
    return weights / weights.sum()


@pytest.fixture(scope="module")
def trace():
    return made()[0]


@pytest.fixture(scope="module")
def a(trace):
    return wb.replay(trace, A)


@pytest.fixture(scope="module")
def b(trace):
    return wb.replay(trace, B)


def same(one, other):
    """Whether two figures draw the same."""
    for mine, yours in zip(one.data, other.data, strict=True):
        assert mine.meta == yours.meta
        for name in ("x", "y"):
            np.testing.assert_array_equal(np.asarray(mine[name], float), np.asarray(yours[name], float), mine.meta)
        for name in ("name", "visible", "hovertemplate", "text"):
            assert np.all(np.asarray(mine[name] == yours[name])), (mine.meta, name)
    return one.layout.to_plotly_json() == other.layout.to_plotly_json()


def test_the_lines_are_the_replays(trace, a, b):
    fig = sampler_chart(trace.tokens, a, b, vocabulary=400)
    np.testing.assert_allclose(role(fig, "raw").y, trace.tokens["entropy"])
    np.testing.assert_allclose(role(fig, "sampler_a").y, a["entropy"])
    np.testing.assert_allclose(role(fig, "sampler_b").y, b["entropy"])
    np.testing.assert_allclose(role(fig, "kept_a").y, a["kept"])
    np.testing.assert_allclose(role(fig, "kept_b").y, b["kept"])
    assert np.asarray(role(fig, "dropped").x)[::3].tolist() == a.dropped.tolist()
    assert len(a.dropped) > 0
    assert f"({len(a.dropped)})" in role(fig, "dropped").name
    assert {role(fig, name).yaxis for name in ("kept_a", "kept_b", "kept_band", "kept_tokens")} == {"y2"}
    assert fig.layout.yaxis2.type == "log"


def test_axes_name_raw_sampled_and_unit(trace, a):
    for unit in ("nats", "bits"):
        fig = sampler_chart(trace.tokens, a, view=SamplerView(unit))
        words = fig.layout.yaxis.title.text
        assert all(word in words for word in ("raw", "sampled", unit))
        scale = 1 if unit == "nats" else np.log(2)
        np.testing.assert_allclose(role(fig, "sampler_a").y, a["entropy"] / scale)
        assert unit in role(fig, "tokens").hovertemplate
    assert "log" in fig.layout.yaxis2.title.text


def test_without_b_and_without_a_replay_nothing_of_them_is_drawn(trace, a):
    fig = sampler_chart(trace.tokens, a)
    assert role(fig, "sampler_b").visible is False
    assert role(fig, "kept_b").visible is False
    bare = sampler_chart(trace.tokens, None)
    assert np.isnan(np.asarray(role(bare, "sampler_a").y, float)).all()
    assert len(role(bare, "raw").y) == len(trace)
    assert "A:" not in role(bare, "tokens").hovertemplate
    nothing = sampler_chart(trace.tokens.clear(), None)
    assert "no tokens yet" in nothing.layout.annotations[0].text
    unknown = sampler_chart(trace.tokens.with_columns(entropy=pl.lit(None, pl.Float64)), None)
    assert "logit sketch" in unknown.layout.annotations[0].text


def test_updating_in_place_equals_building_anew(trace, a, b):
    fig = sampler_chart(trace.tokens, a, vocabulary=400)
    view = SamplerView("bits", (5, 30))
    series = sampler_series(trace.tokens, b, a, view) | sampler_cursor(7)
    update_figure(fig, series, sampler_layout(trace.tokens, b, view, vocabulary=400, theme="light"))
    assert same(fig, sampler_chart(trace.tokens, b, a, view, vocabulary=400, cursor=7))


def test_while_a_slider_moves_only_what_follows_a_is_sent_and_that_is_enough(trace, a, b):
    other = wb.replay(trace, wb.Sampler.chain([TopK(3)]))
    fig = sampler_chart(trace.tokens, a, b)
    moved = moved_series(trace.tokens, other)
    assert moved.keys() == FOLLOW_A.keys()
    assert not any("x" in moved[name] or "text" in moved[name] for name in ("tokens", "kept_tokens"))
    update_figure(fig, moved)
    assert same(fig, sampler_chart(trace.tokens, other, b))


def test_inexact_counts_get_a_band_that_holds_the_truth():
    trace, logits = made(30, 600, top=16)
    found = wb.replay(trace, wb.Sampler.chain([TopP(0.95)]))
    fig = sampler_chart(trace.tokens, found)
    assert not found.exact.all()
    band = role(fig, "kept_band")
    assert band.visible is True
    x, y = np.asarray(band.x), np.asarray(band.y)
    for position in np.flatnonzero(~found.exact):
        p = np.sort(softmax(logits[position]))[::-1]
        truth = int(np.searchsorted(np.cumsum(p), 0.95)) + 1
        at = y[np.abs(x - position) <= 0.25]
        if len(at):
            assert at.min() <= truth <= at.max()
    exact = sampler_chart(trace.tokens, wb.replay(trace, wb.Sampler.chain([TopK(3)])))
    assert role(exact, "kept_band").visible is False


def test_a_long_trace_is_reduced_says_so_and_keeps_its_peaks():
    trace, _ = made(4000, 60)
    a = wb.replay(trace, A)
    fig = sampler_chart(trace.tokens, a, view=SamplerView(points=400), vocabulary=60)
    for name, values in (
        ("raw", trace.tokens["entropy"].to_numpy()),
        ("sampler_a", a["entropy"]),
        ("kept_a", a["kept"]),
    ):
        assert len(role(fig, name).y) <= 400
        assert np.max(role(fig, name).y) == pytest.approx(values.max())
    assert "400 of 4\u2009000 tokens shown" in fig.layout.xaxis.title.text
    close = sampler_chart(trace.tokens, a, view=SamplerView(visible=(100, 300), points=400))
    np.testing.assert_allclose(role(close, "sampler_a").y, a["entropy"][99:302])
    assert "shown" not in close.layout.xaxis.title.text


def test_the_axis_of_kept_tokens_does_not_move_with_the_sampler(trace, a, b):
    low, high = sampler_chart(trace.tokens, a, vocabulary=400).layout.yaxis2.range
    assert low < 0 < np.log10(400) < high
    assert sampler_chart(trace.tokens, b, vocabulary=400).layout.yaxis2.range == (low, high)


def test_the_cursor_stands_in_both_halves(trace, a):
    fig = sampler_chart(trace.tokens, a, cursor=9)
    for name in ("cursor", "cursor_kept"):
        assert list(role(fig, name).x) == [9, 9]
    update_figure(fig, sampler_cursor(None))
    assert len(role(fig, "cursor").x) == 0


def test_bars_are_the_raw_and_sampled_distribution_with_the_cut_between(trace, a):
    position = int(np.argmax(a["kept"]))
    frame = a.distribution(position, 20)
    kept = frame["kept"].to_numpy()
    fig = top_tokens(frame, drawn=int(frame["token_id"][2]))
    np.testing.assert_allclose(role(fig, "top_raw").x, frame["raw"].to_numpy()[kept])
    np.testing.assert_allclose(role(fig, "top_dropped").x, frame["raw"].to_numpy()[~kept])
    np.testing.assert_allclose(role(fig, "top_sampled").x, frame["sampled"].to_numpy()[kept])
    assert 0 < kept.sum() < 20
    assert set(np.asarray(role(fig, "cut").y)) == {kept.sum() - 0.5}
    assert [str(text).strip() == "✕" for text in role(fig, "top_text").text] == (~kept).tolist()
    names = fig.layout.yaxis.ticktext
    assert ["▶" in name for name in names] == [i == 2 for i in range(20)]
    assert "raw" in fig.layout.xaxis.title.text
    assert "sampled" in fig.layout.xaxis.title.text


def test_dropped_bars_differ_by_pattern_and_not_by_colour_alone(trace, a):
    fig = top_tokens(a.distribution(0, 20))
    for theme in ("light", "dark"):
        apply_theme(fig, theme)
        assert role(fig, "top_dropped").marker.pattern.shape == "/"
        assert not role(fig, "top_raw").marker.pattern.shape


def test_a_sampler_that_drops_the_most_likely_tokens_has_two_cuts():
    logits = np.log(np.array([[0.4, 0.15, 0.15, 0.15, 0.05, 0.05, 0.05]], np.float32))
    found = wb.replay(wb.Trace.from_logits(logits, [0]), wb.Sampler.chain([LocallyTypical(0.25)]))
    frame = found.distribution(0, 20)
    fig = top_tokens(frame)
    kept = frame["kept"].to_list()
    changes = [i + 0.5 for i in range(len(kept) - 1) if kept[i] != kept[i + 1]]
    assert not kept[0]
    assert len(changes) == 2
    assert sorted(set(np.asarray(role(fig, "cut").y).tolist())) == changes


def test_nothing_dropped_means_no_cut(trace):
    frame = wb.replay(trace, wb.Sampler()).distribution(0, 20)
    fig = top_tokens(frame)
    assert role(fig, "cut").visible is False
    assert len(role(fig, "top_dropped").x) == 0


def test_updating_the_bars_equals_building_them(trace, a, b):
    first, second, other = a.distribution(0, 20), a.distribution(5, 20), b.distribution(5, 20)
    fig = top_tokens(first, drawn=3, theme="dark")
    drawn = int(second["token_id"][0])
    update_figure(fig, top_series(second, other), top_layout(second, other, drawn=drawn, theme="dark"))
    assert same(fig, top_tokens(second, other, drawn=drawn, theme="dark"))
    np.testing.assert_allclose(role(fig, "top_other").x, other["sampled"].to_numpy()[other["kept"].to_numpy()])
    update_figure(fig, top_series(None), top_layout(None, nothing="no <b>logit</b> sketch", theme="dark"))
    assert len(role(fig, "top_sampled").x) == 0
    assert "<b>" not in fig.layout.annotations[0].text


def test_hostile_token_texts_are_drawn_and_not_interpreted():
    attack = '<img src=x onerror="window.pwned=1">'
    frame = pl.DataFrame(
        {"token_id": [1, 2], "text": [attack, None], "raw": [0.7, 0.3], "sampled": [1.0, 0.0], "kept": [True, False]}
    )
    drawn = top_tokens(frame).to_json()
    assert "<img" not in drawn
    assert "⟨2⟩" in top_tokens(frame).layout.yaxis.ticktext[1]
    trace = wb.Trace.from_logits(np.zeros((1, 5), np.float32), [0], texts=[attack])
    assert "<img" not in sampler_chart(trace.tokens, wb.replay(trace, A)).to_json()


def test_probabilities_in_words():
    assert percent(0) == "0.00 %"
    assert percent(1e-7) == "<0.01 %"
    assert percent(0.0042) == "0.42 %"
    assert percent(0.1234) == "12.3 %"
    assert percent(1) == "100.0 %"


def test_every_mark_has_its_colours_in_both_themes(trace, a, b):
    for fig in (sampler_chart(trace.tokens, a, b), top_tokens(a.distribution(0, 20), b.distribution(0, 20))):
        light = fig.to_plotly_json()["data"]
        dark = apply_theme(fig, "dark").to_plotly_json()["data"]
        for before, after in zip(light, dark, strict=True):
            if before["meta"] not in ("tokens", "kept_tokens"):
                assert any(before.get(part) != after.get(part) for part in ("line", "marker", "textfont", "fillcolor"))
    with pytest.raises(ValueError, match="theme"):
        top_tokens(None, theme="sepia")
    with pytest.raises(ValueError, match="unit"):
        sampler_chart(trace.tokens, a, view=SamplerView("trits"))
