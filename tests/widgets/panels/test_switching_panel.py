"""The switching and the reflective panel without a browser: they show the replay of what their sliders say."""

import asyncio
import json
import math

import numpy as np
import pytest

import workbench as wb
from tests.widgets.figures.figure_cases import make_tokens, role
from widgets import ReflectivePanel, Session, SwitchingPanel
from widgets.panels.reflective_panel import held_by
from widgets.panels.replay_tabs import CHART, DETAILS, TABLE
from workbench.errors import ParameterError
from workbench.samplers import reflective, switching
from workbench.samplers.reflective import Reflective
from workbench.samplers.switching import Switching

START = Switching(threshold=0.8, window=3, dwell=4)


def trace_of(count=120, seed=0, parameters=(10, 40), **columns):
    tokens = make_tokens(count, 80, seed, **columns)
    meta = {"model": ("little", "big")[seed], "parameters": parameters[seed]}
    return wb.Trace(tokens, prompt="2 + 2?", prompt_ids=[1, 2, 3], meta=meta)


@pytest.fixture
def traces():
    return trace_of(), trace_of(seed=1)


@pytest.fixture
def panel(traces):
    made = SwitchingPanel(*traces, settings=START)
    yield made
    made.close()


@pytest.fixture
def reflecting():
    made = ReflectivePanel(trace_of(), settings=Reflective(window=10, k=2.0))
    yield made
    made.close()


def slider(panel, name):
    return panel.sliders.controls[name].slider


def shows(panel, settings):
    """Assert that settings, sliders, chart, strip and summary say the same."""
    found = switching.replay(panel.small, panel.large, settings)
    assert panel.settings == settings
    assert {name: control.value for name, control in panel.sliders.controls.items()} == settings.to_dict()
    np.testing.assert_array_equal(role(panel.tabs.chart.figure, "mean").y, found.route.mean)
    assert list(panel.strip.marked) == np.flatnonzero(found.route.large).tolist()
    assert f"<b>{found.cost.paper:.3f}</b>" in panel.summary.value
    assert f"<b>{found.cost.true:.3f}</b>" in panel.summary.value
    assert ("This saves nothing" in panel.summary.value) == (found.cost.true > 1)
    return found


def reflects(panel, settings):
    found = reflective.replay(panel.trace, settings)
    assert panel.settings == settings
    positions = found.triggers.positions.tolist()
    assert list(role(panel.tabs.chart.figure, "triggered").x) == list(panel.strip.marked) == positions
    return positions


def test_every_slider_moves_everything_and_the_last_position_wins(panel):
    first = shows(panel, START)
    assert first.cost.switches > 2
    for position in (1.5, 0.2, 3.0, 1.1):
        slider(panel, "threshold").value = position
    second = shows(panel, Switching(threshold=1.1, window=3, dwell=4))
    assert second.route.large.tolist() != first.route.large.tolist()
    slider(panel, "hysteresis").value = 0.5
    panel.sliders.controls["monitor"].dropdown.value = "small"
    shows(panel, Switching(threshold=1.1, window=3, dwell=4, hysteresis=0.5, monitor="small"))


def test_on_a_loop_a_burst_is_replayed_once_with_its_last_value(traces):
    async def burst():
        panel = SwitchingPanel(*traces, settings=START)
        replayed = []
        replay = panel._replay
        panel._replay = lambda settings: (replayed.append(settings), replay(settings))[1]
        for step in range(20):
            slider(panel, "threshold").value = 1 + step / 20
        assert replayed == []
        await asyncio.sleep(0.01)
        last = Switching(threshold=1.95, window=3, dwell=4)
        assert replayed == [last]
        shows(panel, last)
        slider(panel, "threshold").value = 0.3
        panel.close()  # what was asked for is forgotten
        await asyncio.sleep(0.01)
        assert len(replayed) == 1

    asyncio.run(burst())


def test_setting_the_settings_moves_the_sliders_and_undo_brings_them_back(panel):
    other = Switching(threshold=2.0, window=8, start="large")
    panel.settings = other
    shows(panel, other)
    assert slider(panel, "window").value == 8
    panel.sliders.undo.click()
    shows(panel, START)
    assert panel.sliders.undo.disabled
    panel.sliders.redo.click()
    shows(panel, other)
    panel.sliders.presets["Defaults"].click()
    shows(panel, Switching())
    with pytest.raises(ParameterError, match="Switching"):
        panel.settings = Reflective()


def test_a_whole_drag_is_undone_at_once(panel):
    for position in (1.0, 1.2, 1.4):
        slider(panel, "threshold").value = position
    panel.sliders.undo.click()
    shows(panel, START)


def test_a_setting_that_cannot_be_is_said_and_undone(panel):
    panel.sliders.controls["window"].box.value = 0
    assert "out of range" in panel.summary.value
    assert panel.settings == START
    assert not panel.sliders.undo.disabled
    panel.sliders.undo.click()
    assert "out of range" not in panel.summary.value
    shows(panel, START)


