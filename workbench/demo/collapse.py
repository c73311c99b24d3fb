"""Make attention entropy collapse, and see what sigma-Reparam does about it: `python -m workbench.demo.collapse`.

One small Llama (4 layers of 4 heads, width 128, untied, without norms on queries and keys) is trained three times on
the demo models' training texts, from the same first weights, on the same rows of 128 tokens in the same order, for
1 000 steps of 8 rows, with AdamW (betas 0.9 and 0.98, decay 0.05 on matrices), gradients clipped at 1, and a rate that
follows a cosine to zero:

- "usual": a peak rate of 0.003, reached after warming up for a tenth of the steps;
- "no warm-up": a rate of 0.03 from the first step, at which the scores grow until each row looks at one key;
- "no warm-up, sigma-Reparam": the same with `sigma_reparam` on every nn.Linear of the decoder layers, gamma 1 at first.

Every 20 steps the loss of the step's rows and the statistics of every head on one held-out text are logged with
`HeadLogger`. Runs that are finished stay when the command is stopped, and it goes on with the next.
"""

from __future__ import annotations

import platform
import time
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Annotated, Any

import torch
import typer
from torch.nn.functional import cross_entropy
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from workbench.atomic import replacing
from workbench.attention import HeadHistory, HeadLogger, sigma_reparam
from workbench.attention.head_stats import COLLAPSE_CUT
from workbench.demo.arithmetic import draw
from workbench.demo.train import MODELS, Recipe, conversation, rate, texts
from workbench.errors import AttentionError
from workbench.models import wrap

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

OUT = Path(__file__).parents[2] / "data" / "runs" / "attention_training.parquet"
COMMAND, HEADING = "python -m workbench.demo.collapse", "# Heads over a training"
EVERY, STEPS, HELD_OUT_LEVEL, LAST_LOSSES = 20, 1000, 6, 10


@dataclass(frozen=True)
class Run:
    """One of the trainings that are compared."""

    name: str
    recipe: Recipe
    sigma_reparam: bool = False

    @property
    def steps(self) -> int:
        """Optimizer steps."""
        return self.recipe.tokens // (self.recipe.row * self.recipe.rows)


def runs(steps: int = STEPS) -> tuple[Run, ...]:
    """The three trainings, this many steps long."""
    usual = Recipe(
        hidden=128, layers=4, intermediate=344, heads=4, kv_heads=4, row=128, rows=8, tokens=steps * 128 * 8,
        learning_rate=3e-3, warmup=0.1,
    )  # fmt: skip
    high = replace(usual, learning_rate=3e-2, warmup=0.0)
    return Run("usual", usual), Run("no warm-up", high), Run("no warm-up, sigma-Reparam", high, sigma_reparam=True)


def new_model(run: Run, vocabulary: int) -> LlamaForCausalLM:
    """A freshly initialised Llama, the same for the same seed; with sigma-Reparam where the run has it."""
    recipe = run.recipe
    torch.manual_seed(recipe.seed)
    config = LlamaConfig(
        vocab_size=vocabulary, hidden_size=recipe.hidden, num_hidden_layers=recipe.layers,
        intermediate_size=recipe.intermediate, num_attention_heads=recipe.heads, num_key_value_heads=recipe.kv_heads,
        max_position_embeddings=recipe.row, tie_word_embeddings=False, initializer_range=0.02,
        bos_token_id=None, eos_token_id=None,
    )  # fmt: skip
    model = LlamaForCausalLM(config)
    if run.sigma_reparam:
        sigma_reparam(model, mlp=True)
    return model


def batches(recipe: Recipe, tokenizer: PreTrainedTokenizerFast) -> Iterator[torch.Tensor]:
    """(rows, row) token ids without end: the training texts one after another, cut into rows."""
    size, waiting = recipe.rows * recipe.row, []
    for pieces in texts(recipe.seed + 1):
        waiting += tokenizer("".join(text for text, _ in pieces))["input_ids"]
        while len(waiting) >= size:
            yield torch.tensor(waiting[:size]).view(recipe.rows, recipe.row)
            waiting = waiting[size:]


def held_out_ids(tokenizer: PreTrainedTokenizerFast, length: int) -> list[int]:
    """The first `length` tokens of a worked problem that is never trained on."""
    rng = Random(0)
    while True:
        pieces = conversation(draw(rng, HELD_OUT_LEVEL, held_out=True), rng)
        ids: list[int] = tokenizer("".join(text for text, _ in pieces))["input_ids"]
        if len(ids) >= length:
            return ids[:length]


