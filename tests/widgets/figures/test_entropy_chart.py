import json
import math

import numpy as np
import plotly.graph_objects as go
import polars as pl
import pytest

from tests.widgets.figures.figure_cases import make_tokens, role
from widgets.figures.entropy_chart import cursor_series, entropy_chart, entropy_layout
from widgets.figures.entropy_series import EntropyView, entropy_series
from widgets.figures.palette import PALETTE, PHASE_COLOURS
from widgets.figures.series import update_figure
from widgets.figures.template import apply_theme, template
from workbench.errors import ParameterError
from workbench.traces.forking import forking_tokens, high_window_entropy

HOSTILE = '<img src=x onerror=alert(1)><b>b</b><a href="javascript:alert(1)">&lt;$x$'


def same(first, second):
    """Whether two figures are the same to plotly.js."""
    return json.loads(first.to_json()) == json.loads(second.to_json())


def test_every_token_is_drawn_at_its_entropy(tokens):
    raw = role(entropy_chart(tokens), "raw")
    np.testing.assert_array_equal(raw.x, np.arange(400))
    np.testing.assert_allclose(raw.y, tokens["entropy"])


def test_axis_says_raw_and_unit_and_what_is_overlaid(tokens):
    def title(**view):
        return entropy_chart(tokens, EntropyView(**view)).layout.yaxis.title.text

    assert title() == "raw entropy (nats)"
    assert title(unit="bits", surprisal=True) == "raw entropy, raw surprisal (bits)"
    assert title(sampled=True) == "raw and sampled entropy (nats)"


def test_bits_are_nats_over_ln_two(tokens):
    nats, bits = (entropy_series(tokens, EntropyView(unit=unit, surprisal=True)) for unit in ("nats", "bits"))
    for name in ("raw", "mean", "band", "forking", "surprisal"):
        np.testing.assert_allclose(bits[name]["y"], nats[name]["y"] / math.log(2))


def test_markers_are_those_of_the_analyses(tokens):
    view = EntropyView(percentile=90, hwe_window=3, hwe_percentile=80, hwe_variant="reference")
    fig = entropy_chart(tokens, view)
    assert role(fig, "forking").x.tolist() == forking_tokens(tokens["entropy"], 90).indices.tolist()
    expected = high_window_entropy(tokens["entropy"], window=3, percentile=80, variant="reference")
    assert role(fig, "high_window").x.tolist() == expected.indices.tolist()
    assert "reference" in role(fig, "high_window").name


def test_marks_differ_by_more_than_colour(tokens):
    fig = entropy_chart(tokens)
    assert role(fig, "forking").marker.symbol != role(fig, "high_window").marker.symbol
    dashes = [role(fig, name).line.dash for name in ("raw", "sampled", "surprisal")]
    assert len(set(dashes)) == 3


def test_overlays_show_only_when_asked_for(tokens):
    fig = entropy_chart(tokens, EntropyView(surprisal=True))
    assert role(fig, "surprisal").visible
    assert not role(fig, "sampled").visible
    np.testing.assert_allclose(role(fig, "surprisal").y, -tokens["logprob"])


def test_token_text_is_never_markup():
    fig = entropy_chart(make_tokens(1, text=[HOSTILE]))
    (label,) = role(fig, "tokens").text
    own = ["<b>", "</b>", *["<br>"] * label.count("<br>")]
    for tag in own:
        label = label.replace(tag, "", 1)
    assert not set("<>$\"'") & set(label)


def test_unknown_entropies_leave_gaps():
    entropy = [1.0, 2.0, None, None, 3.0, 4.0]
    raw = role(entropy_chart(make_tokens(6, 2, entropy=entropy)), "raw")
    np.testing.assert_array_equal(np.isnan(raw.y), [False, False, True, False, False])


def test_a_lone_known_token_is_a_dot():
    fig = entropy_chart(make_tokens(5, 2, entropy=[None, None, 1.5, None, None]))
    assert (role(fig, "isolated").x.tolist(), role(fig, "isolated").y.tolist()) == ([2], [1.5])


def test_imported_trace_shows_its_interval():
    bounds = {"entropy": [None] * 3, "entropy_lower": [0.1, 0.2, 0.3], "entropy_upper": [0.4, 0.5, 0.6]}
    fig = entropy_chart(make_tokens(3, 2, **bounds))
    interval = role(fig, "interval")
    assert interval.visible
    assert (np.nanmin(interval.y), np.nanmax(interval.y)) == (0.1, 0.6)
    assert "raw entropy at least 0.100 nats" in role(fig, "tokens").text[0]
    assert [note for note in fig.layout.annotations if note.name == "message"] == []


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (make_tokens(0), "no tokens yet"),
        (make_tokens(4, 2, entropy=[None] * 4, logprob=[None] * 4, sampled_entropy=[None] * 4), "no raw entropies"),
        (make_tokens(4, 2, entropy=[None] * 4), "switch on its surprisal"),
    ],
)
def test_nothing_to_draw_is_said(table, words):
    (message,) = [note.text for note in entropy_chart(table).layout.annotations if note.name == "message"]
    assert words in message


