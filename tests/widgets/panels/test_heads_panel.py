"""The heads panel without a browser: it shows what wb.attention says of the text, under what its sliders say."""

import asyncio
import threading
from contextlib import contextmanager
from html import unescape

import numpy as np
import polars as pl
import pytest

import workbench as wb
from widgets import HeadPanel, Session
from widgets.panels.heads_background import StoppedError, watched
from widgets.panels.heads_map import TEXT, TRAINING
from widgets.panels.heads_settings import HeadView
from workbench.attention import (
    HeadHistory,
    entropy_bins,
    entropy_bounds,
    estimate_memory,
    head_redundancy,
    head_stats,
)
from workbench.attention.history import SCHEMA
from workbench.errors import ParameterError, WorkbenchError

SAID = "What is 17 plus 25, then times 2? First, 17 + 25 = 42. After that, 42 times 2 is 84. The answer is 84."
OTHER = "One two three four five six seven eight."
STEPS = (0, 10, 20)


@pytest.fixture(scope="module")
def model():
    return wb.load("demo-small")


@pytest.fixture(scope="module")
def stats(model):
    return head_stats(model, SAID)


@pytest.fixture(scope="module")
def trace(model):
    return wb.score(model, "The answer is 84.", prompt="What is 17 plus 25, then times 2?")


@pytest.fixture(scope="module")
def history(stats):
    """Two runs: one whose heads stay, one whose entropies shrink to nothing."""
    rows = []
    for run, shrink in (("stays", 0.0), ("collapses", 1.0)):
        for step in STEPS:
            scaled = stats.to_frame().with_columns(
                pl.col("entropy", "entropy_by_support", "entropy_by_length") * (1 - shrink * step / STEPS[-1])
            )
            about = {"run": pl.lit(run), "step": pl.lit(step, pl.Int32), "loss": pl.lit(2.0 - step / 50)}
            rows.append(scaled.select(*(value.alias(name) for name, value in about.items()), pl.all()))
    return HeadHistory(pl.concat(rows), {"model": "small"})


@pytest.fixture
def panel(model):
    with opened(SAID, model=model) as made:
        yield made


@contextmanager
def opened(*given, **named):
    """A panel that has measured what it was given, and closes with the block."""
    made = HeadPanel(*given, **named)
    try:
        assert made.wait()
        yield made
    finally:
        made.close()


def cells(panel):
    """(L, H) numbers of the heatmap."""
    (found,) = (mark for mark in panel.map.box.figure.data if mark.type == "heatmap")
    return np.asarray(found.z, dtype=float)


def brought(panel, stem):
    """The figure of a tab, once what it needs is there."""
    panel.tabs.bring(stem)
    assert panel.wait()
    return panel.tabs.box(stem).figure


def messages(figure):
    """What is said in place of a chart, in one line."""
    return unescape(" ".join(note.text for note in figure.layout.annotations)).replace("<br>", " ")


# --- heatmap and marks --------------------------------------------------------------------------------------------


def test_every_statistic_of_the_frame_can_be_the_heatmap(panel, stats):
    frame = stats.skipping(1).to_frame()
    assert [name for _, name in panel.map.statistic.options] == frame.columns[2:]
    for name in frame.columns[2:]:
        panel.map.statistic.value = name
        np.testing.assert_allclose(cells(panel).ravel(), frame[name].to_numpy(), rtol=1e-6)


