"""The phase panel without a browser: words, readout and charts say what `wb.phases` says, at every slider."""

import asyncio
import json

import numpy as np
import polars as pl
import pytest

import workbench as wb
from tests.widgets.figures.figure_cases import role
from widgets import PhasePanel, Session
from widgets.panels.phase_settings import EatView, PhaseView
from widgets.panels.phase_words import readout
from workbench.errors import ParameterError, SweepError

CLOSING = r"</think>\n\n"


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sweeps") / "small"
    problems = wb.problems.load("arithmetic").limit(6)
    return wb.sweeps.run(
        "demo", problems, samples=2, out=folder, seed=3, max_new_tokens=200, progress=False,
        sampler={"default": None, "hot": wb.Sampler(temperature=1.2)},
    )  # fmt: skip


@pytest.fixture(scope="module")
def model():
    return wb.load("demo")


@pytest.fixture
def panel(sweep):
    made = PhasePanel(sweep=sweep)
    yield made
    made.close()


def chosen(panel):
    return panel.rows.frame.filter(pl.col("correct").is_not_null())


def shows(panel, view):
    """Assert that sliders, readout, words and the chart of rewards say what the library says."""
    assert panel.view.settings == view
    found = wb.phases.phase_entropy(panel.session.trace, kind=view.kind, boundary=view.boundary)
    assert panel.entropy == found
    options = {"alpha": view.alpha, "s": view.s, "format_reward": view.format_reward}
    correct = panel.row["correct"]
    reward = wb.phases.pear_reward(found.think, found.answer, correct, **options)
    prefix = "sampled_" if view.kind == "sampled" else ""
    names = [f"{prefix}think_entropy", f"{prefix}answer_entropy"]
    table = chosen(panel)
    over = wb.phases.pear_rewards(*(table[name].fill_null(0).to_numpy() for name in names), table["correct"], **options)
    for number in (found.think, found.answer, reward, over.reward.mean(), over.penalty.mean()):
        assert f"<td>{number:.4f}</td>".replace("-", "−") in panel.readout.value
    assert f"{view.kind} entropy, nats" in panel.readout.value
    chart = panel.tabs.charts[-2].draw()
    assert list(role(chart, "reward_alpha").x) == [view.alpha] * 2
    assert role(chart, "reward_now").y[0] == pytest.approx(over.reward.mean(), abs=2e-3)
    assert view.kind in chart.layout.xaxis.title.text
    return reward


# --- sliders ----------------------------------------------------------------------------------------------------------


def test_readout_words_and_charts_follow_every_slider(panel):
    shows(panel, PhaseView())
    alpha = panel.view.controls["alpha"].slider
    for position in (2.0, 0.5, -0.75):
        alpha.value = position
    shows(panel, PhaseView(alpha=-0.75))
    panel.view.controls["kind"].dropdown.value = "sampled"
    shows(panel, PhaseView(alpha=-0.75, kind="sampled"))
    panel.view.controls["s"].slider.value = 0.5
    shows(panel, PhaseView(alpha=-0.75, kind="sampled", s=0.5))
    panel.view.undo.click()
    panel.view.undo.click()
    shows(panel, PhaseView(alpha=-0.75))
    panel.view.presets["Defaults"].click()
    shows(panel, PhaseView())


def test_on_a_loop_a_burst_is_worked_out_once_with_its_last_value(sweep):
    async def burst():
        panel = PhasePanel(sweep=sweep)
        panel.tabs.bring("reward")
        said = []
        panel.words.observe(lambda _: said.append("words"), "value")
        panel.readout.observe(lambda change: said.append(change["new"]), "value")
        for step in range(20):
            panel.view.controls["alpha"].slider.value = -1 + step / 10
        assert said == []
        await asyncio.sleep(0.01)
        assert len(said) == 1
        shows(panel, PhaseView(alpha=0.9))
        assert list(role(panel.tabs.box("reward").figure, "reward_alpha").x) == [0.9, 0.9]
        panel.close()

    asyncio.run(burst())


