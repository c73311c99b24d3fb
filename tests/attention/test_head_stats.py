import copy
import dataclasses
import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import polars as pl
import pytest
import torch

import workbench as wb
from tests.attention import dense
from tests.models.architectures import CONFIGS, byte_level_tokenizer, make_model
from workbench import attention
from workbench.attention import AttentionError
from workbench.attention.interface import EAGER_ROWS
from workbench.errors import ParameterError, PromptError

LENGTH = 30
SLIDING = {"mistral_sliding", "gemma2_softcap"}


def token_ids(length=LENGTH, seed=0):
    return np.random.default_rng(seed).integers(3, 320, length).tolist()


def eager_patterns(hf, ids, mask=None):
    """(L, H, T, T) float64, by transformers' own eager attention."""
    usual = hf.config._attn_implementation
    hf.set_attn_implementation("eager")
    try:
        with torch.inference_mode():
            given = {} if mask is None else {"attention_mask": torch.tensor([mask])}
            made = hf(input_ids=torch.tensor([ids]), output_attentions=True, **given).attentions
    finally:
        hf.set_attn_implementation(usual)
    return torch.stack(made)[:, 0].double().numpy()


@pytest.fixture(scope="module", params=sorted(CONFIGS))
def kind(request):
    return request.param


@pytest.fixture(scope="module")
def model(kind):
    return wb.wrap(make_model(kind))


@pytest.fixture(scope="module")
def llama():
    return wb.wrap(make_model("llama"), byte_level_tokenizer())


@pytest.mark.parametrize("padding", [0, 6])
@pytest.mark.parametrize("block", [8, 128])
def test_rows_equal_those_of_output_attentions(model, kind, padding, block):
    ids = token_ids()
    mask = None if padding == 0 else [0] * padding + [1] * (LENGTH - padding)
    stats = attention.head_stats(model, ids, attention_mask=mask, block=block)
    weights = eager_patterns(model.hf, ids, mask)
    kept = slice(padding, None)
    np.testing.assert_allclose(stats.rows[0][..., kept], dense.entropy(weights)[..., kept], atol=1e-4)
    np.testing.assert_allclose(stats.values("max_weight")[..., kept], weights.max(-1)[..., kept], atol=1e-5)
    assert np.isnan(stats.rows[..., :padding]).all()
    assert stats.layers == (0, 1)
    expected = np.arange(1, LENGTH - padding + 1)
    assert (stats.support[0, kept] == (np.minimum(expected, 8) if kind in SLIDING else expected)).all()
    assert stats.entropy[1, 2] == pytest.approx(dense.entropy(weights)[1, 2, kept].mean(), abs=1e-5)
    i, j = np.indices((LENGTH, LENGTH))
    distance = (weights * (i - j)).sum(-1)[..., kept]
    np.testing.assert_allclose(stats.values("distance")[..., kept], distance, atol=1e-4)


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("length", [LENGTH, 100])
def test_logits_are_equal_to_the_last_bit_and_the_setting_comes_back(model, padded, length):
    given = {"input_ids": torch.tensor([token_ids(length), token_ids(length, 1)])}
    if padded:
        given["attention_mask"] = torch.ones(2, length, dtype=torch.int64)
        given["attention_mask"][1, :9] = 0
    usual = model.hf.config._attn_implementation
    with torch.inference_mode():
        expected = model.hf(**given).logits
        with attention.capture(model, block=16) as seen:
            assert model.hf.config._attn_implementation != usual
            logits = model.hf(**given).logits
    assert torch.equal(logits, expected)
    assert model.hf.config._attn_implementation == usual
    assert seen.entropies(1).shape == (2, 4, length)


