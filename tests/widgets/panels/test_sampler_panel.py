"""The sampler panel without a browser: it shows the replay of what its sliders say, whatever happened before."""

import asyncio
import gc
import json
import threading
import weakref
from dataclasses import dataclass

import numpy as np
import polars as pl
import pytest

import workbench as wb
from tests.widgets.figures.figure_cases import answer, role
from widgets import SamplerPanel, Session, TracePanel
from widgets.controls.export_bar import _sized
from widgets.panels.sampler_presets import PRESETS
from workbench.errors import ParameterError
from workbench.kernels.rules import tempers
from workbench.samplers import STEPS, Mirostat, Sampler, Temperature, TopK, TopP
from workbench.samplers.step import Step

QUESTION = "Tom has 3 apples and buys 4 more. How many apples?"
CHART, SUMMARY, TABLE = range(3)
START = Sampler.chain([Temperature(0.8), TopP(0.9)])


@pytest.fixture(scope="module")
def model():
    return wb.load("demo-small")


@pytest.fixture(scope="module")
def trace(model):
    return wb.record(model, QUESTION, sampler=Sampler(temperature=1.3), seed=1, max_new_tokens=60)


@pytest.fixture
def panel(trace):
    made = SamplerPanel(trace, sampler=START)
    yield made
    made.close()


def slider(panel, place, name):
    return panel.chain.cards[place].controls[name].slider


def shows(panel, sampler, trace=None):
    """Assert that everything in sight is what this sampler does."""
    found = wb.replay(trace or panel.session.trace, sampler)
    fig = panel.along.chart.figure
    np.testing.assert_allclose(role(fig, "sampler_a").y, found["entropy"])
    np.testing.assert_allclose(role(fig, "kept_a").y, found["kept"])
    assert list(panel.strip.marked) == found.dropped.tolist()
    frame = found.distribution(panel._scene().focus, 20)
    kept = frame["kept"].to_numpy()
    np.testing.assert_allclose(role(panel.top.chart.figure, "top_sampled").x, frame["sampled"].to_numpy()[kept])
    assert f"<b>{found.summary['mean_support']:.1f}</b>" in panel.toolbar.headline.value


def test_it_works_alone_and_shows_the_replay(panel, trace):
    assert panel.sampler == START
    assert len(panel.strip) == len(trace)
    assert panel.sample_bar.layout.display == "none"  # no model, nothing to draw with
    shows(panel, START)
    np.testing.assert_allclose(role(panel.along.chart.figure, "raw").y, trace.tokens["entropy"])


def test_it_begins_with_how_the_trace_was_drawn_then_with_the_models_own_settings(trace, model):
    panel = SamplerPanel(trace)
    assert panel.sampler == Sampler(temperature=1.3)
    panel.close()
    panel = SamplerPanel(model=model)
    assert panel.sampler == Sampler.from_generation_config(model.hf.generation_config)
    panel.close()
    for meta in (
        {"sampler": {"steps": [3]}},
        {"sampler": {"steps": [{"step": "unheard of"}]}},
        {"sampler": {"top_k": "many"}},
        {"sampler": "hot"},
    ):
        panel = SamplerPanel(wb.Trace(trace.tokens, meta=meta))
        assert panel.sampler == Sampler()
        panel.close()


def test_every_slider_moves_everything_and_the_last_position_wins(panel):
    for position in (0.85, 1.5, 0.3, 0.65):
        slider(panel, 0, "temperature").value = position
    shows(panel, Sampler.chain([Temperature(0.65), TopP(0.9)]))
    slider(panel, 1, "p").value = 0.5
    shows(panel, Sampler.chain([Temperature(0.65), TopP(0.5)]))
    panel.chain.append(TopK(7))
    slider(panel, 2, "k").value = 3
    shows(panel, Sampler.chain([Temperature(0.65), TopP(0.5), TopK(3)]))
    assert panel.session.sampler == panel.sampler


