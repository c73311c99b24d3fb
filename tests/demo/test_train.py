"""Training batches: whole texts, no loss on slips, no attention across texts, and a loss that falls."""

import math

import pytest
import torch
from transformers import Qwen3ForCausalLM

from workbench.demo.arithmetic import Span
from workbench.demo.tokenizer import THINK, THINK_END, TURN_END, build_tokenizer
from workbench.demo.train import PROMPT_WEIGHT, RECIPES, Recipe, batches, encode, new_model, rate, texts, train

TINY = Recipe(hidden=32, layers=2, intermediate=64, tokens=30_000, learning_rate=5e-3, row=512, rows=4)


@pytest.fixture(scope="module")
def tokenizer():
    stream = texts(0)
    return build_tokenizer("".join(text for text, _ in next(stream)) for _ in range(300))


def test_any_text_survives_the_tokenizer_and_digits_are_single_tokens(tokenizer):
    text = "Zwölf Äpfel 🍎\t<b>1234</b>\n\u202e end"
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text
    assert tokenizer.tokenize("1234") == list("1234")


def test_markers_are_single_tokens_that_survive_skipping_specials(tokenizer):
    ids = tokenizer(f"{THINK}\n1{THINK_END}{TURN_END}")["input_ids"]
    assert ids[0] == tokenizer.convert_tokens_to_ids(THINK)
    assert tokenizer.decode(ids, skip_special_tokens=True) == f"{THINK}\n1{THINK_END}"


def test_the_training_layout_is_the_chat_templates(tokenizer):
    pieces = next(texts(5))
    whole = "".join(text for text, _ in pieces)
    user = whole.split("user\n")[1].split(TURN_END)[0]
    prompt = tokenizer.apply_chat_template(
        [{"role": "user", "content": user}], tokenize=False, add_generation_prompt=True
    )
    assert whole.startswith(prompt)


def test_a_slips_digits_carry_no_loss(tokenizer):
    spans = [Span(" 1 + 1 = "), Span("13", learn=False), Span(". Wait, 1 + 1 = 2.")]
    ids, weights = encode([(span.text, 1.0 if span.learn else 0.0) for span in spans], tokenizer)
    silent = [tokenizer.decode([i]) for i, weight in zip(ids, weights, strict=True) if weight == 0]
    assert "".join(silent).strip() == "13"


def test_batches_hold_whole_texts_with_positions_that_restart(tokenizer):
    batch = next(batches(TINY, tokenizer))
    turn = tokenizer.convert_tokens_to_ids("<|im_start|>")
    starts = (batch.positions == 0) & (batch.ids != tokenizer.pad_token_id)
    assert starts.sum() > TINY.rows
    assert (batch.ids[starts] == turn).all()
    assert set(batch.weights.unique().tolist()) <= set(torch.tensor([0.0, PROMPT_WEIGHT, 1.0]).tolist())


def test_packed_texts_do_not_see_each_other(tokenizer):
    model = new_model(TINY, tokenizer).eval()
    stream = texts(7)
    a, b = (encode(next(stream), tokenizer)[0] for _ in range(2))
    positions = torch.tensor([[*range(len(a)), *range(len(b))]])
    with torch.no_grad():
        packed = model(input_ids=torch.tensor([a + b]), position_ids=positions, use_cache=False).logits[0, len(a) :]
        alone = model(input_ids=torch.tensor([b])).logits[0]
    torch.testing.assert_close(packed, alone, atol=1e-4, rtol=1e-4)


def test_the_rate_warms_up_and_falls_to_zero():
    recipe = RECIPES["demo"]
    assert rate(recipe, 0.0) == 0.0
    assert rate(recipe, recipe.warmup) == pytest.approx(recipe.learning_rate)
    assert rate(recipe, 1.0) == pytest.approx(0.0, abs=1e-12)


@pytest.mark.slow
def test_a_short_run_learns_and_can_be_loaded(tokenizer, tmp_path):
    model, log = train(TINY, tokenizer, tmp_path)
    assert isinstance(model, Qwen3ForCausalLM)
    assert log["tokens"] >= TINY.tokens
    stream = texts(11)
    held = torch.tensor([encode(next(stream), tokenizer)[0]])
    with torch.no_grad():
        before = new_model(TINY, tokenizer).eval()(input_ids=held, labels=held).loss
        after = model.eval()(input_ids=held, labels=held).loss
    assert before == pytest.approx(math.log(len(tokenizer)), rel=0.15)
    assert after < 0.85 * before
