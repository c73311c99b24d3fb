"""The difficulty panel without a browser: it shows what wb.difficulty says of what its sliders say."""

import asyncio
import json
from contextlib import contextmanager
from html import unescape

import numpy as np
import polars as pl
import pytest

import workbench as wb
from tests.difficulty.difficulty_cases import responses_table
from tests.widgets.figures.figure_cases import role
from widgets import DifficultyPanel, Session
from widgets.panels.difficulty_settings import CurveView
from workbench.difficulty import Thresholds, assess, compare, curve, label_problems, problem_means, suggest_thresholds
from workbench.errors import ParameterError, SweepError

HOSTILE = "<img src=x onerror=alert(1)>"


def bowl(level):
    return 0.5 + 0.02 * (level - 4.5) ** 2


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    """A small model on a few problems: what it answers does not matter, it is short."""
    problems = wb.problems.load("arithmetic", limit=24)
    folder = tmp_path_factory.mktemp("sweeps") / "profile"
    return wb.sweeps.run("demo-small", problems, samples=2, max_new_tokens=24, out=folder, progress=False)


@pytest.fixture
def table():
    return responses_table(bowl)


@pytest.fixture
def panel(table):
    made = DifficultyPanel(table)
    yield made
    made.close()


@pytest.fixture
def opened(sweep):
    made = DifficultyPanel(sweep)
    made.view.settings = CurveView(min_per_bin=1)
    # its grades are all alike: entropy alone decides between normal and hard
    median = made.labels.means["entropy"].median()
    made.labels.sliders.settings = Thresholds(alpha=0.0, beta=median, gamma=1.0)
    yield made
    made.close()


@contextmanager
def with_panel(data, **about):
    """A panel that closes with the block."""
    panel = DifficultyPanel(data, **about)
    try:
        yield panel
    finally:
        panel.close()


def drawn(panel, stem, name):
    panel.tabs.bring(stem)
    return role(panel.tabs.box(stem).figure, name)


def labels_shown(panel):
    """Label -> problems, as the scatter has them."""
    panel.tabs.bring("labels")
    marks = [(name, role(panel.tabs.box("labels").figure, f"label:{name}")) for name in ("easy", "normal", "hard")]
    return {name: sorted(mark.customdata) if mark.visible else [] for name, mark in marks}


def labels_of(table, thresholds):
    labels = label_problems(problem_means(table), thresholds).of_problem
    return {name: sorted(p for p, mine in labels.items() if mine == name) for name in ("easy", "normal", "hard")}


# --- curve and verdict --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mean", "about", "answer"),
    [
        (bowl, {}, "✓ U-shape supported"),
        (np.log, {}, "✗ U-shape not supported"),
        (bowl, {"levels": 3}, "? U-shape not identifiable"),
        (bowl, {"problems": 2}, "? U-shape not identifiable"),
    ],
)
def test_the_verdict_is_said_in_words_and_why(mean, about, answer):
    table = responses_table(mean, **about)
    with with_panel(table) as panel:
        found = assess(curve(table))
        assert answer in panel.words.value
        assert answer.endswith(found.answer)
        assert [line in unescape(panel.reasons.value) for line in found.reasons] == [True] * len(found.reasons)
        assert panel.reasons.layout.display == "none"
        panel.why.value = True
        assert panel.reasons.layout.display == ""
        if found.answer == "not identifiable":
            assert found.reasons[0] in unescape(panel.words.value)
            assert drawn(panel, "difficulty", "parabola").visible is False
        else:
            parabola = drawn(panel, "difficulty", "parabola")
            np.testing.assert_allclose(parabola.y, found.lind_mehlum.predict(parabola.x))