def test_on_a_loop_a_burst_is_replayed_once_with_its_last_value(trace):
    async def burst():
        panel = SamplerPanel(trace, sampler=START)
        replayed = []
        move = panel.replays.move
        panel.replays.move = lambda sampler: (replayed.append(sampler), move(sampler))
        for step in range(20):
            slider(panel, 1, "p").value = 0.5 + step / 50
        assert replayed == []
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        last = Sampler.chain([Temperature(0.8), TopP(0.88)])
        assert replayed == [last]
        with pytest.raises(AssertionError, match="Not equal to tolerance"):
            shows(panel, last)  # the bars still wait
        answer(panel.along.chart.figure)  # it is drawn: they follow
        shows(panel, last)
        slider(panel, 1, "p").value = 0.3
        panel.close()  # what was asked for is forgotten
        await asyncio.sleep(0.01)
        assert len(replayed) == 1

    asyncio.run(burst())


def test_without_an_answer_of_the_browser_the_rest_follows_all_the_same(trace):
    async def moved():
        panel = SamplerPanel(trace, sampler=START)
        slider(panel, 1, "p").value = 0.6
        await asyncio.sleep(0.7)
        shows(panel, Sampler.chain([Temperature(0.8), TopP(0.6)]))
        panel.close()

    asyncio.run(moved())


def test_with_or_without(panel):
    panel.toolbar.active.value = False
    shows(panel, Sampler())
    assert panel.sampler == panel.session.sampler == START
    panel.toolbar.active.value = True
    shows(panel, START)


def test_steps_off_in_another_order_and_gone(panel):
    first, second = panel.chain.cards
    first.switch.value = False
    shows(panel, Sampler.chain([TopP(0.9)]))
    first.switch.value = True
    second.up.click()
    shows(panel, Sampler.chain([TopP(0.9), Temperature(0.8)]))
    first.remove.click()
    shows(panel, Sampler.chain([TopP(0.9)]))
    second.remove.click()
    shows(panel, Sampler())


@pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: preset.name)
def test_presets(panel, preset):
    panel.toolbar.presets[preset.name].click()
    assert panel.sampler == preset.sampler
    shows(panel, preset.sampler)
    assert preset.source in panel.toolbar.presets[preset.name].tooltip


def test_undo_and_redo(panel):
    assert panel.toolbar.undo.disabled
    for position in (0.85, 0.95, 1.0):
        slider(panel, 0, "temperature").value = position
    panel.toolbar.presets["greedy"].click()
    panel.chain.cards[0].switch.value = False
    panel.toolbar.undo.click()
    shows(panel, Sampler(temperature=0))
    panel.toolbar.undo.click()
    shows(panel, Sampler.chain([Temperature(1.0), TopP(0.9)]))
    panel.toolbar.undo.click()  # a whole drag
    shows(panel, START)
    assert panel.toolbar.undo.disabled
    panel.toolbar.redo.click()
    panel.toolbar.redo.click()
    assert panel.session.sampler == panel.sampler == Sampler(temperature=0)


def test_b_is_a_frozen_copy_beside_a(panel, trace):
    assert panel.toolbar.swap.disabled
    panel.toolbar.keep.click()
    slider(panel, 0, "temperature").value = 1.5
    a, b = Sampler.chain([Temperature(1.5), TopP(0.9)]), START
    fig = panel.along.chart.figure

    def both(a, b):
        shows(panel, a)
        np.testing.assert_allclose(role(fig, "sampler_b").y, wb.replay(trace, b)["entropy"])
        np.testing.assert_allclose(role(fig, "kept_b").y, wb.replay(trace, b)["kept"])
        panel.along.selected_index = SUMMARY
        assert panel.along.summary.value.count('<th scope="col"') == 4
        panel.along.selected_index = CHART

    both(a, b)
    panel.toolbar.swap.click()
    assert (panel.sampler, panel.b) == (b, a)
    both(b, a)
    panel.toolbar.unit.value = "bits"
    np.testing.assert_allclose(role(fig, "sampler_b").y, wb.replay(trace, a)["entropy"] / np.log(2))
    panel.toolbar.forget.click()
    assert panel.b is None
    assert role(fig, "sampler_b").visible is False
    assert panel.toolbar.forget.disabled


