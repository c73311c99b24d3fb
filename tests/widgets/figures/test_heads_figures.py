"""The figures of attention heads draw what was measured, mark what stands out, and say what they leave out."""

from dataclasses import replace

import numpy as np
import plotly.graph_objects as go
import polars as pl
import pytest
from plotly.colors import sample_colorscale

from tests.widgets.figures.figure_cases import role
from widgets.controls.figure_box import FigureBox
from widgets.figures.heads_bins import bins_figure
from widgets.figures.heads_bounds import POINTS, bounds_figure, keys_of
from widgets.figures.heads_heatmap import MOST_SIGNED, head_heatmap
from widgets.figures.heads_history import history_figure, ranks
from widgets.figures.heads_pattern import pattern_figure
from widgets.figures.heads_redundancy import MOST_HEADS, redundancy_figure, redundancy_map
from widgets.figures.heads_rows import row_entropy_figure
from widgets.figures.heads_style import SHADES, STATISTICS, head_styles, layer_shades, step_of
from widgets.figures.palette import PALETTE
from widgets.figures.template import apply_theme
from workbench.attention import (
    EntropyBins,
    EntropyBounds,
    HeadHistory,
    HeadRedundancy,
    HeadStats,
    Pattern,
    entropy_bound,
    entropy_bounds,
)
from workbench.attention.rows import STATISTICS as ROW_STATISTICS
from workbench.errors import AttentionError, ParameterError

HOSTILE = "<img src=x onerror=alert(1)>&lt;$x$"
LAYERS, HEADS, TOKENS = (0, 1, 3), 4, 40


def softmax(scores):
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return weights / weights.sum(axis=-1, keepdims=True)


def causal(scores):
    """(..., T, T) attention of a causal head with these scores."""
    seen = np.tri(scores.shape[-1], dtype=bool)
    return softmax(np.where(seen, scores, -np.inf))


def make_stats(seed=0, tokens=TOKENS, **changes):
    """Rows of causal heads whose scores are ever larger from head to head."""
    scores = np.random.default_rng(seed).normal(size=(len(LAYERS), HEADS, tokens, tokens))
    scores *= np.array([0.0, 1.0, 3.0, 60.0])[:HEADS, None, None]
    weights = causal(scores)
    entropy = -(weights * np.log(np.where(weights > 0, weights, 1))).sum(axis=-1)
    seen = np.tri(tokens, dtype=bool)
    count = seen.sum(axis=-1)
    centred = np.where(seen, scores - (scores * seen).sum(axis=-1, keepdims=True) / count[:, None], 0)
    rows = np.zeros((len(ROW_STATISTICS), len(LAYERS), HEADS, tokens), np.float32)
    rows[ROW_STATISTICS.index("entropy")] = entropy
    rows[ROW_STATISTICS.index("row_norm")] = np.sqrt((centred**2).sum(axis=-1))
    texts = (HOSTILE, *(f" t{i}" for i in range(1, tokens)))
    support = np.tile(count.astype(np.int32), (len(LAYERS), 1))
    made = HeadStats(rows, support, LAYERS, tuple(range(tokens)), texts, np.ones(tokens, bool), "made")
    return replace(made, **changes)


def make_redundancy(layers=3, heads=4, seed=0):
    """Heads with random rows; the first two do nearly the same."""
    P = np.random.default_rng(seed).dirichlet(np.full(6, 0.4), (layers * heads, 5))
    P[1] = 0.98 * P[0] + 0.02 * P[1]

    def entropy(rows):
        return -(rows * np.log(np.maximum(rows, 1e-300))).sum(axis=-1)

    js = np.stack([(entropy((one + P) / 2) - (entropy(one) + entropy(P)) / 2).mean(axis=-1) for one in P])
    js = np.maximum((js + js.T) / 2, 0)
    np.fill_diagonal(js, 0)
    roots = np.sqrt(P).reshape(len(P), -1)
    places = np.array([(layer, head) for layer in range(layers) for head in range(heads)], np.int32)
    return HeadRedundancy(places, np.arange(5), True, js, roots @ roots.T / 5)


