"""The bundled sweeps: `python -m workbench.demo.runs` makes data/runs anew."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import polars as pl
import typer

import workbench as wb
from workbench.demo.collapse import HEADING
from workbench.difficulty.diffadapt import adapt
from workbench.difficulty.presets import strategies

FOLDER = Path(__file__).parents[2] / "data" / "runs"
SAMPLES, STRATEGY_SAMPLES, NEW_TOKENS, SEED = 4, 3, 640, 0


def arithmetic(folder: Path) -> wb.sweeps.Sweep:
    """Every bundled problem, four samples with the model's own settings."""
    return wb.sweeps.run("demo", "arithmetic", samples=SAMPLES, max_new_tokens=NEW_TOKENS, seed=SEED, out=folder)


def held_out(sweep: wb.sweeps.Sweep) -> wb.problems.Problems:
    """The problems that a probe trained on this sweep has not seen: DiffAdapt's strategies are judged on them."""
    found = adapt(wb.load("demo"), sweep.problems, sweep.to_frame(), seed=SEED)
    frame = sweep.problems.filter(pl.col("problem").is_in(list(found.held_out)))
    return wb.problems.Problems("arithmetic-held-out", frame, "numeric")


def card(*sweeps: wb.sweeps.Sweep) -> str:
    """What lies here, how it was made, and what came out."""
    rows = []
    for sweep in sweeps:
        frame = sweep.to_frame()
        for (arm,), part in frame.group_by("sampler", maintain_order=True):
            correct, entropy, tokens = (
                float(part[name].to_numpy().mean()) for name in ("correct", "entropy", "tokens")
            )
            rows.append(
                f"| {sweep.folder.name} | {arm} | {len(sweep.problems)} x {sweep.settings['samples']} | "
                f"{part['tokens'].sum():,} | {correct:.1%} | {entropy:.4f} | {tokens:.1f} |"
            )
    table = "\n".join(rows)
    return f"""# Sweeps of the demo model

Made by `python -m workbench.demo.runs`, seed {SEED}, at most {NEW_TOKENS} new tokens. `arithmetic` is the bundled set
with the model's own settings, `workbench sweep --samples {SAMPLES} --max-new-tokens {NEW_TOKENS}`. `strategies` holds
DiffAdapt's three strategies on the problems that a probe trained on `arithmetic` has not seen.
`wb.sweeps.open_sweep(folder)` opens them.

| sweep | sampler | problems x samples | tokens | correct | mean raw entropy (nats) | mean tokens |
|---|---|---|---|---|---|---|
{table}
"""


def main(folder: Annotated[Path, typer.Option(help="Where they go.")] = FOLDER) -> None:
    """Make both sweeps, or go on with them, and write the card."""
    first = arithmetic(folder / "arithmetic")
    second = wb.sweeps.run(
        "demo", held_out(first), samples=STRATEGY_SAMPLES, sampler=strategies(NEW_TOKENS), seed=SEED,
        max_new_tokens=NEW_TOKENS, out=folder / "strategies",
    )  # fmt: skip
    path = folder / "README.md"
    _, heading, heads = (path.read_text() if path.is_file() else "").partition(HEADING)
    path.write_text(f"{card(first, second)}\n{heading}{heads}".rstrip() + "\n")
    print(card(first, second))


if __name__ == "__main__":
    typer.run(main)
