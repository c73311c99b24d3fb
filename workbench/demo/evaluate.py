"""How often a demo model is right, level by level: `python -m workbench.demo.evaluate demo` rewrites its card."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Annotated, Any

import polars as pl
import torch
import typer
from transformers import AutoModelForCausalLM, AutoTokenizer

from workbench.demo.problems import FOLDER as PROBLEMS

MODELS = Path(__file__).parents[2] / "data" / "models"
NEW_TOKENS = 640
BATCH = 50


def final_number(text: str) -> str | None:
    """The last whole number after the thinking; None while the thinking is unfinished."""
    _, marker, answer = text.rpartition("</think>")
    numbers = re.findall(r"-?\d+", answer) if marker else []
    return numbers[-1] if numbers else None


def answers(folder: Path, prompts: list[str], *, sample: bool, seed: int = 0) -> pl.DataFrame:
    """Decode every prompt: columns given (the extracted answer) and tokens (how many were generated)."""
    tokenizer = AutoTokenizer.from_pretrained(folder, padding_side="left")
    model = AutoModelForCausalLM.from_pretrained(folder).eval()
    torch.manual_seed(seed)
    rows = []
    for at in range(0, len(prompts), BATCH):
        turns = [[{"role": "user", "content": prompt}] for prompt in prompts[at : at + BATCH]]
        inputs = tokenizer.apply_chat_template(
            turns, add_generation_prompt=True, return_tensors="pt", padding=True, return_dict=True
        )
        # do_sample=False still warns of the sampling settings in the model's generation config unless they are reset
        settings: dict[str, Any] = {} if sample else {"temperature": None, "top_k": None, "top_p": None}
        with torch.inference_mode():
            out = model.generate(**inputs, max_new_tokens=NEW_TOKENS, do_sample=sample, **settings)
        for row in out[:, inputs["input_ids"].shape[1] :]:
            text = tokenizer.decode(row, skip_special_tokens=True)
            rows.append((final_number(text), int((row != tokenizer.pad_token_id).sum())))
    return pl.DataFrame(rows, schema={"given": pl.String, "tokens": pl.Int32}, orient="row")


def accuracy(folder: Path, *, sample: bool) -> pl.DataFrame:
    """A row a level: problems, right, unfinished, mean tokens."""
    problems = pl.read_parquet(PROBLEMS / "arithmetic.parquet")
    given = answers(folder, problems["prompt"].to_list(), sample=sample)
    return (
        problems.hstack(given)
        .group_by("difficulty", maintain_order=True)
        .agg(
            problems=pl.len(),
            right=(pl.col("given") == pl.col("answer")).fill_null(value=False).sum(),
            unfinished=pl.col("given").is_null().sum(),
            tokens=pl.col("tokens").mean().round(0),
        )
    )


def card(name: str, log: dict[str, Any], greedy: pl.DataFrame, sampled: pl.DataFrame, parameters: int) -> str:
    """The model's card: recipe, loss curve, accuracy with counts."""
    recipe, curve = log["recipe"], log["curve"]
    points = [curve[round(i * (len(curve) - 1) / 15)] for i in range(16)]
    loss = "\n".join(f"| {point['tokens'] / 1e6:.1f} M | {point['loss']:.4f} |" for point in points)
    levels = "\n".join(
        f"| {g['difficulty']} | {g['right']}/{g['problems']} | {s['right']}/{s['problems']} | "
        f"{g['unfinished']} | {g['tokens']:.0f} |"
        for g, s in zip(greedy.to_dicts(), sampled.to_dicts(), strict=True)
    )
    settings = ", ".join(f"{key} {value}" for key, value in recipe.items())
    return f"""---
library_name: transformers
license: mit
---

# {name}

A {parameters:,}-parameter Qwen3 that reasons step by step through arithmetic told in plain English, trained from
scratch for Entropy Workbench. It knows nothing else. Byte-level BPE of its own, one token a digit.

Made by `python -m workbench.demo.train {name}`: generated worked solutions (`workbench/demo/arithmetic.py`), packed
into rows without attending to each other, AdamW (0.9, 0.98), linear warm-up, cosine to zero, bfloat16 autocast, prompt
tokens weighted 0.1, digits of deliberate slips unweighted. Nothing was done about its entropies.

{settings}. {log["tokens"]:,} tokens in {log["seconds"] / 60:.0f} minutes on two cores.

## Accuracy on data/problems/arithmetic.parquet

Held out by construction. Greedy, and sampled with the settings of generation_config.json, seed 0;
`python -m workbench.demo.evaluate {name}` prints it again.

| steps | right, greedy | right, sampled | unfinished, greedy | mean tokens, greedy |
|---|---|---|---|---|
{levels}

## Loss

Weighted mean cross-entropy in nats over the last 50 steps.

| tokens | loss |
|---|---|
{loss}
"""


def main(
    name: Annotated[str, typer.Argument(help="Which model: demo or demo-small.")] = "demo",
    models: Annotated[Path, typer.Option(help="Folder the models lie in.")] = MODELS,
) -> None:
    """Measure accuracy by level and write the model's card."""
    folder = models / name
    began = time.perf_counter()
    greedy, sampled = accuracy(folder, sample=False), accuracy(folder, sample=True)
    log = json.loads((folder / "training.json").read_text())
    parameters = sum(p.numel() for p in AutoModelForCausalLM.from_pretrained(folder).parameters())
    (folder / "README.md").write_text(card(name, log, greedy, sampled, parameters))
    print(greedy, sampled, f"{time.perf_counter() - began:.0f} s", sep="\n")


if __name__ == "__main__":
    typer.run(main)