def make_history(runs=("usual", HOSTILE), layers=3, steps=5, scale=1.0, **columns):
    random = np.random.default_rng(1)
    rows = [
        {"run": run, "step": 10 * step, "loss": scale**at * (3.0 - 0.1 * step), "layer": layer, "head": head}
        | {name: random.random() for name in STATISTICS}
        for at, run in enumerate(runs)
        for step in range(steps)
        for layer in range(layers)
        for head in range(2)
    ]
    return HeadHistory(pl.DataFrame(rows).with_columns(**columns))


def make_bins(seed=0, layers=LAYERS, heads=HEADS):
    of_head = np.random.default_rng(seed).integers(0, 4, (len(layers), heads)).astype(np.int8)
    return EntropyBins(layers, (0.25, 0.5, 0.75), "support", of_head)


def make_pattern(seed=0, size=6, texts=None):
    weights = causal(np.random.default_rng(seed).normal(size=(size, size))).astype(np.float32)
    return Pattern(3, 1, 0, weights, texts or tuple(f" t{i}" for i in range(size)))


# name -> a figure of some values; another seed gives other values of the same shape
FIGURES = {
    "heatmap": lambda seed, theme: head_heatmap(
        make_stats(seed).entropy, LAYERS, name="entropy (nats)", collapsed=make_stats(seed).entropy < 0.1,
        overloaded=make_stats(seed).entropy > 2, chosen=(LAYERS[seed], seed), theme=theme,
    ),
    "difference": lambda seed, theme: head_heatmap(
        make_stats(seed).entropy, LAYERS, name="entropy (nats)", other=make_stats(seed + 1).entropy, theme=theme
    ),
    "pattern": lambda seed, theme: pattern_figure(make_pattern(seed), theme=theme),
    "rows": lambda seed, theme: row_entropy_figure(
        make_stats(seed), 3, seed, normalizer="support", collapse_cut=0.05, cursor=seed, theme=theme
    ),
    "bounds": lambda seed, theme: bounds_figure(entropy_bounds(make_stats(seed)), chosen=(1, seed), theme=theme),
    "twins": lambda seed, theme: redundancy_figure(make_redundancy(seed=seed), cut=0.05, theme=theme),
    "map": lambda seed, theme: redundancy_map(make_redundancy(seed=seed), theme=theme),
    "bins": lambda seed, theme: bins_figure(make_bins(seed), theme=theme),
    "history": lambda seed, theme: history_figure(make_history(), step=10 * seed, theme=theme),
}  # fmt: skip
THEMES = ("light", "dark")


# --- all of them


@pytest.mark.parametrize("name", FIGURES)
@pytest.mark.parametrize("theme", THEMES)
def test_every_figure_is_valid_and_keeps_its_traces_when_values_change(name, theme):
    one, other = (FIGURES[name](seed, theme) for seed in (0, 1))
    assert go.Figure(one.to_dict()).to_dict() is not None
    assert [(trace.type, trace.meta) for trace in one.data] == [(trace.type, trace.meta) for trace in other.data]
    assert all(isinstance(trace.meta, str) for trace in one.data)
    assert all(trace.uid is None for trace in one.data)  # plotly.js puts them into selectors as they are


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_box_turns_one_into_the_other(name):
    seeds = iter((0, 1))
    box = FigureBox(lambda: FIGURES[name](next(seeds), "light"), None)
    try:
        live = box.unveil()
        before = live.data
        box.show()
        assert all(mine is yours for mine, yours in zip(live.data, before, strict=True))  # changed, not replaced
        same(live, FIGURES[name](1, "light"))
    finally:
        box.close()


def same(live, wanted):
    """Every property of every trace that the figure sets is what is live."""
    for mine, yours in zip(live.data, wanted.data, strict=True):
        for key, value in yours.to_plotly_json().items():
            if isinstance(value, (str, np.ndarray, list, tuple)):
                np.testing.assert_array_equal(np.asarray(mine[key]), np.asarray(value), mine.meta)
            elif key == "marker":
                assert mine.marker.to_plotly_json().keys() >= value.keys()


