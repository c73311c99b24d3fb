import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.widgets.figures.figure_cases import make_tokens, role
from widgets.figures.entropy_histogram import entropy_histogram, histogram_layout, histogram_series
from widgets.figures.series import update_figure
from widgets.figures.template import apply_theme
from widgets.figures.varentropy_scatter import (
    largest_varentropy,
    scatter_cursor,
    varentropy_layout,
    varentropy_scatter,
    varentropy_series,
)

PHASES = ("think", "answer", "marker")


def test_every_known_token_is_a_point_of_its_phase(tokens):
    fig = varentropy_scatter(tokens)
    for phase in PHASES:
        rows = tokens.filter(tokens["phase"] == phase)
        np.testing.assert_array_equal(role(fig, f"scatter:{phase}").x, rows["entropy"])
        np.testing.assert_array_equal(role(fig, f"scatter:{phase}").customdata, rows["position"])
    assert len({role(fig, f"scatter:{phase}").marker.symbol for phase in PHASES}) == 3


def test_scatter_axes_say_raw_and_unit(tokens):
    fig = varentropy_scatter(tokens, unit="bits")
    assert fig.layout.xaxis.title.text == "raw entropy H (bits)"
    assert fig.layout.yaxis.title.text == "raw varentropy V (bits²)"
    np.testing.assert_allclose(
        role(fig, "scatter:answer").y, tokens.filter(tokens["phase"] == "answer")["varentropy"] / math.log(2) ** 2
    )


def test_quadrants_lie_at_entropix_thresholds(tokens):
    edges = {edge for shape in varentropy_scatter(tokens).layout.shapes for edge in (shape.x0, shape.x1)}
    assert {0, 0.3, 1.2, 2.5} <= edges


def test_cursor_rings_its_token(tokens):
    fig = varentropy_scatter(tokens, cursor=5)
    assert role(fig, "cursor_point").x.tolist() == [tokens["entropy"][5]]
    update_figure(fig, scatter_cursor(tokens, None))
    assert role(fig, "cursor_point").x.tolist() == []


def test_long_scatter_is_thinned_keeps_each_phase_and_says_so(many_tokens):
    fig = varentropy_scatter(many_tokens)
    drawn = sum(len(role(fig, f"scatter:{phase}").x) for phase in PHASES)
    assert 1000 < drawn <= 2000
    assert f"{drawn // 1000}\u2009{drawn % 1000:03} of 32\u2009000 tokens shown" in fig.layout.xaxis.title.text
    assert len(role(fig, "scatter:answer").x) > 200
    assert max(role(fig, "scatter:think").x) == many_tokens.filter(many_tokens["phase"] == "think")["entropy"].max()


@pytest.mark.parametrize("figure", [varentropy_scatter, entropy_histogram])
@pytest.mark.parametrize("table", [make_tokens(0), make_tokens(3, entropy=[None] * 3)])
def test_nothing_to_draw_is_said(figure, table):
    (message,) = figure(table).layout.annotations
    assert message.text.startswith("no t" if figure is varentropy_scatter or not len(table) else "this trace has no")


@pytest.mark.parametrize("figure", [varentropy_scatter, entropy_histogram])
def test_one_token_makes_a_figure(figure):
    assert sum(len(trace.x) for trace in figure(make_tokens(1)).data if trace.type != "bar") >= 1


@pytest.mark.parametrize("figure", [varentropy_scatter, entropy_histogram])
def test_retheming_equals_building_in_that_theme(figure, tokens):
    assert apply_theme(figure(tokens), "dark").to_json() == figure(tokens, theme="dark").to_json()


def test_updating_the_scatter_equals_building_anew(tokens):
    fig = varentropy_scatter(tokens.clear())
    settings = {"unit": "bits", "points": 100}
    update_figure(fig, varentropy_series(tokens, vocabulary=4096, **settings), varentropy_layout(tokens, **settings))
    assert fig.to_json() == varentropy_scatter(tokens, vocabulary=4096, **settings).to_json()


# Largest variances of surprisal over K outcomes, found by numerical maximisation elsewhere.
@pytest.mark.parametrize(
    ("vocabulary", "largest"),
    [(2, 0.439229), (10, 2.058387), (1000, 12.900366), (50257, 30.283600), (151936, 36.579368)],
)
def test_the_curves_top_is_the_known_maximum(vocabulary, largest):
    V = largest_varentropy(vocabulary)[1]
    assert V.max() == pytest.approx(largest, rel=1e-3)
    assert V.max() <= 0.25 * math.log(vocabulary - 1) ** 2 + 1 if vocabulary > 2 else V.max() <= 1


@given(st.integers(2, 200), st.floats(0.02, 5), st.integers(0, 2**32 - 1))
def test_no_distribution_lies_above_the_curve(vocabulary, spread, seed):
    p = np.random.default_rng(seed).dirichlet(np.full(vocabulary, spread))
    p = p[p > 0]
    H = -float(p @ np.log(p))
    V = float(p @ np.log(p) ** 2) - H**2
    curve = largest_varentropy(vocabulary)
    assert np.interp(H, *curve) + 1e-3 * max(1, V) >= V
    assert curve[0].max() == pytest.approx(math.log(vocabulary))


def test_a_vocabulary_of_one_is_refused():
    with pytest.raises(ValueError, match="vocabulary"):
        largest_varentropy(1)


def test_bars_count_every_known_token_once(tokens):
    fig = entropy_histogram(tokens)
    assert sum(role(fig, f"bar:{phase}").y.sum() for phase in PHASES) == 400
    assert role(fig, "bar:answer").y.sum() == 100
    assert fig.layout.yaxis.type == "log"
    assert fig.layout.xaxis.title.text == "raw entropy (nats)"
    assert role(fig, "bar:think").marker.pattern.shape != role(fig, "bar:answer").marker.pattern.shape


def test_percentile_line_stands_at_the_forking_threshold(tokens):
    line = role(entropy_histogram(tokens, percentile=90), "threshold")
    np.testing.assert_allclose(line.x, np.quantile(tokens["entropy"], 0.9))
    assert "percentile 90" in line.name


def test_bits_move_the_bins_but_not_the_counts(tokens):
    nats, bits = (histogram_series(tokens, unit=unit)["bar:think"] for unit in ("nats", "bits"))
    np.testing.assert_array_equal(nats["y"], bits["y"])
    np.testing.assert_allclose(bits["x"], nats["x"] / math.log(2))


def test_updating_the_histogram_equals_building_anew(tokens):
    fig = entropy_histogram(tokens.clear())
    update_figure(fig, histogram_series(tokens, percentile=95, unit="bits"), histogram_layout(tokens, unit="bits"))
    assert fig.to_json() == entropy_histogram(tokens, percentile=95, unit="bits").to_json()
    assert set(histogram_series(tokens, roles={"threshold"})) == {"threshold"}


def test_no_bins_are_refused(tokens):
    with pytest.raises(ValueError, match="bins"):
        entropy_histogram(tokens, bins=0)
