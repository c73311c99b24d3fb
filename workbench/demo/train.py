"""Train a bundled demo model: `python -m workbench.demo.train demo` (or `demo-small`).

Plain supervised training on generated worked solutions (`workbench.demo.arithmetic`): next-token cross-entropy, whole
conversations packed into rows without attending to each other, AdamW with warm-up and cosine decay, bfloat16 autocast.
Prompt tokens weigh a tenth: their numbers are random and cannot be learned. Nothing is done about the entropies.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from math import cos, pi
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Annotated

import torch
import typer
from torch.nn.functional import cross_entropy
from transformers import GenerationConfig, PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

from workbench.demo.arithmetic import LEVELS, Problem, conclude, draw, reason, tell
from workbench.demo.tokenizer import CONTEXT, END, THINK, THINK_END, TURN, TURN_END, build_tokenizer

if TYPE_CHECKING:
    from collections.abc import Iterator

MODELS = Path(__file__).parents[2] / "data" / "models"
PROMPT_WEIGHT = 0.1


@dataclass(frozen=True)
class Recipe:
    """What decides a training run."""

    hidden: int
    layers: int
    intermediate: int
    tokens: int
    learning_rate: float
    heads: int = 4
    kv_heads: int = 2
    row: int = 512
    rows: int = 16
    warmup: float = 0.02
    weight_decay: float = 0.05
    seed: int = 0


RECIPES = {
    "demo": Recipe(hidden=128, layers=5, intermediate=352, tokens=36_000_000, learning_rate=4e-3),
    "demo-small": Recipe(hidden=64, layers=3, intermediate=192, tokens=16_000_000, learning_rate=6e-3),
}


# --- data -------------------------------------------------------------------------------------------------------------


def conversation(problem: Problem, rng: Random) -> list[tuple[str, float]]:
    """One training text as (piece, loss weight) pairs, laid out as the chat template lays it out."""
    pieces = [(f"{TURN}user\n{tell(problem, rng)}{TURN_END}\n{TURN}assistant\n", PROMPT_WEIGHT), (f"{THINK}\n", 1.0)]
    pieces += [(span.text, 1.0 if span.learn else 0.0) for span in reason(problem, rng)]
    pieces.append((f"\n{THINK_END}\n\n{conclude(problem, rng)}{TURN_END}", 1.0))
    return pieces


def texts(seed: int) -> Iterator[list[tuple[str, float]]]:
    """An endless stream of training texts, all levels alike, none of them held out."""
    rng = Random(seed)
    while True:
        yield conversation(draw(rng, rng.choice(LEVELS), held_out=False), rng)


def encode(pieces: list[tuple[str, float]], tokenizer: PreTrainedTokenizerFast) -> tuple[list[int], list[float]]:
    """Token ids of the whole text and the loss weight of each, from the piece its first character lies in."""
    weights = [weight for text, weight in pieces for _ in text]
    encoding = tokenizer("".join(text for text, _ in pieces), return_offsets_mapping=True)
    # A token that straddles a slip's edge takes the smaller weight: no digit of a slip is ever imitated.
    return encoding["input_ids"], [min(weights[a:b]) for a, b in encoding["offset_mapping"]]


@dataclass(frozen=True)
class Batch:
    """Packed rows: token ids, positions that restart with every text, and targets' loss weights, each (B, L)."""

    ids: torch.Tensor
    positions: torch.Tensor
    weights: torch.Tensor


def batches(recipe: Recipe, tokenizer: PreTrainedTokenizerFast) -> Iterator[Batch]:
    """Fill rows first-fit with whole texts; the little room left at a row's end is padding without weight."""
    stream = texts(recipe.seed + 1)
    waiting: list[tuple[list[int], list[float]]] = []
    while True:
        rows: list[list[tuple[list[int], list[float]]]] = [[] for _ in range(recipe.rows)]
        room = [recipe.row] * recipe.rows
        misses = 0
        later = []
        while misses < 24:
            ids, weights = waiting.pop() if waiting else encode(next(stream), tokenizer)
            if len(ids) > recipe.row:
                continue
            place = next((i for i, free in enumerate(room) if free >= len(ids)), None)
            if place is None:
                later.append((ids, weights))
                misses += 1
                continue
            rows[place].append((ids, weights))
            room[place] -= len(ids)
        waiting = later
        yield _batch(rows, recipe.row, tokenizer.pad_token_id)


def _batch(rows: list[list[tuple[list[int], list[float]]]], length: int, pad: int) -> Batch:
    ids = torch.full((len(rows), length), pad)
    positions = torch.zeros(len(rows), length, dtype=torch.long)
    weights = torch.zeros(len(rows), length)
    for r, row in enumerate(rows):
        at = 0
        for tokens, weight in row:
            span = slice(at, at + len(tokens))
            ids[r, span], weights[r, span] = torch.tensor(tokens), torch.tensor(weight)
            positions[r, span] = torch.arange(len(tokens))
            weights[r, at] = 0.0  # the first token of a text has no context to be predicted from
            at += len(tokens)
        positions[r, at:] = torch.arange(length - at)
    return Batch(ids, positions, weights)


