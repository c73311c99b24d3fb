"""Several charts in tabs: only the one in sight is drawn, and the table is that of the chart before it."""

import ipywidgets
import plotly.graph_objects as go
import polars as pl
import pytest
from plotly.callbacks import InputDeviceState, Points

from widgets.panels.chart_tabs import ChartTabs, TabChart


class Chart:
    """A chart that counts how often it was drawn."""

    def __init__(self, stem):
        self.stem, self.drawn, self.clicked, self.value = stem, 0, [], 1.0

    def draw(self):
        self.drawn += 1
        return go.Figure(go.Scatter(y=[self.value, 2], customdata=[f"{self.stem} 0", f"{self.stem} 1"]))

    def tab(self, **about):
        return TabChart(self.stem.title(), self.stem, self.draw, lambda: pl.DataFrame({self.stem: [1, 2]}), **about)


@pytest.fixture
def charts():
    return Chart("one"), Chart("two")


@pytest.fixture
def tabs(charts):
    one, two = charts
    above, below = ipywidgets.Label("above"), ipywidgets.Label("below")
    made = ChartTabs([one.tab(clicked=one.clicked.append), two.tab(above=above, below=below, height=200)])
    made.refresh()
    yield made
    made.close()


def cells(tabs):
    return tabs.children[-1].children[1].value


def test_only_the_tab_in_sight_is_drawn_and_another_when_it_is_opened(tabs, charts):
    one, two = charts
    assert [tabs.get_title(place) for place in range(3)] == ["One", "Two", "Table"]
    assert (one.drawn, two.drawn) == (1, 0)
    assert tabs.box("two").figure is None
    tabs.bring("two")
    assert (one.drawn, two.drawn) == (1, 1)
    assert tabs.box("two").figure.layout.height == 200
    one.value = two.value = 5.0
    tabs.refresh()
    assert tabs.box("two").figure.data[0].y[0] == 5
    assert tabs.box("one").figure.data[0].y[0] == 1
    tabs.bring("one")
    assert tabs.box("one").figure.data[0].y[0] == 5


def test_the_table_is_of_the_chart_that_was_in_sight(tabs):
    for stem in ("one", "two"):
        tabs.bring(stem)
        tabs.selected_index = 2
        assert tabs.chart.stem == stem
        assert f">{stem}<" in cells(tabs)


def test_controls_stand_above_and_below_their_own_chart(tabs):
    parts = tabs.children[1].children
    assert [getattr(part, "value", "chart") for part in parts] == ["above", "chart", "below"]
    assert len(tabs.children[0].children) == 1


def test_a_click_gives_the_points_customdata(tabs, charts):
    mark = tabs.box("one").figure.data[0]
    where = Points(point_inds=[1], xs=[1], ys=[2], trace_name="", trace_index=0)
    for callback in mark._click_callbacks:
        callback(mark, where, InputDeviceState())
        callback(mark, Points(), InputDeviceState())  # a click on another mark
    assert charts[0].clicked == ["one 1"]
    tabs.bring("two")
    assert not tabs.box("two").figure.data[0]._click_callbacks