@pytest.mark.parametrize("name", FIGURES)
def test_themes_differ_in_colours_alone(name):
    light, dark = (FIGURES[name](0, theme) for theme in THEMES)
    for mine, yours in zip(light.data, dark.data, strict=True):
        assert (mine.meta, mine.name, mine.showlegend) == (yours.meta, yours.name, yours.showlegend)
        np.testing.assert_array_equal(np.asarray(mine.x, object), np.asarray(yours.x, object))
    titles = [axis.title.text for fig in (light, dark) for axis in (fig.layout.xaxis, fig.layout.yaxis)]
    assert titles[:2] == titles[2:]
    with pytest.raises(ValueError, match="theme must be"):
        FIGURES[name](0, "sepia")


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_follows_the_theme_as_if_built_in_it(name):
    turned, built = apply_theme(FIGURES[name](0, "dark"), "light"), FIGURES[name](0, "light")
    for mine, yours in zip(turned.data, built.data, strict=True):
        for part in ("line", "marker", "colorscale", "fillcolor", "insidetextfont"):
            assert str(getattr(mine, part, None)) == str(getattr(yours, part, None)), mine.meta


def test_layers_are_told_apart_by_dash_and_stand_out_from_the_background():
    for theme in THEMES:
        styles, back = head_styles(PALETTE[theme]), PALETTE[theme]["background"]
        lines = [styles[f"head_layer:{rank}"] for rank in range(SHADES)]
        assert len({line["line"]["dash"] for line in lines}) == SHADES
        assert min(contrast(shade, back) for shade in layer_shades(back)) >= 2.9


def contrast(rgb, back):
    """WCAG's contrast ratio of "rgb(r, g, b)" on "#rrggbb"."""

    def luminance(channels):
        share = np.array(channels) / 255
        return np.where(share <= 0.03928, share / 12.92, ((share + 0.055) / 1.055) ** 2.4) @ [0.2126, 0.7152, 0.0722]

    both = [
        luminance([float(part) for part in rgb[4:-1].split(",")]),
        luminance([int(back[i : i + 2], 16) for i in (1, 3, 5)]),
    ]
    return (max(both) + 0.05) / (min(both) + 0.05)


@pytest.mark.parametrize("count", [1, 7, 15, 16, 17, 64, 205, 256, 3000])
def test_ticks_are_few_and_at_round_steps(count):
    step = step_of(count, 15)
    assert count / step <= 15
    assert step in {1, 2, 5, 10, 20, 50, 100, 200, 500}
    assert step == 1 or count > 15


# --- heatmap


def test_the_heatmap_has_a_point_for_every_head_with_a_value():
    values = np.array([[0.1, np.nan, 0.3], [0.4, 0.5, 0.6]])
    fig = head_heatmap(values, (2, 7), name="entropy / ln support", chosen=(7, 1))
    heads, cells = role(fig, "heads"), role(fig, "head_cells")
    np.testing.assert_array_equal(np.asarray(cells.z, float), values)
    assert [tuple(place) for place in heads.customdata] == [(2, 0), (2, 2), (7, 0), (7, 1), (7, 2)]
    assert list(zip(heads.x, heads.y, strict=True)) == [(0, 0), (2, 0), (0, 1), (1, 1), (2, 1)]
    assert heads.text[3] == "<b>layer 7, head 1</b><br>entropy / ln support: 0.500"
    assert (list(fig.layout.yaxis.ticktext), fig.layout.yaxis.range[0]) == (["2", "7"], -0.5)  # layer 0 at the bottom
    assert cells.colorbar.title.text == "entropy / ln support"
    assert (min(role(fig, "head_chosen").x), max(role(fig, "head_chosen").y)) == (0.5, 1.5)
    missing = role(fig, "head_missing")
    assert (list(missing.x), list(missing.y), missing.showlegend) == ([1], [0], True)