def test_the_summary_says_what_the_replays_say(panel, trace):
    panel.toolbar.presets["greedy"].click()
    panel.along.selected_index = SUMMARY
    text = panel.along.summary.value
    found = wb.replay(trace, Sampler(temperature=0)).summary
    assert found["dropped"] > 0
    for shown in (f"{found['dropped']:.0f} ({100 * found['dropped_share']:.1f} %)", "−∞", "100.0 %", "∞"):
        assert f">{shown}</td>" in text
    raw = wb.replay(trace, Sampler()).summary
    assert f">{raw['perplexity']:,.3f}</td>" in text
    assert "nan" not in text.lower()
    panel.toolbar.unit.value = "bits"
    assert f">{raw['mean_entropy_raw'] / np.log(2):.3f}</td>" in panel.along.summary.value
    panel.chain.cards[0].controls["temperature"].slider.value = 1.0  # the summary in sight follows as a chart does
    assert ">−∞<" not in panel.along.summary.value


def test_the_tables_show_every_number_of_the_charts(panel, trace):
    panel.toolbar.keep.click()
    panel.along.selected_index = TABLE
    panel.top.tabs.selected_index = 1
    html = panel.along.table._html.value
    for column in ("raw_entropy", "a_entropy", "a_kept", "a_kept_low", "a_survives", "b_entropy", "b_kept"):
        assert f">{column}</th>" in html
    panel.session.cursor = 30
    assert 'class="cursor"' in panel.along.table._html.value
    frame = wb.replay(trace, START).distribution(30, 20)
    assert f"{frame['sampled'][0]:.4f}" in panel.top.table._html.value
    slider(panel, 0, "temperature").value = 0.3
    frame = wb.replay(trace, panel.sampler).distribution(30, 20)
    assert f"{frame['sampled'][0]:.4f}" in panel.top.table._html.value


def test_a_tab_opened_later_is_not_behind(panel):
    panel.along.selected_index = SUMMARY
    slider(panel, 0, "temperature").value = 0.2
    panel.toolbar.presets["top-H .4"].click()
    panel.along.selected_index = CHART
    shows(panel, panel.sampler)


def test_the_cursor_is_one(panel, trace):
    other = TracePanel(session=panel.session)
    panel.strip.cursor = 7
    assert list(role(panel.along.chart.figure, "cursor").x) == [7, 7]
    assert other.strip.cursor == 7
    assert "token <b>7</b>" in panel.top.caption.value
    other.strip.hover = 9
    assert "token <b>9</b>" in panel.top.caption.value
    assert list(role(panel.along.chart.figure, "cursor_kept").x) == [9, 9]
    other.strip.hover = other.strip.cursor = -1
    highest = trace.tokens["entropy"].arg_max()
    assert f"token <b>{highest}</b>" in panel.top.caption.value
    assert "highest raw entropy" in panel.top.caption.value
    other.close()


def test_the_realised_token_is_pointed_at(panel, trace):
    panel.session.cursor = 3
    names = panel.top.chart.figure.layout.yaxis.ticktext
    ids = wb.replay(trace, START).distribution(3, 20)["token_id"].to_list()
    assert ["▶" in name for name in names] == [i == trace.tokens["token_id"][3] for i in ids]


def test_the_sessions_sampler_is_mirrored_both_ways(trace):
    session = Session(trace=trace, sampler=START)
    first, second = SamplerPanel(session=session), SamplerPanel(session=session)
    assert first.sampler == second.sampler == START
    first.chain.cards[1].switch.value = False
    assert second.sampler == session.sampler == Sampler.chain([Temperature(0.8)])
    shows(second, session.sampler)
    second.chain.cards[0].controls["temperature"].box.value = 0.333
    assert first.sampler == session.sampler
    assert len(first.chain.cards) == 2  # what is switched off stays
    first.sampler = Sampler(top_k=3)
    assert session.sampler == second.sampler == Sampler(top_k=3)
    shows(first, session.sampler)
    second.toolbar.undo.click()
    assert first.sampler == second.sampler == Sampler.chain([Temperature(0.333)])
    first.close()
    session.sampler = Sampler(temperature=0)
    shows(second, Sampler(temperature=0))
    second.close()