@pytest.mark.parametrize("stem", ["phases", "think-answer", "length"])
def test_a_chart_that_does_not_depend_on_alpha_is_left_alone(panel, stem, monkeypatch):
    panel.tabs.bring(stem)
    panel.over.wait()
    drawn = []
    monkeypatch.setattr(panel.tabs, "refresh", lambda: drawn.append(stem))
    panel.view.settings = PhaseView(alpha=0.3)
    assert drawn == []
    panel.view.settings = PhaseView(alpha=0.3, kind="sampled")
    assert drawn == [stem]


def test_a_setting_that_cannot_be_is_said_and_the_last_stays(panel):
    before = panel.readout.value
    panel.view.controls["s"].box.value = 3.0
    assert "out of range" in panel.words.value
    assert "Shown are the settings before." in panel.words.value
    assert panel.readout.value == before
    panel.view.undo.click()
    assert "out of range" not in panel.words.value


# --- charts -----------------------------------------------------------------------------------------------------------


def test_the_trace_is_drawn_by_phase_with_its_means_and_the_rule(panel):
    panel.tabs.bring("phases")
    figure, found = panel.tabs.box("phases").figure, panel.entropy
    assert set(role(figure, "phase_mean:think").y) == {found.think}
    assert set(role(figure, "phase_mean:answer").y) == {found.answer}
    rule = np.unique(role(figure, "phase_boundary").x[:2])
    marker = panel.session.trace.tokens.filter(phase="marker")["position"].max()
    assert rule.tolist() == [marker]
    assert np.isfinite(role(figure, "phase_line:think").y).sum() == found.n_think


def test_length_says_its_correlation_once_it_is_found(panel):
    panel.tabs.bring("length")
    assert panel.over.wait()
    table = panel.rows.frame
    found = wb.phases.length_correlation(
        table["tokens"], table["entropy"], difficulty=table["difficulty"], problem=table["problem"]
    )
    caption = panel.tabs.box("length").figure.layout.xaxis.title.text
    for one in found:
        assert one.describe() in caption
    asked = panel.over.correlation(panel.view.settings)
    panel.view.settings = PhaseView(alpha=0)
    assert panel.over.correlation(panel.view.settings) is asked


def test_a_click_opens_the_sequence_and_rings_it(panel):
    panel.tabs.bring("think-answer")
    figure = panel.tabs.box("think-answer").figure
    points = next(one for one in figure.data if str(one.meta).startswith("phase_points:") and len(one.x))
    row = int(points.customdata[-1])
    panel.tabs.chart.clicked(points.customdata[-1])
    wanted = panel.rows.frame.row(row, named=True)
    assert panel.session.trace.meta["problem"] == wanted["problem"]
    assert panel.session.trace.meta["sample"] == wanted["sample"]
    assert len(panel.strip) == len(panel.session.trace) == wanted["tokens"]
    assert f"<b>{wanted['problem']}</b>, sample {wanted['sample']}" in panel.words.value
    ring = role(panel.tabs.box("think-answer").figure, "phase_chosen")
    assert list(ring.y) == pytest.approx([wanted["think_entropy"], wanted["answer_entropy"]])
    shows(panel, PhaseView())


def test_another_sampler_is_another_set_of_points(panel):
    panel.tabs.bring("think-answer")
    first, table = panel.readout.value, chosen(panel)
    panel.rows.menus[1].value = "hot"
    assert panel.rows.frame["sampler"].unique().to_list() == ["hot"]
    assert not chosen(panel).equals(table)
    assert panel.readout.value != first
    assert len(role(panel.tabs.box("think-answer").figure, "phase_chosen").x) == 0  # the open trace is not among them
    panel.tabs.selected_index = len(panel.tabs.charts)
    assert "hot" in panel.tabs.children[-1]._html.value


def test_colours_follow_the_theme(panel):
    for stem in ("think-answer", "phases"):
        panel.tabs.bring(stem)
    light = panel.tabs.box("phases").figure.layout.template.layout.paper_bgcolor
    panel.theme.dark = True
    assert panel.tabs.box("phases").figure.layout.template.layout.paper_bgcolor != light
    panel.tabs.bring("think-answer")
    assert panel.tabs.box("think-answer").figure.layout.template.layout.paper_bgcolor != light


