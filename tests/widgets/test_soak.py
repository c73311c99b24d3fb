"""Hours of use in a minute: memory and threads stay as they are."""

from __future__ import annotations

import gc
import threading
from pathlib import Path

import pytest

import workbench as wb
from widgets import Workbench
from widgets.figures.text import thousands

MOVES, DECODES = 2000, 50
MOST_BYTES = 50e6
_STATUS = Path("/proc/self/statm")
_PAGE = 4096


def resident() -> int:
    """Bytes of this process in memory."""
    gc.collect()
    return int(_STATUS.read_text().split()[1]) * _PAGE


def slide(app: Workbench, moves: int) -> None:
    """Drag the sampler's p back and forth."""
    panel = app.turn_to("Sampler").panel
    slider = panel.chain.cards[0].controls["p"].slider
    for move in range(moves):
        slider.value = 0.3 + (move % 120) / 200
    assert app.session.sampler.steps[0].p == pytest.approx(slider.value)
    assert panel.replays.a.summary == wb.replay(app.session.trace, app.session.sampler).summary


def decode(app: Workbench, times: int) -> None:
    """Generate again and again, a new seed each time, and let go of the traces."""
    bar = app.turn_to("Trace").decode_bar
    bar.limit.value = 12
    for seed in range(times):
        bar.seed.value = seed
        bar.start()
        assert bar.wait(30)
        assert app.session.trace.meta["seed"] == seed
        app.session.traces = (app.session.trace,)


@pytest.mark.skipif(not _STATUS.exists(), reason="reads the size of the process from Linux's /proc")
def test_two_thousand_slider_moves_and_fifty_decodes_leave_nothing_behind(tmp_path: Path) -> None:
    model = wb.load("demo-small")
    app = Workbench(model, folder=tmp_path)
    decode(app, 5)
    app.session.sampler = wb.Sampler(top_p=0.9)
    slide(app, 100)
    before, running = resident(), set(threading.enumerate())
    decode(app, DECODES)
    slide(app, MOVES)
    grown = resident() - before
    app.close()
    assert [thread.name for thread in threading.enumerate() if thread not in running] == []
    assert grown < MOST_BYTES, f"grew by {thousands(grown)} bytes"