def test_another_trace_is_replayed_with_the_same_settings(panel, trace, model):
    other = wb.record(model, "What is 5 plus 6?", seed=3, max_new_tokens=40)
    panel.toolbar.keep.click()
    slider(panel, 0, "temperature").value = 0.5
    panel.session.trace = other
    shows(panel, Sampler.chain([Temperature(0.5), TopP(0.9)]), other)
    np.testing.assert_allclose(role(panel.along.chart.figure, "sampler_b").y, wb.replay(other, START)["entropy"])
    assert panel.along.chart.figure.layout.xaxis.range[1] == len(other) - 0.5
    panel.session.trace = None
    assert "no tokens yet" in str(panel.along.chart.figure.layout.annotations)
    assert panel.toolbar.headline.value == ""


def test_a_trace_without_a_sketch_says_what_to_do_and_still_shows_its_entropies(trace):
    panel = SamplerPanel(wb.Trace(trace.tokens), sampler=START)
    assert "cannot be replayed" in panel.toolbar.headline.value
    assert "wb.record" in panel.toolbar.headline.value
    np.testing.assert_allclose(role(panel.along.chart.figure, "raw").y, trace.tokens["entropy"])
    for tab in (SUMMARY, TABLE, CHART):
        panel.along.selected_index = tab
    slider(panel, 0, "temperature").value = 0.5
    panel.toolbar.keep.click()
    panel.toolbar.swap.click()
    panel.session.cursor = 3
    assert "raw entropy" in panel.top.caption.value
    panel.close()
    panel = SamplerPanel(wb.Trace(trace.tokens.clear(), sketch=None))
    panel.close()


def test_a_step_that_fails_is_said_and_nothing_stale_stays(panel):
    @tempers
    def broken(row, parameters):
        return row.nothing_of_that_name

    @dataclass(frozen=True)
    class Broken(Step):
        """Does not compile."""

        name = "broken"
        title = "Broken"
        source = "nowhere"
        tempers = broken

    try:
        panel.chain.append(Broken())
        assert 'role="alert"' in panel.toolbar.headline.value
        assert list(panel.strip.marked) == []
        assert np.isnan(np.asarray(role(panel.along.chart.figure, "sampler_a").y, float)).all()
        panel.toolbar.undo.click()
        shows(panel, START)
    finally:
        del STEPS["broken"]


def test_adaptive_steps_show_their_signal_at_the_cursor(panel, trace):
    panel.sampler = Sampler.chain([Mirostat(2.0)])
    panel.session.cursor = 5
    mu = wb.replay(trace, panel.sampler).signals["mu"][5]
    assert f"mu {mu:.2f}" in panel.top.caption.value


def test_zooming_draws_a_long_trace_in_full():
    logits = np.random.default_rng(0).gumbel(0, 2, (4096, 80)).astype(np.float32)
    trace = wb.Trace.from_logits(logits, logits.argmin(axis=1))
    panel = SamplerPanel(trace, sampler=Sampler(top_p=0.9))
    fig = panel.along.chart.figure
    assert len(role(fig, "sampler_a").y) <= 800
    assert "of 4\u2009096 tokens shown" in fig.layout.xaxis.title.text
    fig.layout.xaxis.range = (100, 400)
    found = wb.replay(trace, Sampler(top_p=0.9))
    np.testing.assert_allclose(role(fig, "sampler_a").y, found["entropy"][99:402])
    slider(panel, 0, "p").value = 0.5  # the sliders keep the zoom
    found = wb.replay(trace, Sampler(top_p=0.5))
    np.testing.assert_allclose(role(fig, "sampler_a").y, found["entropy"][99:402])
    assert len(panel.strip.marked) == len(found.dropped) > 1000
    panel.close()