@pytest.mark.parametrize("length", [2 * EAGER_ROWS + 1, 3 * EAGER_ROWS - 1])
def test_eager_models_run_in_shares_and_give_the_same_bits(length):
    model = wb.wrap(make_model("gemma2_softcap", max_position_embeddings=512))
    ids = torch.tensor([token_ids(length)])
    with torch.inference_mode():
        expected = model.hf(input_ids=ids).logits
        with attention.capture(model) as seen:
            assert torch.equal(model.hf(input_ids=ids).logits, expected)
    weights = eager_patterns(model.hf, ids[0].tolist())
    np.testing.assert_allclose(seen.entropies(), dense.entropy(weights), atol=1e-4)


def test_decoding_token_by_token_gives_the_rows_of_one_pass(model):
    ids = torch.tensor([token_ids(16)])
    with torch.inference_mode(), attention.capture(model) as seen:
        out = model.hf(input_ids=ids[:, :10], use_cache=True)
        for t in range(10, 16):
            out = model.hf(input_ids=ids[:, t : t + 1], past_key_values=out.past_key_values, use_cache=True)
    whole = attention.head_stats(model, ids[0])
    np.testing.assert_allclose(seen.entropies(), whole.rows[0], atol=1e-4)
    assert (seen.support() == whole.support).all()


def test_heads_whose_keys_and_values_differ_in_size():
    from transformers import DeepseekV3Config, DeepseekV3ForCausalLM  # noqa: PLC0415  -- slow to import

    torch.manual_seed(0)
    sizes = {"vocab_size": 320, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 4, "q_lora_rank": 16, "kv_lora_rank": 16}
    parts = {"qk_rope_head_dim": 8, "qk_nope_head_dim": 12, "v_head_dim": 6, "first_k_dense_replace": 2}
    hf = DeepseekV3ForCausalLM(DeepseekV3Config(**sizes, **heads, **parts, initializer_range=0.3)).eval()
    ids = token_ids()
    stats = attention.head_stats(wb.wrap(hf), ids)
    np.testing.assert_allclose(stats.rows[0], dense.entropy(eager_patterns(hf, ids)), atol=1e-4)


def test_half_precision_models_are_measured_in_float32():
    hf = make_model("qwen3").to(torch.bfloat16)
    ids = token_ids()
    stats = attention.head_stats(wb.wrap(hf), ids)
    np.testing.assert_allclose(stats.rows[0], dense.entropy(eager_patterns(hf, ids)), atol=0.05)


def test_the_setting_comes_back_after_an_exception(llama):
    def interrupt():
        with attention.capture(llama):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupt()
    assert llama.hf.config._attn_implementation == "sdpa"
    broken = llama.hf.model.layers[0].mlp.register_forward_hook(lambda *_: 1 / 0)
    try:
        with pytest.raises(ZeroDivisionError):
            attention.head_stats(llama, token_ids())
    finally:
        broken.remove()
    assert llama.hf.config._attn_implementation == "sdpa"


def test_one_capture_within_another_measures_for_the_inner_one_only(llama):
    ids = torch.tensor([token_ids()])
    with torch.inference_mode(), attention.capture(llama) as outer:
        llama.hf(input_ids=ids)
        with attention.capture(llama) as inner:
            llama.hf(input_ids=ids[:, :5])
        llama.hf(input_ids=ids)
    assert inner.entropies().shape[-1] == 5
    assert outer.entropies().shape[-1] == 2 * LENGTH
    assert llama.hf.config._attn_implementation == "sdpa"


def test_token_scores_are_means_over_rows_that_can_have_them(llama):
    ids = token_ids(12) * 2
    stats = attention.head_stats(llama, ids)
    weights = eager_patterns(llama.hf, ids)
    rows = range(12, 24)
    same = np.mean([weights[..., i, i - 12] for i in rows], axis=0)
    induction = np.mean([weights[..., i, i - 11] for i in rows], axis=0)
    np.testing.assert_allclose(stats.same_token, same, atol=1e-5)
    np.testing.assert_allclose(stats.induction, induction, atol=1e-5)
    previous = np.diagonal(weights, -1, -2, -1).sum(-1) / 24
    np.testing.assert_allclose(stats.previous_token, previous, atol=1e-5)
    np.testing.assert_allclose(stats.sink, weights[..., 0].mean(-1), atol=1e-5)
    varentropy = dense.entropy(weights).var(axis=1).mean(axis=-1)
    np.testing.assert_allclose(stats.head_varentropy, varentropy, atol=1e-5)
    unrepeated = attention.head_stats(llama, list(range(3, 20)))
    assert np.isnan(unrepeated.induction).all()
    assert unrepeated.to_frame()["induction"].null_count() == 8


