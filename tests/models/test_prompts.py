import numpy as np
import pytest
import torch

import workbench as wb
from tests.models.architectures import TEMPLATE, byte_fallback_tokenizer, byte_level_tokenizer, make_model
from workbench.errors import PromptError


@pytest.fixture(scope="module")
def model(tokenizer):
    return wb.wrap(make_model("llama"), tokenizer)


@pytest.fixture(scope="module")
def plain():
    return wb.wrap(make_model("llama"), byte_level_tokenizer(template=None))


@pytest.fixture(scope="module")
def with_bos():
    tokenizer = byte_fallback_tokenizer()
    tokenizer.add_bos_token = True
    tokenizer.update_post_processor()
    tokenizer.chat_template = "<s>{% for m in messages %}{{ m.content }}{% endfor %}"
    assert tokenizer("a")["input_ids"][0] == tokenizer.bos_token_id
    return wb.wrap(make_model("llama"), tokenizer)


def test_string_is_one_user_turn(model):
    text, ids = model.encode_prompt("Hi ✓")
    assert text == "<|turn|>user\nHi ✓<|end|>\n<|turn|>assistant\n"
    assert "".join(model.token_texts(ids)) == text


def test_string_is_verbatim_without_a_template_or_when_asked(model, plain):
    assert model.encode_prompt("Hi", chat=False)[0] == "Hi"
    assert plain.encode_prompt("Hi") == model.encode_prompt("Hi", chat=False)


def test_messages(model):
    text, _ = model.encode_prompt([{"role": "system", "content": "Be brief"}, {"role": "user", "content": "Hi"}])
    assert text == "<|turn|>system\nBe brief<|end|>\n<|turn|>user\nHi<|end|>\n<|turn|>assistant\n"


def test_model_goes_on_with_an_assistants_message(model):
    text, _ = model.encode_prompt([{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Well, 12"}])
    assert text.endswith("<|turn|>assistant\nWell, 12")


@pytest.mark.parametrize("kind", [list, tuple, np.array, torch.tensor, lambda ids: np.array(ids, dtype=np.uint8)])
def test_token_ids_are_taken_as_they_are(model, kind):
    ids = model.encode_prompt("Hi", chat=False)[1]
    assert model.encode_prompt(kind(ids)) == ("Hi", ids)


def test_sequence_begins_once(with_bos):
    bos = with_bos.tokenizer.bos_token_id
    for ids in (
        with_bos.encode_prompt("a the")[1],  # the template writes it
        with_bos.encode_prompt("a the", chat=False)[1],  # the tokenizer adds it
        with_bos.encode_prompt("<s>a the", chat=False)[1],  # the user wrote it
    ):
        assert ids.count(bos) == 1
        assert ids[0] == bos


def test_verbatim_prompt_is_not_ended():
    tokenizer = byte_fallback_tokenizer()
    tokenizer.add_bos_token = tokenizer.add_eos_token = True
    tokenizer.update_post_processor()
    assert tokenizer("a")["input_ids"][-1] == tokenizer.eos_token_id
    ids = wb.wrap(make_model("llama"), tokenizer).encode_prompt("a the")[1]
    assert ids[0] == tokenizer.bos_token_id
    assert tokenizer.eos_token_id not in ids


@pytest.mark.parametrize(
    ("prompt", "words"),
    [
        ("", "empty"),
        ([], "empty"),
        (np.array([], dtype=int), "empty"),
        ([{"role": "user", "content": " "}], "empty"),
        ([{"role": "user"}], "Message 0: 'content' must be a string, and is missing"),
        ([{"role": "user", "content": "a"}, {"role": "user", "content": 3}], "Message 1: 'content' .* is int"),
        ([{"content": "a"}], "'role'"),
        ([{"role": "user", "content": "a"}, "b"], "Message 1 is a str"),
        ([0, 320], "Token 1 of the prompt has id 320, outside the model's vocabulary of 320"),
        ([-1], "id -1"),
        ([[1, 2], [3, 4]], "flat list"),
        ([[1, 2], [3]], "flat list"),
        ([1.5], "flat list"),
        ([True, False], "flat list"),
        (["a", "b"], "flat list"),
        (torch.zeros(1, 3, dtype=torch.long), "2-dimensional"),
        (None, "NoneType"),
        (7, "int"),
        ({"role": "user", "content": "a"}, "dict"),
        ([1] * 129, "129 tokens do not fit the model's context of 128"),
        ("a" * 500, "do not fit the model's context of 128"),
    ],
)
def test_what_is_no_prompt(model, prompt, words):
    with pytest.raises(PromptError, match=words):
        model.encode_prompt(prompt)


def test_messages_need_a_template(plain):
    with pytest.raises(PromptError, match=r"no chat template.*chat=False"):
        plain.encode_prompt([{"role": "user", "content": "Hi"}])
    with pytest.raises(PromptError, match="no chat template"):
        plain.encode_prompt("Hi", chat=True)


def test_messages_cannot_be_verbatim(model):
    with pytest.raises(PromptError, match="chat=False"):
        model.encode_prompt([{"role": "user", "content": "Hi"}], chat=False)


@pytest.mark.parametrize("template", ["{{ raise_exception('roles must alternate') }}", "{{ 1 / 0 }}", "{% broken"])
def test_template_that_cannot_render(template):
    model = wb.wrap(make_model("llama"), byte_level_tokenizer(template + TEMPLATE))
    with pytest.raises(PromptError, match="cannot render"):
        model.encode_prompt("Hi")


def test_without_a_tokenizer_only_ids_will_do():
    model = wb.wrap(make_model("llama"))
    assert model.encode_prompt([1, 2]) == ("", [1, 2])
    assert model.token_texts([1, 2]) == ["⟨1⟩", "⟨2⟩"]
    with pytest.raises(PromptError, match="no tokenizer"):
        model.encode_prompt("Hi")


def test_context_is_checked_for_any_length(model):
    model.check_fits(128)
    with pytest.raises(PromptError, match="129 tokens"):
        model.check_fits(129)
