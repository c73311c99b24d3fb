"""Charts share one copy of plotly.js, and nobody waits for what importing plotly's widget would read."""

import subprocess
import sys

import plotly.graph_objects as go

from widgets.controls import figure_widget
from widgets.controls.chart import Chart
from widgets.controls.plotly_bundle import plotly_bundle

IMPORT = """
import sys
import widgets.controls.chart
assert "jsonschema" in sys.modules
assert "rfc3987_syntax" not in sys.modules
from jsonschema import FormatChecker, FormatError
checker = FormatChecker(formats=["iri"])
checker.check("http://bücher.example/", "iri")
assert "rfc3987_syntax" in sys.modules
try:
    checker.check("no address", "iri")
except FormatError:
    print("refused")
"""


def test_charts_share_one_bundle_and_carry_no_code_of_their_own():
    charts = [Chart(go.Figure(go.Scatter(y=[1.0, 2.0]))) for _ in range(3)]
    (bundle,) = {chart.get_state("_bundle")["_bundle"] for chart in charts}
    assert bundle == f"IPY_MODEL_{plotly_bundle().model_id}"
    assert len(plotly_bundle().code) > 1e6
    assert sum(len(value) for value in charts[0].get_state().values() if isinstance(value, str)) < 5_000
    for chart in charts:
        chart.close()


def test_after_it_was_closed_there_is_a_new_one():
    before = plotly_bundle()
    before.close()
    assert plotly_bundle() is not before
    chart = Chart(go.Figure())
    assert chart.get_state("_bundle")["_bundle"] == f"IPY_MODEL_{plotly_bundle().model_id}"
    chart.close()


def test_the_grammar_of_addresses_is_read_when_an_address_is_checked():
    found = subprocess.run([sys.executable, "-c", IMPORT], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
    assert found.stdout == "refused\n"


def test_a_grammar_that_is_not_installed_is_not_feigned(monkeypatch):
    monkeypatch.setattr(figure_widget, "_GRAMMAR", "no_such_grammar")
    with figure_widget._grammar_on_demand():
        assert "no_such_grammar" not in sys.modules
    monkeypatch.setattr(figure_widget, "_GRAMMAR", "rfc3987_syntax")
    monkeypatch.delitem(sys.modules, "rfc3987_syntax", raising=False)
    with figure_widget._grammar_on_demand():
        assert sys.modules["rfc3987_syntax"].is_valid_syntax is figure_widget._is_valid_syntax
    assert "rfc3987_syntax" not in sys.modules