def test_settings_are_exported_and_loaded_back(panel):
    for preset in ("entropix", "llama.cpp"):
        panel.toolbar.presets[preset].click()
        saved, text = panel.sampler, panel.texts.text.value
        assert Sampler.from_json(text) == saved
        panel.toolbar.presets["raw"].click()
        panel.texts.pasted.value = text
        panel.texts.load.click()
        assert panel.sampler == saved
        shows(panel, saved)
    panel.texts.pasted.value = '{"temperature": 0.25, "top_k": 3}'  # GenerationConfig's names
    panel.texts.load.click()
    assert panel.sampler == Sampler(temperature=0.25, top_k=3)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "nothing to load"),
        ("temperature: 1", "not JSON"),
        ('{"steps": [{"step": "hotter"}]}', "no sampler step"),
        ('{"steps": [{"step": "top_p", "p": 7}]}', "out of range"),
        ('{"steps": [1]}', "no sampler settings"),
        ("[]", "Sampler settings are"),
        ('{"heat": 3}', "Sampler settings are"),
        ('{"steps": [{"step": "top_k", "<b>": 7}]}', "&lt;b&gt;"),
    ],
)
def test_what_cannot_be_loaded_is_said_and_changes_nothing(panel, text, complaint):
    panel.texts.pasted.value = text
    panel.texts.load.click()
    assert complaint in panel.texts.status.value
    assert 'role="alert"' in panel.texts.status.value
    assert panel.sampler == START


@pytest.mark.parametrize(
    ("engine", "give"),
    [("transformers", "to_transformers"), ("vLLM", "to_vllm"), ("llama.cpp", "to_llamacpp")],
)
def test_every_engine_gets_its_text_and_what_is_lost_is_said(panel, engine, give):
    panel.texts.engine.value = engine
    assert panel.texts.text.value == panel.texts.copy.text == getattr(START, give)().text
    panel.toolbar.presets["entropix"].click()
    found = getattr(panel.sampler, give)()
    assert found.lost
    assert panel.texts.lost.value.count("<li>") == len(found.lost)
    assert panel.texts.text.value == found.text


def test_exported_files_carry_both_samplers_and_load_again(panel, trace, tmp_path):
    panel.export_bar.folder = tmp_path
    panel.toolbar.keep.click()
    panel.toolbar.presets["min-p .1, T 1.5"].click()
    panel.export_bar.export("JSON")
    panel.export_bar.wait()
    text = panel.export_bar.saved.read_text()
    settings = json.loads(text)
    assert settings["recorded_with"] == trace.meta["sampler"]
    assert settings["sampler"] == panel.sampler.to_dict()
    assert settings["sampler_b"] == START.to_dict()
    assert settings["seed"] == 1
    assert settings["engines"]["vLLM"]["text"] == panel.sampler.to_vllm().text
    panel.export_bar.export("Parquet")
    panel.export_bar.wait()
    data = pl.read_parquet(panel.export_bar.saved)
    assert data["a_kept"].to_list() == wb.replay(trace, panel.sampler).tokens["kept"].to_list()
    assert data["b_entropy"].to_list() == wb.replay(trace, START).tokens["entropy"].to_list()
    panel.figure_choice.value = "top"
    panel.export_bar.export("CSV")
    panel.export_bar.wait()
    assert panel.export_bar.saved.name == "top-tokens.csv"
    sampler = panel.sampler
    panel.toolbar.presets["raw"].click()
    panel.texts.pasted.value = text
    panel.texts.load.click()
    assert panel.sampler == sampler


def test_printed_figures_are_tall_enough_for_their_rows(panel):
    for choice, rows in (("top", 20), ("along", 2)):
        panel.figure_choice.value = choice
        current = panel._exportable()
        before = current.figure.to_json()
        figure, (width, height), scale = _sized(current, "single")
        assert width / 96 * 25.4 == pytest.approx(89)
        assert height / rows > figure.layout.font.size * 1.2
        assert (figure.layout.font.size, scale) == (pytest.approx(7 * 96 / 72), pytest.approx(300 / 96))
        assert current.figure.to_json() == before
    assert current.figure.data[-1].x == ()  # without the cursor


