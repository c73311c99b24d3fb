"""sigma-Reparam: the spectral norm is gamma, gradients are those of the formula, and it can be saved and baked in."""

import math
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils import parametrize

import workbench as wb
from tests.models.architectures import byte_level_tokenizer, make_model
from workbench.attention import AttentionError, SigmaReparam, bake_sigma_reparam, sigma_reparam
from workbench.errors import ParameterError

ATTENTION = {f"model.layers.{i}.self_attn.{name}_proj.weight" for i in range(2) for name in "qkvo"}
MLP = {f"model.layers.{i}.mlp.{name}_proj.weight" for i in range(2) for name in ("gate", "up", "down")}


def linear(rows=6, columns=9, *, init="one", seed=0):
    torch.manual_seed(seed)
    made = nn.Linear(columns, rows, bias=False).double()
    parametrize.register_parametrization(made, "weight", SigmaReparam(made.weight, init=init))
    return made


def norm(matrix):
    return torch.linalg.matrix_norm(matrix, ord=2)


@given(st.integers(1, 12), st.integers(1, 12), st.integers(0, 99), st.floats(-3, 3).filter(lambda x: abs(x) > 1e-3))
def test_the_spectral_norm_is_gammas_size(rows, columns, seed, gamma):
    made = linear(rows, columns, seed=seed)
    with torch.no_grad():
        made.parametrizations.weight[0].gamma.fill_(gamma)
    assert norm(made.weight).item() == pytest.approx(abs(gamma), rel=1e-9)


def test_after_the_weight_has_moved_power_iteration_finds_its_norm_again():
    made = linear()
    torch.manual_seed(1)
    with torch.no_grad():
        made.parametrizations.weight.original.add_(torch.randn(6, 9, dtype=torch.float64))
    off = [abs(norm(made.weight).item() - 1) for _ in range(200)]
    assert off[0] > 1e-2
    assert off[-1] < 1e-9
    assert all(after <= before + 1e-12 for before, after in pairwise(off))


def test_gamma_begins_as_one_or_as_the_norm():
    torch.manual_seed(3)
    plain = nn.Linear(9, 6)
    one, same = SigmaReparam(plain.weight), SigmaReparam(plain.weight, init="sigma")
    assert one.gamma.item() == 1
    torch.testing.assert_close(same.gamma.detach(), norm(plain.weight).detach())
    torch.testing.assert_close(same(plain.weight), plain.weight)
    torch.testing.assert_close(one(plain.weight), plain.weight / norm(plain.weight))


def test_gradients_are_those_of_the_formula():
    made = linear()
    inside = made.parametrizations.weight[0]
    with torch.no_grad():
        inside.gamma.fill_(1.7)
        made.parametrizations.weight.original.add_(0.3)  # u and v have not converged
    x = torch.randn(4, 9, dtype=torch.float64)
    made(x).square().sum().backward()
    weight = made.parametrizations.weight.original.detach().clone().requires_grad_()
    gamma = torch.tensor(1.7, dtype=torch.float64, requires_grad=True)
    hat = gamma / (inside.u @ weight @ inside.v) * weight  # u and v as this pass left them, constants
    (x @ hat.T).square().sum().backward()
    found = made.parametrizations.weight.original.grad
    torch.testing.assert_close(found, weight.grad)
    torch.testing.assert_close(inside.gamma.grad, gamma.grad)
    assert found.norm() > 1e-3
    assert abs((found * weight).sum().item()) < 1e-10  # the length of W does not matter


def test_converged_gradients_are_those_of_the_true_norm():
    made = linear()
    x = torch.randn(4, 9, dtype=torch.float64)
    made(x).square().sum().backward()
    weight = made.parametrizations.weight.original.detach().clone().requires_grad_()
    (x @ (weight / norm(weight)).T).square().sum().backward()
    torch.testing.assert_close(made.parametrizations.weight.original.grad, weight.grad)


def test_evaluation_does_not_iterate_and_training_does_once():
    made = linear()
    inside = made.parametrizations.weight[0]
    with torch.no_grad():
        made.parametrizations.weight.original.add_(0.5)
    before = inside.u.clone(), inside.v.clone()
    made.eval()
    made(torch.ones(1, 9, dtype=torch.float64))
    assert torch.equal(inside.u, before[0])
    assert torch.equal(inside.v, before[1])
    made.train()
    made(torch.ones(1, 9, dtype=torch.float64))
    weight = made.parametrizations.weight.original
    v = weight.T @ before[0]
    torch.testing.assert_close(inside.v, (v / v.norm()).detach())
    torch.testing.assert_close(inside.u, (weight @ v / (weight @ v).norm()).detach())


def test_two_passes_before_one_backward():
    made = linear()
    x = torch.ones(2, 9, dtype=torch.float64)
    (made(x) + made(x)).sum().backward()
    assert made.parametrizations.weight.original.grad.isfinite().all()


