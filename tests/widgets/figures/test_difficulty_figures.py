"""The difficulty figures draw what curve, verdict and labels say, and updating equals building."""

import math

import numpy as np
import polars as pl
import pytest

from tests.difficulty.difficulty_cases import responses_table
from tests.widgets.figures.figure_cases import role
from widgets.figures.difficulty_chart import difficulty_figure, difficulty_layout
from widgets.figures.difficulty_scatter import scatter_figure, scatter_layout, scatter_series
from widgets.figures.difficulty_series import difficulty_cursor, difficulty_series, spread_out
from widgets.figures.difficulty_style import difficulty_styles
from widgets.figures.series import update_figure
from widgets.figures.template import palette
from workbench.difficulty import assess, curve

HOSTILE = "<img src=x onerror=alert(1)><b>b</b>&lt;$x$"


def bowl(level):
    return 0.5 + 0.02 * (level - 4.5) ** 2


def made(mean=bowl, *, minimum=5, **about):
    found = curve(responses_table(mean, **about), min_per_bin=minimum)
    return found, assess(found)


def same(one, other):
    """Whether two figures draw the same."""
    for mine, yours in zip(one.data, other.data, strict=True):
        assert mine.meta == yours.meta
        shown = [mark.visible in (None, True) and len(mark.x) > 0 for mark in (mine, yours)]
        assert shown[0] == shown[1], mine.meta
        if shown[0]:
            for name in ("x", "y"):
                np.testing.assert_array_equal(np.asarray(mine[name], float), np.asarray(yours[name], float), mine.meta)
            assert np.all(np.asarray(mine.text == yours.text)), mine.meta
            assert (mine.name, mine.marker.symbol) == (yours.name, yours.marker.symbol)
    return one.layout.to_plotly_json() == other.layout.to_plotly_json()


@pytest.mark.parametrize(("unit", "per"), [("nats", 1.0), ("bits", math.log(2))])
def test_levels_are_the_curves_with_their_intervals(unit, per):
    found, verdict = made()
    mark = role(difficulty_figure(found, verdict, unit=unit), "level_entropy")
    levels = found.levels
    np.testing.assert_allclose(mark.x, levels["level"])
    np.testing.assert_allclose(mark.y, levels["entropy"] / per)
    np.testing.assert_allclose(mark.y + mark.error_y.array, levels["entropy_high"] / per)
    np.testing.assert_allclose(mark.y - mark.error_y.arrayminus, levels["entropy_low"] / per)
    mark = role(difficulty_figure(found, verdict, unit=unit), "level_accuracy")
    np.testing.assert_allclose(mark.y, levels["accuracy"])
    assert mark.yaxis == "y2"


def test_the_axes_say_which_entropy_and_whose_mean():
    found, _ = made()
    assert difficulty_figure(found).layout.yaxis.title.text == "raw entropy (nats), nested mean"
    assert difficulty_figure(found, unit="bits").layout.yaxis.title.text == "raw entropy (bits), nested mean"
    table = responses_table(bowl).rename({"entropy": "sampled_think_entropy"})
    sampled = curve(table, entropy="sampled_think_entropy", aggregate="pooled", bins="accuracy")
    fig = difficulty_figure(sampled)
    assert fig.layout.yaxis.title.text == "sampled think entropy (nats), pooled mean"
    assert "1 − accuracy" in fig.layout.xaxis.title.text
    assert fig.layout.yaxis2.title.text == "accuracy"
    assert "raw" in scatter_figure(found.problems).layout.xaxis.title.text
    assert "sampled" in scatter_figure(found.problems, kind="sampled", unit="bits").layout.xaxis.title.text


def test_parabola_lines_break_and_fieller_bar_are_the_tests():
    found, verdict = made()
    fig = difficulty_figure(found, verdict)
    parabola, lines = verdict.lind_mehlum, verdict.two_lines
    np.testing.assert_allclose(role(fig, "parabola").y, parabola.predict(role(fig, "parabola").x))
    assert tuple(role(fig, "parabola").x[[0, -1]]) == parabola.x_range
    assert set(role(fig, "break").x) == {lines.break_at}
    for name, slope, value, at in (
        ("line_low", lines.slope_low, lines.value_low, 1),
        ("line_high", lines.slope_high, lines.value_high, 0),
    ):
        mark = role(fig, name)
        assert np.diff(mark.y)[0] / np.diff(mark.x)[0] == pytest.approx(slope)
        assert (mark.x[at], mark.y[at]) == pytest.approx((lines.break_at, value))
    bar = role(fig, "fieller")
    assert tuple(bar.x) == (parabola.fieller[0], parabola.extremum, parabola.fieller[1])
    assert "90% Fieller" in bar.name


