"""What goes wrong while somebody works: after each fault the workbench says what to do and decodes again."""

import asyncio
import errno
import math
import os
import signal
import threading
import time
from dataclasses import dataclass, replace

import pytest
import torch

import workbench as wb
from widgets import Workbench
from widgets.controls.problems import RAN_OUT
from widgets.panels.model_form import ModelRequest
from widgets.panels.model_slot import FAILED, READY
from widgets.session_store import list_sessions
from workbench.kernels.rules import marks, penalises
from workbench.samplers import STEPS, Step
from workbench.samplers.parameters import number

TOKENS = 12


@pytest.fixture(scope="module")
def model():
    return wb.load("demo-small")


@pytest.fixture(scope="module")
def trace(model):
    return wb.record(model, "What is 2 plus 3?", max_new_tokens=TOKENS)


@pytest.fixture
def app(model, trace, tmp_path):
    made = Workbench(model, trace=trace, folder=tmp_path / "files", autosave=False)
    yield made
    made.close()


def shown(panel):
    """The texts of the tokens in the strip."""
    return panel.strip.get_state("_columns")["_columns"]["texts"]


def decodes(app, seed=5):
    """Generate in the tab Trace, as somebody who goes on working; what is on show is that decode."""
    panel = app.turn_to("Trace")
    bar = panel.decode_bar
    bar.limit.value, bar.seed.value = TOKENS, seed
    bar.start()
    assert bar.wait()
    assert bar.status.value == ""
    assert not bar.generate.disabled
    assert bar.stop.disabled
    trace = app.session.trace
    assert trace.meta["seed"] == seed
    assert shown(panel) == trace.tokens["text"].to_list()
    return trace


def interrupt(after):
    """What the kernel's interrupt does, so many seconds from now."""
    threading.Timer(after, lambda: os.kill(os.getpid(), signal.SIGINT)).start()


class Failing:
    """A real hook in the model's forward pass that raises at the n-th pass, once."""

    def __init__(self, model, problem, after=4):
        self.problem, self.left = problem, after
        self.handle = model.hf.register_forward_pre_hook(self)

    def __call__(self, *_):
        self.left -= 1
        if self.left == 0:
            self.handle.remove()
            raise self.problem


# --- decoding -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("problem", "said"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB."), RAN_OUT),
        (MemoryError(), RAN_OUT),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes."), RAN_OUT),
        (RuntimeError("<img src=x>"), "RuntimeError: &lt;img src=x&gt;"),
    ],
    ids=["device", "python", "host", "other"],
)
def test_a_forward_pass_that_fails_leaves_the_trace_and_the_next_decode_works(app, model, trace, problem, said):
    bar = app.turn_to("Trace").decode_bar
    bar.limit.value = TOKENS
    hook = Failing(model, problem)
    bar.start()
    assert bar.wait()
    assert hook.left == 0
    assert said in bar.status.value
    assert 'role="alert"' in bar.status.value
    assert app.session.trace is trace
    assert shown(app.page.panel) == trace.tokens["text"].to_list()
    decodes(app)


def test_memory_that_runs_out_while_heads_are_measured_is_said(app, model):
    panel = app.turn_to("Heads")
    Failing(model, torch.OutOfMemoryError("CUDA out of memory."), after=1)
    panel.bar.start()
    assert panel.wait()
    assert RAN_OUT in panel.bar.status.value
    panel.bar.start()
    assert panel.wait()
    assert "tokens measured" in panel.bar.status.value
    decodes(app)


@pytest.fixture
def breaking():
    """A step that leaves no token once the text is longer than `most`."""

    @marks
    def all_of_them(history, length, parameters, amount):
        if length > parameters[0]:
            amount[:] = 1.0

    @penalises
    def away(logit, amount, parameters):
        return -math.inf

    @dataclass(frozen=True)
    class Breaking(Step):
        """Breaks down."""

        name = "breaking"
        title = "Breaking"
        source = "nowhere"
        marks = all_of_them
        penalises = away

        most: float = number(10.0, "Tokens.", low=0, high=1000, slider=(0.0, 100.0), step=1.0)

    yield Breaking
    del STEPS["breaking"]


def test_a_step_that_breaks_down_in_mid_decode_is_named(app, breaking):
    panel = app.turn_to("Sampler").panel
    before = app.session.traces
    panel.chain.append(breaking(len(app.session.trace.prompt_ids) + 3.0))
    bar = panel.sample_bar
    bar.n.value, bar.limit.value = 1, TOKENS
    bar.start()
    assert bar.wait()
    assert "LogitsError" in bar.status.value
    assert "no token left" in bar.status.value
    assert 'role="alert"' in bar.status.value
    assert app.session.traces == before
    panel.toolbar.undo.click()
    bar.start()
    assert bar.wait()
    assert bar.status.value == ""
    assert len(app.session.traces[-1]) == TOKENS
    decodes(app)


