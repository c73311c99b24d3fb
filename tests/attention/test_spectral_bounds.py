import dataclasses

import numpy as np
import pytest
import torch

import workbench as wb
from tests.models.architectures import CONFIGS, make_model
from workbench import attention
from workbench.attention import AttentionError

LENGTH = 24
SLACK = 1 + 1e-4
PLAIN = {"gpt2"}


def token_ids(length=LENGTH, seed=0):
    return np.random.default_rng(seed).integers(3, 320, length).tolist()


def varied(hf):
    """The same model with biases and gains of its own: fresh ones are all 0 and 1."""
    torch.manual_seed(1)
    with torch.no_grad():
        for name, parameter in hf.named_parameters():
            if parameter.ndim == 1:
                parameter.add_(torch.randn_like(parameter) * (0.5 if name.endswith("bias") else 0.2))
    return hf


def inputs_of(module, hf, ids):
    """(T, D) float64: what a layer's attention is given."""
    found = []
    handle = module.register_forward_pre_hook(
        lambda _, args, kwargs: found.append(args[0] if args else kwargs["hidden_states"]), with_kwargs=True
    )
    with torch.inference_mode():
        hf(input_ids=torch.tensor([ids]))
    handle.remove()
    return found[0][0].double().numpy()


def spectral(matrix):
    return np.linalg.norm(matrix, 2)


@pytest.mark.parametrize("kind", sorted(CONFIGS))
@pytest.mark.parametrize("padding", [0, 5])
def test_no_row_of_any_architecture_is_below_the_bound_of_its_weights(kind, padding):
    model = wb.wrap(varied(make_model(kind)))
    mask = None if padding == 0 else [0] * padding + [1] * (LENGTH - padding)
    stats = attention.head_stats(model, token_ids(), attention_mask=mask, skip_rows=2)
    bounds, own = attention.spectral_bounds(model, stats), attention.entropy_bounds(stats)
    used = stats.used
    assert used.sum() == LENGTH - padding - 2
    assert bounds.violations == 0
    assert (bounds.sigma >= own.sigma - 1e-4)[..., used].all()
    assert (bounds.bound <= own.bound + 1e-9)[..., used].all()
    assert np.isnan(bounds.bound[..., ~used]).all()
    assert np.isnan(bounds.sigma[..., ~used]).all()
    assert np.isnan(bounds.entropy[..., ~used]).all()
    assert (bounds.source, own.source) == ("spectral norms", "row norm")
    assert bounds.to_frame().height == 8
    assert "by spectral norms, 0 below" in repr(bounds)


def test_without_rotation_sigma_is_the_theorems_product():
    hf = varied(make_model("gpt2"))
    ids = token_ids()
    bounds = attention.spectral_bounds(wb.wrap(hf), attention.head_stats(wb.wrap(hf), ids))
    module = hf.transformer.h[1].attn
    x = inputs_of(module, hf, ids)
    weight, bias = (part.detach().double().numpy() for part in (module.c_attn.weight, module.c_attn.bias))
    for head in range(4):
        of_query, of_key = slice(8 * head, 8 * head + 8), slice(32 + 8 * head, 40 + 8 * head)
        product = spectral(weight[:, of_query] @ weight[:, of_key].T)
        shift = np.linalg.norm(weight[:, of_key] @ bias[of_query])
        seen = np.minimum(np.sqrt(np.cumsum((x**2).sum(1))), spectral(x))
        expected = 8**-0.5 * (product * np.linalg.norm(x, axis=1) + shift) * seen
        np.testing.assert_allclose(bounds.sigma[1, head], expected * SLACK, rtol=1e-5)
        whole = 8**-0.5 * product * spectral(x @ x.T)  # the theorem as the paper writes it, without biases
        assert (expected <= whole + 8**-0.5 * shift * spectral(x) + 1e-9).all()