def test_the_chart_is_the_curve_of_wb_difficulty(panel, table):
    levels = curve(table).levels
    mark = drawn(panel, "difficulty", "level_entropy")
    np.testing.assert_array_equal(mark.y, levels["entropy"])
    np.testing.assert_array_equal(mark.y + mark.error_y.array, levels["entropy_high"])
    np.testing.assert_array_equal(drawn(panel, "difficulty", "level_accuracy").y, levels["accuracy"])
    panel.tabs.selected_index = len(panel.tabs.charts)
    assert panel.tabs.chart.frame().equals(levels)


def test_every_slider_of_the_curve_moves_chart_and_verdict(panel, table):
    view = CurveView(bins="quantile", n_bins=5, aggregate="pooled", interval="sd", shape="auto", medium=0.2, hard=0.9)
    panel.view.settings = view
    plain = curve(table, bins="quantile", n_bins=5, aggregate="pooled", interval="sd").levels
    low, high = plain["level"][0], plain["level"][-1]
    borders = (low + 0.2 * (high - low), low + 0.9 * (high - low))
    again = curve(table, bins="quantile", n_bins=5, aggregate="pooled", interval="sd", regions=borders)
    np.testing.assert_array_equal(drawn(panel, "difficulty", "level_entropy").y, again.levels["entropy"])
    regions = [shape for shape in panel.tabs.box("difficulty").figure.layout.shapes if shape.name.startswith("region")]
    assert [shape.x1 for shape in regions[:2]] == pytest.approx(borders)
    assert assess(again, shape="auto", se="hc3", trim=0.1).headline in panel.words.value
    assert panel.curve.reduction == again.reduction
    panel.view.undo.click()
    np.testing.assert_array_equal(drawn(panel, "difficulty", "level_entropy").y, curve(table).levels["entropy"])


def test_borders_in_the_wrong_order_are_said_and_the_last_valid_curve_stays(panel):
    before = panel.curve
    panel.view.controls["medium"].slider.value = 0.9
    assert "put them in order" in panel.words.value
    assert panel.curve.regions == before.regions
    panel.view.undo.click()
    assert "put them in order" not in panel.words.value


def test_another_entropy_is_drawn_and_named(table):
    table = table.with_columns(sampled_entropy=pl.col("entropy") / 2, think_entropy=pl.col("entropy") * 2)
    with with_panel(table) as panel:
        assert [name for _, name in panel.entropy.options] == ["entropy", "sampled_entropy", "think_entropy"]
        panel.entropy.value = "sampled_entropy"
        found = curve(table, entropy="sampled_entropy")
        np.testing.assert_array_equal(drawn(panel, "difficulty", "level_entropy").y, found.levels["entropy"])
        panel.tabs.bring("labels")
        assert panel.tabs.box("labels").figure.layout.xaxis.title.text.startswith("sampled entropy")
        assert panel.labels.means.equals(problem_means(table, entropy="sampled_entropy"))


# --- labels -------------------------------------------------------------------------------------------------------


def test_thresholds_start_at_the_suggestion(panel, table):
    found = suggest_thresholds(problem_means(table))
    now = panel.labels.thresholds
    assert (now.alpha, now.gamma) == (found.alpha, found.gamma)
    assert found.beta <= now.beta <= found.beta + 1e-4
    panel.labels.sliders.settings = Thresholds()
    panel.labels.suggest.click()
    assert panel.labels.thresholds == now


def test_thresholds_move_labels_counts_lines_and_scatter(panel, table):
    for thresholds in (Thresholds(0.4, 0.6, 0.4), Thresholds(0.9, 0.7, 0.2), Thresholds(0.2, 0.55, 0.8)):
        panel.labels.sliders.settings = thresholds
        expected = labels_of(table, thresholds)
        assert labels_shown(panel) == expected
        for name, problems in expected.items():
            assert f"<b>{len(problems)}</b> {name}" in panel.labels.words.value
        assert set(drawn(panel, "labels", "alpha").y) == {thresholds.alpha}
        assert set(drawn(panel, "labels", "beta").x) == {thresholds.beta}
        assert ("both rules hold" in panel.labels.words.value) == thresholds.overlap