# --- cursor -----------------------------------------------------------------------------------------------------------


def test_the_cursor_is_shared_and_drawn(sweep):
    session = Session()
    panel = PhasePanel(sweep=sweep, session=session)
    panel.strip.cursor = 5
    assert session.cursor == 5
    session.hover = 7
    assert panel.strip.hover == 7
    assert list(role(panel.tabs.box("phases").figure, "cursor").x) == [7, 7]
    panel.close()
    session.cursor = 2
    assert panel.strip.cursor == 5


def test_pointing_into_the_chart_moves_the_cursor_and_a_zoom_reduces_a_long_trace_anew(model):
    rng = np.random.default_rng(0)
    long = wb.Trace.from_logits(rng.normal(size=(4001, 12)).astype(np.float32), rng.integers(12, size=4001))
    panel = PhasePanel(long)
    figure = panel.tabs.box("phases").figure
    pointer = role(figure, "tokens")
    assert len(pointer.x) < 4001
    panel.chart._pointed(type("Points", (), {"xs": [12.2]})(), "cursor")  # as plotly calls it
    assert panel.session.cursor == panel.strip.cursor == 12
    figure.layout.xaxis.range = (100, 400)
    assert panel.chart.visible == (100, 400)
    assert {int(x) for x in role(figure, "tokens").x} >= set(range(100, 401))
    figure.layout.xaxis.range = (-1, 4001)
    assert panel.chart.visible is None
    panel.close()


# --- flags ------------------------------------------------------------------------------------------------------------


def traced(phases, entropy=0.5):
    logits = np.zeros((len(phases), 4), dtype=np.float32)
    trace = wb.Trace.from_logits(logits, np.zeros(len(phases), dtype=np.int64))
    tokens = trace.tokens.with_columns(phase=pl.Series(phases, dtype=pl.String), entropy=pl.lit(entropy))
    return wb.Trace(tokens, meta={"model": "made"})


@pytest.mark.parametrize(
    ("phases", "said"),
    [
        (["answer"] * 4, "no think marker"),
        (["marker", "think", "think"], "thinking unfinished"),
        (["marker", "think", "marker"], "empty answer"),
        (["marker", "think", "marker", "think", "marker", "answer"], "closing markers"),
    ],
)
def test_what_is_odd_about_a_trace_is_said(phases, said):
    panel = PhasePanel(traced(phases))
    assert said in panel.words.value
    assert "takes it as correct" in panel.words.value
    panel.close()


def test_correct_yet_negative_is_flagged_for_the_trace_and_counted_over_the_sweep(sweep):
    # ten times the entropy, so that a negative alpha costs more than the answer earns
    frame = sweep.to_frame().filter(sampler="default").with_columns(
        pl.col("think_entropy", "answer_entropy") * 10, correct=pl.lit(value=True)
    )  # fmt: skip
    panel = PhasePanel(traced(["marker", "think", "marker", "answer"]), sweep=frame)
    assert "correct with a negative reward" in panel.words.value
    think, answer = (frame[name].fill_null(0).to_numpy() for name in ("think_entropy", "answer_entropy"))
    negative = int((1 - np.maximum(think - answer, 0) < 0).sum())
    assert f"{negative} correct with a negative reward" in panel.words.value
    panel.row = {"problem": "made", "sample": 0, "correct": True}
    panel.view.settings = PhaseView(alpha=-3)
    assert "correct, yet its reward is negative" in panel.words.value
    panel.close()


def test_token_text_and_names_are_escaped(sweep):
    frame = sweep.to_frame().head(2).with_columns(problem=pl.lit("<img src=x onerror=alert(1)>"))
    panel = PhasePanel(traced(["marker", "think", "marker", "answer"]), sweep=frame)
    panel.row = frame.row(0, named=True)
    panel._recompute()
    assert "<img" not in panel.words.value + panel.readout.value
    panel.close()