def test_only_the_heads_answer_the_pointer():
    fig = FIGURES["heatmap"](0, "light")
    assert [trace.meta for trace in fig.data if trace.hoverinfo != "skip"] == ["heads"]
    assert fig.layout.hoverdistance == -1


def test_collapsed_and_overloaded_heads_have_their_symbols_and_counts():
    collapsed, overloaded = np.array([[True, False], [True, False]]), np.array([[False, True], [False, False]])
    fig = head_heatmap(np.full((2, 2), 0.5), (0, 1), name="x", collapsed=collapsed, overloaded=overloaded)
    down, up = role(fig, "head_collapsed"), role(fig, "head_overloaded")
    assert (down.name, up.name) == ("collapsed (2)", "overloaded (1)")
    assert (down.marker.symbol, up.marker.symbol) == ("triangle-down", "triangle-up")
    np.testing.assert_array_equal(np.round(down.y), [0, 1])
    np.testing.assert_array_equal(np.round(up.x), [1])
    plain = head_heatmap(np.full((2, 2), 0.5), (0, 1), name="x")
    assert not any(trace.showlegend for trace in plain.data if trace.meta != "head_cells")


def test_a_difference_is_drawn_around_nothing_and_signed():
    fig = head_heatmap([[0.5, 0.1], [0.3, 0.3]], (0, 1), name="x", other=[[0.1, 0.3], [0.3, 0.29]])
    cells = role(fig, "head_difference")
    np.testing.assert_allclose(cells.z, [[0.4, -0.2], [0, 0.01]], atol=1e-12)
    assert (cells.zmin, cells.zmax) == (pytest.approx(-0.4), pytest.approx(0.4))
    assert (role(fig, "head_higher").name, role(fig, "head_lower").name) == ("higher (1)", "lower (1)")
    assert role(fig, "heads").text[1].endswith("minus 0.300: -0.200")
    assert cells.colorbar.title.text == "difference: x"
    same = head_heatmap([[0.5]], (0,), name="x", other=[[0.5]])
    assert not role(same, "head_higher").showlegend
    assert not role(same, "head_lower").showlegend
    assert role(head_heatmap([[1.0]], (0,), name="x", other=[[0]], zrange=(-3, 2)), "head_difference").zmin == -3


def test_a_large_model_stays_readable():
    random = np.random.default_rng(0)
    one, other = random.random((2, 48, 64))
    fig = head_heatmap(one, range(48), name="x", other=other, chosen=(20, 33))
    signed = [len(role(fig, name).x) for name in ("head_higher", "head_lower")]
    assert 0 < sum(signed) <= MOST_SIGNED
    assert len(fig.layout.yaxis.tickvals) <= 16
    assert role(fig, "head_difference").texttemplate == ""
    assert np.ptp(role(fig, "head_chosen").x) > 1  # the frame leaves the cell in sight
    assert len(fig.to_json()) < 1_000_000


def test_values_of_another_shape_are_refused():
    with pytest.raises(ValueError, match="3 layers"):
        head_heatmap(np.zeros((2, 2)), (0, 1, 2), name="x")
    with pytest.raises(ValueError, match="collapsed has shape"):
        head_heatmap(np.zeros((2, 2)), (0, 1), name="x", collapsed=np.zeros((2, 3), bool))


@pytest.mark.parametrize("values", [np.zeros((2, 2)), np.full((2, 2), np.nan), np.zeros((0, 0))])
def test_a_heatmap_of_one_value_or_none_has_a_colour_range(values):
    cells = role(head_heatmap(values, range(len(values)), name="x"), "head_cells")
    assert cells.zmin < cells.zmax


# --- pattern and rows