def test_one_token_makes_a_figure():
    fig = entropy_chart(make_tokens(1))
    assert role(fig, "isolated").x.tolist() == [0]


def test_long_traces_are_reduced_and_say_so(many_tokens):
    fig = entropy_chart(many_tokens)
    assert len(role(fig, "raw").x) == len(role(fig, "forking").x) == 2000
    assert "2\u2009000 of 32\u2009000 tokens shown" in fig.layout.xaxis.title.text
    assert "2\u2009000 of 6\u2009400 forking shown" in fig.layout.xaxis.title.text
    assert max(role(fig, "raw").y) == many_tokens["entropy"].max()


def test_zooming_in_shows_every_token_and_marker_there(many_tokens):
    fig = entropy_chart(many_tokens, EntropyView(visible=(1000, 2000)))
    assert role(fig, "raw").x.tolist() == list(range(999, 2002))
    forking = forking_tokens(many_tokens["entropy"]).indices
    assert role(fig, "forking").x.tolist() == [i for i in forking if 999 <= i <= 2001]
    assert fig.layout.xaxis.title.text == "token position"


def test_phases_are_shaded_and_named(tokens):
    fig = entropy_chart(tokens)
    boxes = [(shape.name, shape.x0, shape.x1) for shape in fig.layout.shapes]
    assert ("phase:think", 0.5, 298.5) in boxes
    assert ("phase:answer", 299.5, 399.5) in boxes
    assert [note.text for note in fig.layout.annotations] == ["think", "answer"]


def test_a_trace_without_thinking_is_not_shaded():
    assert not entropy_chart(make_tokens(5, phase=["answer"] * 5)).layout.shapes


def test_cursor_is_the_last_trace_and_two_points(tokens):
    fig = entropy_chart(tokens, cursor=7)
    assert fig.data[-1].meta == "cursor"
    assert (list(fig.data[-1].x), list(fig.data[-1].y)) == ([7, 7], [0, 1])
    update_figure(fig, cursor_series(9))
    assert same(fig, entropy_chart(tokens, cursor=9))
    update_figure(fig, cursor_series(None))
    assert list(fig.data[-1].x) == []


@pytest.mark.parametrize("view", [EntropyView(percentile=95), EntropyView(window=7, unit="bits", sampled=True)])
def test_updating_in_place_equals_building_anew(tokens, view):
    fig = entropy_chart(tokens)
    update_figure(fig, entropy_series(tokens, view), entropy_layout(tokens, view))
    assert same(fig, entropy_chart(tokens, view))


def test_a_growing_trace_updates_in_place(tokens):
    view = EntropyView()
    fig = entropy_chart(tokens.clear(), view)
    update_figure(fig, entropy_series(tokens, view), entropy_layout(tokens, view))
    assert same(fig, entropy_chart(tokens, view))


def test_only_the_roles_asked_for_are_computed(tokens):
    assert set(entropy_series(tokens, EntropyView(), roles={"forking"})) == {"forking"}


def test_retheming_equals_building_in_that_theme(tokens):
    assert same(apply_theme(entropy_chart(tokens, cursor=3), "dark"), entropy_chart(tokens, cursor=3, theme="dark"))


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_colours_stand_out_from_the_background(theme):
    def luminance(colour):
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))

    colours = PALETTE[theme]
    back = luminance(colours["background"])
    for name, least in (
        dict.fromkeys(colours, 3.0).items() | dict.fromkeys(("ink", "muted", *PHASE_COLOURS[theme]), 4.5).items()
    ):
        if name not in ("background", "grid"):
            low, high = sorted((back, luminance(colours[name])))
            assert (high + 0.05) / (low + 0.05) >= least, name


def test_fonts_come_from_the_system():
    assert "http" not in str(template("light").to_plotly_json())
    assert isinstance(template("dark"), go.layout.Template)


def test_bad_settings_are_refused(tokens):
    with pytest.raises(ParameterError, match="percentile"):
        entropy_chart(tokens, EntropyView(percentile=120))
    with pytest.raises(ValueError, match="unit"):
        entropy_chart(tokens, EntropyView(unit="bans"))
    with pytest.raises(ValueError, match="theme"):
        entropy_chart(tokens, theme="sepia")


def test_a_table_with_null_phases_and_texts_is_drawn():
    table = make_tokens(3, phase=[None] * 3, text=[None] * 3)
    fig = entropy_chart(table)
    assert "text unknown" in role(fig, "tokens").text[0]
    assert isinstance(table, pl.DataFrame)
