import pytest
import torch
from transformers import BertConfig, BertForMaskedLM, T5Config, T5ForConditionalGeneration

import workbench as wb
from tests.models.architectures import CONFIGS, make_model
from workbench.errors import ModelError


@pytest.mark.parametrize("kind", CONFIGS)
def test_model_is_held_as_it_is(kind, tokenizer):
    model = make_model(kind)
    wrapped = wb.wrap(model, tokenizer)
    assert wrapped.hf is model
    assert wrapped.tokenizer is tokenizer
    assert wrapped.vocabulary == 320
    assert wrapped.pad_id == tokenizer.pad_token_id


def test_end_ids_come_from_all_three_places(tokenizer):
    model = make_model("llama", eos_token_id=7)
    model.generation_config.eos_token_id = [8, 9]
    assert wb.wrap(model, tokenizer).end_ids == {7, 8, 9, tokenizer.eos_token_id}


def test_default_end_beyond_a_small_vocabulary_is_none():
    model = make_model("gpt2", eos_token_id=50256, bos_token_id=50256)
    wrapped = wb.wrap(model)
    assert wrapped.end_ids == frozenset()
    assert wrapped.pad_id == 0


def test_vocabulary_of_three_tokens_is_enough():
    assert wb.wrap(make_model("llama", vocab_size=3)).vocabulary == 3


def test_training_mode_is_left():
    assert not wb.wrap(make_model("llama").train()).hf.training


def test_half_precision_is_described():
    assert wb.wrap(make_model("llama").to(torch.bfloat16)).dtype == "bfloat16"


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: "demo", "str is no transformers model"),
        (lambda: torch.nn.Linear(2, 2), "Linear is no transformers model"),
        (lambda: make_model("llama").model, "no transformers model that generates|no causal"),
        (
            lambda: T5ForConditionalGeneration(
                T5Config(vocab_size=320, d_model=32, d_kv=8, d_ff=48, num_layers=1, num_heads=4)
            ),
            "no causal language model",
        ),
        (
            lambda: BertForMaskedLM(
                BertConfig(
                    vocab_size=320, hidden_size=32, num_hidden_layers=1, num_attention_heads=4, intermediate_size=48
                )
            ),
            "no transformers model that generates|later tokens",
        ),
    ],
)
def test_what_is_no_causal_language_model(make, words):
    with pytest.raises(ModelError, match=words):
        wb.wrap(make())


def test_tokenizer_of_another_model():
    with pytest.raises(ModelError, match="do not belong together"):
        wb.wrap(make_model("llama", vocab_size=100), wb.load("demo-small", device="cpu").tokenizer)