def test_labels_do_not_depend_on_how_the_curve_is_made(panel, table):
    before = labels_shown(panel)
    panel.view.settings = CurveView(bins="quantile", aggregate="pooled", min_per_bin=20)
    assert labels_shown(panel) == before == labels_of(table, panel.labels.thresholds)


def test_a_burst_on_a_loop_is_drawn_once_with_its_last_value(table):
    async def burst():
        panel = DifficultyPanel(table)
        panel.tabs.bring("labels")
        await asyncio.sleep(0.01)
        drawn_ = []
        box = panel.tabs.box("labels")
        box.show, show = lambda: (drawn_.append(panel.labels.thresholds.beta), show())[1], box.show
        slider = panel.labels.sliders.controls["beta"].slider
        for step in range(20):
            slider.value = round(0.5 + step / 100, 2)
        assert drawn_ == []
        await asyncio.sleep(0.05)
        assert drawn_ == [0.69]
        assert labels_shown(panel) == labels_of(table, panel.labels.thresholds)
        slider.value = 0.6
        panel.close()  # what was asked for is forgotten
        await asyncio.sleep(0.01)
        assert 0.6 not in drawn_

    asyncio.run(burst())


@pytest.mark.parametrize("scale", [0.1, 1.0, 30.0])
def test_the_slider_of_beta_goes_over_the_entropies_there_are(table, scale):
    table = table.with_columns(pl.col("entropy") * scale)
    with with_panel(table) as panel:
        control, values = panel.labels.sliders.controls["beta"], panel.labels.means["entropy"]
        assert control.slider.min <= values.min()
        assert control.slider.max >= values.max()
        assert control.slider.max - control.slider.min <= 1.3 * (values.max() - values.min()) + 0.01
        steps = (control.slider.max - control.slider.min) / control.slider.step
        assert 20 <= steps <= 1300
        control.box.value = 100.0  # any number can still be typed
        assert panel.labels.thresholds.beta == 100
        panel.tabs.bring("labels")
        beta = role(panel.tabs.box("labels").figure, "beta")
        assert beta.text[1].endswith("→")
        assert beta.x[0] == panel.tabs.box("labels").figure.layout.xaxis.range[1]


def test_the_scatters_axes_stay_while_a_threshold_moves(panel):
    panel.tabs.bring("labels")
    axes = panel.tabs.box("labels").figure.layout
    before = (axes.xaxis.range, axes.yaxis.range)
    for beta in (0.01, 0.6, 5.0):
        panel.labels.sliders.settings = Thresholds(0.5, beta, 0.5)
        assert (axes.xaxis.range, axes.yaxis.range) == before


def test_each_tab_has_its_own_sliders_at_the_left(panel):
    seen = {}
    for stem in ("difficulty", "labels", "diffadapt"):
        panel.tabs.bring(stem)
        seen[stem] = [side.layout.display != "none" for side in panel.left.children]
        panel.tabs.selected_index = len(panel.tabs.charts)  # the table keeps those of its chart
        assert [side.layout.display != "none" for side in panel.left.children] == seen[stem]
    assert seen == {"difficulty": [True, False], "labels": [False, True], "diffadapt": [False, True]}


# --- what cannot be shown -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "words", "labelled"),
    [
        (lambda table: table.filter(pl.col("difficulty") == 3), "one difficulty level", True),
        (lambda table: table.drop("difficulty"), "Missing column(s): difficulty", True),
        (lambda table: table.rename({"entropy": "H"}), "Missing column(s): entropy", False),
        (lambda table: table.head(0), "", False),
    ],
)
def test_what_no_curve_can_be_made_of_is_said_with_the_remedy(table, change, words, labelled):
    with with_panel(change(table)) as panel:
        assert 'role="alert"' in panel.words.value
        assert words in panel.words.value
        assert panel.curve is None
        for place in range(4):
            panel.tabs.selected_index = place  # every tab still opens
        panel.tabs.bring("difficulty")
        assert panel._exportable() is None
        assert bool(any(labels_shown(panel).values())) == labelled