def test_thresholds_move_marks_and_words(panel, stats):
    means = stats.skipping(1)
    for view in (
        HeadView(collapsed_below=0.6, middle_edge=0.65, overloaded_from=0.7),
        HeadView(collapsed_below=0.3, middle_edge=0.4, overloaded_from=0.5, normalizer="length"),
        HeadView(collapsed_below=0.05, middle_edge=0.1, overloaded_from=0.99, sink_above=0.05),
    ):
        panel.view.settings = view
        bins = entropy_bins(means, normalizer=view.bin_normalizer, edges=view.edges)
        collapsed, overloaded = panel.grid.marks(view)
        np.testing.assert_array_equal(collapsed, bins.of_head == 0)
        np.testing.assert_array_equal(overloaded, bins.of_head == 3)
        assert f"▼ <b>{(bins.of_head == 0).sum()}</b> collapsed" in panel.readout.words.value
        assert f"▲ <b>{(bins.of_head == 3).sum()}</b> overloaded" in panel.readout.words.value
        assert f"<b>{(means.sink > view.sink_above).sum()}</b> sink" in panel.readout.words.value
        table = panel.grid.to_frame(view)
        assert table["is_collapsed"].to_list() == (bins.of_head == 0).ravel().tolist()
        assert table["is_sink"].to_list() == (means.sink > view.sink_above).ravel().tolist()
    assert panel._exportable().data.equals(table)


def test_rows_skipped_and_the_cut_change_the_numbers(panel, stats):
    panel.map.statistic.value = "collapsed"
    for skip, cut, normalizer in ((0, 0.3, "support"), (5, 0.5, "length"), (2, 1.0, "none")):
        panel.view.settings = HeadView(skip_rows=skip, collapse_cut=cut, normalizer=normalizer)
        np.testing.assert_allclose(cells(panel), stats.skipping(skip).collapsed(cut, normalizer=normalizer))


def test_what_cannot_be_set_is_said_and_the_last_valid_stays(panel):
    before = cells(panel)
    panel.view.controls["collapsed_below"].slider.value = 0.9
    assert "they must rise" in panel.readout.words.value
    panel.view.undo.click()
    assert "they must rise" not in panel.readout.words.value
    panel.view.controls["skip_rows"].box.value = 10_000
    assert "rows to skip" in panel.readout.words.value
    np.testing.assert_array_equal(cells(panel), before)


def test_a_burst_of_moves_is_drawn_once_with_its_last_value(stats):
    async def burst():
        panel = HeadPanel(stats=stats)
        await asyncio.sleep(0.01)
        drawn = []
        show = panel.map.box.show
        panel.map.box.show = lambda: (drawn.append(panel.view.settings.collapsed_below), show())
        for step in range(20):
            panel.view.controls["collapsed_below"].slider.value = round(0.2 + step / 100, 2)
        assert drawn == []
        await asyncio.sleep(0.05)
        assert drawn == [0.39]
        panel.close()

    asyncio.run(burst())


# --- one head -----------------------------------------------------------------------------------------------------


def test_a_chosen_head_colours_the_strip_and_the_menus_follow(panel, stats):
    layer, head = stats.layers[-1], 1
    panel.map.choose(np.array([layer, head]))
    assert panel.chosen == (layer, head) == (panel.map.layer.value, panel.map.head.value)
    shares = stats.row_entropy(layer, head)[1:] / np.log(np.arange(2, stats.length + 1))
    shown = np.asarray(panel.strip._columns.layers["row_entropy"].values)
    assert np.isnan(shown[0])
    np.testing.assert_allclose(shown[1:], shares, rtol=1e-5)
    panel.view.settings = HeadView(normalizer="none")
    np.testing.assert_allclose(panel.strip._columns.layers["row_entropy"].values, stats.row_entropy(layer, head))
    panel.map.choose((99, 0))
    assert panel.chosen == (layer, head)
    assert f"entropy {stats.skipping(1).entropy[-1, 1]:.3f} nats" in panel.readout.head.value


def test_arrow_keys_move_the_chosen_head_and_stop_at_the_edges(panel, stats):
    heads = stats.entropy.shape[1]
    panel.chosen = (stats.layers[0], 0)
    for step, place in (([1, 0], (1, 0)), ([0, 1], (1, 1)), ([0, -1], (1, 0)), ([-1, 0], (0, 0)), ([-1, 0], (0, 0))):
        panel.map.arrows._receive(None, {"step": step}, None)
        assert panel.chosen == (stats.layers[place[0]], place[1])
    for _ in range(heads + 2):
        panel.map.arrows._receive(None, {"step": [0, 1]}, None)
    assert panel.chosen == (stats.layers[0], heads - 1)


