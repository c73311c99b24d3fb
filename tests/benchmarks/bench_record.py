"""Recording while decoding against transformers' plain `generate`: the same model, prompt, seed and tokens."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from transformers import GenerationConfig, Qwen3Config, Qwen3ForCausalLM

import workbench as wb

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BUDGET = 1.05
NEW_TOKENS = 128
ROUNDS = 5
PROMPT = list(range(5, 37))


def best_of(runs: int, *functions: Callable[[], object]) -> list[float]:
    """The best time of each function, taking turns so that all see the same machine."""
    best = [float("inf")] * len(functions)
    for _ in range(runs):
        for i, function in enumerate(functions):
            began = time.perf_counter()
            function()
            best[i] = min(best[i], time.perf_counter() - began)
    return best


def large_vocabulary() -> wb.LanguageModel:
    """A random Qwen3 of 8 layers with the vocabulary of a real one: 151 936."""
    torch.manual_seed(0)
    config = Qwen3Config(
        vocab_size=151_936, hidden_size=256, num_hidden_layers=8, intermediate_size=768, num_attention_heads=8,
        num_key_value_heads=4, head_dim=32, tie_word_embeddings=True, eos_token_id=None, bos_token_id=None,
    )  # fmt: skip
    return wb.wrap(Qwen3ForCausalLM(config))


def rows() -> Iterator[dict]:
    """One row a model: the bundled one, and one with a large vocabulary."""
    for label, model, prompt in (
        ("demo, vocabulary 667", wb.load("demo"), wb.load("demo").encode_prompt("What is 3 plus 4?")[1]),
        ("random 8 layers, vocabulary 151 936", large_vocabulary(), PROMPT),
    ):
        config = GenerationConfig(
            do_sample=True, temperature=1.0, top_k=0, top_p=1.0, max_new_tokens=NEW_TOKENS, pad_token_id=0,
            eos_token_id=None,
        )  # fmt: skip
        endless = _without_end(model)
        ids = torch.tensor([prompt])

        def plain(model: wb.LanguageModel = model, ids: torch.Tensor = ids, config: GenerationConfig = config) -> None:
            torch.manual_seed(0)
            out = model.hf.generate(ids, attention_mask=torch.ones_like(ids), generation_config=config)
            assert out.shape[1] == ids.shape[1] + NEW_TOKENS

        def recorded(model: wb.LanguageModel = endless, prompt: list[int] = prompt) -> None:
            trace = wb.record(model, prompt, sampler=wb.Sampler(), max_new_tokens=NEW_TOKENS, seed=0)
            assert len(trace) == NEW_TOKENS

        recorded()  # warm
        ours, peer = best_of(ROUNDS, recorded, plain)
        yield {
            "name": f"record {NEW_TOKENS} tokens ({label})", "peer": "transformers generate, nothing recorded",
            "ours_seconds": ours, "peer_seconds": peer, "ratio": ours / peer, "budget": f"<= {BUDGET:g}x",
            "passed": ours / peer <= BUDGET, "note": "",
        }  # fmt: skip


def _without_end(model: wb.LanguageModel) -> wb.LanguageModel:
    """The same model, decoding on whatever it draws: both sides must make the same number of tokens."""
    model.hf.generation_config.eos_token_id = None
    return replace(model, end_ids=frozenset())