def test_the_verdict_stands_above_with_the_numbers():
    found, verdict = made()
    title = difficulty_figure(found, verdict).layout.title
    assert title.text == "<b>U-shape supported</b>"
    assert "Lind-Mehlum p" in title.subtitle.text
    assert f"extremum {verdict.lind_mehlum.extremum:.3g}" in title.subtitle.text
    assert "80 problems" in title.subtitle.text
    found, verdict = made(lambda _: 1.0)
    title = difficulty_figure(found, verdict).layout.title
    assert "not supported" in title.text
    assert "extremum undetermined" in title.subtitle.text
    found, verdict = made(levels=3)
    title = difficulty_figure(found, verdict).layout.title
    assert "not identifiable" in title.text
    assert "too few" in title.subtitle.text
    assert not difficulty_figure(found).layout.title.text


def test_what_the_tests_could_not_do_is_not_drawn():
    found, verdict = made(lambda _: 1.0)
    assert role(difficulty_figure(found, verdict), "fieller").visible is False
    found, verdict = made(lambda level: 0.5 + 0.05 * (level - 2) ** 2, problems=60, noise=0.01)
    fig = difficulty_figure(found, verdict)
    assert [role(fig, name).visible for name in ("line_low", "line_high", "break")] == [False] * 3
    assert role(fig, "parabola").visible
    assert "two lines not identifiable" in fig.layout.title.subtitle.text
    for name in ("parabola", "line_low", "break", "fieller"):
        assert role(difficulty_figure(found), name).visible is False


def test_problems_stand_beside_their_level_and_answer_clicks_by_name():
    found, verdict = made(problems=30)
    mark = role(difficulty_figure(found, verdict), "problem")
    rows = found.problems
    assert list(mark.customdata) == rows["problem"].to_list()
    np.testing.assert_array_equal(mark.y, rows["entropy"])
    assert np.abs(mark.x - rows["x"].to_numpy()).max() <= 0.25
    assert len(np.unique(mark.x)) == len(rows)
    assert "accuracy" in mark.text[0]
    np.testing.assert_array_equal(mark.x, role(difficulty_figure(found), "problem").x)


def test_spreading_moves_little_and_only_what_coincides():
    values = np.array([1.0, 1, 1, 2, 2, 5])
    moved = spread_out(values)
    assert np.abs(moved - values).max() <= 0.25
    assert np.abs(spread_out(values, most=0.01) - values).max() <= 0.01
    assert len(np.unique(moved)) == 6
    many = np.random.default_rng(0).random(100)
    np.testing.assert_array_equal(spread_out(many), many)
    np.testing.assert_array_equal(spread_out(np.ones(5)), np.ones(5))


def test_too_many_problems_are_thinned_and_it_is_said():
    found, _ = made(problems=100, samples=1)
    fig = difficulty_figure(found, points=200)
    assert len(role(fig, "problem").x) <= 200
    assert "of 800 problems shown" in fig.layout.xaxis.title.text
    fig = scatter_figure(found.problems, points=200)
    assert sum(len(mark.x) for mark in fig.data if mark.meta.startswith("label:")) <= 200
    assert "200 of 800 problems shown" in fig.layout.xaxis.title.text


def test_the_ring_goes_to_the_problem_and_away_again():
    found, verdict = made()
    fig = difficulty_figure(found, verdict, problem="p7")
    at = list(role(fig, "problem").customdata).index("p7")
    ring = role(fig, "cursor_point")
    assert (ring.x[0], ring.y[0]) == (role(fig, "problem").x[at], role(fig, "problem").y[at])
    for nobody in (None, "unknown"):
        update_figure(fig, difficulty_cursor(found, nobody))
        assert not len(role(fig, "cursor_point").x)
    ring = role(scatter_figure(found.problems, problem="p7"), "cursor_point")
    assert ring.x[0] == found.problems.filter(pl.col("problem") == "p7")["entropy"].item()


def test_sparse_levels_have_open_symbols_and_what_is_left_out_is_counted():
    table = responses_table(bowl)
    few = table.head(2).with_columns(problem=pl.Series(["u", "v"]), difficulty=pl.lit(9.0))
    gone = table.head(1).with_columns(problem=pl.lit("w"), difficulty=pl.lit(-1.0))
    found = curve(pl.concat([table, few, gone]))
    fig = difficulty_figure(found, assess(found))
    assert role(fig, "level_entropy").marker.symbol == ("circle",) * 8 + ("circle-open",)
    assert role(fig, "level_accuracy").marker.symbol[-1] == "diamond-open"
    assert math.isnan(role(fig, "level_entropy").error_y.array[-1])
    assert "fewer than 5 problems" in fig.layout.xaxis.title.text
    assert "1 responses without difficulty" in fig.layout.xaxis.title.text
    assert role(fig, "line_high").x[1] == 8


def test_regions_are_shaded_and_named():
    found, verdict = made()
    layout = difficulty_figure(found, verdict).layout
    assert [shape.name for shape in layout.shapes] == [
        "region:overthinking", "region:certainty", "region:capability limit",
    ]  # fmt: skip
    assert (layout.shapes[0].x1, layout.shapes[1].x1) == tuple(found.regions)
    assert [words.text for words in layout.annotations] == ["overthinking", "certainty", "capability limit"]
    outside = curve(responses_table(bowl), regions=(-5, 20))
    assert [words.text for words in difficulty_figure(outside).layout.annotations] == ["certainty"]