def test_sigma_is_made_in_full_precision_under_autocast():
    torch.manual_seed(0)
    made = nn.Linear(32, 32, bias=False)
    parametrize.register_parametrization(made, "weight", SigmaReparam(made.weight))
    with torch.autocast("cpu", torch.bfloat16):
        assert made.weight.dtype == torch.float32
        assert norm(made.weight.detach()).item() == pytest.approx(1, abs=1e-5)


def test_a_state_dict_brings_everything_back():
    made, other = linear(seed=1), linear(seed=2)
    made(torch.ones(1, 9, dtype=torch.float64))
    with torch.no_grad():
        made.parametrizations.weight[0].gamma.fill_(2.5)
    state = made.state_dict()
    assert set(state) == {
        "parametrizations.weight.original",
        *(f"parametrizations.weight.0.{name}" for name in ("gamma", "u", "v")),
    }
    other.load_state_dict(state)
    assert torch.equal(made.eval().weight, other.eval().weight)


def test_baking_in_leaves_the_output_and_plain_weights():
    made = linear().eval()
    x = torch.randn(3, 9, dtype=torch.float64)
    before = made(x)
    parametrize.remove_parametrizations(made, "weight", leave_parametrized=True)
    assert torch.equal(made(x), before)
    assert set(made.state_dict()) == {"weight"}
    assert isinstance(made.weight, nn.Parameter)


@pytest.mark.parametrize(("mlp", "expected"), [(False, ATTENTION), (True, ATTENTION | MLP)])
def test_every_linear_map_of_the_attention_and_where_asked_around_it(mlp, expected):
    model = make_model("llama")
    head = model.lm_head.weight.clone()
    assert set(sigma_reparam(model, mlp=mlp)) == expected
    for name in expected:
        assert norm(model.get_submodule(name.removesuffix(".weight")).weight).item() == pytest.approx(1, abs=1e-5)
    assert torch.equal(model.lm_head.weight, head)
    with pytest.raises(AttentionError, match="parametrization already"):
        sigma_reparam(model)


def test_a_wrapped_model_computes_the_same_with_gamma_at_the_norm_and_is_saved_after_baking(tmp_path):
    model = wb.wrap(make_model("qwen3"), byte_level_tokenizer())
    ids = torch.arange(3, 20)[None]
    usual = model.hf(ids).logits
    random = torch.get_rng_state()
    names = sigma_reparam(model, mlp=True, init="sigma")
    assert torch.equal(torch.get_rng_state(), random)
    torch.testing.assert_close(model.hf(ids).logits, usual, atol=1e-4, rtol=1e-4)
    stats = wb.attention.head_stats(model, ids[0].tolist())
    assert bake_sigma_reparam(model) == names
    assert bake_sigma_reparam(model) == ()
    model.hf.save_pretrained(tmp_path)
    model.tokenizer.save_pretrained(tmp_path)
    again = wb.attention.head_stats(wb.load(tmp_path), ids[0].tolist())
    torch.testing.assert_close(torch.tensor(again.entropy), torch.tensor(stats.entropy), atol=1e-5, rtol=0)


def test_other_parametrizations_are_left_when_baking():
    made = nn.utils.parametrizations.weight_norm(nn.Linear(4, 4))
    assert bake_sigma_reparam(nn.Sequential(made, linear())) == ("1.weight",)
    assert parametrize.is_parametrized(made, "weight")


@pytest.mark.parametrize(
    ("weight", "words"),
    [
        (torch.ones(3), "matrices of floating point"),
        (torch.ones(3, 3, dtype=torch.int8), "int8"),
        (torch.zeros(3, 3), "zero or not finite"),
        (torch.full((3, 3), math.nan), "zero or not finite"),
    ],
)
def test_weights_it_cannot_be_used_on(weight, words):
    with pytest.raises(AttentionError, match=words):
        SigmaReparam(weight)


def test_another_beginning_of_gamma():
    with pytest.raises(ParameterError, match='"one" or as "sigma"'):
        sigma_reparam(make_model("llama"), init="two")


def test_one_weight_that_cannot_be_used_leaves_the_others_as_they_were():
    model = make_model("llama")
    with torch.no_grad():
        model.model.layers[1].self_attn.v_proj.weight.zero_()
    with pytest.raises(AttentionError, match="zero"):
        sigma_reparam(model)
    assert not any("parametrizations" in name for name, _ in model.named_parameters())


def test_something_that_is_no_model():
    for change in (sigma_reparam, bake_sigma_reparam):
        with pytest.raises(AttentionError, match="not str"):
            change("demo")


@pytest.mark.parametrize("module", [nn.Linear(3, 3), "gpt2"])
def test_without_an_attention_of_linear_maps_it_says_what_to_do(module):
    with pytest.raises(AttentionError, match="register_parametrization"):
        sigma_reparam(make_model(module) if isinstance(module, str) else module)
