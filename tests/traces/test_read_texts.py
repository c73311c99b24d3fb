"""Tokens that split characters join to the text, whatever the engine did to their spelling."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.traces.documents import chat, column
from workbench.traces.imports import read_trace
from workbench.traces.imports.texts import align, utf8_texts


@given(st.text(max_size=30), st.data())
def test_text_split_anywhere_in_its_bytes_joins_again(text, data):
    raw = text.encode()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(raw)), max_size=12)))
    pieces = [raw[a:b] for a, b in zip([0, *cuts], [*cuts, len(raw)], strict=True)]
    texts = utf8_texts(pieces)
    assert "".join(texts) == text
    done = 0
    for index, piece in enumerate(texts):  # a character stands with the piece that holds its last byte
        done += len(piece.encode())
        assert done <= sum(map(len, pieces[: index + 1]))


@given(st.lists(st.binary(max_size=4), max_size=8))
def test_bytes_that_are_no_text_join_to_what_python_shows_for_them(pieces):
    assert "".join(utf8_texts(pieces)) == b"".join(pieces).decode("utf-8", "replace")


@given(st.text(min_size=1, max_size=12), st.data())
def test_chat_tokens_with_bytes_join_to_the_message(text, data):
    raw = text.encode()
    cut = data.draw(st.integers(0, len(raw)))
    content = [
        {"token": "?", "bytes": list(part), "logprob": -1.0, "top_logprobs": []} for part in (raw[:cut], raw[cut:])
    ]
    document = {"choices": [{"message": {"content": text}, "logprobs": {"content": content}}]}
    trace = read_trace(document)
    assert trace.text == text == "".join(column(trace, "text"))


@pytest.mark.parametrize(
    ("pieces", "full", "expected"),
    [
        (["Hi", " �", "�", "!"], "Hi 🙂!", ["Hi", " ", "🙂", "!"]),
        (["�", "�"], "é", ["", "é"]),
        (["Hello", "world"], "Hello world", ["Hello", " world"]),
        (["a", "", "b"], "ab", ["a", "", "b"]),
        (["a"], "b", None),
        (["a"], "ab", None),
    ],
)
def test_lossy_spelling_is_put_right_by_the_whole_text(pieces, full, expected):
    assert align(pieces, full) == expected


def test_tokens_that_do_not_make_the_message_win_and_the_trace_says_so():
    trace = read_trace(chat(("think", -0.5, []), ("ing", -0.5, []), content="only the answer"))
    assert trace.text == "thinking"
    assert any("do not join" in note for note in trace.meta["notes"])


def test_a_closing_special_token_left_out_of_the_message_is_no_disagreement():
    trace = read_trace(chat(("Hi", -0.5, []), ("<|im_end|>", -0.5, []), content="Hi"))
    assert trace.text == "Hi<|im_end|>"
    assert not any("do not join" in note for note in trace.meta["notes"])


def test_lone_surrogates_become_replacement_marks():
    assert read_trace(chat(("a\ud83d", -0.5, []))).text == "a\ufffd"