def test_the_pattern_is_that_head_in_a_window_around_the_cursor(panel, model, stats):
    brought(panel, "pattern")
    panel.chosen = (stats.layers[1], 2)
    panel.charts.pattern.window.value = 16
    panel.strip.cursor = 30
    assert panel.wait()
    expected = stats.pattern(model, stats.layers[1], 2, 22, 16)
    np.testing.assert_allclose(panel.charts.pattern.work.result.weights, expected.weights)
    assert panel.tabs.chart.frame().equals(expected.to_frame())
    panel.strip.cursor = len(stats.token_ids) - 1
    assert panel.wait()
    assert panel.charts.pattern.work.result.start == len(stats.token_ids) - 16


def test_moving_within_a_text_keeps_the_cursor(panel):
    panel.strip.cursor = 12
    panel.chosen = (1, 1)
    assert panel.strip.cursor == 12


def test_the_sessions_cursor_is_the_strips_with_the_prompt_before_it(model, trace):
    session = Session(model=model)
    with opened(trace, session=session) as panel:
        prompt = len(trace.prompt_ids)
        assert len(panel.strip) == prompt + len(trace)
        panel.strip.cursor = prompt + 3
        assert session.cursor == 3
        session.cursor = 1
        assert panel.strip.cursor == prompt + 1
        panel.strip.cursor = 2  # a token of the prompt, which the session does not count
        assert (session.cursor, panel.strip.cursor) == (-1, 2)
        panel.chosen = (1, 1)
        assert (session.cursor, panel.strip.cursor) == (-1, 2)


# --- the other tabs -----------------------------------------------------------------------------------------------


def test_twins_are_those_of_wb_attention(panel, model, stats):
    expected = head_redundancy(model, stats.token_ids, skip_rows=1)
    np.testing.assert_array_equal(panel.charts.redundancy().js, expected.js)
    assert f"like <b>{expected.effective_heads:.1f}</b> different heads" in panel.readout.words.value
    panel.view.settings = HeadView(twins_below=0.3, drop_sink=False, skip_rows=4)
    assert panel.wait()
    again = head_redundancy(model, stats.token_ids, skip_rows=4, drop_sink=False)
    np.testing.assert_array_equal(panel.charts.redundancy().similarity, again.similarity)
    assert f"<b>{len(again.pairs(0.3))}</b> pair" in panel.readout.words.value
    for shown in ("matrix", "map"):
        panel.charts.twins.shown.value = shown
        assert len(brought(panel, "twins").data)


def test_many_heads_are_compared_when_asked_for(panel, monkeypatch):
    monkeypatch.setattr("widgets.panels.heads_tabs.AT_ONCE", 1)
    panel.view.settings = HeadView(skip_rows=3)
    assert "press Compare" in messages(brought(panel, "twins"))
    assert panel.charts.redundancy() is None
    panel.charts.twins.compare.click()
    assert panel.wait()
    assert panel.charts.redundancy() is not None


def test_bounds_of_either_source_are_below_the_entropies(panel, stats):
    expected = entropy_bounds(stats.skipping(1))
    for source in ("row norm", "spectral norms"):
        panel.charts.bounds.source.value = source
        assert len(brought(panel, "bounds").data)
        found = panel.charts.bounds.work.result
        assert found.source == source
        assert found.violations == 0
    panel.charts.bounds.source.value = "row norm"
    assert panel.wait()
    assert panel.tabs.chart.frame().equals(expected.to_frame())