def test_without_grades_there_is_a_curve_and_no_labels(table):
    for ungraded in (table.drop("correct"), table.with_columns(correct=pl.lit(None, pl.Boolean))):
        with with_panel(ungraded) as panel:
            assert "U-shape supported" in panel.words.value
            assert drawn(panel, "difficulty", "level_accuracy").visible is False
            assert 'role="alert"' in panel.labels.words.value
            assert labels_shown(panel) == {"easy": [], "normal": [], "hard": []}
            panel.adapt.start()
            assert 'role="alert"' in panel.adapt.said.value


def test_what_is_neither_sweep_nor_frame_is_refused(tmp_path, table):
    with pytest.raises(SweepError):
        DifficultyPanel(tmp_path)
    with pytest.raises(ParameterError, match=r"wb\.sweeps\.run"):
        DifficultyPanel({"problem": []})
    with pytest.raises(ParameterError, match=r"wb\.difficulty\.strategies"):
        DifficultyPanel(table, strategies=3)


# --- problems and traces ------------------------------------------------------------------------------------------


def test_a_click_opens_the_problem_with_its_samples_and_trace(opened, sweep):
    point = drawn(opened, "difficulty", "problem")
    name = point.customdata[5]
    opened._open(name)
    rows = opened.rows.frame.filter(problem=name).sort("sample")
    traces = opened.traces
    assert f"<b>{name}</b>" in traces.about.value
    assert rows["prompt"][0][:30] in unescape(traces.about.value)
    marks = {True: "✓", False: "✗"}
    assert [text for text, _ in traces.samples.options] == [
        f"{marks[right]} sample {sample}" for sample, right in rows.select("sample", "correct").iter_rows()
    ]
    for sample in (0, 1):
        traces.samples.value = sample
        expected = sweep.trace(name, sample=sample)
        assert opened.session.trace.text == expected.text
        assert len(traces.strip) == len(expected)
        assert f"{rows['tokens'][sample]} tokens" in traces.verdict.value
        said = rows["extracted"][sample]
        assert ("no answer extracted" if said is None else said) in unescape(traces.verdict.value)
    ring = drawn(opened, "difficulty", "cursor_point")
    place = list(point.customdata).index(name)
    assert (ring.x[0], ring.y[0]) == (point.x[place], point.y[place])
    opened.session.cursor = 3
    assert traces.strip.cursor == 3
    traces.strip.cursor = 4
    assert opened.session.cursor == 4


def test_the_folder_of_a_sweep_and_its_results_show_the_same(opened, sweep):
    with with_panel(sweep.folder) as one, with_panel(sweep.results) as other:
        for panel in (one, other):
            panel.view.settings = CurveView(min_per_bin=1)
            assert panel.curve.levels.equals(opened.curve.levels)
        name = other.labels.means["problem"][0]
        other._open(name)  # no traces here: the numbers alone
        assert f"<b>{name}</b>" in other.traces.about.value
        assert len(other.traces.samples.options) == 2
        assert other.session.trace is None


def test_menus_choose_model_and_sampler_and_the_open_problem_follows(table):
    arms = [table.with_columns(sampler=pl.lit(name), entropy=pl.col("entropy") * k) for name, k in (("a", 1), ("b", 2))]
    arms[1] = arms[1].with_columns(correct=pl.lit(value=True))
    with with_panel(pl.concat(arms)) as panel:
        panel._open("p75")  # of the hardest
        assert "✗" in {text[0] for text, _ in panel.traces.samples.options}
        menu = next(menu for menu in panel.rows.menus if menu.layout.display != "none")
        menu.value = "b"
        np.testing.assert_array_equal(drawn(panel, "difficulty", "level_entropy").y, curve(arms[1]).levels["entropy"])
        assert {text[0] for text, _ in panel.traces.samples.options} == {"✓"}