def test_rows_can_be_left_out_of_every_mean(llama):
    stats = attention.head_stats(llama, token_ids(), skip_rows=4)
    again = attention.head_stats(llama, token_ids()).skipping(4)
    np.testing.assert_array_equal(stats.entropy, again.entropy)
    np.testing.assert_allclose(stats.entropy[0, 1], stats.row_entropy(0, 1)[4:].mean(dtype=float))
    support = np.arange(5, LENGTH + 1)
    share = (stats.rows[0][..., 4:] / np.log(support)).mean(-1, dtype=float)
    np.testing.assert_allclose(stats.normalized_entropy, share, rtol=1e-6)
    np.testing.assert_allclose(stats.entropy_over_log_length, stats.entropy / math.log(LENGTH))
    collapsed = (stats.rows[0][..., 4:] / np.log(support) < 0.6).mean(-1)
    np.testing.assert_allclose(stats.collapsed(0.6), collapsed)
    with pytest.raises(ParameterError, match="0 to 29"):
        stats.skipping(LENGTH)


def test_a_text_its_tokens_and_its_trace_give_the_same(llama):
    text = "Add them: naïve or not, 12 + 7 = 19."
    ids = llama.tokenizer(text)["input_ids"]
    by_text = attention.head_stats(llama, text)
    assert by_text.token_ids == tuple(ids)
    assert "".join(by_text.texts) == text
    trace = wb.score(llama, text)
    for other in (ids, np.array(ids), torch.tensor(ids), trace):
        np.testing.assert_array_equal(attention.head_stats(llama, other).rows, by_text.rows)


def test_frames_hold_every_number(llama):
    stats = attention.head_stats(llama, token_ids())
    frame = stats.to_frame()
    assert frame.shape == (8, 13)
    third = frame.row(by_predicate=(pl.col("layer") == 1) & (pl.col("head") == 2), named=True)
    assert third["entropy"] == pytest.approx(stats.entropy[1, 2])
    assert third["entropy_by_length"] == pytest.approx(stats.entropy[1, 2] / math.log(LENGTH))
    assert third["sink"] == pytest.approx(stats.sink[1, 2])
    np.testing.assert_array_equal(stats.row_frame(1, 2)["entropy"], stats.row_entropy(1, 2))
    layers = stats.layer_frame(epsilon=0.0)
    assert layers["sink_share"].to_list() == [1.0, 1.0]
    assert "2 layers x 4 heads, 30 tokens" in repr(stats)


@pytest.mark.parametrize("window", [(0, 30), (11, 7), (20, 100)])
def test_a_pattern_is_the_heads_own_window(model, window):
    ids, (start, size) = token_ids(), window
    stats = attention.head_stats(model, ids)
    found = stats.pattern(model, 1, 3, start, size)
    expected = eager_patterns(model.hf, ids)[1, 3, start : start + size, start : start + size]
    np.testing.assert_allclose(found.weights, expected, atol=1e-5)
    np.testing.assert_allclose(found.outside, 1 - expected.sum(-1), atol=1e-5)
    assert len(found.texts) == len(expected)
    assert found.to_frame()["weight"].sum() == pytest.approx(expected.sum(), abs=1e-4)


def test_a_padded_pattern_stays_at_its_place(llama):
    ids, mask = token_ids(), [0] * 5 + [1] * 25
    stats = attention.head_stats(llama, ids, attention_mask=mask)
    expected = eager_patterns(llama.hf, ids, mask)[0, 1, 8:20, 8:20]
    np.testing.assert_allclose(stats.pattern(llama, 0, 1, 8, 12).weights, expected, atol=1e-5)


