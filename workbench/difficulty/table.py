"""From anybody's table of graded responses to problems with a difficulty, an entropy and an accuracy, in bins."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import polars as pl

from workbench.errors import DifficultyError

Bins = Literal["level", "quantile", "accuracy"]
Aggregate = Literal["nested", "pooled"]

UNKNOWN_LEVEL = -1
"""How published problem sets write an unknown difficulty."""


@dataclass(frozen=True)
class Responses:
    """Checked responses, and what had to be left out."""

    frame: pl.DataFrame
    """A row a response: problem, difficulty (Float64 or null), entropy (nats), correct and tokens (Float64 or null)."""
    without_difficulty: int
    without_entropy: int

    @property
    def graded(self) -> bool:
        """Whether every response has its grade."""
        return self.frame["correct"].null_count() == 0

    @property
    def counted(self) -> bool:
        """Whether every response has its number of tokens."""
        return self.frame["tokens"].null_count() == 0


def responses(frame: pl.DataFrame | pl.LazyFrame, *, bins: Bins, entropy: str) -> Responses:
    """Check and reduce `frame` to the columns that matter.

    Rows without an entropy (no token in that phase) and, unless the bins are made from the accuracy, rows without a
    difficulty (null or −1) are left out and counted.

    Raises:
        DifficultyError: columns missing or not numeric, NaN or infinite values, grades that are not 0 to 1 or partly
            unknown, several models or samplers mixed, the same response twice, a problem with two difficulties.
    """
    if isinstance(frame, pl.LazyFrame):
        used = {"problem", "sample", "model", "sampler", "difficulty", "correct", "tokens", entropy}
        # not the texts and prompts, which may be larger than memory
        frame = frame.select(name for name in frame.collect_schema().names() if name in used).collect()
    if not isinstance(frame, pl.DataFrame):
        raise DifficultyError(f"A polars DataFrame is needed, not {type(frame).__name__}. pl.DataFrame(…) makes one.")
    needed = ["problem", entropy, *(["correct"] if bins == "accuracy" else ["difficulty"])]
    if missing := [name for name in needed if name not in frame.columns]:
        raise DifficultyError(
            f"Missing column(s): {', '.join(missing)}. Needed are {', '.join(needed)}; there are "
            f"{', '.join(frame.columns) or 'none'}. Rename yours with frame.rename({{'old': 'new'}})."
        )
    _one_arm(frame)
    numbers = {"difficulty": "difficulty", "entropy": entropy, "correct": "correct", "tokens": "tokens"}
    table = frame.select(
        pl.col("problem").cast(pl.String),
        *(_number(frame, source).alias(name) for name, source in numbers.items()),
    )
    unknown = pl.col("difficulty").is_null() | (pl.col("difficulty") == UNKNOWN_LEVEL)
    unlevelled = table.select(unknown.sum()).item() if bins != "accuracy" else 0
    if bins != "accuracy":
        table = table.filter(~unknown)
    silent = table["entropy"].null_count()
    table = table.filter(pl.col("entropy").is_not_null())
    if table.is_empty():
        raise DifficultyError(
            f"No response is left: of {len(frame)}, {unlevelled} have no difficulty and {silent} no entropy."
        )
    _check_grades(table["correct"])
    _check_difficulties(table)
    return Responses(table, unlevelled, silent)


def problem_table(given: Responses, *, aggregate: Aggregate) -> pl.DataFrame:
    """A row a problem: difficulty, n_sequences, means of entropy, accuracy and tokens, and its weight in a level.

    A level's mean is Σ weight · mean / Σ weight: nested, every problem weighs 1; pooled, entropy is weighted by the
    problem's tokens (its responses where tokens are not known) and accuracy by its responses.
    """
    by_token = aggregate == "pooled" and given.counted
    response_weight = pl.col("tokens") if by_token else pl.lit(1.0)
    table = (
        given.frame.with_columns(weight=response_weight)
        .group_by("problem", maintain_order=True)
        .agg(
            pl.col("difficulty").first(),
            pl.len().cast(pl.Int64).alias("n_sequences"),
            ((pl.col("weight") * pl.col("entropy")).sum() / pl.col("weight").sum()).alias("entropy"),
            pl.col("correct").mean().alias("accuracy"),
            pl.col("tokens").mean() if given.counted else pl.lit(None, pl.Float64).alias("tokens"),
            pl.col("weight").sum(),
        )
    )
    if table["entropy"].is_nan().any():
        raise DifficultyError("A problem has 0 tokens in all, so that its entropy has no weight. Leave it out.")
    return table.with_columns(weight=pl.lit(1.0)) if aggregate == "nested" else table


def binned(problems: pl.DataFrame, *, bins: Bins, n_bins: int) -> pl.DataFrame:
    """Add `x`, what the tests regress on, and `bin`, 0 for the easiest.

    level: x = difficulty, a bin for each of its values. quantile: x = difficulty, bins with about as many problems
    each, equal difficulties together. accuracy: x = 1 − accuracy, bins of equal width from 0 to 1.

    Raises:
        DifficultyError: an unknown kind, fewer than two bins asked for, or only one found.
    """
    if bins not in get_args(Bins):
        raise DifficultyError(f"bins must be one of {', '.join(get_args(Bins))}, not {bins!r}.")
    if n_bins < 2:
        raise DifficultyError(f"n_bins must be at least 2, not {n_bins}.")
    x = 1 - problems["accuracy"].to_numpy() if bins == "accuracy" else problems["difficulty"].to_numpy()
    if bins == "level":
        places = np.unique(x, return_inverse=True)[1]
    elif bins == "quantile":
        places = np.searchsorted(np.quantile(x, np.arange(1, n_bins) / n_bins), x, side="left")
    else:
        # 1 − accuracy is a ratio of small counts: without the nudge 0.3 · 10 falls below 3
        places = np.minimum(np.floor(x * n_bins + 1e-9), n_bins - 1)
    codes = np.unique(places, return_inverse=True)[1]
    if codes.max() == 0:
        what = "accuracy" if bins == "accuracy" else "difficulty"
        raise DifficultyError(
            f"All {len(problems)} problem(s) are of one {what} level; a curve needs at least two. Add problems of "
            "other difficulties, or choose bins of another kind."
        )
    return problems.with_columns(pl.Series("x", x, dtype=pl.Float64), pl.Series("bin", codes, dtype=pl.Int64))


def _one_arm(frame: pl.DataFrame) -> None:
    for name in ("model", "sampler"):
        if name in frame.columns and frame[name].n_unique() > 1:
            raise DifficultyError(
                f"The table mixes {frame[name].n_unique()} values of {name}. Choose one: "
                f"frame.filter(pl.col({name!r}) == …)."
            )
    if "sample" in frame.columns and (twice := int(frame.select("problem", "sample").is_duplicated().sum())):
        raise DifficultyError(
            f"{twice} rows share problem and sample with another row. Keep one each: "
            "frame.unique(['problem', 'sample'])."
        )


def _number(frame: pl.DataFrame, name: str) -> pl.Expr:
    """The column as Float64 without NaN; all null where there is none."""
    if name not in frame.columns:
        return pl.lit(None, pl.Float64)
    kind = frame.schema[name]
    if not (kind.is_numeric() or kind in (pl.Boolean, pl.Null)):
        raise DifficultyError(
            f"Column {name} holds {kind}, not numbers. Convert it: pl.col({name!r}).cast(pl.Float64)."
        )
    values = frame[name].cast(pl.Float64)
    if bad := int((~values.is_finite()).sum()):
        raise DifficultyError(
            f"Column {name} has {bad} value(s) that are NaN or infinite. Leave those rows out: "
            f"frame.filter(pl.col({name!r}).is_finite())."
        )
    return pl.col(name).cast(pl.Float64)


def _check_grades(correct: pl.Series) -> None:
    if 0 < correct.null_count() < len(correct):
        raise DifficultyError(
            f"Column correct is unknown in {correct.null_count()} of {len(correct)} rows. Grade them, leave them out, "
            "or drop the column for a curve without accuracy."
        )
    known = correct.drop_nulls()
    if ((known < 0) | (known > 1)).any():
        raise DifficultyError("Column correct must be true or false, or a share from 0 to 1.")


def _check_difficulties(table: pl.DataFrame) -> None:
    counts = table.group_by("problem", maintain_order=True).agg(pl.col("difficulty").n_unique().alias("n"))
    if len(several := counts.filter(pl.col("n") > 1)):
        raise DifficultyError(
            f"{len(several)} problem(s) have more than one difficulty, the first is {several['problem'][0]!r}. "
            "Give every problem one, or its own name to each variant."
        )
