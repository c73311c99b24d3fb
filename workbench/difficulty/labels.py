"""DiffAdapt's three kinds of problems, from how often and how certainly a model solves them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from workbench.errors import DifficultyError
from workbench.samplers.parameters import Settings, number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

LABELS = ("easy", "normal", "hard")
"""In the order of a probe's outputs."""


@dataclass(frozen=True)
class Thresholds(Settings):
    """α, β and γ of the labelling rule.

    The paper chooses them for each model from its scatter of accuracy and entropy and publishes no values that could be
    found; these defaults are ours, `suggest_thresholds` looks at the data.
    """

    alpha: float = number(0.5, "α: least accuracy of a normal problem.", low=0.0, high=1.0, slider=(0.0, 1.0))
    beta: float = number(0.5, "β: largest mean entropy of a normal problem.", low=0.0, slider=(0.0, 2.0), unit="nats")
    gamma: float = number(
        0.5, "γ: a problem solved less often is hard, unless it is normal.", low=0.0, high=1.0, slider=(0.0, 1.0)
    )

    @property
    def overlap(self) -> bool:
        """Whether α < γ, so that a problem can meet both rules; normal is asked first and wins."""
        return self.alpha < self.gamma


@dataclass(frozen=True, eq=False, repr=False)
class Labels:
    """The labels of N problems and what they were made from."""

    problem: tuple[str, ...]
    accuracy: NDArray[np.float64]
    """(N,) share of the samples that are correct."""
    entropy: NDArray[np.float64]
    """(N,) mean entropy of the responses, nats."""
    label: NDArray[np.str_]
    """(N,) easy, normal or hard."""
    thresholds: Thresholds

    @property
    def counts(self) -> dict[str, int]:
        """Problems of each label, those without any included."""
        return {name: int((self.label == name).sum()) for name in LABELS}

    @property
    def of_problem(self) -> dict[str, str]:
        """Problem -> label."""
        return dict(zip(self.problem, self.label.tolist(), strict=True))

    def to_frame(self) -> pl.DataFrame:
        """A row a problem: problem, accuracy, entropy (nats), label."""
        columns = {"problem": list(self.problem), "accuracy": self.accuracy, "entropy": self.entropy}
        return pl.DataFrame({**columns, "label": self.label.tolist()}, schema_overrides={"problem": pl.String})

    def __repr__(self) -> str:
        counts = ", ".join(f"{count:,} {name}" for name, count in self.counts.items())
        found = self.thresholds
        return f"Labels({counts}; α={found.alpha:.4g}, β={found.beta:.4g} nats, γ={found.gamma:.4g})"


def label(accuracy: ArrayLike, entropy: ArrayLike, thresholds: Thresholds) -> NDArray[np.str_]:
    """Normal if Acc >= α and H <= β; else hard if Acc < γ; else easy.

    Source: DiffAdapt (arXiv 2510.19669), the labels of its probe; the rules are asked in this order. Where α < γ a
    problem with α <= Acc < γ and H <= β meets both, and is normal. Where γ < α one with γ <= Acc < α is easy, however
    certain the model is.

    Args:
        accuracy: (N,) shares between 0 and 1.
        entropy: (N,) nats, mean over a problem's responses.
        thresholds: α, β, γ.

    Returns:
        (N,) the words of `LABELS`.

    Raises:
        DifficultyError: lengths differ, a value is missing, or one is out of range.
    """
    acc, H = _checked(accuracy, entropy)
    normal = (acc >= thresholds.alpha) & (thresholds.beta >= H)
    return np.where(normal, "normal", np.where(acc < thresholds.gamma, "hard", "easy"))


def label_problems(problems: pl.DataFrame, thresholds: Thresholds) -> Labels:
    """`label` for a frame with columns problem, accuracy and entropy, such as `problem_means` gives.

    Raises:
        DifficultyError: a column is missing, a problem comes twice, or as `label`.
    """
    frame = collected(problems, ("problem", "accuracy", "entropy"))
    if frame["problem"].is_duplicated().any():
        raise DifficultyError("A problem comes twice; give one row a problem, as `problem_means(results)` does.")
    accuracy, entropy = (frame[name].cast(pl.Float64).to_numpy() for name in ("accuracy", "entropy"))
    names = tuple(frame["problem"].cast(pl.String).to_list())
    return Labels(names, accuracy, entropy, label(accuracy, entropy, thresholds), thresholds)


