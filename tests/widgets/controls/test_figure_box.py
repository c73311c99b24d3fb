"""A figure box changes in place what differs, keeps what the reader did, and starts anew where the marks are others."""

import numpy as np
import plotly.graph_objects as go
import pytest

from tests.widgets.figures.figure_cases import answer
from widgets.controls.figure_box import FigureBox


class Scene:
    """What a box should show: changed by the test, drawn by the box."""

    def __init__(self):
        self.y, self.kind, self.title, self.size = [1.0, 2.0, np.nan], go.Scatter, "first", 5

    def __call__(self):
        style = {"marker": {"size": self.size}} if self.kind is go.Scatter and self.size else {}
        figure = go.Figure(self.kind(meta="mark", y=np.asarray(self.y), **style))
        figure.update_layout(title=self.title)
        return figure


@pytest.fixture
def scene():
    return Scene()


@pytest.fixture
def connected():
    return []


@pytest.fixture
def box(scene, connected):
    made = FigureBox(scene, connected.append, height=250)
    yield made
    made.close()


def test_nothing_is_built_before_it_is_seen(box, connected):
    box.update({"mark": {"y": [5]}})
    assert box.figure is None
    assert connected == []
    box.show()
    assert connected == [box.figure]
    assert box.figure.layout.height == 250
    assert box.unveil() is box.figure


def test_showing_assigns_what_differs_and_nothing_else(box, scene):
    box.show()
    figure, heard = box.figure, []
    figure.layout.xaxis.range = (0, 1)  # the reader zoomed
    figure.data[0].on_change(lambda *_: heard.append("y"), "y")
    figure.data[0].on_change(lambda *_: heard.append("size"), "marker")
    box.show()
    assert heard == []  # an unknown value equals an unknown value
    scene.y = [3.0, 4.0]
    box.show()
    assert box.figure is figure
    assert heard == ["y"]
    assert list(figure.data[0].y) == [3, 4]
    assert figure.layout.xaxis.range == (0, 1)
    assert figure.layout.height == 250


def test_what_is_no_longer_said_goes_back_to_its_default(box, scene):
    box.show()
    assert box.figure.data[0].marker.size == 5
    scene.size, scene.title = None, None
    box.show()
    assert box.figure.data[0].marker.size is None
    assert box.figure.layout.title.text is None


def test_showing_after_an_update_ends_at_what_is_built(box, scene):
    box.show()
    box.update({"mark": {"y": [9.0]}}, {"title.text": "moved"})
    assert list(box.figure.data[0].y) == [9]
    box.show()  # as it was at first, which is not what is on show
    assert list(box.figure.data[0].y)[:2] == [1, 2]
    assert box.figure.layout.title.text == scene.title == "first"


def test_other_kinds_of_marks_take_the_place_of_the_old_and_are_connected_anew(box, scene, connected):
    box.show()
    scene.kind = go.Bar
    box.show()
    assert [trace.type for trace in box.figure.data] == ["bar"]
    assert connected == [box.figure, box.figure]
    scene.y = [7.0]
    box.show()
    assert list(box.figure.data[0].y) == [7]


def test_what_waits_for_the_drawing_is_done_once_the_browser_has_answered(box):
    done = []

    def work():
        done.append("work")

    box.when_drawn(work)
    assert len(done) == 1  # there is nothing to draw
    box.show()
    answer(box.figure)
    box.when_drawn(work)
    assert len(done) == 2
    box.update({"mark": {"y": [7.0, 8.0, 9.0]}})
    for _ in range(3):
        box.when_drawn(work)
    answer(box.figure, box.figure._last_trace_edit_id - 1)  # of an earlier change
    assert len(done) == 2
    answer(box.figure)
    assert len(done) == 3