def test_an_infinite_threshold_never_switches(panel):
    panel.settings = Switching(threshold=math.inf)
    assert "draws <b>0.0%</b>" in panel.summary.value


def test_both_costs_are_explained_and_a_saving_is_not_called_a_loss(traces):
    panel = SwitchingPanel(*traces, settings=Switching(threshold=math.inf))
    assert "This saves nothing" not in panel.summary.value
    assert panel.summary.value.count("<abbr title=") == 3
    panel.close()
    panel = SwitchingPanel(*traces, settings=Switching(threshold=-1.0, monitor="small"), parameters=(30, 40))
    assert panel.result.cost.true > 1
    assert f"costs {panel.result.cost.true - 1:.1%} more" in panel.summary.value
    panel.close()
    panel = SwitchingPanel(*(trace.with_meta(parameters=None) for trace in traces))
    assert "costs not known" in panel.summary.value
    panel.close()


def test_traces_that_do_not_fit_are_said_inside_and_leave_nothing_on_show():
    panel = SwitchingPanel(trace_of(), trace_of(100, seed=1))
    assert 'role="alert"' in panel.summary.value
    assert "not one text" in panel.summary.value
    assert not len(role(panel.tabs.chart.figure, "raw").x)
    for tab in (TABLE, DETAILS, CHART):
        panel.tabs.selected_index = tab
    slider(panel, "threshold").value = 2.0
    panel.export_bar.export("JSON")
    assert "nothing to export" in panel.export_bar.status.value
    panel.close()
    for wrong in ((trace_of(), "text"), (None, trace_of())):
        with pytest.raises(ParameterError, match="SwitchingPanel shows two Traces"):
            SwitchingPanel(*wrong)
    with pytest.raises(ParameterError, match="Switching"):
        SwitchingPanel(trace_of(), trace_of(seed=1), settings={"threshold": 1})


def test_the_tables_show_every_number_of_the_chart(panel):
    panel.tabs.selected_index = TABLE
    for column in ("model", "monitored_bits", "window_bits", "logprob", "caught_up"):
        assert f">{column}</th>" in panel.tabs.table._html.value
    panel.session.cursor = 30
    assert 'class="cursor"' in panel.tabs.table._html.value
    panel.tabs.selected_index = DETAILS
    assert f">{panel.result.cost.read_large}</td>" in panel.tabs.details._html.value
    slider(panel, "threshold").value = 3.0
    panel.tabs.selected_index = CHART
    shows(panel, Switching(threshold=3.0, window=3, dwell=4))


def test_the_cursor_is_the_sessions_while_the_text_is_the_same(traces):
    session = Session(trace=traces[1])
    panel = SwitchingPanel(*traces, session=session)
    assert session.trace is traces[1]
    session.cursor = 7
    assert list(role(panel.tabs.chart.figure, "cursor").x) == [7, 7]
    panel.strip.hover = 9
    assert session.hover == 9
    assert list(role(panel.tabs.chart.figure, "cursor_route").x) == [9, 9]
    panel.strip.hover = -1
    session.trace = trace_of(50, token_id=range(50, 100))
    session.cursor = 20
    assert panel.strip.cursor != 20
    panel.strip.cursor = 40
    assert session.cursor == 20
    assert list(role(panel.tabs.chart.figure, "cursor").x) == [40, 40]
    panel.close()


def test_triggers_follow_their_sliders(reflecting):
    few = reflects(reflecting, Reflective(window=10, k=2.0))
    for position in (5.0, 0.2, 3.0, 1.0):
        slider(reflecting, "k").value = position
    more = reflects(reflecting, Reflective(window=10, k=1.0))
    assert len(more) > len(few) > 0
    assert f"<b>{len(more)}</b>" in reflecting.summary.value
    assert f"first at token <b>{more[0]}</b>" in reflecting.summary.value
    reflecting.sliders.controls["max_corrections"].box.value = 2
    assert "max corrections" in reflecting.summary.value
    assert reflects(reflecting, reflecting.settings) == more[:2]


def test_settings_without_an_effect_are_disabled(reflecting):
    assert slider(reflecting, "minimal_std").disabled
    reflecting.sliders.controls["threshold_rule"].dropdown.value = "reference"
    assert not slider(reflecting, "minimal_std").disabled
    assert not slider(reflecting, "k").disabled


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        (
            Reflective(window=10, k=1.0, threshold_rule="reference", minimal_std=9.0, warm_up_threshold=90),
            "minimal std",
        ),
        (Reflective(window=10, k=0.0, threshold_rule="reference", minimal_threshold=9.0), "minimal threshold"),
        (Reflective(window=10, k=50.0), "k"),
        (Reflective(k=0.0, max_corrections=0), "max corrections"),
        (Reflective(window=500, k=0.0), "window"),
    ],
)
def test_where_nothing_triggers_the_setting_that_holds_it_is_named(settings, named):
    panel = ReflectivePanel(trace_of(), settings=settings)
    assert "Nothing triggers" in panel.summary.value
    assert f"<b>{named}</b>" in panel.summary.value
    panel.close()


