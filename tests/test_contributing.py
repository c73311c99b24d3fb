"""CONTRIBUTING.md, done as it says: its blocks are run as the files they name."""

import re
import sys
import types
from pathlib import Path

import numpy as np
import pytest

import workbench as wb
from widgets import SamplerPanel, Workbench
from widgets.tabs import TABS
from workbench.errors import ParameterError
from workbench.samplers import STEPS

PAGE = Path(__file__).parents[1] / "CONTRIBUTING.md"
BLOCKS = re.findall(r"```python\n# (\S+)\.py\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


@pytest.fixture
def files(monkeypatch, tmp_path):
    """Module name -> module, as if the files were in the packages."""
    made = {}
    for path, code in BLOCKS:
        name, file = path.replace("/", "."), tmp_path / f"{Path(path).name}.py"
        file.write_text(code, encoding="utf-8")
        module = made[name] = types.ModuleType(name)
        monkeypatch.setitem(sys.modules, name, module)
        exec(compile(code, str(file), "exec"), vars(module))
    yield made
    STEPS.pop("within", None)


@pytest.fixture(scope="module")
def logits():
    return np.random.default_rng(4).normal(0, 2, (60, 80)).astype(np.float32)


@pytest.fixture(scope="module")
def trace(logits):
    drawn = [int(np.argmax(row)) if t % 3 else t for t, row in enumerate(logits)]
    return wb.Trace.from_logits(logits, drawn, top=80)


def test_the_step_is_there_at_once_and_keeps_what_it_says(files, trace, logits):
    within = files["workbench.samplers.steps.within"].Within
    assert STEPS["within"] is within
    replay = wb.replay(trace, wb.Sampler.chain([within(distance=2.0)]))
    assert replay["kept"].tolist() == (logits >= logits.max(axis=1, keepdims=True) - 2.0).sum(axis=1).tolist()
    panel = SamplerPanel(trace)
    assert ("Within d logits", "within") in [tuple(option) for option in panel.chain.add.options]
    panel.close()


def test_the_analysis_is_its_formula(files, trace):
    first_choice = files["workbench.traces.first_choice"].first_choice
    found, hit = first_choice(trace, 5), (trace.tokens["rank"] == 0).to_numpy()
    assert np.isnan(found.share[:4]).all()
    assert found.share[4:].tolist() == pytest.approx([hit[t - 4 : t + 1].mean() for t in range(4, 60)])
    with pytest.raises(ParameterError, match="at least 1 token"):
        first_choice(trace, 0)


def test_the_panel_lives_in_a_tab_of_the_workbench(files, trace, tmp_path, monkeypatch):
    panel_of = files["widgets.panels.first_choice_panel"].FirstChoicePanel
    monkeypatch.setitem(TABS, "First choice", lambda session, _: panel_of(session))
    app = Workbench(trace=trace, folder=tmp_path, autosave=False)
    panel = app.turn_to("First choice")
    before = panel.box.figure.data[0].y.copy()
    panel.window.value = 3
    app.session.cursor = 7
    assert not np.array_equal(panel.box.figure.data[0].y, before, equal_nan=True)
    assert list(panel.box.figure.data[1].x) == [7, 7]
    app.keep_figure()
    (kept,) = app.session.figures
    assert (kept.name, kept.data.height, kept.settings["window"]) == ("first-choice", 60, 3)
    app.turn_to("Trace")
    assert app.turn_to("First choice").window.value == 3
    app.close()
