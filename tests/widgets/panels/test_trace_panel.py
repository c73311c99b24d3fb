"""The trace panel without a browser: one cursor, live decoding, Stop, errors, closing."""

import asyncio
import gc
import json
import threading
import weakref
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import workbench as wb
from widgets import Session, TracePanel
from workbench.errors import ParameterError
from workbench.traces.forking import forking_tokens

FIXTURES = Path(__file__).parents[2] / "traces" / "fixtures"
SCATTER, HISTOGRAM, TABLE = 1, 2, 3  # tabs
QUESTION = "Start with 12. Add 9. Multiply by 3. What is the result?"


@pytest.fixture(scope="module")
def model():
    return wb.load("demo-small")


@pytest.fixture(scope="module")
def trace(model):
    return wb.record(model, QUESTION, seed=1)


@pytest.fixture
def panel(trace):
    made = TracePanel(trace)
    yield made
    made.close()


def drawn(box, role):
    return next(mark for mark in box.figure.data if mark.meta == role)


def test_it_works_alone(panel, trace):
    assert len(panel.strip) == len(trace)
    assert panel.decode_bar.layout.display == "none"  # no model, no prompt
    np.testing.assert_allclose(drawn(panel.chart, "raw").y, trace.tokens["entropy"])
    assert "perplexity" in panel.summary.value


def test_only_the_chart_in_sight_is_built(panel):
    assert panel.chart.figure is not None
    assert panel.scatter.figure is None
    panel.tabs.selected_index = SCATTER
    assert panel.scatter.figure is not None
    assert panel.histogram.figure is None


def test_the_cursor_is_one(panel):
    panel.strip.cursor = 7
    assert panel.session.cursor == 7
    assert list(drawn(panel.chart, "cursor").x) == [7, 7]
    panel.session.cursor = 3
    assert panel.strip.cursor == 3
    panel.strip.hover = 9  # the pointer goes before the cursor
    assert list(drawn(panel.chart, "cursor").x) == [9, 9]
    panel.strip.hover = -1
    assert list(drawn(panel.chart, "cursor").x) == [3, 3]
    panel.session.cursor = 10**6
    assert panel.strip.cursor == -1
    assert list(drawn(panel.chart, "cursor").x) == []


def test_two_panels_on_one_session_move_together(trace):
    session = Session(trace=trace)
    first, second = TracePanel(session=session), TracePanel(session=session)
    first.strip.cursor = 5
    assert second.strip.cursor == 5
    assert list(drawn(second.chart, "cursor").x) == [5, 5]
    first.close()
    second.strip.cursor = 6
    assert session.cursor == 6
    second.close()


def test_the_forking_slider_moves_strip_chart_and_histogram(panel, trace):
    for percentile in (60, 95, 70):
        panel.tabs.selected_index = 0
        panel.controls.controls["percentile"].value = percentile
        found = forking_tokens(trace.tokens["entropy"], percentile)
        assert list(panel.strip.marked) == found.indices.tolist()
        assert list(drawn(panel.chart, "forking").x) == found.indices.tolist()
        panel.tabs.selected_index = HISTOGRAM
        assert drawn(panel.histogram, "threshold").x[0] == pytest.approx(found.threshold)
        panel.controls.controls["percentile"].value = percentile + 1
        later = forking_tokens(trace.tokens["entropy"], percentile + 1)
        assert drawn(panel.histogram, "threshold").x[0] == pytest.approx(later.threshold)


def test_bits_everywhere_and_the_cursor_stays(panel, trace):
    panel.session.cursor = 4
    panel.controls.controls["unit"].value = "bits"
    np.testing.assert_allclose(drawn(panel.chart, "raw").y, trace.tokens["entropy"] / np.log(2))
    assert "bits" in panel.chart.figure.layout.yaxis.title.text
    assert "bits" in panel.summary.value
    assert panel.session.cursor == 4
    panel.controls.reset.click()
    assert panel.controls.controls["unit"].value == "nats"
    np.testing.assert_allclose(drawn(panel.chart, "raw").y, trace.tokens["entropy"])


def test_overlays_name_what_they_draw(panel, trace):
    panel.controls.controls["sampled"].value = True
    assert "sampled" in panel.chart.figure.layout.yaxis.title.text
    np.testing.assert_allclose(drawn(panel.chart, "sampled").y, trace.tokens["sampled_entropy"])
    panel.controls.controls["surprisal"].value = True
    np.testing.assert_allclose(drawn(panel.chart, "surprisal").y, -trace.tokens["logprob"], atol=1e-12)


def test_the_table_turns_to_the_cursor_and_escapes(panel):
    panel.tabs.selected_index = TABLE
    assert "&lt;think&gt;" in panel.table._html.value
    panel.session.cursor = 30
    assert 'class="cursor"' in panel.table._html.value
    assert "rows 25 to" in panel.table._where.value


def test_the_strip_is_answered_with_raw_alternatives(panel, trace):
    answers = panel.strip.on_alternatives(2)
    assert answers[0][1] == pytest.approx(np.exp(trace.sketch.top_logits[2, 0] - trace.sketch.log_z[2]))
    ids = trace.sketch.top_ids[2, : len(answers)]
    assert [text for text, _ in answers] == [trace.names[i] for i in ids]
    assert sum(p for _, p in answers) <= 1 + 1e-9


