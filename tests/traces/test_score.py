"""Teacher forcing: alignment, block-wise equal to one pass, agreement with what a decode recorded."""

import numpy as np
import pytest
import torch
from scipy.special import entr, log_softmax, softmax

import workbench as wb
from tests.models.architectures import make_model
from workbench.errors import PromptError
from workbench.traces import scoring
from workbench.traces.scoring import mean_surprisal

TEXT = "<think>\nStart with 12. 12 + 9 = 21.\n</think>\n\nThe answer is 21."


@pytest.fixture(scope="module")
def model():
    return wb.load("demo-small")


def one_pass(model, ids):
    with torch.no_grad():
        return model.hf(torch.tensor([ids])).logits[0].double().numpy()


def test_token_t_has_the_distribution_of_the_logits_before_it(model):
    trace = wb.score(model, TEXT, prompt="Start with 12. Add 9. What is the result?")
    ids = [*trace.prompt_ids, *trace.tokens["token_id"]]
    logits = one_pass(model, ids)[len(trace.prompt_ids) - 1 : -1]
    target = trace.tokens["token_id"].to_numpy()
    np.testing.assert_allclose(trace.tokens["entropy"], entr(softmax(logits, -1)).sum(-1), atol=1e-4)
    expected = log_softmax(logits, -1)[np.arange(len(target)), target]
    np.testing.assert_allclose(trace.tokens["logprob"], expected, atol=1e-4)
    assert trace.text == TEXT
    assert mean_surprisal(trace) == pytest.approx(-expected.mean(), abs=1e-4)


def test_scoring_what_was_recorded_gives_the_recorded_values(model):
    recorded = wb.record(model, "What is 8 plus 5?", seed=3, max_new_tokens=60)
    scored = wb.score(model, recorded.tokens["token_id"].to_list(), prompt=recorded.prompt_ids)
    for name in ("entropy", "varentropy", "logprob"):
        np.testing.assert_allclose(scored.tokens[name], recorded.tokens[name], atol=2e-4)
    assert scored.tokens["phase"].equals(recorded.tokens["phase"])


@pytest.mark.parametrize("kind", ["llama", "gpt2", "gpt_neox", "mistral_sliding", "gemma2_softcap", "qwen3_moe"])
def test_blocks_equal_one_pass_on_every_architecture(kind, monkeypatch):
    model = wb.wrap(make_model(kind))
    ids = np.random.default_rng(0).integers(3, 300, 70).tolist()
    monkeypatch.setattr(scoring, "_BLOCK_BYTES", 16 * 4 * model.vocabulary)
    trace = wb.score(model, ids)
    logits = one_pass(model, ids)[:-1]
    assert len(trace) == 69
    np.testing.assert_allclose(trace.tokens["entropy"], entr(softmax(logits, -1)).sum(-1), atol=1e-4)


def test_without_a_prompt_the_first_token_has_no_distribution_and_is_left_out(model):
    trace = wb.score(model, "Add 9 to 12.")
    assert trace.prompt + trace.text == "Add 9 to 12."
    assert len(trace.prompt_ids) == 1


def test_nothing_was_drawn_so_the_sampled_columns_are_missing(model):
    trace = wb.score(model, TEXT)
    assert trace.meta["missing"] == ["sampled_logprob", "sampled_entropy", "kept", "kept_mass"]
    assert trace.tokens["sampled_entropy"].null_count() == len(trace)


@pytest.mark.parametrize("text", ["", "\n"])
def test_nothing_to_score(model, text):
    with pytest.raises(PromptError, match=r"empty|nothing to score"):
        wb.score(model, text)


def test_longer_than_the_context(model):
    with pytest.raises(PromptError, match=r"2,048|2048"):
        wb.score(model, "1" * 3000)