def test_a_pattern_hides_what_no_query_sees_and_keeps_the_weights():
    pattern = make_pattern(size=5, texts=(HOSTILE, "<b>x</b>", "\n", " ", "$x$"))
    fig = pattern_figure(pattern)
    cells = role(fig, "head_pattern")
    seen = np.tri(5, dtype=bool)
    assert (np.isnan(cells.z) == ~seen).all()
    np.testing.assert_allclose(np.asarray(cells.z)[seen], np.sqrt(pattern.weights[seen]), rtol=1e-6)
    np.testing.assert_array_equal(np.asarray(cells.customdata)[seen], pattern.weights[seen])
    assert not any(character in name for name in cells.x for character in "<>$")
    assert [name.split()[0] for name in cells.x] == list("01234")
    assert fig.layout.yaxis.autorange == "reversed"
    assert fig.layout.yaxis.title.text == "query, layer 3 head 1"
    np.testing.assert_array_equal(
        np.asarray(pattern_figure(pattern, root=False).data[0].z)[seen], pattern.weights[seen]
    )


def test_a_pattern_that_looks_ahead_is_drawn_whole():
    weights = np.full((4, 4), 0.25, np.float32)
    assert not np.isnan(pattern_figure(Pattern(0, 0, 0, weights, ("a",) * 4)).data[0].z).any()


def test_a_large_window_counts_positions_and_says_what_lies_outside():
    weights = np.tri(200, dtype=np.float32) / 400
    fig = pattern_figure(Pattern(0, 0, 30, weights, (HOSTILE,) * 200))
    assert set(fig.data[0].x) == {str(at) for at in range(30, 230)}
    assert all(int(tick) % 5 == 0 for tick in fig.layout.xaxis.ticktext)
    assert len(fig.layout.yaxis.ticktext) <= 16
    assert "100% of a row lies on keys outside" in fig.layout.xaxis.title.text


@pytest.mark.parametrize(
    ("normalizer", "unit", "title"),
    [
        ("none", lambda n: np.ones(len(n)), "row entropy (nats)"),
        ("support", lambda n: np.where(n > 1, np.log(np.maximum(n, 2)), np.nan), "row entropy / ln support"),
        ("length", lambda n: np.full(len(n), np.log(TOKENS)), "row entropy / ln T"),
    ],
)
def test_rows_lie_under_their_ceiling(normalizer, unit, title):
    stats, n = make_stats(), np.arange(1, TOKENS + 1)
    fig = row_entropy_figure(stats, 1, 0, normalizer=normalizer, collapse_cut=0.05)
    drawn, ceiling = role(fig, "head_rows"), role(fig, "head_ceiling")
    known = ~np.isnan(unit(n))
    np.testing.assert_allclose(drawn.y, (np.log(n) / unit(n))[known], atol=1e-6)  # head 0 is uniform
    np.testing.assert_allclose(ceiling.y, drawn.y, atol=1e-6)
    assert title in fig.layout.yaxis.title.text
    assert "layer 1 head 0" in fig.layout.yaxis.title.text
    assert f"{stats.entropy_over(normalizer)[1, 0]:.3f}" in drawn.name


def test_collapsed_rows_are_marked_and_counted_as_the_statistics_count_them():
    stats = make_stats().skipping(3)
    fig = row_entropy_figure(stats, 0, 3, normalizer="support", collapse_cut=0.2, cursor=7)
    marked, counted = role(fig, "head_collapsed_rows"), TOKENS - 3
    assert len(marked.x) / counted == pytest.approx(stats.collapsed(0.2)[0, 3])
    assert 0 < len(marked.x) < counted
    assert f"collapsed below 0.2: {len(marked.x)} of {counted} rows" == role(fig, "head_cut").name
    assert (np.asarray(marked.y) < 0.2).all()
    assert role(fig, "head_skipped").showlegend
    assert max(role(fig, "head_skipped").x) == 2.5
    assert list(role(fig, "cursor").x) == [7, 7]