def test_with_rotation_and_shared_keys_sigma_is_the_product_of_norms():
    hf = make_model("llama", attention_bias=True)
    hf, ids = varied(hf), token_ids()
    bounds = attention.spectral_bounds(wb.wrap(hf), attention.head_stats(wb.wrap(hf), ids))
    module = hf.model.layers[1].self_attn
    size = np.linalg.norm(inputs_of(module, hf, ids), axis=1)

    def limit(projection, head):
        rows = slice(8 * head, 8 * head + 8)
        weight, bias = (part.detach().double().numpy()[rows] for part in (projection.weight, projection.bias))
        return spectral(weight) * size + np.linalg.norm(bias)

    for head in range(4):
        keys = np.sqrt(np.cumsum(limit(module.k_proj, head // 2) ** 2))
        expected = 8**-0.5 * limit(module.q_proj, head) * keys
        np.testing.assert_allclose(bounds.sigma[1, head], expected * SLACK, rtol=1e-5)


@pytest.mark.parametrize(("kind", "window"), [("qwen3", LENGTH), ("qwen3_moe", LENGTH)])
def test_normalised_queries_and_keys_are_limited_by_their_gains_alone(kind, window):
    hf = varied(make_model(kind))
    stats = attention.head_stats(wb.wrap(hf), token_ids())
    bounds = attention.spectral_bounds(wb.wrap(hf), stats)
    for layer, block in enumerate(hf.model.layers):
        gains = [norm.weight.detach().abs().max().item() for norm in (block.self_attn.q_norm, block.self_attn.k_norm)]
        expected = 8**0.5 * gains[0] * gains[1] * np.sqrt(np.minimum(np.arange(1, LENGTH + 1), window))
        np.testing.assert_allclose(bounds.sigma[layer, 2], expected * SLACK, rtol=1e-4)


def test_soft_capping_limits_every_score():
    hf = make_model("gemma2_softcap", attn_logit_softcapping=0.5)
    bounds = attention.spectral_bounds(wb.wrap(hf), attention.head_stats(wb.wrap(hf), token_ids()))
    expected = 0.5 * np.sqrt(np.minimum(np.arange(1, LENGTH + 1), 8))
    np.testing.assert_allclose(bounds.sigma[0], np.broadcast_to(expected, (4, LENGTH)), rtol=1e-6)


def olmo2():
    from transformers import Olmo2Config, Olmo2ForCausalLM  # noqa: PLC0415  -- slow to import

    sizes = {"vocab_size": 320, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 1}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2, "initializer_range": 0.2, "pad_token_id": 0}
    return Olmo2ForCausalLM(Olmo2Config(**sizes, **heads)).eval()


def phi():
    from transformers import PhiConfig, PhiForCausalLM  # noqa: PLC0415

    sizes = {"vocab_size": 320, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 1}
    heads = {"num_attention_heads": 4, "qk_layernorm": True, "initializer_range": 0.2}
    return PhiForCausalLM(PhiConfig(**sizes, **heads)).eval()


def test_a_norm_over_all_heads_and_one_that_centres_and_shifts_are_limits_too():
    for make, name in ((olmo2, "q_norm"), (phi, "q_layernorm")):
        hf = varied(make())
        module = hf.model.layers[0].self_attn
        bounds = attention.spectral_bounds(wb.wrap(hf), attention.head_stats(wb.wrap(hf), token_ids()))
        assert bounds.violations == 0
        limits = []
        for side in (name, name.replace("q_", "k_")):
            norm = getattr(module, side)
            shift = norm.bias.norm().item() if hasattr(norm, "bias") else 0.0
            limits.append(norm.weight.abs().max().item() * norm.weight.numel() ** 0.5 + shift)
        expected = 8**-0.5 * limits[0] * limits[1] * np.sqrt(np.arange(1, LENGTH + 1))
        np.testing.assert_allclose(bounds.sigma[0, 3], expected * SLACK, rtol=1e-3)


@pytest.mark.parametrize("kind", ["llama", "qwen3"])
def test_half_precision_is_bounded_too(kind):
    model = wb.wrap(varied(make_model(kind)).to(torch.bfloat16))
    bounds = attention.spectral_bounds(model, attention.head_stats(model, token_ids()))
    assert bounds.violations == 0
    whole = wb.wrap(varied(make_model(kind)))
    exact = attention.spectral_bounds(whole, attention.head_stats(whole, token_ids()))
    np.testing.assert_allclose(bounds.sigma, exact.sigma, rtol=0.15)


def test_queries_made_another_way_are_refused():
    from transformers import DeepseekV3Config, DeepseekV3ForCausalLM  # noqa: PLC0415

    torch.manual_seed(0)
    sizes = {"vocab_size": 320, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 1}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 4, "q_lora_rank": 16, "kv_lora_rank": 16}
    parts = {"qk_rope_head_dim": 8, "qk_nope_head_dim": 12, "v_head_dim": 6, "first_k_dense_replace": 2}
    model = wb.wrap(DeepseekV3ForCausalLM(DeepseekV3Config(**sizes, **heads, **parts, initializer_range=0.3)).eval())
    stats = attention.head_stats(model, token_ids())
    with pytest.raises(AttentionError, match=r"queries of layer 0 \(DeepseekV3Attention\).*entropy_bounds"):
        attention.spectral_bounds(model, stats)
    assert model.hf.config._attn_implementation == "sdpa"


def test_statistics_of_another_model_are_refused():
    model = wb.wrap(make_model("llama"))
    stats = attention.head_stats(model, token_ids())
    louder = dataclasses.replace(stats, rows=stats.rows * np.float32(100))
    with pytest.raises(AttentionError, match="measure again"):
        attention.spectral_bounds(model, louder)
    with pytest.raises(AttentionError, match="measure again"):
        attention.spectral_bounds(wb.wrap(make_model("llama", num_hidden_layers=1)), stats)
    with pytest.raises(AttentionError, match="measure again"):
        attention.spectral_bounds(wb.wrap(make_model("llama", num_attention_heads=8)), stats)
