"""The token strip's Python side: what it accepts, what it sends, and how it answers."""

import math
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from widgets.strip import Layer, TokenStrip
from workbench.errors import ParameterError, WorkbenchError


class Recorded(TokenStrip):
    """A strip that keeps what it sends: there is no page in these tests."""

    def send(self, content, buffers=None):
        self.sent = [*getattr(self, "sent", []), (content, buffers or [])]


def strip_of(count=3, **kwargs):
    values = np.arange(count, dtype=float)
    layers = {"entropy": Layer(values, "raw entropy", "nats"), "rank": Layer(values, "rank", digits=0, scale="log")}
    return Recorded([f" t{i}" for i in range(count)], ["think"] * count, layers, **kwargs)


def state(strip):
    return strip.get_state("_columns")["_columns"]


def test_the_columns_travel_as_texts_bytes_and_float32():
    strip = TokenStrip(
        ["a", "b", "c"], ["think", "answer", "think"], {"entropy": Layer([0.5, None, 2.0], "raw entropy")}
    )
    packed = state(strip)
    assert packed["texts"] == ["a", "b", "c"]
    assert packed["phases"] == ["think", "answer"]
    assert list(packed["codes"]) == [0, 1, 0]
    values = np.frombuffer(packed["values"], dtype="<f4")
    assert values[0] == 0.5
    assert math.isnan(values[1])
    assert values[2] == 2.0


def test_32_000_tokens_are_a_compact_state():
    strip = strip_of(32_000)
    packed = state(strip)
    assert len(packed["values"]) == 32_000 * 2 * 4
    assert len(packed["codes"]) == 32_000


def test_append_sends_only_the_new_tokens_and_the_state_holds_all():
    strip = strip_of(3)
    strip.append([" x", " y"], ["think", "answer"], {"rank": [7, 8], "entropy": [0.1, 0.2]})
    ((content, buffers),) = strip.sent
    assert (content["type"], content["start"], content["texts"]) == ("append", 3, [" x", " y"])
    assert list(buffers[0]) == [0, 1]
    np.testing.assert_array_equal(np.frombuffer(buffers[1], "<f4"), np.float32([0.1, 7, 0.2, 8]))  # layers in our order
    assert len(strip) == 5
    assert state(strip)["texts"] == [" t0", " t1", " t2", " x", " y"]
    assert np.frombuffer(state(strip)["values"], "<f4")[-1] == 8


@given(st.lists(st.lists(st.sampled_from(["a", "\n", "é", "🙂"]), max_size=5), max_size=6))
def test_appended_in_any_portions_the_state_is_the_same(portions):
    texts = [text for portion in portions for text in portion]
    whole = TokenStrip(texts, texts, {"entropy": Layer(np.arange(len(texts)), "raw entropy")})
    grown = Recorded([], [], {"entropy": Layer([], "raw entropy")})
    for portion in portions:
        grown.append(portion, portion, {"entropy": np.arange(len(portion)) + len(grown)})
    assert state(whole) == state(grown)


def test_a_page_that_missed_messages_gets_the_rest():
    strip = strip_of(5)
    strip._receive(strip, {"type": "sync", "epoch": 0, "from": 3}, [])
    ((content, _),) = strip.sent
    assert (content["start"], content["texts"]) == (3, [" t3", " t4"])


def test_alternatives_are_answered_for_the_token_asked_about():
    strip = strip_of(3, on_alternatives=lambda i: [(f" alt {i}", np.float32(0.75))])
    strip._receive(strip, {"type": "alternatives", "epoch": 0, "token": 2}, [])
    ((content, _),) = strip.sent
    assert (content["token"], content["items"]) == (2, [[" alt 2", 0.75]])


def test_a_question_about_replaced_tokens_is_not_answered():
    strip = strip_of(3, on_alternatives=lambda i: [("a", 1.0)])
    strip.replace(["n"], ["answer"], {"surprisal": Layer([1.0], "raw surprisal")})
    strip._receive(strip, {"type": "alternatives", "epoch": 0, "token": 2}, [])
    assert not hasattr(strip, "sent")
    assert strip.colour_by == "surprisal"


def test_a_failing_callback_is_told_to_the_page_and_raised():
    def broken(i):
        raise WorkbenchError("this trace holds no sketch")

    strip = strip_of(3, on_alternatives=broken)
    with pytest.raises(WorkbenchError):
        strip._receive(strip, {"type": "alternatives", "epoch": 0, "token": 1}, [])
    assert strip.sent[0][0]["error"] == "this trace holds no sketch"


def test_cursor_and_hover_fall_back_to_none_where_no_token_is():
    strip = strip_of(3)
    strip.cursor = 2
    assert strip.cursor == 2
    strip.cursor = 3
    assert strip.cursor == -1
    strip.hover = -7
    assert strip.hover == -1


def test_replacing_lets_go_of_cursor_hover_and_marks():
    strip = strip_of(3, marked=[0, 2])
    strip.cursor = strip.hover = 2
    strip.replace(["n"], ["answer"], {"entropy": Layer([1.0], "raw entropy")})
    assert (strip.cursor, strip.hover, strip.marked, strip.colour_by) == (-1, -1, (), "entropy")
    assert state(strip)["epoch"] == 1


def test_marks_are_sorted_unique_and_binary():
    strip = strip_of(5, marked=np.array([4, 1, 4]))
    assert strip.marked == (1, 4)
    assert strip.get_state("marked")["marked"] == np.array([1, 4], "<u4").tobytes()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: TokenStrip(["a"], [], {}), "1 texts but 0 phases"),
        (lambda: TokenStrip(["a"], ["p"], {"entropy": Layer([1.0, 2.0], "e")}), "'entropy' has shape"),
        (lambda: strip_of(colour_by="nothing"), "choose from"),
        (lambda: strip_of(marked=[3]), "between 0 and 2"),
        (lambda: strip_of().append(["x"], ["think"], {"entropy": [1.0]}), "has the layers"),
        (lambda: TokenStrip([], [], {"phase": Layer([], "p")}), "cannot be named 'phase'"),
        (lambda: Layer([], "e", range=(2.0, 1.0)), "low < high"),
        (lambda: Layer([], "e", scale="cubic"), "'linear' or 'log'"),
        (lambda: TokenStrip(["a"] * 256, [str(i) for i in range(256)], {}), "256 different phases"),
    ],
)
def test_bad_columns_say_what_is_wrong(make, words):
    with pytest.raises(ParameterError, match=words):
        make()


def test_a_rejected_append_leaves_the_strip_as_it_was():
    strip = strip_of(2)
    before = state(strip)
    with pytest.raises(ParameterError):
        strip.append(["x"] * 300, [str(i) for i in range(300)], {"entropy": [0.0] * 300, "rank": [0.0] * 300})
    assert state(strip) == before


def test_a_lone_surrogate_does_not_break_the_message():
    strip = TokenStrip(["a\ud800b", "🙂"], ["p", "p"], {})
    assert state(strip)["texts"] == ["a\ufffdb", "🙂"]
    "".join(state(strip)["texts"]).encode()


def test_the_script_is_one_module_that_loads_nothing_and_writes_no_markup():
    assert not re.findall(r"^import ", TokenStrip._esm, re.MULTILINE)
    assert re.findall(r"^export (\w+)", TokenStrip._esm, re.MULTILINE) == ["default"]
    for source in (TokenStrip._esm, TokenStrip._css):
        assert not re.search(r"https?://|//cdn|@import|url\(", source)
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(", source)


def test_the_repr_does_not_hold_the_data():
    assert len(repr(strip_of(1000))) < 200
