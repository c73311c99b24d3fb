import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.models.architectures import byte_fallback_tokenizer, byte_level_tokenizer
from workbench.models import TextStream
from workbench.models.token_text import token_texts

TOKENIZERS = {"byte level": byte_level_tokenizer(), "byte fallback": byte_fallback_tokenizer()}
texts = st.text(st.characters(codec="utf-8"), max_size=40)


def decoded(tokenizer, ids):
    return tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False)


@pytest.mark.parametrize("name", TOKENIZERS)
@settings(max_examples=150, deadline=None)
@given(st.data())
def test_texts_of_any_ids_join_to_the_decoding(name, data):
    tokenizer = TOKENIZERS[name]
    ids = data.draw(st.lists(st.integers(0, len(tokenizer) - 1), max_size=30))
    pieces = token_texts(tokenizer, ids)
    assert len(pieces) == len(ids)
    assert "".join(pieces) == decoded(tokenizer, ids)


@pytest.mark.parametrize("name", TOKENIZERS)
@settings(max_examples=100, deadline=None)
@given(texts)
def test_stream_gives_the_same_for_real_text(name, text):
    tokenizer = TOKENIZERS[name]
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    stream = TextStream(tokenizer)
    pieces = [stream.add(token_id) for token_id in ids]
    assert "".join(pieces) + stream.flush() == decoded(tokenizer, ids)
    if ids and not pieces[-1].endswith("\ufffd"):
        assert pieces[:-1] == token_texts(tokenizer, ids)[:-1]


def test_character_goes_to_the_token_that_completes_it(tokenizer):
    ids = tokenizer("€", add_special_tokens=False)["input_ids"]
    assert token_texts(tokenizer, ids) == ["", "", "€"]


def test_incomplete_character_at_the_end_is_shown_broken(tokenizer):
    ids = tokenizer("a€", add_special_tokens=False)["input_ids"][:-1]
    stream = TextStream(tokenizer)
    assert [stream.add(i) for i in ids] == ["a", "", ""]
    assert stream.flush() == "\ufffd"
    assert token_texts(tokenizer, ids) == ["a", "", "\ufffd"]


def test_leading_spaces_are_kept_and_special_tokens_shown():
    tokenizer = TOKENIZERS["byte fallback"]
    ids = [tokenizer.bos_token_id, *tokenizer("the the think", add_special_tokens=False)["input_ids"], 1]
    pieces = token_texts(tokenizer, ids)
    assert pieces[0] == "<s>"
    assert pieces[-1] == "</s>"
    assert pieces[2] == " the"


def test_byte_tokens_of_one_character_join():
    tokenizer = TOKENIZERS["byte fallback"]
    ids = tokenizer.convert_tokens_to_ids(["a", "<0xE2>", "<0x82>", "<0xAC>", "b"])
    assert token_texts(tokenizer, ids) == ["a", "", "", "€", "b"]


def test_run_of_byte_tokens_that_is_no_text_decodes_as_a_whole():
    tokenizer = TOKENIZERS["byte fallback"]
    ids = tokenizer.convert_tokens_to_ids(["<0xE2>", "<0x82>", "<0xAC>", "<0xFF>", "b"])
    assert token_texts(tokenizer, ids) == ["\ufffd", "\ufffd", "\ufffd", "\ufffd", "b"]


def test_ids_beyond_the_tokenizer_add_nothing(tokenizer):
    assert token_texts(tokenizer, [len(tokenizer) + 3]) == [""]


def test_nothing_gives_nothing(tokenizer):
    assert token_texts(tokenizer, []) == []


@pytest.mark.parametrize("name", TOKENIZERS)
def test_time_is_linear_in_length(name):
    tokenizer = TOKENIZERS[name]
    ids = tokenizer("the think 12 naïve ✓ " * 100, add_special_tokens=False)["input_ids"]

    def fastest(length):
        times = []
        for _ in range(3):
            start = time.perf_counter()
            token_texts(tokenizer, (ids * 20)[:length])
            times.append(time.perf_counter() - start)
        return min(times)

    assert fastest(8000) < 30 * fastest(800)  # quadratic would be 100
