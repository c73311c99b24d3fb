"""The export bar: every format, numbered names, errors in the bar."""

import json
import os

import plotly.graph_objects as go
import polars as pl
import pytest

from tests.browser.jupyter import find_browser
from widgets.controls.export_bar import Exportable, ExportBar, unused

NEEDS_BROWSER = ("PNG", "SVG", "PDF")


def exportable():
    figure = go.Figure(go.Scatter(y=[1, 2, 3]))
    return Exportable("chart", figure, pl.DataFrame({"a": [1, 2]}), {"model": "demo", "seed": 3})


@pytest.mark.parametrize("format_", ["PNG", "SVG", "PDF", "HTML", "CSV", "Parquet", "JSON"])
def test_every_button_writes_its_file(tmp_path, format_):
    if format_ in NEEDS_BROWSER and find_browser() is None and not os.environ.get("WORKBENCH_REQUIRE_BROWSER"):
        pytest.skip("static export needs a browser")
    bar = ExportBar(exportable, tmp_path / "out")
    bar.buttons[format_].click()
    bar.wait()
    assert bar.saved == tmp_path / "out" / f"chart.{format_.lower()}"
    assert bar.saved.stat().st_size > 0
    assert "saved" in bar.status.value
    assert not any(button.disabled for button in bar.buttons.values())


def test_nothing_is_overwritten(tmp_path):
    bar = ExportBar(exportable, tmp_path)
    names = []
    for _ in range(3):
        bar.export("JSON")
        bar.wait()
        names.append(bar.saved.name)
    assert names == ["chart.json", "chart-2.json", "chart-3.json"]
    assert json.loads((tmp_path / "chart.json").read_text())["model"] == "demo"
    assert unused(tmp_path / "other.json") == tmp_path / "other.json"


def test_nothing_to_export_says_what_to_do(tmp_path):
    bar = ExportBar(lambda: None, tmp_path)
    bar.export("PNG")
    assert "record or open a trace first" in bar.status.value
    assert list(tmp_path.iterdir()) == []


def test_a_failure_is_shown_escaped_and_the_bar_stays_usable(tmp_path):
    (tmp_path / "file").write_text("")
    bar = ExportBar(exportable, tmp_path / "file")  # a file where the folder should be
    bar.export("CSV")
    bar.wait()
    assert "⚠" in bar.status.value
    assert not bar.buttons["CSV"].disabled