# --- training ---------------------------------------------------------------------------------------------------------


def new_model(recipe: Recipe, tokenizer: PreTrainedTokenizerFast) -> Qwen3ForCausalLM:
    """A freshly initialised Qwen3 of the recipe's size."""
    torch.manual_seed(recipe.seed)
    config = Qwen3Config(
        vocab_size=len(tokenizer), hidden_size=recipe.hidden, num_hidden_layers=recipe.layers,
        intermediate_size=recipe.intermediate, num_attention_heads=recipe.heads, num_key_value_heads=recipe.kv_heads,
        head_dim=recipe.hidden // recipe.heads, max_position_embeddings=CONTEXT, tie_word_embeddings=True,
        initializer_range=0.5 / recipe.hidden**0.5, rope_parameters={"rope_type": "default", "rope_theta": 10_000.0},
        bos_token_id=None, eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    return Qwen3ForCausalLM(config)


def rate(recipe: Recipe, done: float) -> float:
    """Learning rate after the share `done` of the tokens: linear warm-up, then a cosine to zero."""
    if done < recipe.warmup:
        return recipe.learning_rate * done / recipe.warmup
    return recipe.learning_rate * 0.5 * (1 + cos(pi * min(1.0, (done - recipe.warmup) / (1 - recipe.warmup))))


def train(recipe: Recipe, tokenizer: PreTrainedTokenizerFast, out: Path) -> tuple[Qwen3ForCausalLM, dict[str, object]]:
    """Run the recipe; returns the model and its log (tokens, seconds, loss curve)."""
    model = new_model(recipe, tokenizer)
    matrices = [p for p in model.parameters() if p.ndim > 1]
    vectors = [p for p in model.parameters() if p.ndim == 1]
    groups = [{"params": matrices, "weight_decay": recipe.weight_decay}, {"params": vectors, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=recipe.learning_rate, betas=(0.9, 0.98), fused=True)
    seen, began, curve, recent = 0, time.perf_counter(), [], []
    for step, batch in enumerate(batches(recipe, tokenizer)):
        if seen >= recipe.tokens:
            break
        for group in optimizer.param_groups:
            group["lr"] = rate(recipe, seen / recipe.tokens)
        with torch.autocast("cpu", torch.bfloat16):
            logits = model(input_ids=batch.ids, position_ids=batch.positions, use_cache=False).logits
        losses = cross_entropy(logits[:, :-1].flatten(0, 1).float(), batch.ids[:, 1:].flatten(), reduction="none")
        weights = batch.weights[:, 1:].flatten()
        loss = (losses * weights).sum() / weights.sum()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]  # torch's own annotations lack it
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        seen += int((batch.ids != tokenizer.pad_token_id).sum())
        recent.append(loss.item())
        if step % 50 == 49:
            seconds = time.perf_counter() - began
            curve.append({"tokens": seen, "loss": round(sum(recent) / len(recent), 4)})
            recent = []
            print(f"{seen:>11,} tokens  loss {curve[-1]['loss']:.4f}  {seen / seconds:,.0f} tokens/s", flush=True)
        if step % 500 == 499:
            model.save_pretrained(out)
    log = {"recipe": asdict(recipe), "tokens": seen, "seconds": round(time.perf_counter() - began), "curve": curve}
    return model, log


def main(
    name: Annotated[str, typer.Argument(help="Which model: demo or demo-small.")] = "demo",
    out: Annotated[Path, typer.Option(help="Folder the model is written to.")] = MODELS,
    tokens: Annotated[int | None, typer.Option(help="Train on this many tokens instead of the recipe's.")] = None,
) -> None:
    """Train one demo model and write it as an ordinary transformers folder."""
    recipe = RECIPES[name] if tokens is None else Recipe(**asdict(RECIPES[name]) | {"tokens": tokens})
    stream = texts(seed=0)  # the same seed for both models: they share one tokenizer
    tokenizer = build_tokenizer("".join(text for text, _ in next(stream)) for _ in range(20_000))
    folder = out / name
    folder.mkdir(parents=True, exist_ok=True)
    model, log = train(recipe, tokenizer, folder)
    model.generation_config = GenerationConfig(
        eos_token_id=[tokenizer.eos_token_id, tokenizer.convert_tokens_to_ids(END)],
        pad_token_id=tokenizer.pad_token_id, do_sample=True, temperature=0.6, top_k=20, top_p=0.95,
    )  # fmt: skip
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    (folder / "training.json").write_text(json.dumps(log, indent=1) + "\n")


if __name__ == "__main__":
    typer.run(main)