def test_tokens_are_escaped_and_long_texts_reduced():
    said = role(row_entropy_figure(make_stats(), 0, 1, normalizer="none"), "tokens").text[0]
    assert said.startswith("<b>&#60;img␣src=x␣onerror=alert(1)&#62;&#38;lt;&#36;x&#36;</b><br>token 0, sees 1 keys")
    rows = np.zeros((len(ROW_STATISTICS), 1, 1, 9000), np.float32)
    rows[0, 0, 0] = np.random.default_rng(0).random(9000)
    support = np.arange(1, 9001, dtype=np.int32)[None]
    long = HeadStats(rows, support, (0,), (0,) * 9000, ("a",) * 9000, np.ones(9000, bool), "long")
    fig = row_entropy_figure(long, 0, 0, normalizer="none")
    assert len(role(fig, "tokens").x) <= 2000
    assert rows.max() == np.nanmax(role(fig, "head_rows").y).astype(np.float32)
    assert "2\u2009000 of 9\u2009000 rows shown" in fig.layout.xaxis.title.text


def test_rows_of_a_head_that_is_not_there_are_refused():
    with pytest.raises(AttentionError, match="layer 2"):
        row_entropy_figure(make_stats(), 2, 0)


# --- bounds


def test_the_keys_of_rows_are_found_from_their_bounds():
    keys = np.array([2, 3, 17, 64, 199, 200])
    for sigma in (0.0, 0.5, 4.0, 40.0, 300.0):
        np.testing.assert_array_equal(keys_of(np.full(6, sigma), entropy_bound(np.full(6, sigma), keys), 200), keys)


def test_no_row_lies_under_the_curve_of_its_group():
    bounds = entropy_bounds(make_stats())
    fig = bounds_figure(bounds, chosen=(1, 2))
    drawn = 0
    for group, keys in enumerate((2, 5, 17)):  # of 40 tokens, from the first, a tenth and four tenths on
        assert role(fig, f"head_bound:{group}").name == f"bound, {keys}+ keys"
        for name in ("head_row", "head_row_chosen"):
            points = role(fig, f"{name}:{group}")
            drawn += len(points.x)
            assert (np.asarray(points.y) >= entropy_bound(points.x, keys) - 1e-4).all()
        symbols = {role(fig, f"{name}:{group}").marker.symbol for name in ("head_row", "head_row_chosen")}
        assert len(symbols) == 1
    assert drawn == len(LAYERS) * HEADS * (TOKENS - 1)  # the first row sees one key
    assert {place[:2] for trace in fig.data if str(trace.meta).startswith("head_row_chosen") for place in
            map(tuple, trace.customdata)} == {(1, 2)}  # fmt: skip
    assert fig.layout.xaxis.title.text.startswith("σ: norm of a row's centred scores")
    assert f"0 of {drawn} rows below their bound" in fig.layout.xaxis.title.text


def test_rows_below_their_bound_are_crossed_and_counted():
    bounds = entropy_bounds(make_stats())
    entropy = bounds.entropy.copy()
    entropy[0, 0, [10, 20]] = 0.0
    wrong = replace(bounds, entropy=entropy)
    fig = bounds_figure(wrong)
    crossed = role(fig, "head_row_below")
    assert wrong.violations == 2
    assert {tuple(place[:3]) for place in crossed.customdata} == {(0, 0, 10), (0, 0, 20)}
    assert (crossed.name, crossed.showlegend) == ("below their bound: 2", True)
    assert "2 of 468 rows below their bound" in fig.layout.xaxis.title.text


def test_many_rows_are_thinned_the_same_way_every_time():
    random = np.random.default_rng(0)
    sigma = random.gamma(3, 2, (4, 4, 1000)).astype(np.float32)
    bound = entropy_bound(sigma, np.arange(1, 1001))
    bounds = EntropyBounds((0, 1, 2, 3), sigma, (bound + 0.5).astype(np.float32), bound)
    one, other = (bounds_figure(bounds) for _ in range(2))
    drawn = sum(len(role(one, f"head_row:{group}").x) for group in range(3))
    assert drawn <= 2 * POINTS
    assert one.to_json() == other.to_json()
    assert f"{drawn:,} of 16,000 rows shown".replace(",", "\u2009") in one.layout.xaxis.title.text


