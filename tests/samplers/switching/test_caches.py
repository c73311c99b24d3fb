"""A cached model gives the logits of a full pass, whatever it has read before and has to forget."""

import pytest
import torch
import transformers
from hypothesis import given, settings
from hypothesis import strategies as st

import workbench as wb
from tests.models.architectures import CONFIGS, SIZES, make_model
from workbench.samplers.switching.caches import CachedModel

KINDS = [*CONFIGS, "lfm2_conv", "mamba"]
LIKE = {"atol": 1e-4, "rtol": 1e-4}


def model_of(kind):
    if kind not in ("lfm2_conv", "mamba"):
        return wb.wrap(make_model(kind))
    torch.manual_seed(0)
    if kind == "mamba":
        config = transformers.MambaConfig(vocab_size=320, hidden_size=32, num_hidden_layers=2)
    else:
        config = transformers.Lfm2Config(**SIZES, layer_types=["conv", "full_attention"])
    return wb.wrap(transformers.AutoModelForCausalLM.from_config(config).eval())


@pytest.fixture(scope="module", params=KINDS)
def model(request):
    return model_of(request.param)


def full(model, ids):
    with torch.inference_mode():
        return model.hf(input_ids=torch.tensor([ids]), use_cache=False).logits[0, -1].float()


def text(length, seed=0):
    return torch.randint(3, 300, (length,), generator=torch.Generator().manual_seed(seed)).tolist()


def test_catching_up_by_any_number_of_tokens(model):
    cached, ids = CachedModel(model), text(40)
    for length in (6, 7, 8, 15, 16, 31, 40):
        torch.testing.assert_close(cached.logits(ids[:length]), full(model, ids[:length]), **LIKE)


def test_every_position_is_read_once():
    cached, ids = CachedModel(model_of("llama")), text(30)
    for length in (5, 6, 20, 30):
        cached.logits(ids[:length])
        assert cached.read == cached.seen == length


def test_tokens_the_text_does_not_have_are_rolled_back(model):
    cached, ids = CachedModel(model), text(24)
    cached.logits(ids)
    for other in (ids[:20] + text(3, seed=1), ids[:12], ids[:12], [*ids[:5], 7], text(9, seed=2), ids):
        torch.testing.assert_close(cached.logits(other), full(model, other), **LIKE)


def test_rolling_back_keeps_what_is_common():
    cached, ids = CachedModel(model_of("gpt2")), text(24)
    cached.logits(ids)
    cached.logits([*ids[:20], 9, 9])
    assert cached.read == 24 + 2
    cached.logits(ids[:10])  # the last token is read again for its logits
    assert cached.read == 24 + 2 + 1


@settings(max_examples=15)
@given(data=st.data(), kind=st.sampled_from(["llama", "mistral_sliding"]))
def test_any_history_of_texts(data, kind):
    model = model_of(kind)
    cached, base = CachedModel(model), text(24)
    for _ in range(4):
        ids = base[: data.draw(st.integers(1, 24))] + data.draw(st.lists(st.integers(3, 5), max_size=6))
        torch.testing.assert_close(cached.logits(ids), full(model, ids), **LIKE)