def test_names_and_prompts_are_never_markup(table):
    table = table.with_columns(
        problem=pl.lit(HOSTILE) + pl.col("problem"), prompt=pl.lit(HOSTILE), answer=pl.lit(HOSTILE)
    )
    with with_panel(table.with_columns(extracted=pl.lit(HOSTILE))) as panel:
        panel._open(f"{HOSTILE}p3")
        for part in (panel.traces.about, panel.traces.verdict, panel.words, panel.labels.words):
            assert "<img" not in part.value
        assert HOSTILE in unescape(panel.traces.about.value)


# --- DiffAdapt ----------------------------------------------------------------------------------------------------


def test_the_probe_is_trained_on_the_labels_as_they_are(opened):
    opened.tabs.bring("diffadapt")
    assert "nothing to compare yet" in opened.tabs.box("diffadapt").figure.layout.annotations[0].text
    opened.adapt.train.click()
    opened.adapt.wait()
    found = opened.adapt.outcome.adaptation
    assert found.labels.thresholds == opened.labels.thresholds
    assert found.labels.of_problem == opened.labels.labels.of_problem
    assert found.probe.evaluation.verdict in unescape(opened.adapt.words.value).replace("−", "-")
    assert opened.adapt.held_out == list(found.held_out)
    assert "wb.difficulty.strategies(24)" in opened.adapt.words.value  # how to go on
    assert opened.adapt.frame().equals(found.to_frame())
    assert not opened.adapt.train.disabled
    assert opened.adapt.stop.disabled


def test_labels_that_changed_since_the_training_are_said(opened):
    opened.adapt.start()
    opened.adapt.wait()
    before = opened.labels.thresholds
    assert "have changed since" not in opened.adapt.said.value
    opened.labels.sliders.settings = Thresholds(alpha=0.0, beta=before.beta / 2, gamma=1.0)
    assert "have changed since" in opened.adapt.said.value
    assert f"{before.beta:.4g} nats" in opened.adapt.said.value  # what it was trained with
    opened.labels.sliders.settings = before
    assert "have changed since" not in opened.adapt.said.value
    opened.entropy.value = "sampled_entropy"
    assert "have changed since" in opened.adapt.said.value


def test_strategies_are_compared_on_held_out_problems_alone(sweep, opened, tmp_path):
    opened.adapt.start()
    opened.adapt.wait()
    held_out = opened.adapt.held_out
    rows = sweep.problems.filter(pl.col("problem").is_in(held_out[:-1]))  # one was not run
    other = sweep.problems.filter(~pl.col("problem").is_in(held_out)).head(2)  # two were trained on
    problems = wb.problems.Problems("some", pl.concat([rows, other]), "numeric")
    arms = wb.difficulty.strategies(16)
    run = wb.sweeps.run("demo-small", problems, samples=2, sampler=arms, out=tmp_path / "arms", progress=False)
    for given in (run, tmp_path / "arms", run.results):
        with with_panel(sweep, strategies=given, model=wb.load("demo-small")) as panel:
            panel.labels.sliders.settings = opened.labels.thresholds
            panel.tabs.bring("diffadapt")
            panel.adapt.start()
            panel.adapt.wait()
            made = panel.adapt.outcome
            results = run.to_frame().filter(pl.col("problem").is_in(held_out))
            choices, labels = (
                {name: arm for name, arm in chosen.items() if name != held_out[-1]}
                for chosen in (made.adaptation.choices, made.adaptation.label_choices)
            )
            again = compare(results, choices, labels=labels)
            assert made.comparison.to_frame().equals(again.to_frame())
            assert panel.adapt.frame().equals(again.to_frame())
            fixed = role(panel.tabs.box("diffadapt").figure, "fixed")
            assert sorted(fixed.text) == ["easy", "hard", "normal"]
            assert again.verdict.split(".")[0] in unescape(panel.adapt.words.value).replace("−", "-")
            assert "1 more were held out" in panel.adapt.words.value
            about = json.loads(json.dumps(panel._exportable().settings))
            assert about["diffadapt"]["comparison"] == again.verdict
            assert "Against always normal" in panel._exportable().figure.layout.xaxis.title.text