def test_stop_keeps_what_is_there(app, model):
    app.session.model = replace(model, end_ids=frozenset())  # it goes on until it is stopped
    panel = app.turn_to("Trace")
    bar = panel.decode_bar
    bar.limit.value = 1500
    bar.start()
    deadline = time.monotonic() + 20
    while len(panel.strip) < 5:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    bar.stop.click()
    assert bar.wait()
    assert app.session.trace.meta["finish"] == "stopped"
    assert 5 <= len(app.session.trace) < 1500
    assert len(panel.strip) == len(app.session.trace)
    decodes(app)


def test_an_interrupt_of_the_kernel_does_not_touch_a_decode(app, model):
    app.session.model = replace(model, end_ids=frozenset())
    bar = app.turn_to("Trace").decode_bar
    bar.limit.value = 150
    bar.start()
    interrupt(after=0.2)
    with pytest.raises(KeyboardInterrupt):
        time.sleep(30)
    assert bar.running
    assert bar.wait()
    assert len(app.session.trace) == 150
    decodes(app)


def test_what_is_interrupted_in_a_callback_can_be_done_again(app):
    """The kernel's main thread is where sliders are heard; an interrupt there leaves a change half done at most."""
    panel = app.turn_to("Sampler").panel
    panel.sampler = wb.Sampler(top_p=0.9)
    slider = panel.chain.cards[0].controls["p"].slider
    interrupt(after=0.3)

    def drag():
        for move in range(100_000):
            slider.value = 0.3 + (move % 100) / 200

    with pytest.raises(KeyboardInterrupt):
        drag()
    slider.value = 0.95
    assert panel.sampler == app.session.sampler == wb.Sampler(top_p=0.95)
    assert panel.replays.a.summary == wb.replay(app.session.trace, wb.Sampler(top_p=0.95)).summary
    decodes(app)


def written(app):
    """Wait for the session's files; a change while one is written is written after it."""
    deadline = time.monotonic() + 30
    while not app.saved.autosave.wait(5):
        assert time.monotonic() < deadline


# --- models and files ---------------------------------------------------------------------------------------------


def test_a_load_that_fails_says_why_and_keeps_the_model(app, model, tmp_path):
    (tmp_path / "empty").mkdir()
    slot = app.turn_to("Model").first
    slot.form.request = ModelRequest(str(tmp_path / "empty"))
    slot.start()
    assert slot.wait()
    assert slot.state == FAILED
    assert "no config.json" in slot.status.value
    assert app.session.model is model
    decodes(app)
    slot = app.turn_to("Model").first
    slot.form.request = ModelRequest("demo-small")
    slot.start()
    assert slot.wait()
    assert slot.state == READY
    decodes(app)


def test_a_full_disk_is_said_and_the_session_is_saved_when_there_is_room(model, trace, tmp_path, monkeypatch):
    app = Workbench(model, trace=trace, folder=tmp_path / "files")
    written(app)

    def full(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as disk:
        disk.setattr(os, "replace", full)
        made = decodes(app)
        written(app)
        assert "The session is not saved" in app.saved.status.value
        assert "the disk is full" in app.saved.status.value
        app.shelf.save_trace()
        assert app.shelf.wait()
        assert "free some space" in app.shelf.status.value
    assert app.session.trace is made
    assert not list(tmp_path.rglob("*.part"))
    app.session.cursor = 3
    written(app)
    assert app.saved.status.value == ""
    app.close()
    (saved,) = list_sessions(tmp_path / "files" / "session")
    assert len(saved.names("traces")) == 2


# --- many changes at once -----------------------------------------------------------------------------------------


async def until(condition, seconds=30):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


def test_five_quick_changes_end_in_the_last_ones_state(model, trace, tmp_path):
    async def story():
        app = Workbench(model, trace=trace, folder=tmp_path / "files")
        page = app.turn_to("Sampler")
        page.panel.sampler = wb.Sampler(top_p=0.9)
        slider = page.panel.chain.cards[0].controls["p"].slider
        for p in (0.3, 0.8, 0.4, 0.7, 0.5):
            slider.value = p
        await until(lambda: page.panel.replays.a.summary == wb.replay(trace, wb.Sampler(top_p=0.5)).summary)

        bar = app.turn_to("Trace").decode_bar
        bar.limit.value = TOKENS
        for seed in range(5):
            bar.seed.value = seed
            bar.start()
        await until(lambda: app.session.trace is not None and app.session.trace.meta["seed"] == 4)
        assert shown(app.page.panel) == app.session.trace.tokens["text"].to_list()
        assert bar.status.value == ""

        for title in ("Model", "Heads", "Difficulty", "Figures", "Sampler"):
            app.turn_to(title)
        await asyncio.sleep(0)
        assert [one.title for one in app.pages if one.panel is not None] == ["Sampler"]

        first, second = trace, app.session.trace
        for one in (first, second, first, second, first):
            app.session.trace = one
        app.session.cursor = 2
        await until(lambda: app.page.panel.panel.replays.a.summary["mean_support"] >= 1)
        panel = app.page.panel.panel
        assert shown(panel) == first.tokens["text"].to_list()
        assert panel.strip.cursor == 2
        await until(lambda: not app.saved.autosave.due)
        app.close()
        (saved,) = list_sessions(tmp_path / "files" / "session")
        assert saved.about["cursor"] == 2

    asyncio.run(story())