# --- EAT --------------------------------------------------------------------------------------------------------------


def test_eat_follows_its_sliders_with_accuracy_and_tokens_saved(panel, sweep, model):
    panel.tabs.bring("eat")
    assert panel.own.layout.display == "none"
    assert panel.eat.box.layout.display == ""
    panel.eat.closing.value = CLOSING
    panel.eat.measure(3)
    assert panel.eat.wait()
    runs = panel.eat.runs
    assert len(runs) == 3
    first = runs[0]
    problem, sample = first.name.split(", sample ")
    row = sweep.to_frame().filter(problem=problem, sample=int(sample), sampler="default").row(0, named=True)
    again = wb.phases.eat(
        model, sweep.trace(problem, int(sample), sampler="default"),
        lambda text: sweep.task.problems.grade(text, row["answer"]), closing="</think>\n\n",
    )  # fmt: skip
    np.testing.assert_allclose(first.entropy, again.entropy, atol=1e-5)
    assert first.correct.tolist() == again.correct.tolist()
    for view in (EatView(), EatView(min_distance=1, delta=1.0), EatView(min_distance=2, delta=1e-4)):
        panel.eat.sliders.settings = view
        stop = panel.eat.shown.stop(**view.arguments())
        outcome = wb.phases.eat_outcome(runs, **view.arguments())
        assert f"<td>{outcome.stopped} of 3</td>" in panel.eat.said.value
        assert f"{outcome.accuracy:.0%} against {outcome.full_accuracy:.0%} in full" in panel.eat.said.value
        assert f"<td>{outcome.tokens_saved:.0%}</td>".replace("-", "−") in panel.eat.said.value
        rule = role(panel.tabs.box("eat").figure, "eat_stop:entropy")
        assert bool(len(rule.x)) == stop.stopped
        if stop.stopped:
            assert set(rule.x) == {panel.eat.shown.kept[stop.index] - panel.eat.shown.start}
    panel.eat.run.index = 1
    assert panel.eat.shown is runs[1]
    panel.tabs.bring("reward")
    assert panel.eat.box.layout.display == "none"


def test_eat_shows_runs_measured_before_and_says_when_none_can_be(sweep, model):
    trace = sweep.trace(sweep.problems["problem"][0], sampler="default")
    run = wb.phases.eat(model, trace)
    panel = PhasePanel(trace, runs=run.to_frame())
    assert len(panel.eat.runs) == 1
    panel.eat.measure(0)
    assert panel.eat.wait()
    assert "There is no model to read with" in panel.eat.status.value
    assert not panel.eat.one.disabled
    panel.close()
    panel = PhasePanel(traced(["answer"] * 3), model=model)
    panel.eat.measure(0)
    assert panel.eat.wait()
    assert 'role="alert"' in panel.eat.status.value
    panel.eat.measure(2)
    assert panel.eat.wait()
    assert "There is no sweep" in panel.eat.status.value
    panel.close()


def test_eat_measures_in_the_background_and_stops(sweep):
    async def measured():
        panel = PhasePanel(sweep=sweep)
        panel.eat.measure(1000)
        assert panel.eat.one.disabled
        assert not panel.eat.stop.disabled
        panel.eat.stop.click()
        while panel.eat.one.disabled:
            await asyncio.sleep(0.02)
        assert len(panel.eat.runs) < len(panel.rows.frame)
        assert panel.eat.stop.disabled
        panel.close()

    asyncio.run(asyncio.wait_for(measured(), 60))


def test_a_closing_in_any_script_arrives_as_it_was_typed(panel):
    panel.eat.closing.value = r"思考</think>\nОтвет: "
    panel.eat.measure(0)
    assert panel.eat.wait()
    assert panel.eat.shown.closing == "思考</think>\nОтвет: "


# --- input and export -------------------------------------------------------------------------------------------------


