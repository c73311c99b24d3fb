"""Prompts of different lengths in one batch: padding changes nothing of what is drawn."""

import numpy as np
import pytest
import torch

import workbench as wb
from tests.models.architectures import make_model
from workbench.traces.decode import decode, left_pad

KINDS = ["llama", "qwen3", "gpt2", "gpt_neox", "gemma2_softcap", "mistral_sliding", "qwen3_moe"]
PROMPTS = [[5, 9, 12, 40, 41, 42, 43, 44, 45, 46, 47], [7], [8, 30, 31, 32]]


class Rows:
    """Keeps the raw logits of every step."""

    def __init__(self):
        self.raw = []

    def step(self, raw, processed, tokens, alive):
        self.raw.append(raw.clone())


def decoded(model, prompts, seeds, sampler):
    rows = Rows()
    found = decode(model, prompts, sampler=sampler, seeds=seeds, max_new_tokens=12, recorder=rows)
    return found, torch.stack(rows.raw, dim=1).numpy()  # (B, T, V)


def test_prompts_are_aligned_at_their_ends():
    ids, mask = left_pad([[1, 2, 3], [4]], pad=0, device=torch.device("cpu"))
    assert ids.tolist() == [[1, 2, 3], [0, 0, 4]]
    assert mask.tolist() == [[1, 1, 1], [0, 0, 1]]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_a_batch_of_different_lengths_equals_each_prompt_alone(kind, temperature):
    model = wb.wrap(make_model(kind))
    sampler = wb.Sampler(temperature=temperature)
    together, raw = decoded(model, PROMPTS, [3, 4, 5], sampler)
    for row, prompt in enumerate(PROMPTS):
        alone, alone_raw = decoded(model, [prompt], [3 + row], sampler)
        assert together.token_ids[row] == alone.token_ids[0]
        assert together.finish[row] == alone.finish[0]
        steps = len(alone.token_ids[0])
        np.testing.assert_allclose(raw[row, :steps], alone_raw[0, :steps], atol=2e-4)