def test_what_is_not_there_is_named(llama):
    stats = attention.head_stats(llama, token_ids())
    with pytest.raises(AttentionError, match=r"layer 2; it is in 0 to 1"):
        stats.row_entropy(2, 0)
    with pytest.raises(AttentionError, match="heads are 0 to 3"):
        stats.pattern(llama, 0, 4)
    with pytest.raises(AttentionError, match="1 to 256"):
        stats.pattern(llama, 0, 0, 0, 257)
    with pytest.raises(AttentionError, match="0 to 29"):
        stats.pattern(llama, 0, 0, 30, 5)
    with pytest.raises(ParameterError, match="entropy, max_weight"):
        stats.mean("kurtosis")
    with pytest.raises(ParameterError, match="support, length or none"):
        stats.entropy_over("bits")


def test_bad_input_is_answered(llama):
    with pytest.raises(PromptError, match="two tokens"):
        attention.head_stats(llama, [5])
    with pytest.raises(PromptError):
        attention.head_stats(llama, [5, 320])
    with pytest.raises(PromptError):
        attention.head_stats(llama, token_ids(129))
    with pytest.raises(PromptError, match="no tokenizer"):
        attention.head_stats(wb.wrap(llama.hf), "text")
    with pytest.raises(PromptError, match="3 places"):
        attention.head_stats(llama, token_ids(), attention_mask=[1, 1, 1])
    with pytest.raises(PromptError, match="fewer than two"):
        attention.head_stats(llama, token_ids(), attention_mask=[0] * 29 + [1])
    with pytest.raises(AttentionError, match=r"wb\.wrap"):
        attention.head_stats(llama.hf, token_ids())
    for wrong in ({"block": 0}, {"skip_rows": 30}, {"skip_rows": -1}):
        with pytest.raises(ParameterError):
            attention.head_stats(llama, token_ids(), **wrong)


def test_models_outside_the_interface_are_refused():
    from transformers import BloomConfig, BloomForCausalLM  # noqa: PLC0415

    bloom = BloomForCausalLM(BloomConfig(vocab_size=320, hidden_size=32, n_layer=2, n_head=4)).eval()
    with pytest.raises(AttentionError, match="AttentionInterface"):
        attention.head_stats(wb.wrap(bloom), token_ids())
    llama = wb.wrap(make_model("llama"))
    llama.hf.set_attn_implementation("flex_attention")
    with pytest.raises(AttentionError, match="flex_attention"):
        attention.head_stats(llama, token_ids())
    assert llama.hf.config._attn_implementation == "flex_attention"


def test_layers_without_attention_are_left_out_and_numbers_stay_the_models_own():
    from transformers import Lfm2Config, Lfm2ForCausalLM  # noqa: PLC0415

    torch.manual_seed(0)
    sizes = {"vocab_size": 320, "hidden_size": 32, "num_attention_heads": 4, "num_key_value_heads": 2}
    kinds = {"num_hidden_layers": 3, "layer_types": ["conv", "full_attention", "conv"]}
    model = wb.wrap(Lfm2ForCausalLM(Lfm2Config(**sizes, **kinds, intermediate_size=48)).eval())
    stats = attention.head_stats(model, token_ids())
    assert stats.layers == (1,)
    assert stats.to_frame()["layer"].to_list() == [1] * 4
    assert stats.row_entropy(1, 0)[-1] > 0
    assert len(stats.pattern(model, 1, 0, 0, 4).texts) == 4
    with pytest.raises(AttentionError, match="layer 0; it is in 1 to 1"):
        stats.row_entropy(0, 0)