def test_without_a_sweep_the_panel_is_about_the_trace(sweep):
    trace = sweep.trace(sweep.problems["problem"][0], sampler="default")
    panel = PhasePanel(trace)
    assert [chart.stem for chart in panel.tabs.charts] == ["phases", "reward", "eat"]
    assert "sweep" not in panel.readout.value
    panel.tabs.bring("reward")
    found = wb.phases.phase_entropy(trace)
    reward = role(panel.tabs.box("reward").figure, "reward_now").y[0]
    assert reward == pytest.approx(wb.phases.pear_reward(found.think, found.answer, correct=True), abs=2e-3)
    panel.close()
    empty = PhasePanel()
    assert "Record or open a trace" in empty.words.value
    assert empty._exportable() is None
    empty.close()


def test_a_frame_of_somebody_elses_is_shown_without_traces(sweep):
    frame = sweep.to_frame().select("problem", "sample", "tokens", "entropy", "think_entropy", "answer_entropy")
    panel = PhasePanel(sweep=frame.with_columns(pl.lit(float("nan")).alias("difficulty")))
    assert "click a point" not in panel.words.value
    for stem in ("think-answer", "length", "reward"):
        panel.tabs.bring(stem)
        panel.over.wait()
    panel._open(0)
    assert panel.session.trace is None
    panel.close()


def test_bad_input_has_its_own_error(sweep, tmp_path):
    with pytest.raises(ParameterError, match="shows a Trace"):
        PhasePanel("trace.parquet")
    with pytest.raises(SweepError):
        PhasePanel(sweep=tmp_path)
    with pytest.raises(ParameterError, match="polars frame"):
        PhasePanel(sweep=3)
    frame = sweep.to_frame()
    with pytest.raises(ParameterError, match=r"'correct' holds String.*cast"):
        PhasePanel(sweep=frame.with_columns(correct=pl.lit("yes")))
    with pytest.raises(ParameterError, match=r"'think_entropy' holds String"):
        PhasePanel(sweep=frame.with_columns(think_entropy=pl.lit("0.1")))
    with pytest.raises(ParameterError, match="EatRun"):
        PhasePanel(sweep=sweep, runs=[1])


def test_exports_hold_the_chart_the_numbers_and_the_settings(panel, tmp_path):
    panel.export_bar.folder = tmp_path
    panel.view.settings = PhaseView(alpha=0.25, kind="sampled")
    panel.tabs.bring("think-answer")
    for format_ in ("CSV", "Parquet", "JSON", "HTML"):
        panel.export_bar.export(format_)
        assert panel.export_bar._job.wait(60)
    table = pl.read_parquet(tmp_path / "think-answer.parquet")
    assert table["answer_entropy"].to_list() == panel.rows.frame["answer_entropy"].to_list()
    saved = json.loads((tmp_path / "think-answer.json").read_text())
    assert saved["phases"] == PhaseView(alpha=0.25, kind="sampled").to_dict()
    assert saved["sweep"]["seed"] == 3
    assert saved["sweep"]["chosen"]["sampler"] == "default"
    assert (tmp_path / "think-answer.html").stat().st_size > 1000
    assert (tmp_path / "think-answer.csv").read_text().count("problem")


def test_the_readout_knows_no_number_where_there_is_none():
    empty = wb.phases.phase_entropy(traced(["marker", "think", "marker"]))
    table = readout(empty, PhaseView(), None, None)
    assert "<td>no token</td>" in table
    assert "sweep" not in table
    assert "nan" not in readout(None, PhaseView(), None, {name: float("nan") for name in _MEANS})


_MEANS = ("think", "answer", "penalty", "reward", "none")


def test_a_tab_is_drawn_once_when_it_is_opened_and_is_current_after_a_change_elsewhere(panel, monkeypatch):
    built = []
    curve = panel.over.curve
    monkeypatch.setattr(panel.over, "curve", lambda view: (built.append(1), curve(view))[1])
    panel.tabs.bring("reward")
    assert len(built) == 1
    panel.tabs.bring("phases")
    panel.view.settings = PhaseView(alpha=2.5)
    panel.tabs.bring("reward")
    assert len(built) == 2
    assert list(role(panel.tabs.box("reward").figure, "reward_alpha").x) == [2.5, 2.5]