def train(run: Run, tokenizer: PreTrainedTokenizerFast, *, every: int = EVERY, show: bool = True) -> HeadHistory:
    """One training, measured at every `every`-th step and at the end."""
    recipe, began = run.recipe, time.perf_counter()
    model = new_model(run, len(tokenizer))
    logger = HeadLogger(wrap(model, tokenizer), held_out_ids(tokenizer, recipe.row), every=every, run=run.name)
    optimizer = _optimizer(model, recipe)
    model.train()
    for step, ids in enumerate(islice(batches(recipe, tokenizer), run.steps + 1)):
        logits = model(input_ids=ids, use_cache=False).logits
        loss = cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten())
        measured = logger(step, loss.item())
        if show and measured and step:
            seconds = time.perf_counter() - began
            left = seconds / step * (run.steps - step)
            print(f"{run.name:<26} step {step:>5,}  loss {loss.item():.3f}  {left:.0f} s left of this run", flush=True)
        if step == run.steps:
            break
        for group in optimizer.param_groups:
            group["lr"] = rate(recipe, step / run.steps)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]  # torch's own annotations lack it
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    return HeadHistory(logger.history.frame, _about(run, every, time.perf_counter() - began))


def _optimizer(model: torch.nn.Module, recipe: Recipe) -> torch.optim.AdamW:
    matrices = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim <= 1]
    groups = [{"params": matrices, "weight_decay": recipe.weight_decay}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=recipe.learning_rate, betas=(0.9, 0.98), fused=True)


def _about(run: Run, every: int, seconds: float) -> dict[str, Any]:
    packages = {name: version(name) for name in ("torch", "transformers")}
    return {
        **asdict(run), "steps": run.steps, "every": every, "seconds": round(seconds),
        "versions": {"python": platform.python_version(), **packages},
    }  # fmt: skip


def make(wanted: Sequence[Run], out: Path, *, every: int = EVERY, show: bool = True) -> HeadHistory:
    """All these trainings in one file; those that an earlier, stopped call finished are taken from beside it."""
    tokenizer = AutoTokenizer.from_pretrained(MODELS / "demo")
    parts = out.with_suffix(".parts")
    parts.mkdir(parents=True, exist_ok=True)
    found = []
    for number, run in enumerate(wanted):
        path = parts / f"{number}.parquet"
        one = _finished(path, run, every)
        if one is None:
            one = train(run, tokenizer, every=every, show=show)
            one.save(path)
        found.append(one)
    text = tokenizer.decode(held_out_ids(tokenizer, wanted[0].recipe.row))
    meta = {"made_by": COMMAND, "runs": [one.meta for one in found], "text": text}
    history = HeadHistory.joined(found, meta)
    history.save(out)
    for path in parts.glob("*.parquet"):
        path.unlink()
    parts.rmdir()
    return history


def _finished(path: Path, run: Run, every: int) -> HeadHistory | None:
    """What an earlier call left of this very training, or None."""
    try:
        found = HeadHistory.load(path)
    except AttentionError:
        return None
    known = _about(run, every, 0)
    return found if all(found.meta.get(name) == known[name] for name in known if name != "seconds") else None


def card(history: HeadHistory) -> str:
    """What lies in the file, how it was made, and what came out."""
    usual, high, _ = runs()
    rows = "\n".join(_card_row(history, about) for about in history.meta["runs"])
    return f"""{HEADING}

`attention_training.parquet`, made by `{COMMAND}`, seed {usual.recipe.seed}: the statistics of every head
of one small Llama ({usual.recipe.layers} layers of {usual.recipe.heads} heads, width {usual.recipe.hidden}) every \
{EVERY} steps of three trainings on the demo models' texts, on
one held-out text of {usual.recipe.row} tokens. "usual" warms up to a rate of {usual.recipe.learning_rate}, \
"no warm-up" begins with {high.recipe.learning_rate}, and the
third is the second with sigma-Reparam on every linear map of the decoder layers. First weights, rows and their order
are the same, but that sigma-Reparam scales those maps to spectral norm 1. `wb.attention.training_runs()` opens it.

| run | loss (nats a token, mean of the last {LAST_LOSSES} logged) | row entropy over ln of its support, at the end \
| rows below {COLLAPSE_CUT} of it | seconds |
|---|---|---|---|---|
{rows}
"""


def _card_row(history: HeadHistory, about: dict[str, Any]) -> str:
    name = about["name"]
    loss = float(history.losses.filter(run=name)["loss"].tail(LAST_LOSSES).to_numpy().mean())
    heads = history.at(name, history.steps(name)[-1])
    entropy, collapsed = (float(heads[column].to_numpy().mean()) for column in ("entropy_by_support", "collapsed"))
    return f"| {name} | {loss:.3f} | {entropy:.3f} | {collapsed:.1%} | {about['seconds']} |"


def write_card(history: HeadHistory, path: Path) -> None:
    """Put the card where the one before was: from its heading to the end of the file."""
    before = path.read_text().partition(HEADING)[0].rstrip() if path.is_file() else ""
    with replacing(path, AttentionError) as part:
        part.write_text(f"{before}\n\n{card(history)}".lstrip())


def main(
    out: Annotated[Path, typer.Option(help="The file that is written.")] = OUT,
    steps: Annotated[int, typer.Option(help="Steps of each training.")] = STEPS,
) -> None:
    """Train the three models and write their heads' history."""
    try:
        history = make(runs(steps), out)
    except KeyboardInterrupt:
        print("Stopped. Finished runs are kept; the same command goes on with the next.")
        raise typer.Exit(130) from None
    if out == OUT:
        write_card(history, OUT.with_name("README.md"))
    print(card(history))


if __name__ == "__main__":
    typer.run(main)