def test_samples_are_drawn_with_the_sampler_at_hand_and_one_can_be_shown(trace, model):
    panel = SamplerPanel(trace, model=model, sampler=Sampler(temperature=1.2, top_k=5))
    bar = panel.sample_bar
    assert bar.prompt.value == QUESTION
    bar.n.value, bar.limit.value, bar.seed.value = 3, 40, 7
    bar.start()
    assert bar.wait(60)
    expected = wb.record(model, QUESTION, sampler=panel.sampler, n=3, seed=7, max_new_tokens=40)
    assert [one.text for one in panel.session.traces[1:]] == [one.text for one in expected]
    assert panel.session.trace is trace  # what was on show stays
    assert len(bar.list.options) == 4
    assert "seed 9" in bar.list.options[3][0]
    assert "Temperature 1.2 → Top-k 5" in bar.list.options[3][0]
    bar.list.value = 3
    assert panel.session.trace is panel.session.traces[3]
    shows(panel, panel.sampler, panel.session.traces[3])
    panel.session.trace = trace
    assert bar.list.value == 0
    panel.close()


def test_one_sample_into_an_empty_panel_is_shown(model):
    panel = SamplerPanel(model=model, sampler=Sampler(temperature=0.5))
    panel.sample_bar.n.value, panel.sample_bar.limit.value = 1, 20
    panel.sample_bar.start()
    assert panel.sample_bar.wait(60)
    assert len(panel.session.traces) == 1
    shows(panel, panel.sampler, panel.session.traces[0])
    panel.close()


def test_samples_stream_and_stop_keeps_what_is_there(model, monkeypatch):
    panel = SamplerPanel(model=model, sampler=Sampler(temperature=1.5))
    bar, reached = panel.sample_bar, threading.Event()
    bar.n.value = 2
    grow, seen = bar._on_tokens, []

    def on_tokens(tokens):
        grow(tokens)
        seen.extend(tokens)
        if len(seen) == 12:
            assert bar.stream.layout.display is None
            assert "&lt;think&gt;" in bar.stream.value
            assert "<think>" not in bar.stream.value
            assert "a second" in bar.status.value
            bar.halt()
            reached.set()

    monkeypatch.setattr(bar, "_on_tokens", on_tokens)
    bar.start()
    assert bar.wait(60)
    assert reached.is_set()
    assert [len(one) for one in panel.session.traces] == [6, 6]
    assert {one.meta["finish"] for one in panel.session.traces} == {"stopped"}
    assert bar.stream.layout.display == "none"
    assert not bar.generate.disabled
    panel.close()


def test_an_error_while_sampling_is_said(model, trace):
    panel = SamplerPanel(trace, model=model)
    panel.sample_bar.limit.value = 10**6
    panel.sample_bar.start()
    panel.sample_bar.wait(60)
    assert "PromptError" in panel.sample_bar.status.value
    assert panel.session.traces == (trace,)
    assert not panel.sample_bar.generate.disabled
    panel.close()


def test_only_traces_and_samplers_are_taken(trace):
    with pytest.raises(ParameterError, match=r"wb\.record makes one"):
        SamplerPanel({"tokens": []})
    with pytest.raises(ParameterError, match="no sampler"):
        SamplerPanel(trace, sampler={"temperature": 1})


def test_hostile_text_is_escaped_in_caption_lists_and_tables():
    attack = "<img src=x onerror=alert(1)>"
    logits = np.random.default_rng(0).normal(0, 3, (4, 30)).astype(np.float32)
    trace = wb.Trace.from_logits(logits, range(4), texts=[attack] * 4, prompt=attack, meta={"model": attack})
    panel = SamplerPanel(trace)
    panel.session.cursor = 1
    panel.along.selected_index = TABLE
    panel.top.tabs.selected_index = 1
    for html in (panel.top.caption, panel.along.table._html, panel.top.table._html, panel.toolbar.headline):
        assert "<img" not in html.value
    panel.close()


def test_light_and_dark(panel):
    panel.theme.dark = True
    for box in (panel.along.chart, panel.top.chart):
        assert box.figure.layout.template.layout.paper_bgcolor == "#111111"


def test_a_closed_panel_frees_its_session_and_figures(trace):
    session = Session(trace=trace)
    panel = SamplerPanel(session=session)
    figure, top = weakref.ref(panel.along.chart.figure), weakref.ref(panel.top.chart.figure)
    panel.close()
    panel.close()
    del panel
    gc.collect()
    session.cursor = 2  # nobody left to break
    session.sampler = Sampler(top_k=4)
    session.trace = None
    assert all(ref() is None or ref().comm is None for ref in (figure, top))