def test_strategies_of_other_problems_are_said_and_the_probe_is_judged_all_the_same(sweep, opened, table):
    strangers = table.with_columns(sampler=pl.lit("normal"))
    for given, words in ((strangers, "none of the problems"), (table.drop("tokens"), "no column sampler, tokens")):
        with with_panel(sweep, strategies=given) as panel:
            panel.labels.sliders.settings = opened.labels.thresholds
            panel.adapt.start()
            panel.adapt.wait()
            assert words in panel.adapt.words.value
            assert "held-out labels right" in panel.adapt.words.value
            assert panel.adapt.outcome.comparison is None


def test_what_a_probe_needs_is_said(table, opened):
    with with_panel(table) as panel:
        panel.adapt.start()
        assert "add a column prompt" in panel.adapt.said.value
    with with_panel(table.with_columns(prompt=pl.lit("1 + 1 = ?"))) as panel:
        panel.adapt.start()
        panel.adapt.wait()
        assert "DifficultyPanel(…, model=…)" in panel.adapt.said.value
        assert not panel.adapt.train.disabled
    opened.labels.sliders.settings = Thresholds(alpha=0.0, beta=100.0, gamma=0.0)  # all problems normal
    opened.adapt.start()
    opened.adapt.wait()
    assert 'role="alert"' in opened.adapt.said.value or "never shown" in opened.adapt.words.value


def test_a_training_can_be_stopped(opened):
    async def stopped():
        opened.adapt.start()
        assert opened.adapt.train.disabled
        opened.adapt.stop.click()
        assert "stopping" in opened.adapt.said.value
        while opened.adapt.train.disabled:
            await asyncio.sleep(0.02)
        assert "Stopped" in opened.adapt.said.value
        assert opened.adapt.outcome is None

    asyncio.run(stopped())


# --- theme, export, session ---------------------------------------------------------------------------------------


def test_the_theme_recolours_the_chart_in_sight_and_others_when_opened(panel):
    backs = {}
    for dark in (False, True):
        panel.theme.dark = dark
        for stem in ("difficulty", "labels", "diffadapt"):
            panel.tabs.bring(stem)
            figure = panel.tabs.box(stem).figure
            backs.setdefault(stem, []).append(figure.layout.template.layout.paper_bgcolor)
    assert all(len(set(pair)) == 2 for pair in backs.values())


def test_exports_hold_the_chart_with_its_verdict_the_numbers_and_every_setting(panel, table, tmp_path):
    panel.export_bar.folder = tmp_path
    current = panel._exportable()
    assert current.figure.layout.title.text == "<b>U-shape supported</b>"
    assert not panel.tabs.box("difficulty").figure.layout.title.text  # the panel says it above
    for format_ in ("JSON", "CSV", "HTML"):
        panel.export_bar.export(format_)
        panel.export_bar.wait()
    saved = json.loads((tmp_path / "difficulty.json").read_text())
    assert saved["curve"] == CurveView().to_dict()
    assert saved["thresholds"] == panel.labels.thresholds.to_dict()
    assert saved["verdict"] == str(assess(curve(table)))
    assert "U-shape supported" in (tmp_path / "difficulty.html").read_text()
    panel.tabs.bring("labels")
    assert panel._exportable().data["label"].to_list() == panel.labels.labels.label.tolist()


def test_the_session_is_shared_and_let_go(sweep):
    session = Session()
    with with_panel(sweep, session=session) as panel:
        panel._open(panel.labels.means["problem"][1])
        assert session.trace is panel.traces.trace
        strip = panel.traces.strip
    session.cursor = 2
    assert strip.cursor == -1
    panel.close()  # once more does no harm