def problem_means(
    results: pl.DataFrame | pl.LazyFrame, *, sampler: str | None = None, entropy: str = "entropy"
) -> pl.DataFrame:
    """A row a problem, from a sweep's results: problem, accuracy, entropy (nats), samples; ordered by problem.

    Entropy is nested as in the paper: the mean over the responses of each response's mean over its tokens. A response
    without any token has no entropy and counts for the accuracy only.

    Args:
        results: columns problem, correct and entropy, a row a response.
        sampler: the arm to look at; needed where the column `sampler` holds several.
        entropy: the column to take: "entropy" is raw, "sampled_entropy" that of what tokens were drawn from. The paper
            does not say which it means.

    Raises:
        DifficultyError: a column is missing, no such arm, several arms and none named, or an ungraded response.
    """
    frame = one_arm(collected(results, ("problem", "correct", entropy)), "sampler", sampler)
    frame = one_arm(frame, "model", None)
    ungraded = frame["correct"].null_count()
    if ungraded:
        raise DifficultyError(
            f"{ungraded:,} responses are not graded (`correct` is null); grade them or leave them out."
        )
    return (
        frame.group_by("problem")
        .agg(
            accuracy=pl.col("correct").cast(pl.Float64).mean(),
            entropy=pl.col(entropy).cast(pl.Float64).fill_nan(None).mean(),
            samples=pl.len().cast(pl.Int32),
        )
        .sort("problem")
    )


def suggest_thresholds(problems: pl.DataFrame) -> Thresholds:
    """Thresholds that make the three labels as nearly equally frequent as the data allow. The rule is ours.

    γ is the accuracy below which the share of problems is nearest to a third; but at least the smallest accuracy above
    0, so that what is never solved is hard, and at most 1/2, so that nothing solved more often than not is. α = γ, so
    that what is not hard is normal or easy by its entropy alone, and β is the median entropy of those problems. Where
    all are hard, β is the median of all.

    Args:
        problems: columns accuracy and entropy, a row a problem. Give the problems a probe is trained on, not those it
            is judged by.

    Raises:
        DifficultyError: no problems, a column is missing, or as `label`.
    """
    frame = collected(problems, ("accuracy", "entropy"))
    accuracy, entropy = _checked(*(frame[name].cast(pl.Float64).to_numpy() for name in ("accuracy", "entropy")))
    if not len(accuracy):
        raise DifficultyError("There are no problems to suggest thresholds from.")
    cuts = np.unique(accuracy)
    below = np.searchsorted(np.sort(accuracy), cuts) / len(accuracy)
    least = cuts[cuts > 0].min(initial=1.0)
    gamma = float(min(max(cuts[np.abs(below - 1 / 3).argmin()], least), 0.5))
    rest = entropy[accuracy >= gamma]
    return Thresholds(alpha=gamma, beta=float(np.median(rest if len(rest) else entropy)), gamma=gamma)


def collected(frame: pl.DataFrame | pl.LazyFrame, columns: Sequence[str]) -> pl.DataFrame:
    """The frame in memory, once it is known to have these columns.

    Raises:
        DifficultyError: no frame, or a column is missing.
    """
    if not isinstance(frame, (pl.DataFrame, pl.LazyFrame)):
        raise DifficultyError(f"A polars frame is needed, not a {type(frame).__name__}; a sweep's is `sweep.results`.")
    known = frame.collect_schema().names()
    missing = [name for name in columns if name not in known]
    if missing:
        raise DifficultyError(f"The frame has no column {', '.join(missing)}; it has {', '.join(known) or 'none'}.")
    return frame.collect() if isinstance(frame, pl.LazyFrame) else frame


def one_arm(frame: pl.DataFrame, column: str, wanted: str | None) -> pl.DataFrame:
    """The rows of one sampler or model; all of them where the frame does not tell them apart.

    Raises:
        DifficultyError: no such arm, or several and none named.
    """
    if column not in frame.columns:
        if wanted is not None:
            raise DifficultyError(f"The frame has no column {column}, so that {wanted!r} cannot be picked.")
        return frame
    found = frame[column].unique().sort().to_list()
    if wanted is not None and wanted not in found:
        raise DifficultyError(
            f"There is no {column} {wanted!r} in the results; there are {', '.join(map(str, found))}."
        )
    if wanted is None and len(found) > 1:
        raise DifficultyError(
            f"The results hold several in the column {column}: {', '.join(map(str, found))}. Keep the rows of one."
        )
    return frame if wanted is None else frame.filter(pl.col(column) == wanted)


def _checked(accuracy: ArrayLike, entropy: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    acc, H = np.asarray(accuracy, dtype=np.float64), np.asarray(entropy, dtype=np.float64)
    if acc.ndim != 1 or acc.shape != H.shape:
        raise DifficultyError(
            f"Accuracy and entropy are one value a problem; their shapes are {acc.shape} and {H.shape}."
        )
    unknown = ~(np.isfinite(acc) & np.isfinite(H))
    if unknown.any():
        raise DifficultyError(
            f"{int(unknown.sum()):,} of {len(acc):,} problems have no accuracy or no entropy, the first at row "
            f"{int(unknown.argmax())}; leave them out."
        )
    if ((acc < 0) | (acc > 1)).any():
        raise DifficultyError(f"Accuracy is a share between 0 and 1; it goes from {acc.min():g} to {acc.max():g}.")
    if (H < 0).any():
        raise DifficultyError(f"Entropy is at least 0 nats; the smallest here is {H.min():g}.")
    return acc, H