def test_without_grades_there_is_no_accuracy_axis():
    found = curve(responses_table(bowl).drop("correct"))
    fig = difficulty_figure(found, assess(found))
    assert role(fig, "level_accuracy").visible is False
    assert fig.layout.yaxis2.visible is False
    empty = scatter_figure(found.problems)
    assert empty.layout.annotations[0].text == "no problem has both entropy and accuracy"


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_updating_equals_building(theme):
    one, other = made(), made(np.log, levels=6, seed=4)
    fig = difficulty_figure(*one, problem="p1", theme=theme)
    update_figure(
        fig, difficulty_series(*other) | difficulty_cursor(other[0], "p3"), difficulty_layout(*other, theme=theme)
    )
    assert same(fig, difficulty_figure(*other, problem="p3", theme=theme))
    first, second = one[0].problems, other[0].problems
    settings = {"thresholds": {"alpha": 0.5, "beta": 0.8}, "problem": "p3"}
    fig = scatter_figure(first, ["easy"] * len(first), thresholds={"gamma": 0.2}, theme=theme)
    update_figure(fig, scatter_series(second, None, **settings), scatter_layout(second, theme=theme))
    assert same(fig, scatter_figure(second, None, **settings, theme=theme))


def test_nothing_to_show_is_said_and_leaves_nothing_older():
    fig = update_figure(
        difficulty_figure(*made(), problem="p1"),
        difficulty_series(None) | difficulty_cursor(None, None),
        difficulty_layout(None),
    )
    assert all(not len(mark.x) for mark in fig.data)
    assert fig.layout.annotations[0].text == "no problems to show"
    assert not fig.layout.title.text


def test_labels_have_symbols_colours_and_counts_of_their_own():
    found, _ = made()
    rows = found.problems
    labels = ["hard" if accuracy < 0.3 else "normal" for accuracy in rows["accuracy"]]
    labels[0] = None
    fig = scatter_figure(rows, labels)
    assert role(fig, "label:hard").name == f"hard ({labels.count('hard')})"
    assert role(fig, "label:easy").visible is False
    assert list(role(fig, "label:none").customdata) == [rows["problem"][0]]
    for label in ("hard", "normal"):
        mark = role(fig, f"label:{label}")
        assert list(mark.customdata) == [p for p, mine in zip(rows["problem"], labels, strict=True) if mine == label]
        at = rows["problem"].to_list().index(mark.customdata[0])
        assert mark.x[0] == rows["entropy"][at]
        assert abs(mark.y[0] - rows["accuracy"][at]) <= 0.04
    marks = [role(fig, f"label:{label}").marker for label in ("easy", "normal", "hard", "none")]
    assert len({mark.symbol for mark in marks}) == len({mark.color for mark in marks}) == 4


def test_thresholds_are_lines_with_their_letters():
    found, _ = made()
    fig = scatter_figure(found.problems, thresholds={"alpha": 0.6, "beta": 0.7}, unit="bits")
    assert set(role(fig, "alpha").y) == {0.6}
    assert set(role(fig, "beta").x) == {0.7 / math.log(2)}
    assert role(fig, "alpha").text[1] == "α = 0.6"
    assert role(fig, "gamma").visible is False
    assert len({role(fig, name).line.dash for name in ("alpha", "beta", "gamma")}) == 3


def test_labels_that_do_not_fit_are_told():
    found, _ = made()
    with pytest.raises(ValueError, match="1 labels for 80"):
        scatter_figure(found.problems, ["easy"])
    with pytest.raises(ValueError, match="medium"):
        scatter_figure(found.problems, ["medium"] * 80)
    for figure in (difficulty_figure, lambda found, **about: scatter_figure(found.problems, **about)):
        with pytest.raises(ValueError, match="unit"):
            figure(found, unit="bans")
        with pytest.raises(ValueError, match="theme"):
            figure(found, theme="sepia")


def test_marks_of_both_axes_differ_by_more_than_colour_in_both_themes():
    for theme in ("light", "dark"):
        styles = difficulty_styles(palette(theme))
        assert styles["level_entropy"]["line"].get("dash") != styles["level_accuracy"]["line"]["dash"]
        assert styles["line_low"]["line"].get("dash") != styles["line_high"]["line"]["dash"]
    light, dark = (difficulty_styles(palette(theme)) for theme in ("light", "dark"))
    assert light.keys() == dark.keys()
    assert light["level_entropy"] != dark["level_entropy"]


def test_names_of_problems_are_never_markup():
    table = responses_table(bowl).with_columns(problem=pl.lit(HOSTILE) + pl.col("problem"))
    found = curve(table)
    for text in (
        role(difficulty_figure(found, assess(found)), "problem").text[0],
        role(scatter_figure(found.problems), "label:none").text[0],
    ):
        assert "<img" not in text
        assert "$" not in text
