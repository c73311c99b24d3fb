"""Entropy and accuracy against difficulty: a row a level, with intervals over problems."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
import polars as pl

from workbench.difficulty.bootstrap import percentile_interval, resampled_sums, wilson_interval
from workbench.difficulty.regions import Reduction, Regions, default_regions, reduction_of, region_names
from workbench.difficulty.table import Aggregate, Bins, binned, problem_table, responses
from workbench.errors import DifficultyError

if TYPE_CHECKING:
    from workbench.difficulty.regression import Floats

Interval = Literal["bootstrap", "sd"]


@dataclass(frozen=True)
class CurveSettings:
    """How a curve was made."""

    bins: Bins
    n_bins: int
    aggregate: Aggregate
    interval: Interval
    draws: int
    level: float
    min_per_bin: int
    seed: int
    entropy: str
    """The column the entropies came from."""

    def __post_init__(self) -> None:
        for name, allowed in (("bins", Bins), ("aggregate", Aggregate), ("interval", Interval)):
            if getattr(self, name) not in get_args(allowed):
                raise DifficultyError(
                    f"{name} must be one of {', '.join(get_args(allowed))}, not {getattr(self, name)!r}."
                )
        if self.draws < 1 or self.min_per_bin < 1:
            raise DifficultyError(f"draws and min_per_bin must be at least 1, not {self.draws} and {self.min_per_bin}.")
        if not 0 < self.level < 1:
            raise DifficultyError(f"level must lie between 0 and 1, not {self.level}.")

    @property
    def kind(self) -> Literal["raw", "sampled"]:
        """Which entropy it is, by the column's name: "sampled…" or "processed…" is sampled, all others raw."""
        return "sampled" if self.entropy.startswith(("sampled", "processed")) else "raw"


@dataclass(frozen=True)
class DifficultyCurve:
    """Entropy (nats) and accuracy by level, with the problems and responses they were made of."""

    levels: pl.DataFrame
    """A row a bin, easiest first: level (mean x of its problems), low, high (extent of x), region, entropy,
    entropy_low, entropy_high, accuracy, accuracy_low, accuracy_high, tokens, n_problems, n_sequences, sparse (fewer
    than min_per_bin problems: no intervals, and left out of tests and of the reduction)."""
    problems: pl.DataFrame
    """A row a problem: problem, difficulty, x, bin, sparse, entropy, accuracy, tokens, n_sequences."""
    sequences: pl.DataFrame = field(repr=False)
    """A row a response: problem, x, bin, sparse, entropy, correct, tokens."""
    regions: Regions
    reduction: Reduction | None
    """1 − H_medium / H_easy; None where either region has no level of min_per_bin problems, or H_easy is 0."""
    without_difficulty: int
    """Responses left out because their difficulty is null or −1."""
    without_entropy: int
    """Responses left out because their entropy is null."""
    settings: CurveSettings

    @property
    def graded(self) -> bool:
        """Whether there is an accuracy."""
        return self.levels["accuracy"].null_count() == 0

    def to_frame(self) -> pl.DataFrame:
        """The levels."""
        return self.levels


def curve(
    frame: pl.DataFrame | pl.LazyFrame,
    *,
    bins: Bins = "level",
    n_bins: int = 10,
    aggregate: Aggregate = "nested",
    interval: Interval = "bootstrap",
    draws: int = 1000,
    level: float = 0.95,
    min_per_bin: int = 5,
    regions: Regions | None = None,
    seed: int = 0,
    entropy: str = "entropy",
) -> DifficultyCurve:
    """Entropy and accuracy of each level of difficulty.

    Nested, as in DiffAdapt: response means, then their mean over a problem's responses, then over a level's problems.
    Pooled: Σ tokens · entropy / Σ tokens over all responses of a level, so that long responses count more; where
    tokens are not known every response counts the same.

    Bootstrap intervals draw whole problems of each level with replacement (percentiles). Accuracies of problems
    with one response each and grades of 0 or 1 take Wilson's interval instead, which does not vanish at 0 and 1.
    "sd" is the mean ± one standard deviation over problems: their spread, no confidence.

    Args:
        frame: a row a response: problem, difficulty, an entropy (nats) and, if known, correct, tokens, sample.
        bins: a bin for each difficulty ("level"), bins of about equal size ("quantile"), or of equal width in
            1 − accuracy ("accuracy": the model's own difficulty, where none is given).
        n_bins: how many, for the last two.
        aggregate: "nested" or "pooled".
        interval: "bootstrap" or "sd".
        draws: bootstrap samples.
        level: of the intervals.
        min_per_bin: problems that a bin needs to have intervals and to take part in tests.
        regions: borders between easy, medium and hard on x; None for thirds of the levels' range.
        seed: of the bootstrap.
        entropy: the entropy's column, such as "sampled_entropy" or "think_entropy".

    Raises:
        DifficultyError: see `workbench.difficulty.table.responses`; one level only; parameters out of range.

    Source: DiffAdapt, arXiv 2510.19669, section 3 (no public code).
    """
    settings = CurveSettings(bins, n_bins, aggregate, interval, draws, level, min_per_bin, seed, entropy)
    given = responses(frame, bins=bins, entropy=entropy)
    if bins == "accuracy" and not given.graded:
        raise DifficultyError("Bins by accuracy need grades, and column correct is empty. Choose bins='level'.")
    problems = binned(problem_table(given, aggregate=aggregate), bins=bins, n_bins=n_bins)
    sparse = (pl.len().over("bin") < min_per_bin).alias("sparse")
    problems = problems.with_columns(sparse)
    one_each = problems["n_sequences"].max() == 1 and given.frame["correct"].is_in([0.0, 1.0]).all()
    levels, sums = _levels(problems, settings, wilson=bool(given.graded and one_each))
    borders = default_regions(levels["level"].to_numpy()) if regions is None else Regions.of(*regions)
    levels = levels.with_columns(region_names(levels["level"].to_numpy(), borders))
    order = ("level", "low", "high", "region", *_MEASURES, "n_problems", "n_sequences", "sparse")
    sequences = given.frame.join(problems.select("problem", "x", "bin", "sparse"), on="problem", maintain_order="left")
    return DifficultyCurve(
        levels=levels.select(order),
        problems=problems.select("problem", "difficulty", "x", "bin", "sparse", *_PER_PROBLEM),
        sequences=sequences.select("problem", "x", "bin", "sparse", "entropy", "correct", "tokens"),
        regions=borders,
        reduction=reduction_of(levels, sums, borders, level),
        without_difficulty=given.without_difficulty,
        without_entropy=given.without_entropy,
        settings=settings,
    )