def test_rows_bins_and_table_show_the_frames(panel, stats):
    means = stats.skipping(1)
    panel.chosen = (1, 1)
    assert len(brought(panel, "rows").data)
    assert panel.tabs.chart.frame().equals(means.row_frame(1, 1))
    brought(panel, "bins")
    assert panel.tabs.chart.frame().equals(entropy_bins(means).to_frame())
    panel.what.value = "tab"
    assert panel._exportable().name == "bins"
    panel.tabs.selected_index = len(panel.tabs.charts)
    assert "share" in panel.tabs.children[-1]._html.value


def test_two_texts_are_compared_head_by_head(panel, model, stats):
    assert "Measure another text" in messages(brought(panel, "compare"))
    panel.charts.compare.bar.text.value = OTHER
    panel.charts.compare.bar.measure.click()
    assert panel.wait()
    panel.map.statistic.value = "entropy"
    difference = stats.skipping(1).entropy - head_stats(model, OTHER, skip_rows=1).entropy
    np.testing.assert_allclose(panel.tabs.chart.frame()["difference"].to_numpy(), difference.ravel())
    (mark,) = (mark for mark in panel.tabs.box("compare").figure.data if mark.type == "heatmap")
    np.testing.assert_allclose(np.asarray(mark.z, dtype=float), difference, rtol=1e-6)


# --- training -----------------------------------------------------------------------------------------------------


def test_the_heatmap_follows_the_step_slider(history):
    with opened(history=history) as panel:
        assert [chart.stem for chart in panel.tabs.charts] == ["training", "bins", "compare"]
        steps = panel.charts.training.steps
        panel.map.statistic.value = "entropy"
        for run in history.runs:
            steps.run.value = run
            for step in STEPS:
                steps.step.value = step
                np.testing.assert_allclose(cells(panel), history.values(run, step, "entropy"))
                assert f"{run}, step {step}" in panel.readout.words.value
        heads = len(history.at("stays", 0))
        assert f"▼ <b>{heads}</b> collapsed" in panel.readout.words.value  # at the end of the run that collapses
        assert "follows the step slider" in panel.readout.words.value
        assert panel.tabs.chart.frame().equals(history.by_layer("entropy"))
        brought(panel, "compare")  # against the first step of the first run
        start = history.values("stays", 0, "entropy")
        np.testing.assert_allclose(panel.tabs.chart.frame()["difference"].to_numpy(), -start.ravel())


def test_text_and_training_take_turns(model, history, stats, tmp_path):
    file = history.save(tmp_path / "runs.parquet") or tmp_path / "runs.parquet"
    with opened(SAID, model=model, history=file) as panel:
        assert panel.map.whose.value == TEXT
        panel.charts.training.steps.step.value = STEPS[1]
        assert panel.map.whose.value == TRAINING
        assert f"step {STEPS[1]}" in panel.readout.words.value
        panel.map.whose.value = TEXT
        assert f"over {stats.length} tokens" in panel.readout.words.value


# --- what there may not be ----------------------------------------------------------------------------------------


def test_statistics_alone_have_no_pattern_and_say_why(stats):
    with opened(stats=stats) as panel:
        np.testing.assert_allclose(cells(panel), stats.skipping(1).normalized_entropy)
        assert "needs the model" in messages(brought(panel, "pattern"))
        assert "needs the model" in messages(brought(panel, "twins"))
        assert len(brought(panel, "bounds").data)
        assert panel.bar.layout.display == "none"


def test_nothing_at_all_still_opens():
    with opened() as panel:
        assert "press Measure" in panel.readout.words.value
        for place in range(len(panel.tabs.children)):
            panel.tabs.selected_index = place
        assert panel._exportable() is None


