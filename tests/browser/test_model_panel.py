"""The model panel in JupyterLab: load, verify, a failed load and Unload, by its buttons."""

import re

import pytest

pytestmark = pytest.mark.browser

CELL = """
from widgets import ModelPanel

panel = ModelPanel()
panel
"""


def press(slot, name):
    slot.locator("button", has_text=re.compile(rf"^\s*{name}$")).click()


def test_a_model_is_loaded_checked_kept_through_a_failure_and_unloaded(notebook):
    notebook.open([CELL])
    notebook.run_all(timeout=120)
    page = notebook.page
    panel = page.locator(".workbench-models")
    panel.wait_for()
    panel.evaluate("panel => panel.scrollIntoView()")
    first, second = panel.locator(".workbench-model").nth(0), panel.locator(".workbench-model").nth(1)
    first.get_by_text("✓ fits").wait_for()
    press(first, "Load")
    press(second, "Load")
    panel.get_by_text("share one vocabulary").wait_for(timeout=30_000)
    press(first, "Verify")
    assert first.locator(".workbench-verification tr").nth(2).inner_text(timeout=20_000).startswith("✓ ok")
    press(second, "Settings")
    second.locator("select").first.select_option("folder or hub id …")
    second.get_by_placeholder("Qwen").fill("./<b>nothing</b>")
    second.get_by_placeholder("Qwen").press("Enter")
    press(second, "Load")
    second.get_by_text("failed: There is no folder ./<b>nothing</b>").wait_for(timeout=20_000)
    second.get_by_text("The model before stays").wait_for()
    notebook.screenshot("model-panel")
    wide = "() => { const p = document.querySelector('.workbench-models'); return p.scrollWidth - p.clientWidth; }"
    assert page.evaluate(wide) <= 0
    press(first, "Unload")
    first.get_by_text("nothing loaded").wait_for()