_MEASURES = ("entropy", "entropy_low", "entropy_high", "accuracy", "accuracy_low", "accuracy_high", "tokens")
_PER_PROBLEM = ("entropy", "accuracy", "tokens", "n_sequences")


def _levels(problems: pl.DataFrame, settings: CurveSettings, *, wilson: bool) -> tuple[pl.DataFrame, Floats]:
    """The levels, and resampled (draws, levels, 2): Σ weight · entropy and Σ weight; NaN for sparse levels."""
    generator = np.random.default_rng(settings.seed)
    rows, sums = [], []
    for part in problems.sort("bin", maintain_order=True).partition_by("bin", maintain_order=True):
        row, drawn = _level(part, settings, generator, wilson=wilson)
        rows.append(row)
        sums.append(drawn)
    return pl.DataFrame(rows, schema_overrides=dict.fromkeys(_MEASURES, pl.Float64)), np.stack(sums, axis=1)


def _level(
    part: pl.DataFrame, settings: CurveSettings, generator: np.random.Generator, *, wilson: bool
) -> tuple[dict[str, object], Floats]:
    H, accuracy = part["entropy"].to_numpy(), part["accuracy"].cast(pl.Float64).to_numpy()
    weight, n = part["weight"].to_numpy(), part["n_sequences"].to_numpy().astype(np.float64)
    votes = n if settings.aggregate == "pooled" else np.ones(len(part))
    columns = np.column_stack([weight * H, weight, votes * accuracy, votes])  # (P, 4)
    totals = columns.sum(axis=0)
    row: dict[str, object] = {
        "level": part["x"].mean(), "low": part["x"].min(), "high": part["x"].max(),
        "entropy": totals[0] / totals[1], "accuracy": _known(totals[2] / totals[3]), "tokens": part["tokens"].mean(),
        "weight": totals[1], "n_problems": len(part), "n_sequences": int(n.sum()),
        "sparse": len(part) < settings.min_per_bin,
    }  # fmt: skip
    ends = dict.fromkeys(("entropy_low", "entropy_high", "accuracy_low", "accuracy_high"))
    drawn = np.full((settings.draws, 4), np.nan)
    if not row["sparse"]:
        drawn = resampled_sums(columns, draws=settings.draws, generator=generator)
        pairs = [*_interval(H, totals[:2], drawn[:, :2], settings)]
        if wilson:
            pairs += wilson_interval(totals[2], totals[3], settings.level)
        else:
            pairs += _interval(accuracy, totals[2:], drawn[:, 2:], settings)
        ends = dict(zip(ends, map(_known, pairs), strict=True))
    return row | ends, drawn[:, :2]


def _interval(values: Floats, totals: Floats, drawn: Floats, settings: CurveSettings) -> tuple[Floats, Floats]:
    if settings.interval == "bootstrap":
        return percentile_interval(drawn[:, 0] / drawn[:, 1], settings.level)
    mean, spread = totals[0] / totals[1], values.std(ddof=1) if len(values) > 1 else np.nan
    return mean - spread, mean + spread


def _known(value: Floats | float) -> float | None:
    """The number, None for NaN: what is not known is null in a table."""
    return None if np.isnan(value) else float(value)
