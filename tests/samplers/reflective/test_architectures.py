"""One live correction against the same done by autograd and torch's AdamW on a full pass, for many architectures."""

import pytest
import torch
import transformers

import workbench as wb
from tests.models.architectures import make_model
from workbench.samplers.reflective import Reflective, decode

PROMPT = [5, 9, 12, 40, 41, 42, 43, 44, 45, 46, 47]
READOUT = {"gemma2_softcap": lambda u: 3.0 * torch.tanh(u / 3.0), "granite_scaled": lambda u: u / 4.0}
KINDS = ["llama", "qwen3", "gemma", "gemma2_softcap", "granite_scaled", "gpt2", "gpt_neox", "qwen3_moe", "phi_bias"]


def made(kind):
    if kind != "phi_bias":
        return make_model(kind)
    torch.manual_seed(0)
    config = transformers.PhiConfig(
        vocab_size=320, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=48,
        initializer_range=0.2, max_position_embeddings=128, bos_token_id=0, eos_token_id=2,
    )  # fmt: skip
    model = transformers.AutoModelForCausalLM.from_config(config).eval()
    torch.nn.init.normal_(model.lm_head.bias)
    return model


def by_autograd(hf, kind, ids, settings, temperature):
    """Loss before and after, |δ|, and the corrected logits, from one full pass over `ids`."""
    ids = torch.tensor([ids])
    with torch.no_grad():
        states = hf.base_model(ids).last_hidden_state
    delta = torch.nn.Parameter(torch.zeros(states.shape[-1]))
    optimiser = torch.optim.AdamW([delta], lr=settings.rate, weight_decay=1e-8, eps=1e-5)
    if settings.optimizer == "gradient":
        optimiser = torch.optim.SGD([delta], lr=settings.rate)
    losses = []
    for step in range(settings.steps + 1):
        logits = READOUT.get(kind, lambda u: u)(hf.get_output_embeddings()(states + delta))[0]
        ce = torch.nn.functional.cross_entropy(logits[:-1], ids[0, 1:], reduction=settings.cross_entropy)
        entropy = torch.distributions.Categorical(logits=logits[-1] / temperature).entropy()
        loss = (1 - settings.weight) * ce + settings.weight * entropy
        losses.append(loss.item())
        if step < settings.steps:
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    return losses[0], losses[-1], delta.detach().norm().item(), logits[-1].detach()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "settings",
    [
        Reflective(window=2, k=0.2, weight=0.3, rate=0.05),
        Reflective(window=2, k=0.2, weight=0.7, rate=0.05, cross_entropy="mean", entropy_of="tempered", steps=5),
        Reflective(window=2, k=0.2, weight=0.5, rate=1e-4, optimizer="gradient"),
    ],
    ids=["paper", "mean", "gradient"],
)
def test_corrections_are_those_of_autograd_on_a_full_pass(kind, settings):
    hf, temperature = made(kind), 0.8
    run = decode(wb.wrap(hf), PROMPT, settings, sampler=wb.Sampler(temperature=temperature), seed=0, max_new_tokens=16)
    tempered = temperature if settings.entropy_of == "tempered" else 1.0
    tokens = run.trace.tokens["token_id"].to_list()
    assert len(run.corrections) >= 2
    for one in run.corrections:
        ids = PROMPT + tokens[: one.position]
        before, after, norm, logits = by_autograd(hf, kind, ids, settings, tempered)
        assert one.loss_before == pytest.approx(before, rel=1e-4)
        assert one.loss_after == pytest.approx(after, rel=1e-3)
        assert one.delta_norm == pytest.approx(norm, rel=1e-3)
        entropy = torch.distributions.Categorical(logits=logits / tempered).entropy().item()
        assert one.corrected_entropy == pytest.approx(entropy, abs=2e-3)
        drawn_from = torch.distributions.Categorical(logits=logits / temperature)
        row = run.trace.tokens.row(one.position, named=True)
        assert row["sampled_entropy"] == pytest.approx(drawn_from.entropy().item(), abs=2e-3)
        assert row["sampled_logprob"] == pytest.approx(
            drawn_from.log_prob(torch.tensor(row["token_id"])).item(), abs=5e-3
        )


@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_zero_steps_are_plain_decoding_for_a_prompt_of_one_token(kind):
    model, sampler = wb.wrap(made(kind)), wb.Sampler(temperature=1.2)
    plain = wb.record(model, [7], sampler=sampler, max_new_tokens=12)
    run = decode(model, [7], Reflective(window=2, k=0.0, steps=0), sampler=sampler, max_new_tokens=12)
    assert run.trace.tokens.equals(plain.tokens)


def test_the_first_token_after_a_prompt_of_one_can_be_corrected():
    settings = Reflective(threshold_rule="reference", warm_up_threshold=0.0, weight=1.0, rate=0.01)
    run = decode(wb.wrap(made("llama")), [7], settings, sampler=wb.Sampler(), max_new_tokens=2)
    first = run.to_frame().row(0, named=True)
    assert first["triggered"]
    assert first["corrected_entropy"] < first["entropy"]


def test_without_a_cache_the_same_is_corrected():
    settings, runs = Reflective(window=2, k=0.2, weight=0.5, rate=0.05), []
    for use_cache in (True, False):
        hf = made("llama")
        hf.generation_config.use_cache = use_cache
        runs.append(decode(wb.wrap(hf), PROMPT, settings, sampler=wb.Sampler(), seed=0, max_new_tokens=16))
    cached, anew = runs
    assert cached.trace.tokens["token_id"].to_list() == anew.trace.tokens["token_id"].to_list()
    assert [one.position for one in cached.corrections] == [one.position for one in anew.corrections]
    assert len(cached.corrections) > 1
    for a, b in zip(cached.corrections, anew.corrections, strict=True):
        assert a.loss_after == pytest.approx(b.loss_after, rel=1e-3)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_other_precisions(dtype):
    settings = Reflective(window=2, k=0.2, weight=0.5, rate=1e-3)
    run = decode(wb.wrap(made("llama").to(dtype)), PROMPT, settings, sampler=wb.Sampler(), max_new_tokens=16)
    assert len(run.corrections) > 1
    assert all(one.loss_after < one.loss_before for one in run.corrections)