def test_a_decode_streams_into_the_panel_and_becomes_the_trace(model):
    panel = TracePanel(model=model)
    panel.decode_bar.prompt.value = QUESTION
    panel.decode_bar.seed.value = 1
    panel.decode_bar.start()
    assert panel.decode_bar.wait(60)
    recorded = wb.record(model, QUESTION, seed=1, sampler=panel.decode_bar.sampler)
    assert panel.session.trace.text == recorded.text
    assert len(panel.strip) == len(recorded)
    assert panel.decode_bar.generate.disabled is False
    assert panel.session.traces == (panel.session.trace,)
    panel.close()


def test_stop_keeps_what_is_there(model, monkeypatch):
    panel = TracePanel(model=model)
    reached = threading.Event()
    grow = panel.decode_bar._on_tokens

    def on_tokens(tokens):
        grow(tokens)
        if len(panel._tokens) == 8:
            panel.decode_bar.halt()
            reached.set()

    monkeypatch.setattr(panel.decode_bar, "_on_tokens", on_tokens)
    panel.decode_bar.start()
    assert panel.decode_bar.wait(60)
    assert reached.is_set()
    assert len(panel.session.trace) == 8
    assert panel.session.trace.meta["finish"] == "stopped"
    panel.close()


def test_an_error_in_a_decode_is_shown_and_nothing_is_lost(model, trace):
    panel = TracePanel(trace, model=model)
    panel.decode_bar.limit.value = 10**6
    panel.decode_bar.start()
    panel.decode_bar.wait(60)
    assert "PromptError" in panel.decode_bar.status.value
    assert panel.session.trace is trace
    assert len(panel.strip) == len(trace)
    assert panel.decode_bar.generate.disabled is False
    panel.close()


def test_starting_again_in_mid_decode_shows_the_last_runs_tokens_only(model, trace, monkeypatch):
    async def three_starts():
        panel = TracePanel(trace, model=model)
        panel.decode_bar.temperature.value = 2.0  # so that the runs differ from the first words on
        seen = []
        grow = panel.decode_bar._on_tokens

        def on_tokens(tokens):
            seen.extend(token.row["token_id"] for token in tokens)
            grow(tokens)

        monkeypatch.setattr(panel.decode_bar, "_on_tokens", on_tokens)
        for seed in (5, 6, 7):
            panel.decode_bar.seed.value = seed
            seen.clear()
            panel.decode_bar.start()
            await asyncio.sleep(0.07)  # some tokens are drawn, none has been shown yet
        while panel.session.trace is None:
            await asyncio.sleep(0.02)
        panel.close()
        return panel.session.trace, seen

    last, seen = asyncio.run(three_starts())
    assert last.meta["seed"] == 7
    assert seen == last.tokens["token_id"].to_list()[: len(seen)]


def test_when_runs_that_replaced_each_other_fail_the_trace_before_is_shown_again(model, trace):
    async def two_starts():
        panel = TracePanel(trace, model=model)
        panel.decode_bar.limit.value = 10**6  # longer than the context: every run fails
        panel.decode_bar.start()
        panel.decode_bar.start()
        panel.decode_bar.wait()
        await asyncio.sleep(0.1)
        panel.close()
        return panel.session.trace

    assert asyncio.run(two_starts()) is trace


def test_exports_carry_the_settings(panel, tmp_path):
    panel.export_bar.folder = tmp_path
    panel.controls.controls["percentile"].value = 90
    panel.export_bar.export("JSON")
    panel.export_bar.wait()
    settings = json.loads(panel.export_bar.saved.read_text())
    assert settings["view"]["percentile"] == 90
    assert settings["sampler"] == panel.session.trace.meta["sampler"]
    assert settings["seed"] == 1
    panel.export_bar.export("Parquet")
    panel.export_bar.wait()
    assert pl.read_parquet(panel.export_bar.saved).equals(panel.session.trace.tokens)


def test_an_empty_trace_an_imported_one_and_no_trace_draw_a_message_or_an_interval(trace):
    for shown in (None, wb.Trace(trace.tokens.clear())):
        panel = TracePanel(shown)
        assert "no tokens yet" in str(panel.chart.figure.layout.annotations)
        for tab in (SCATTER, HISTOGRAM, TABLE):
            panel.tabs.selected_index = tab
        panel.close()
    bare = wb.Trace(trace.tokens.with_columns(varentropy=None, rank=None).cast(dict(trace.tokens.schema)))
    panel = TracePanel(bare)
    panel.tabs.selected_index = SCATTER
    assert panel.strip.on_alternatives(0) == []
    panel.close()


@pytest.mark.parametrize("fixture", sorted(FIXTURES.glob("*.json*")), ids=lambda path: path.stem)
def test_what_other_engines_recorded_can_be_shown(fixture):
    for imported in wb.traces.read_traces(fixture):
        panel = TracePanel(imported)
        for tab in (SCATTER, HISTOGRAM, TABLE, 0):
            panel.tabs.selected_index = tab
        for position in range(len(imported)):
            assert all(0 <= p <= 1 + 1e-6 for _, p in panel.strip.on_alternatives(position))
        panel.close()


def test_only_a_trace_can_be_shown():
    with pytest.raises(ParameterError, match=r"wb\.record makes one"):
        TracePanel({"tokens": []})


def test_a_closed_panel_frees_its_session_and_figures(trace):
    session = Session(trace=trace)
    panel = TracePanel(session=session)
    figure = weakref.ref(panel.chart.figure)
    panel.close()
    del panel
    gc.collect()
    session.cursor = 2  # nobody left to break
    assert figure() is None or figure().comm is None