def test_spectral_norms_have_a_log_scale_and_the_weights_named():
    bounds = replace(entropy_bounds(make_stats()), source="spectral norms")
    axis = bounds_figure(replace(bounds, sigma=bounds.sigma + 1)).layout.xaxis
    assert axis.type == "log"
    assert "spectral norms" in axis.title.text
    empty = np.full((1, 1, 3), np.nan)
    nothing = bounds_figure(EntropyBounds((0,), empty.astype(np.float32), empty.astype(np.float32), empty))
    assert nothing.layout.annotations[0].text == "no rows to show"


# --- redundancy


def test_twins_are_ringed_on_both_sides_and_stand_beside_each_other():
    redundancy = make_redundancy()
    fig = redundancy_figure(redundancy, cut=0.01)
    cells, twins = role(fig, "head_alike"), role(fig, "head_twins")
    assert set(zip(twins.x, twins.y, strict=True)) == {("L0 H0", "L0 H1"), ("L0 H1", "L0 H0")}
    assert twins.name == "twins: 1 pair below 0.01 nats"
    order = list(cells.x)
    assert abs(order.index("L0 H0") - order.index("L0 H1")) == 1
    at = [4 * int(name[1]) + int(name[-1]) for name in order]
    expected = np.where(np.eye(12, dtype=bool), np.nan, redundancy.js[np.ix_(at, at)])
    np.testing.assert_allclose(cells.z, expected, rtol=1e-5)
    assert cells.zmax == pytest.approx(np.log(2))
    np.testing.assert_allclose(role(fig, "head_effective").x, list(redundancy.effective_by_layer.values()))
    assert list(role(fig, "head_all").x) == [4, 4, 4]
    none = role(redundancy_figure(redundancy, cut=0.0), "head_twins")
    assert (none.name, list(none.x)) == ("twins: 0 pairs below 0 nats", [None])


def test_of_very_many_heads_those_with_the_nearest_twins_are_drawn():
    redundancy = make_redundancy(10, 32)
    fig = redundancy_figure(redundancy, cut=0.05)
    assert len(role(fig, "head_alike").x) == MOST_HEADS
    assert {"L0 H0", "L0 H1"} <= set(role(fig, "head_alike").x)
    assert "256 of 320 heads shown" in fig.layout.xaxis.title.text
    map_ = redundancy_map(redundancy)
    assert len(map_.data[0].x) == MOST_HEADS
    assert "256 of 320 heads shown" in map_.layout.xaxis.title.text
    assert len(fig.to_json()) < 1_000_000


def test_the_map_places_heads_as_the_result_does():
    redundancy = make_redundancy()
    (points,) = redundancy_map(redundancy).data
    np.testing.assert_allclose(np.column_stack([points.x, points.y]), redundancy.places())
    assert [tuple(place) for place in points.customdata] == [tuple(place) for place in redundancy.heads.tolist()]
    assert points.text[5] == "1.1"
    assert len(set(points.marker.symbol)) == 3
    centred = redundancy.js - redundancy.js.mean(0) - redundancy.js.mean(1)[:, None] + redundancy.js.mean()
    values = np.sort(np.linalg.eigvalsh(-centred / 2))[::-1]
    assert f"{values[:2].sum() / values.sum():.0%}" in redundancy_map(redundancy).layout.xaxis.title.text


# --- bins


def test_bars_add_up_and_the_ends_are_named_and_hatched():
    bins = make_bins()
    fig = bins_figure(bins)
    np.testing.assert_allclose(np.sum([bar.y for bar in fig.data], axis=0), 100)
    low, high = role(fig, "head_bin:low"), role(fig, "head_bin:high")
    np.testing.assert_allclose(low.y, 100 * bins.collapse)
    np.testing.assert_allclose(high.y, 100 * bins.overload)
    assert (low.name, high.name) == ("below 0.25: collapsed", "from 0.75: overloaded")
    assert low.marker.pattern.shape != high.marker.pattern.shape
    assert "entropy / ln support" in fig.layout.legend.title.text
    assert list(fig.layout.xaxis.ticktext) == ["0", "1", "3"]
    many = bins_figure(make_bins(layers=tuple(range(48)), heads=64))
    assert len(many.layout.xaxis.tickvals) <= 24
    assert not any(any(bar.text) for bar in many.data)


