"""Which models can take turns, and what those that cannot are told."""

import pytest
import torch

import workbench as wb
from tests.models.architectures import byte_fallback_tokenizer, byte_level_tokenizer, make_model
from workbench.errors import LogitsError, ModelError, ParameterError, PromptError
from workbench.samplers.switching import Switching, decode

PLAIN = wb.Sampler()


def test_different_vocabularies_are_refused_with_the_first_difference():
    small = wb.wrap(make_model("llama"), byte_level_tokenizer())
    large = wb.wrap(make_model("qwen3"), byte_fallback_tokenizer())
    first = [repr(model.tokenizer.convert_ids_to_tokens(0)) for model in (small, large)]
    with pytest.raises(ModelError, match="token 0 is") as caught:
        decode(small, large, "the then", chat=False)
    assert all(token in str(caught.value) for token in first)
    assert "one family" in str(caught.value)


def test_one_token_more_is_a_difference():
    added = ("<think>", "</think>")
    small = wb.wrap(make_model("llama"), byte_level_tokenizer(added=added))
    large = wb.wrap(make_model("llama"), byte_level_tokenizer(added=(*added, "<tool>")))
    with pytest.raises(ModelError, match=r"no token for the first and '<tool>' for the second"):
        decode(small, large, "the then")
    with pytest.raises(ModelError, match=r"'<tool>' for the first and no token for the second"):
        decode(large, small, "the then")


def test_without_tokenizers_the_lengths_must_agree():
    small, large = wb.wrap(make_model("llama")), wb.wrap(make_model("llama", vocab_size=321))
    with pytest.raises(ModelError, match=r"vocabulary of 320 tokens, .* one of 321"):
        decode(small, large, [5, 6, 7])
    decode(small, small, [5, 6, 7], sampler=PLAIN, max_new_tokens=2)


@pytest.mark.parametrize("widths", [(320, 352), (352, 320)])
def test_padded_vocabularies_of_one_tokenizer_take_turns(widths):
    small, large = (wb.wrap(make_model("llama", vocab_size=width), byte_level_tokenizer()) for width in widths)
    settings = Switching(threshold=-1.0, dwell=8)
    run = decode(small, large, "the then", settings, sampler=wb.Sampler(temperature=3), seed=2, max_new_tokens=60)
    assert run.trace.sketch.vocabulary == run.trace.meta["vocabulary"] == 320
    assert run.trace.tokens["token_id"].max() < 320
    assert run.cost.tokens_large > 0


def test_a_padding_id_in_the_prompt_is_refused():
    small, large = (wb.wrap(make_model("llama", vocab_size=width), byte_level_tokenizer()) for width in (320, 352))
    with pytest.raises(PromptError, match="Token 340 of the prompt is outside"):
        decode(small, large, [5, 340, 6])


@pytest.mark.parametrize("contexts", [(32, 128), (128, 32)])
def test_the_shorter_context_is_the_limit(contexts):
    small, large = (wb.wrap(make_model("llama", max_position_embeddings=length)) for length in contexts)
    for model in (small, large):
        model.hf.generation_config.eos_token_id = None
    with pytest.raises(PromptError, match="context of 32"):
        decode(small, large, list(range(5, 25)), max_new_tokens=20)
    with pytest.raises(PromptError, match="context of 32"):
        decode(small, large, [5] * 40)
    run = decode(small, large, list(range(5, 25)), sampler=PLAIN)
    assert len(run.trace) <= 12


def test_the_model_that_gives_no_numbers_is_named():
    small, broken = wb.wrap(make_model("llama")), make_model("llama")
    with torch.no_grad():
        broken.lm_head.weight.fill_(torch.nan)
    with pytest.raises(LogitsError, match=r"at step 3: NaN"):
        decode(small, wb.wrap(broken), [5, 6, 7], Switching(threshold=-1.0, dwell=3), sampler=PLAIN)


def test_no_tokens_cannot_be_asked_for():
    model = wb.wrap(make_model("llama"))
    with pytest.raises(ParameterError, match="max_new_tokens"):
        decode(model, model, [5], max_new_tokens=0)
    with pytest.raises(ParameterError, match="top"):
        decode(model, model, [5], top=0)
    with pytest.raises(PromptError, match="empty"):
        decode(model, model, [])