def test_below_the_named_value_something_triggers():
    settings = Reflective(window=10, k=50.0)
    words = held_by(reflective.replay(trace_of(), settings))
    k = float(words.split("below ")[1].split(" ")[0])
    assert len(reflective.replay(trace_of(), Reflective(window=10, k=k * 0.99)).triggers.positions) > 0
    assert len(reflective.replay(trace_of(), Reflective(window=10, k=k * 1.01)).triggers.positions) == 0


def test_errors_of_the_replay_are_said_inside(reflecting):
    reflecting.sliders.presets["Reference code"].click()
    assert 'role="alert"' in reflecting.summary.value
    assert "sketch" in reflecting.summary.value
    assert not len(role(reflecting.tabs.chart.figure, "raw").x)
    reflecting.sliders.undo.click()
    reflects(reflecting, Reflective(window=10, k=2.0))
    with pytest.raises(ParameterError, match="ReflectivePanel shows a Trace"):
        ReflectivePanel("text")


def test_a_temperature_serves_tempered_entropies():
    logits = np.random.default_rng(0).normal(0, 3, (40, 60)).astype(np.float32)
    trace = wb.Trace.from_logits(logits, logits.argmax(axis=1))
    panel = ReflectivePanel(trace, settings=Reflective(window=5, entropy_of="tempered"), temperature=0.7)
    expected = reflective.replay(trace, panel.settings, temperature=0.7).triggers.entropy
    np.testing.assert_array_equal(role(panel.tabs.chart.figure, "raw").y, expected)
    panel.close()


def test_the_reflective_panel_follows_the_sessions_trace(reflecting):
    other = trace_of(60, seed=1)
    reflecting.session.trace = other
    assert reflecting.trace is other
    assert len(reflecting.strip) == 60
    reflects(reflecting, Reflective(window=10, k=2.0))
    reflecting.session.cursor = 5
    assert list(role(reflecting.tabs.chart.figure, "cursor").x) == [5, 5]


def test_exports_carry_the_settings(panel, reflecting, tmp_path):
    for one, kind in ((panel, Switching), (reflecting, Reflective)):
        one.export_bar.folder = tmp_path
        for format_ in ("JSON", "CSV"):
            one.export_bar.export(format_)
            one.export_bar.wait()
        saved = json.loads((tmp_path / f"{one.STEM}.json").read_text())
        assert kind.from_dict(saved["settings"]) == one.settings
        assert saved["prompt"] == "2 + 2?"
        assert (tmp_path / f"{one.STEM}.csv").exists()
    assert json.loads((tmp_path / "switching.json").read_text())["model"] == "little ⇄ big"


def test_zooming_draws_a_long_text_in_full():
    panel = ReflectivePanel(trace_of(5000))
    fig = panel.tabs.chart.figure
    assert len(role(fig, "raw").x) <= 2000
    fig.layout.xaxis.range = (100, 400)
    np.testing.assert_array_equal(role(fig, "raw").x, np.arange(99, 402))
    slider(panel, "k").value = 1.0  # the sliders keep the zoom
    np.testing.assert_array_equal(role(fig, "raw").x, np.arange(99, 402))
    panel.close()


def test_hostile_text_stays_text():
    text = ["<img src=x onerror=alert(1)>"] * 120
    panel = SwitchingPanel(trace_of(text=text), trace_of(seed=1, text=text))
    panel.tabs.selected_index = TABLE
    assert "<img" not in panel.tabs.table._html.value + panel.summary.value
    panel.close()


def test_closing_lets_go_of_everything(traces):
    session = Session()
    for make in (SwitchingPanel, lambda *traces, session: ReflectivePanel(traces[0], session=session)):
        panel = make(*traces, session=session)
        figure, strip, recomputed = panel.tabs.chart.figure, panel.strip, panel.result
        parts = [panel, figure, strip, panel.tabs, *panel.sliders.controls.values(), panel.sliders.undo]
        panel.close()
        panel.close()
        assert [part for part in parts if part.comm is not None] == []
        before = strip.cursor
        session.cursor = before + 3
        assert strip.cursor == before
        session.trace = trace_of(20)
        assert panel.result is recomputed
        session.trace = traces[0]


def test_the_strip_says_whose_numbers_it_shows(panel, reflecting):
    assert panel.strip._columns.layers["entropy"].label == "small model's raw entropy"
    assert reflecting.strip._columns.layers["entropy"].label == "raw entropy"
