import polars as pl
import pytest
import torch

import workbench as wb
from tests.models.architectures import CONFIGS, TEMPLATE, byte_level_tokenizer, make_model
from workbench.models.verification import DIFFERS, NOT_APPLICABLE, OK


def statuses(verification):
    return dict(verification.to_frame().select("check", "status").iter_rows())


@pytest.mark.parametrize("kind", CONFIGS)
def test_every_architecture_passes(kind, tokenizer):
    verification = wb.wrap(make_model(kind), tokenizer).verify(48)  # several times the sliding windows
    assert statuses(verification) == {"last layer": OK, "cached decoding": OK, "chat template": OK}, verification
    assert verification.ok


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_passes(dtype, tokenizer):
    verification = wb.wrap(make_model("llama").to(dtype), tokenizer).verify()
    assert verification.ok, verification


def test_bundled_model_passes():
    assert wb.load("demo-small", device="cpu").verify().ok


def test_result_can_be_read_as_text_markdown_and_frame(tokenizer):
    verification = wb.wrap(make_model("llama"), tokenizer).verify()
    assert verification.to_frame().schema["difference"] == pl.Float64
    for name in statuses(verification):
        assert name in repr(verification)
        assert name in verification._repr_markdown_()


def changed(change, kind="llama"):
    """A model whose logits are changed on the way out."""
    model = make_model(kind)
    forward = model.forward

    def other(*args, **kwargs):
        output = forward(*args, **kwargs)
        output.logits = change(output.logits, kwargs)
        return output

    model.forward = other
    return model


def test_logits_made_elsewhere_differ(tokenizer):
    model = changed(lambda logits, _: logits + torch.arange(logits.shape[-1]) / 100)
    verification = wb.wrap(model, tokenizer).verify()
    assert statuses(verification)["last layer"] == DIFFERS
    assert not verification.ok
    row = verification.to_frame().row(0, named=True)
    assert row["difference"] == pytest.approx(3.19, abs=0.01)


def test_cache_that_changes_the_logits_differs(tokenizer):
    def cached(logits, given):
        return logits * 1.01 if given.get("past_key_values") is not None else logits

    verification = wb.wrap(changed(cached), tokenizer).verify()
    assert statuses(verification)["cached decoding"] == DIFFERS
    assert statuses(verification)["last layer"] == OK


def test_template_that_rewrites_the_user_differs():
    tokenizer = byte_level_tokenizer(TEMPLATE.replace("m.content", "m.content | upper"))
    verification = wb.wrap(make_model("llama"), tokenizer).verify()
    assert statuses(verification)["chat template"] == DIFFERS
    assert "verbatim" in repr(verification)


def test_template_whose_generation_prompt_rewrites_the_beginning_differs():
    tokenizer = byte_level_tokenizer("{% if add_generation_prompt %}Answer:{% endif %}" + TEMPLATE)
    assert statuses(wb.wrap(make_model("llama"), tokenizer).verify())["chat template"] == DIFFERS


def test_without_template_or_cache_the_checks_do_not_apply():
    model = make_model("llama")
    model.generation_config.use_cache = False
    found = statuses(wb.wrap(model).verify())
    assert found == {"last layer": OK, "cached decoding": NOT_APPLICABLE, "chat template": NOT_APPLICABLE}
