"""What every arm of a sweep did on every problem, as arrays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from workbench.difficulty.labels import LABELS, collected, one_arm
from workbench.errors import DifficultyError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

Means = tuple["NDArray[np.float64]", "NDArray[np.float64]"]
"""Accuracy and tokens, (P, A) each."""


@dataclass(frozen=True, eq=False)
class Arms:
    """The responses of A arms to P problems, R in all."""

    names: tuple[str, ...]
    problems: tuple[str, ...]
    cell: NDArray[np.int64]
    """(R,) problem times A plus arm."""
    correct: NDArray[np.float64]
    """(R,) 1 or 0."""
    length: NDArray[np.float64]
    """(R,) generated tokens."""
    accuracy: NDArray[np.float64]
    """(P, A) mean over the responses."""
    tokens: NDArray[np.float64]
    """(P, A) mean over the responses."""
    samples: tuple[int, int]
    """Fewest and most responses in a cell."""

    def index(self, arm: str) -> int:
        """Which column an arm is.

        Raises:
            DifficultyError: there is no such arm.
        """
        if arm not in self.names:
            raise DifficultyError(f"There is no arm {arm!r} in the results; there are {', '.join(self.names)}.")
        return self.names.index(arm)

    def chosen(self, choices: Mapping[str, str], what: str) -> NDArray[np.int64]:
        """(P,) the column chosen for each problem.

        Raises:
            DifficultyError: a problem is missing, or an arm that is not there.
        """
        missing = [problem for problem in self.problems if problem not in choices]
        if missing:
            raise DifficultyError(f"{what} lacks {len(missing):,} of the problems, such as {missing[0]!r}.")
        return np.array([self.index(choices[problem]) for problem in self.problems], dtype=np.int64)

    def of(self, arms: NDArray[np.int64]) -> Means:
        """Accuracy and tokens (P,) each where problem p is given to column arms[p]."""
        rows = np.arange(len(self.problems))
        return self.accuracy[rows, arms], self.tokens[rows, arms]

    def shares(self, arms: NDArray[np.int64]) -> dict[str, float]:
        """Arm -> share of the problems given to it."""
        counts = np.bincount(arms, minlength=len(self.names)) / len(arms)
        return dict(zip(self.names, counts.tolist(), strict=True))

    def halves(self, generator: np.random.Generator) -> tuple[Means, Means]:
        """Means (P, A) of two random halves of each cell's responses, which have two at least."""
        shuffled = np.lexsort([generator.random(len(self.cell)), self.cell])
        counts = np.bincount(self.cell, minlength=self.accuracy.size)
        first = np.empty(len(self.cell), dtype=bool)
        place = np.arange(len(self.cell)) - np.repeat(np.cumsum(counts) - counts, counts)
        first[shuffled] = place < np.repeat(counts // 2, counts)
        return self._means(first), self._means(~first)

    def _means(self, rows: NDArray[np.bool_]) -> Means:
        accuracy, tokens = cell_means(self.cell[rows], self.correct[rows], self.length[rows], self.accuracy.shape)
        return accuracy, tokens


def gather(results: pl.DataFrame | pl.LazyFrame, problems: Sequence[str], arms: Sequence[str] | None) -> Arms:
    """The responses to these problems by these arms (all there are where None).

    Raises:
        DifficultyError: a column is missing, several models, an ungraded response, no problems or arms, a problem that
            an arm was not run on.
    """
    if not problems:
        raise DifficultyError("There are no held-out problems to compare on.")
    frame = one_arm(collected(results, ("problem", "sampler", "correct", "tokens")), "model", None)
    names = tuple(arms) if arms is not None else _in_order(frame["sampler"].unique().to_list())
    frame = frame.filter(pl.col("problem").is_in(list(problems)), pl.col("sampler").is_in(list(names)))
    unknown = frame.filter(pl.col("correct").is_null() | pl.col("tokens").is_null())
    if len(unknown):
        raise DifficultyError(f"{len(unknown):,} responses have no grade or no number of tokens; grade or drop them.")
    rows, columns = ({name: k for k, name in enumerate(axis)} for axis in (problems, names))
    place = frame["problem"].replace_strict(rows, return_dtype=pl.Int64).to_numpy() * len(names)
    cell = place + frame["sampler"].replace_strict(columns, return_dtype=pl.Int64).to_numpy()
    counts = np.bincount(cell, minlength=len(rows) * len(names))
    if not counts.size or not counts.min():
        problem, arm = divmod(int(counts.argmin()), len(names)) if names else (0, 0)
        raise DifficultyError(
            f"{int((counts == 0).sum()):,} of {counts.size:,} problem-and-arm pairs were never run, such as "
            f"{problems[problem]!r} by {names[arm] if names else 'any arm'!r}; finish the sweep, or leave them out."
        )
    correct, length = (frame[name].cast(pl.Float64).to_numpy() for name in ("correct", "tokens"))
    accuracy, tokens = cell_means(cell, correct, length, (len(rows), len(names)))
    spread = (int(counts.min()), int(counts.max()))
    return Arms(names, tuple(problems), cell, correct, length, accuracy, tokens, spread)


def _in_order(names: Sequence[str]) -> tuple[str, ...]:
    """Not as they come: an oracle's ties go to the first, whatever order a sweep wrote its rows in."""
    own = [name for name in LABELS if name in names]
    return (*own, *sorted(set(names) - set(own)))


def cell_means(
    cell: NDArray[np.int64], correct: NDArray[np.float64], length: NDArray[np.float64], shape: tuple[int, ...]
) -> Means:
    """Mean accuracy and tokens of each cell, of the given shape (P, A)."""
    size = int(np.prod(shape))
    counts = np.bincount(cell, minlength=size)
    accuracy = np.bincount(cell, correct, minlength=size) / counts
    tokens = np.bincount(cell, length, minlength=size) / counts
    return accuracy.reshape(shape), tokens.reshape(shape)