def test_models_without_attention_or_with_learned_sinks_are_refused():
    from transformers import GptOssConfig, GptOssForCausalLM, MambaConfig, MambaForCausalLM  # noqa: PLC0415

    sizes = {"vocab_size": 320, "hidden_size": 32, "num_hidden_layers": 1}
    mamba = MambaForCausalLM(MambaConfig(**sizes, state_size=8)).eval()
    with pytest.raises(AttentionError, match="No attention call"):
        attention.head_stats(wb.wrap(mamba), token_ids())
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8, "intermediate_size": 48}
    sinks = GptOssForCausalLM(GptOssConfig(**sizes, **heads, num_local_experts=2, num_experts_per_tok=1)).eval()
    with pytest.raises(AttentionError, match="learned attention sinks"):
        attention.head_stats(wb.wrap(sinks), token_ids())
    assert sinks.config._attn_implementation == "eager"


def test_what_comes_after_the_last_attention_is_left_out_from_the_second_text_on():
    model = wb.wrap(make_model("llama"))
    layers = model.hf.model.layers
    runs = []
    for layer in layers:
        layer.mlp.register_forward_hook(lambda module, *_: runs.append(module))
    first = attention.head_stats(model, token_ids())
    second = attention.head_stats(model, token_ids())
    assert runs == [layers[0].mlp, layers[1].mlp, layers[0].mlp]
    np.testing.assert_array_equal(first.rows, second.rows)
    layers.append(copy.deepcopy(layers[1]))
    layers[2].self_attn.layer_idx = 2
    model.hf.config.num_hidden_layers = 3
    model.hf.config.layer_types = ["full_attention"] * 3
    assert attention.head_stats(model, token_ids()).layers == (0, 1, 2)  # another model now


def test_other_threads_run_the_model_unobserved(llama):
    ids = torch.tensor([token_ids()])
    with torch.inference_mode():
        expected = llama.hf(input_ids=ids).logits

    def run():
        with torch.inference_mode():
            return llama.hf(input_ids=ids).logits

    with attention.capture(llama) as seen, ThreadPoolExecutor(1) as pool:
        assert torch.equal(pool.submit(run).result(), expected)
    assert seen.layers == ()
    with pytest.raises(AttentionError, match="did not run"):
        seen.entropies()


def test_scores_that_overflow_name_their_row():
    hf = make_model("llama")
    with torch.no_grad():
        hf.model.layers[1].self_attn.q_proj.weight.mul_(1e30)
        hf.model.layers[1].self_attn.k_proj.weight.mul_(1e30)
    with pytest.raises(AttentionError, match="layer 1, head 0, row 0"):
        attention.head_stats(wb.wrap(hf), token_ids())


def test_too_much_for_the_memory_is_answered_before_it_starts(llama, monkeypatch):
    called = []
    watch = llama.hf.register_forward_pre_hook(lambda *_: called.append(1))
    enough = attention.estimate_memory(llama, 100, block=8)
    assert enough.fits
    monkeypatch.setattr(attention.memory, "available_memory", lambda _: enough.needed - 1)
    try:
        with pytest.raises(AttentionError, match=r"the first \d+ tokens"):
            attention.head_stats(llama, token_ids(100))
    finally:
        watch.remove()
    assert not called


def test_the_estimate_grows_with_the_length_and_suggests_what_fits(llama):
    small = attention.estimate_memory(llama, 10_000, block=128)
    assert attention.estimate_memory(llama, 20_000, block=128).needed < 2.2 * small.needed
    tight = dataclasses.replace(small, available=small.needed // 2)
    assert not tight.fits
    assert dataclasses.replace(tight, tokens=tight.most_tokens).fits
    assert not dataclasses.replace(tight, tokens=tight.most_tokens + 1).fits
    assert tight.to_frame()["most_tokens"].item() == tight.most_tokens
    blocky = dataclasses.replace(small, block=10_000, tokens=40_000)
    blocky = dataclasses.replace(blocky, available=blocky.needed // 2)
    with pytest.raises(AttentionError, match="block=64 or the first"):
        blocky.check()