def test_the_sessions_trace_is_measured_when_the_panel_is_seen(model, trace):
    session = Session(model=model, trace=trace)
    with opened(session=session) as panel:
        assert panel.data.stats is None
        panel.seen.seen = True
        assert panel.wait()
        assert len(panel.data.stats.token_ids) == len(trace.prompt_ids) + len(trace)
        session.trace = None  # while a decode runs
        assert panel.data.stats is not None
        panel.seen.seen = False
        session.trace = other = wb.score(model, " 1 2 3", prompt="Count.")
        assert panel.data.trace is trace
        panel.seen.seen = True
        assert panel.wait()
        assert panel.data.trace is other


def test_the_estimate_is_there_before_and_too_long_a_text_says_what_fits(model, monkeypatch):
    with opened(session=Session(model=model)) as panel:
        panel.bar.text.value = SAID
        found = estimate_memory(model, len(head_stats(model, SAID).token_ids), block=128)
        assert f"{found.tokens} tokens" in panel.bar.status.value
        monkeypatch.setattr("workbench.attention.memory.available_memory", lambda _: found.needed // 2)
        panel.bar.text.value = SAID + SAID
        assert 'role="alert"' in panel.bar.status.value
        panel.bar.measure.click()
        assert panel.wait()
        assert "Take" in panel.bar.status.value
        assert panel.data.stats is None
        monkeypatch.undo()
        panel.bar.text.value = "x"
        panel.bar.measure.click()
        assert panel.wait()
        assert "at least two tokens" in panel.bar.status.value


def test_a_pass_says_how_far_it_is_and_can_be_stopped(model):
    stop, reached = threading.Event(), []
    with watched(model, stop, lambda done, layers: reached.append((done, layers))):
        head_stats(model, SAID)
    layers = model.hf.config.num_hidden_layers
    assert sorted(set(reached)) == [(done, layers) for done in range(layers)]
    stop.set()
    with pytest.raises(StoppedError), watched(model, stop):
        head_stats(model, SAID)
    with watched(model, stop):  # another thread's passes are its own
        other = threading.Thread(target=lambda: reached.append(head_stats(model, OTHER)))
        other.start()
        other.join()
    assert reached[-1].length == len(reached[-1].token_ids)
    assert not any(module._forward_pre_hooks for module in model.hf.modules())


def test_what_is_no_history_and_no_statistics_is_refused(tmp_path):
    with pytest.raises(ParameterError, match="HeadStats"):
        HeadPanel(stats=3)
    with pytest.raises(ParameterError, match="training_runs"):
        HeadPanel(history=3)
    with pytest.raises(ParameterError, match="no step"):
        HeadPanel(history=HeadHistory(pl.DataFrame(schema=SCHEMA)))
    (tmp_path / "runs.parquet").write_text("no")
    with pytest.raises(WorkbenchError):
        HeadPanel(history=tmp_path / "runs.parquet")


def test_hostile_tokens_stay_text(model):
    with opened("<img src=x onerror=alert(1)> <b>", model=model) as panel:
        for stem in ("rows", "pattern"):
            brought(panel, stem)
            figure = panel.tabs.box(stem).figure.to_json()
            assert "<img" not in figure.replace("\\u003c", "<")
        assert "<img" not in panel.readout.words.value + panel.bar.status.value


def test_closing_lets_go_of_the_session(model, trace):
    session = Session(model=model)
    with opened(trace, session=session) as panel:
        pass
    assert not any(
        getattr(handler, "__self__", None) in (panel, panel.strip)
        for name in ("trace", "cursor", "model")
        for handler in session._trait_notifiers.get(name, {}).get("change", [])
    )
    assert panel.map.box.figure is None or panel.map.box.figure.comm is None


def test_another_models_statistics_say_whose_model_is_needed(model):
    larger = wb.load("demo")
    with opened(stats=head_stats(larger, SAID), model=model) as panel:
        panel.chosen = (larger.hf.config.num_hidden_layers - 1, 0)
        assert "Give the model these statistics are of" in messages(brought(panel, "pattern"))
        panel.chosen = (0, 0)
        assert len(brought(panel, "pattern").data)
