import pytest
import torch

from tests.models.architectures import CONFIGS, SIZES, make_model
from workbench.errors import ModelError
from workbench.models.readout import fit_readout
from workbench.models.structure import decoder_layers, final_norm, head


@pytest.mark.parametrize("kind", CONFIGS)
def test_layers_norm_and_head_give_the_logits(kind):
    model = make_model(kind)
    layers, norm = decoder_layers(model), final_norm(model)
    assert len(layers) == SIZES["num_hidden_layers"]
    assert "norm" in type(norm).__name__.lower()
    ids = torch.arange(12)[None]
    kept = []
    handle = layers[-1].register_forward_hook(lambda m, i, o: kept.append(o if isinstance(o, torch.Tensor) else o[0]))
    with torch.inference_mode():
        logits = model(ids).logits
        made = head(model)(norm(kept[0]))
    handle.remove()
    readout = fit_readout(made, logits, 1e-5)
    assert readout.kind == {"gemma2_softcap": "softcap", "granite_scaled": "scale"}.get(kind, "plain")


def test_no_hook_is_left_behind():
    model = make_model("llama")
    decoder_layers(model)
    assert not any(module._forward_hooks for module in model.modules())


def test_model_without_final_norm_has_none():
    model = make_model("llama")
    model.model.norm = torch.nn.Identity()  # gives back its input: the last layer's own output
    assert final_norm(model) is None


def test_model_without_head_says_so():
    with pytest.raises(ModelError, match="head"):
        head(make_model("llama").model)


@pytest.mark.parametrize("cap", [0.5, 3.0, 30.0])
def test_cap_is_recovered(cap):
    h = torch.randn(20, 50, dtype=torch.float64) * 4
    readout = fit_readout(h, cap * torch.tanh(h / cap), 1e-6)
    assert readout.kind == "softcap"
    assert readout.value == pytest.approx(cap, rel=1e-4)


@pytest.mark.parametrize("factor", [0.0625, -2.0, 12.0])
def test_factor_is_recovered(factor):
    h = torch.randn(20, 50)
    readout = fit_readout(h, factor * h, 1e-4)
    assert readout.kind == "scale"
    assert readout.value == pytest.approx(factor)


def test_anything_else_is_unknown():
    h = torch.randn(20, 50)
    readout = fit_readout(h, h.roll(1, dims=-1), 1e-4)
    assert readout.kind == "unknown"
    assert readout.difference == pytest.approx(float((h.roll(1, dims=-1) - h).abs().max()))
