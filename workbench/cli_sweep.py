"""`workbench sweep`: a sweep from the command line."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import polars as pl
import typer

from workbench.cli_sampler import sampler_from_options

if TYPE_CHECKING:
    from workbench.sweeps.sweep import Sweep


def sweep(  # noqa: PLR0917  -- typer makes options of them
    model: Annotated[str, typer.Option(help="A bundled model, a folder, or a hub id.")] = "demo",
    problems: Annotated[str, typer.Option(help="A bundled set, or a Parquet, CSV or JSONL file.")] = "arithmetic",
    prompt_column: Annotated[str | None, typer.Option(help="Where the problems are, if that is not plain.")] = None,
    answer_column: Annotated[str | None, typer.Option(help="Where their answers are.")] = None,
    difficulty_column: Annotated[str | None, typer.Option(help="Where their difficulties are.")] = None,
    samples: Annotated[int, typer.Option(help="Sequences a problem.")] = 4,
    limit: Annotated[int | None, typer.Option(help="So many problems, spread over the levels; all by default.")] = None,
    seed: Annotated[int, typer.Option(help="Of the whole sweep.")] = 0,
    out: Annotated[Path | None, typer.Option(help="Its folder; sweeps/MODEL-PROBLEMS by default.")] = None,
    backend: Annotated[str, typer.Option(help="local, or ray (this machine, or what RAY_ADDRESS names).")] = "local",
    sampler: Annotated[
        str | None, typer.Option(help="As temperature=0.7,top_p=0.9 or JSON; the model's own settings by default.")
    ] = None,
    max_new_tokens: Annotated[int | None, typer.Option(help="Where a sequence ends at the latest.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Sequences decoded together.")] = None,
    workers: Annotated[int | None, typer.Option(help="Processes of the ray backend.")] = None,
    top: Annotated[int, typer.Option(help="Logits of each token to keep for replays; 0 keeps none.")] = 0,
) -> None:
    """Decode a problem set several times over, grade it, and keep every token; the same command resumes."""
    from workbench import problems as sets  # noqa: PLC0415  -- --help should not wait for torch
    from workbench.sweeps.running import run  # noqa: PLC0415

    drawn_with = sampler_from_options(sampler, {})
    found = sets.load(problems, prompt=prompt_column, answer=answer_column, difficulty=difficulty_column, limit=limit)
    folder = out or Path("sweeps") / f"{Path(model).name}-{found.name}"
    try:
        made = run(
            model, found, samples=samples, sampler=drawn_with, out=folder, backend=backend, seed=seed,  # type: ignore[arg-type]
            max_new_tokens=max_new_tokens, batch_size=batch_size, workers=workers, top=top,
        )  # fmt: skip
    except KeyboardInterrupt:
        typer.echo(f"\nStopped. What is done stays in {folder}; the same command goes on.", err=True)
        raise typer.Exit(130) from None
    typer.echo(_table(made))
    typer.echo(f"wb.sweeps.open_sweep({str(folder)!r}) opens it; widgets.DifficultyPanel({str(folder)!r}) shows it.")


def _table(made: Sweep) -> str:
    """Means by level of difficulty, a row a model, sampler and level."""
    levels = (
        made.results.group_by("model", "sampler", "difficulty")
        .agg(
            pl.col("problem").n_unique().alias("problems"), pl.len().alias("sequences"),
            pl.col("correct").mean().round(3).alias("accuracy"),
            pl.col("entropy").mean().round(4).alias("raw entropy (nats)"),
            pl.col("tokens").mean().round(1), (pl.col("finish") == "length").sum().alias("cut"),
        )
        .sort("model", "sampler", "difficulty")
        .collect()
    )  # fmt: skip
    with pl.Config(
        tbl_rows=60, tbl_cols=-1, tbl_hide_dataframe_shape=True, tbl_hide_column_data_types=True, tbl_width_chars=120
    ):
        return str(levels)