# --- history


def test_a_history_has_a_column_a_run_and_a_line_a_layer():
    history = make_history()
    fig = history_figure(history, column="sink", step=20)
    means = history.by_layer("sink")
    losses = [trace for trace in fig.data if trace.meta == "head_loss"]
    assert [trace.y[0] for trace in losses] == [3.0, 3.0]
    for at, run in enumerate(history.runs):
        x = "x" if at == 0 else f"x{at + 1}"
        lines = [trace for trace in fig.data if trace.xaxis == x and str(trace.meta).startswith("head_layer")]
        assert [line.name for line in lines] == ["0", "1", "2"]
        for layer, line in enumerate(lines):
            np.testing.assert_allclose(line.y, means.filter(run=run, layer=layer)["value"])
            assert list(line.x) == [0, 10, 20, 30, 40]
    assert all(list(trace.x) == [20, 20] for trace in fig.data if trace.meta == "cursor")
    assert fig.layout.yaxis.title.text.replace("<br>", " ") == "mean weight on the first token"
    assert fig.layout.yaxis5.matches == "y"  # the second run's
    assert not any("<img" in note.text for note in fig.layout.annotations)
    assert fig.layout.xaxis.title.text == "training step"


def test_a_history_takes_some_runs_in_their_order_and_refuses_others():
    history = make_history(("a", "b"))
    fig = history_figure(history, runs=["b"])
    assert [note.text for note in fig.layout.annotations] == ["<b>b</b>"]
    with pytest.raises(AttentionError, match="no run 'c'"):
        history_figure(history, runs=["c"])
    with pytest.raises(ParameterError):
        history_figure(history, column="colour")


def test_of_many_layers_some_are_drawn_and_that_is_said():
    fig = history_figure(make_history(("a",), layers=20))
    names = [trace.name for trace in fig.data if str(trace.meta).startswith("head_layer")]
    assert (names[0], names[-1], len(names)) == ("0", "19", SHADES)
    assert "8 of 20 shown" in fig.layout.legend.title.text
    assert len(set(ranks(SHADES))) == SHADES
    assert ranks(1) == [0]


def test_unknown_losses_leave_the_height_to_the_statistic_and_far_ones_get_a_log_scale():
    without = history_figure(make_history(loss=pl.lit(None, pl.Float64)))
    assert (without.layout.yaxis.domain, without.layout.yaxis2.visible) == ((0, 1), False)
    apart = history_figure(make_history(scale=100.0))
    assert (apart.layout.yaxis2.type, apart.layout.yaxis2.title.text) == ("log", "loss<br>(nats, log)")
    overflown = make_history(loss=pl.when(pl.col("step") == 20).then(float("inf")).otherwise("loss"))
    lines = [trace for trace in history_figure(overflown).data if trace.meta == "head_loss"]
    assert all(np.isnan(line.y).sum() == 1 and not np.isinf(line.y).any() for line in lines)


def test_axis_words_cover_every_statistic():
    assert set(make_history().frame.columns[5:]) == set(STATISTICS)


def test_numbers_in_the_cells_can_be_read_on_every_shade():
    values = np.linspace(0, 1, 100).reshape(10, 10)
    values[3, 4] = np.nan
    fig = head_heatmap(values, range(10), name="entropy")
    numbers, known = role(fig, "head_numbers"), values[np.isfinite(values)]
    assert list(numbers.text) == [f"{value:.2f}" for value in known]
    inks = {"#000": "#000000", "#fff": "#ffffff"}
    shades = sample_colorscale("cividis", known.tolist())
    assert min(contrast(shade, inks[ink]) for ink, shade in zip(numbers.textfont.color, shades, strict=True)) > 4.5
    assert len(role(head_heatmap(np.ones((11, 2)), range(11), name="entropy"), "head_numbers").x) == 0
