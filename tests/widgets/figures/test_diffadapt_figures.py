"""The chart of accuracy against tokens draws what the comparison says, and updating equals building."""

import re

import numpy as np
import polars as pl
import pytest

from tests.widgets.figures.figure_cases import role
from widgets.figures.diffadapt_chart import diffadapt_chart, diffadapt_layout, diffadapt_series
from widgets.figures.series import update_figure
from widgets.figures.template import apply_theme
from workbench.difficulty.comparison import compare

HOSTILE = "<img src=x onerror=alert(1)><b>b</b>$x$"


def comparison(seed=0, problems=25, samples=2, arms=("easy", "normal", "hard"), *, labels=True, **options):
    rng = np.random.default_rng(seed)
    rows = [
        (f"p{p}", arm, bool(rng.random() < 0.3 + 0.1 * k), int(20 * (k + 1) + rng.integers(0, 30)))
        for p in range(problems) for k, arm in enumerate(arms) for _ in range(samples)
    ]  # fmt: skip
    frame = pl.DataFrame(rows, schema=["problem", "sampler", "correct", "tokens"], orient="row")
    chosen = [{f"p{p}": str(rng.choice(arms)) for p in range(problems)} for _ in range(2)]
    return compare(frame, chosen[0], labels=chosen[1] if labels else None, draws=50, reference=arms[1], **options)


def drawn(fig):
    return {
        trace.meta: (tuple(trace.x), tuple(trace.y), tuple(trace.text), tuple(trace.customdata), trace.visible,
                     trace.error_x.to_plotly_json(), trace.error_y.to_plotly_json(), trace.marker.to_plotly_json())
        for trace in fig.data if trace.visible
    }, fig.layout.to_plotly_json()  # fmt: skip


def test_every_strategy_stands_at_its_tokens_and_accuracy_with_both_intervals():
    found = comparison()
    fig = diffadapt_chart(found)
    points = [
        (trace.meta, x, y, x - left, x + right, y - down, y + up)
        for trace in fig.data
        for x, y, left, right, down, up in zip(
            trace.x, trace.y, trace.error_x.arrayminus, trace.error_x.array, trace.error_y.arrayminus,
            trace.error_y.array, strict=True,
        )
    ]  # fmt: skip
    assert len(points) == len(found.outcomes) == 7
    for (kind, *numbers), outcome in zip(points, found.outcomes, strict=True):
        assert kind == outcome.kind
        acc, tok = outcome.accuracy, outcome.tokens
        expected = [tok.value, 100 * acc.value, tok.low, tok.high, 100 * acc.low, 100 * acc.high]
        assert numbers == pytest.approx(expected)
    assert fig.layout.yaxis.title.text == "accuracy (%)"
    assert fig.layout.xaxis.title.text.startswith("mean generated tokens a response")


def test_all_marks_and_bars_are_in_sight():
    fig, found = diffadapt_chart(comparison()), comparison()
    left, right = fig.layout.xaxis.range
    assert left < min(outcome.tokens.low for outcome in found.outcomes)
    assert right > max(outcome.tokens.high for outcome in found.outcomes)
    low, high = fig.layout.yaxis.range
    assert low < 100 * min(outcome.accuracy.low for outcome in found.outcomes)
    assert high > 100 * max(outcome.accuracy.high for outcome in found.outcomes)


def test_each_strategy_has_a_symbol_and_a_name_of_its_own():
    fig = diffadapt_chart(comparison())
    marks = [mark for trace in fig.data for mark in zip(trace.marker.symbol, trace.text, strict=True)]
    assert len({symbol for symbol, _ in marks}) == len({text for _, text in marks}) == 7
    assert [text for _, text in marks][:3] == ["easy", "normal", "hard"]


def test_the_caption_gives_the_differences_of_the_comparison():
    found = comparison()
    lines = diffadapt_chart(found).layout.xaxis.title.text.split("<br>")
    assert "25 held-out problems, 2 responses each; 95% intervals over problems. Against always normal:" in lines[1]
    assert len(lines) == 2 + 4
    numbers = [float(n) for n in re.findall(r"[+-]\d+\.\d", lines[2].replace("\u2212", "-"))]
    adaptive = found["adaptive"]
    points, saved = adaptive.accuracy_difference, adaptive.tokens_saved
    expected = [100 * points.value, 100 * points.low, 100 * points.high, saved.value, saved.low, saved.high]
    assert numbers == pytest.approx(expected, abs=0.051)


def test_what_could_not_be_had_is_not_drawn():
    fig = diffadapt_chart(comparison(samples=1, labels=False))
    assert [trace.meta for trace in fig.data if trace.visible] == ["fixed", "adaptive", "oracle"]
    assert "honest" not in fig.layout.xaxis.title.text


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_updating_equals_building(theme):
    other = comparison(3, labels=False, level=0.9, arms=("a", "b", "c", "d"))
    fig = diffadapt_chart(comparison(), theme=theme)
    update_figure(fig, diffadapt_series(other), diffadapt_layout(other, theme=theme))
    assert drawn(fig) == drawn(diffadapt_chart(other, theme=theme))


def test_recolouring_equals_building_in_that_theme():
    found = comparison()
    assert drawn(apply_theme(diffadapt_chart(found), "dark")) == drawn(diffadapt_chart(found, theme="dark"))


def test_nothing_to_compare_is_said_and_leaves_nothing_older():
    fig = update_figure(diffadapt_chart(comparison()), diffadapt_series(None), diffadapt_layout(None))
    assert all(not len(trace.x) for trace in fig.data)
    assert fig.layout.annotations[0].text == "nothing to compare yet"
    assert drawn(fig) == drawn(diffadapt_chart(None))


def test_names_of_arms_are_never_markup():
    fig = diffadapt_chart(comparison(arms=("easy", HOSTILE, "hard")))
    texts = [fig.layout.xaxis.title.text, *role(fig, "fixed").text, *role(fig, "adaptive").customdata]
    assert not any("<img" in text or "$" in text for text in texts)
    assert "&#60;img" in "".join(texts)
