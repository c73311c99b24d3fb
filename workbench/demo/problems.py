"""The bundled problem set: `python -m workbench.demo.problems` writes data/problems/arithmetic.parquet.

Fifty problems a level, from the held-out side of the hash in `workbench.demo.arithmetic`: no chain of them is ever in
a training text, in whatever wording.
"""

from __future__ import annotations

from pathlib import Path
from random import Random

import polars as pl

from workbench.atomic import replacing
from workbench.demo.arithmetic import HELD_OUT_SHARE, LEVELS, Problem, draw, scale_of, tell
from workbench.errors import WorkbenchError

PER_LEVEL = 50
SEED = 20
FOLDER = Path(__file__).parents[2] / "data" / "problems"


def problems() -> list[tuple[str, Problem, str]]:
    """(id, problem, prompt) of every bundled problem, no prompt twice.

    One step has few held-out chains, so on the first level a chain may come again in other words.
    """
    rng = Random(SEED)
    rows: list[tuple[str, Problem, str]] = []
    for level in LEVELS:
        prompts: dict[str, Problem] = {}
        while len(prompts) < PER_LEVEL:
            problem = draw(rng, level, held_out=True)
            prompts.setdefault(tell(problem, rng), problem)
        rows += [(f"arithmetic-{level:02d}-{i:02d}", p, prompt) for i, (prompt, p) in enumerate(prompts.items())]
    return rows


def frame() -> pl.DataFrame:
    """Columns id, prompt, answer (text), difficulty (steps), chain (the operations in one line)."""
    rows = [(name, prompt, str(p.answer), p.difficulty, p.key) for name, p, prompt in problems()]
    schema = {"id": pl.String, "prompt": pl.String, "answer": pl.String, "difficulty": pl.Int32, "chain": pl.String}
    return pl.DataFrame(rows, schema=schema, orient="row")


def card(table: pl.DataFrame) -> str:
    """The card beside the file."""
    sizes = "\n".join(
        f"| {a} to {a + 2} | {scale_of(a).operand} | {scale_of(a).value} | {scale_of(a).factor} |"
        for a in (1, 4, 7, 10)
    )
    first = table.filter(pl.col("difficulty") == 1)["chain"].n_unique()
    return f"""# arithmetic

{len(table)} problems of multi-step arithmetic told in plain English, {PER_LEVEL} on each of {len(LEVELS)} levels.
Difficulty is the number of steps. Columns: id, prompt, answer, difficulty, chain.

Made by `python -m workbench.demo.problems`, seed {SEED}, no outside data. A chain of operations is held out from the
training of the demo models when its hash is 0 modulo {HELD_OUT_SHARE}; all problems here are held out. One step leaves
few such chains: level 1 has {first} of them, some told in several ways; no prompt comes twice.

| steps | largest operand | largest value | largest factor |
|---|---|---|---|
{sizes}
"""


def main() -> None:
    """Write the Parquet file and its card."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    table = frame()
    with replacing(FOLDER / "arithmetic.parquet", WorkbenchError) as part:
        table.write_parquet(part, compression="zstd")
    (FOLDER / "README.md").write_text(card(table))
    print(f"{len(table)} problems in {FOLDER}")


if __name__ == "__main__":
    main()
