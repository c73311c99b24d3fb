"""Accuracy against tokens: each fixed strategy, the adaptive one, and what an oracle would reach."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
import polars as pl

from workbench.difficulty.arms import Arms, gather
from workbench.difficulty.bootstrap import percentile_interval, resampled_sums
from workbench.errors import DifficultyError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

Kind = Literal["fixed", "adaptive", "labels", "oracle", "oracle_split"]
_SPLITS = 50
"""Random halvings the honest oracle is averaged over."""


@dataclass(frozen=True)
class Estimate:
    """A number and its interval."""

    value: float
    low: float
    high: float

    @property
    def sign(self) -> int:
        """1 or -1 where the interval lies above or below 0, 0 where it holds it."""
        return int(self.low > 0) - int(self.high < 0)


@dataclass(frozen=True)
class Outcome:
    """What one strategy reaches on the held-out problems."""

    strategy: str
    kind: Kind
    accuracy: Estimate
    """Share of correct responses, each problem counting the same."""
    tokens: Estimate
    """Mean generated tokens a response."""
    accuracy_difference: Estimate
    """Accuracy minus the reference's, on the same problems."""
    tokens_saved: Estimate
    """100 (1 - tokens / the reference's), %; negative where it takes more."""
    shares: Mapping[str, float]
    """Arm -> share of the problems it is used for."""


@dataclass(frozen=True, repr=False)
class Comparison:
    """Strategies on the same held-out problems."""

    outcomes: tuple[Outcome, ...]
    """The fixed arms, then adaptive, labels, oracle, oracle_split as far as they could be had."""
    reference: str
    """The fixed arm that differences are taken to."""
    problems: int
    samples: tuple[int, int]
    """Fewest and most responses a problem and arm."""
    level: float
    draws: int
    seed: int

    def __getitem__(self, strategy: str) -> Outcome:
        """The outcome of a fixed arm, or of "adaptive", "labels", "oracle", "oracle_split".

        Raises:
            DifficultyError: there is no such outcome.
        """
        for outcome in self.outcomes:
            if strategy == (outcome.strategy if outcome.kind == "fixed" else outcome.kind):
                return outcome
        names = ", ".join(o.strategy if o.kind == "fixed" else o.kind for o in self.outcomes)
        raise DifficultyError(f"There is no outcome {strategy!r}; there are {names}.")

    @property
    def verdict(self) -> str:
        """What came out, in words."""
        from workbench.difficulty.comparison_words import verdict  # noqa: PLC0415  -- it reads comparisons

        return verdict(self)

    def to_frame(self) -> pl.DataFrame:
        """A row a strategy: strategy, kind, each estimate with its _low and _high, and a share_ column an arm."""
        rows = []
        for outcome in self.outcomes:
            row: dict[str, object] = {"strategy": outcome.strategy, "kind": outcome.kind}
            for name in ("accuracy", "tokens", "accuracy_difference", "tokens_saved"):
                estimate = getattr(outcome, name)
                row |= {name: estimate.value, f"{name}_low": estimate.low, f"{name}_high": estimate.high}
            rows.append(row | {f"share_{arm}": share for arm, share in outcome.shares.items()})
        return pl.DataFrame(rows)

    def __repr__(self) -> str:
        return f"Comparison({self.problems:,} problems: {self.verdict})"


def compare(
    results: pl.DataFrame | pl.LazyFrame,
    choices: Mapping[str, str],
    *,
    labels: Mapping[str, str] | None = None,
    reference: str = "normal",
    arms: Sequence[str] | None = None,
    draws: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> Comparison:
    """Accuracy and mean tokens of every fixed arm, of `choices`, of `labels` and of the oracle, on the same problems.

    For a strategy that uses arm π(p) for problem p, accuracy and tokens are the means over problems of the means over
    the responses that arm gave to p, so that every strategy is read from the same responses and the fixed arm is
    met exactly by choices that are all the same. Intervals are percentiles of a bootstrap over problems, paired for
    the differences; they leave out that another training of the probe would choose otherwise.

    The oracle takes for each problem the arm of highest accuracy, then of fewest tokens, then the first. Chosen and
    judged by the same responses it is optimistic (`oracle`). `oracle_split` chooses by one random half of each arm's
    responses and is judged by the other, averaged over 50 halvings: honest, but its choices are made from half
    the responses, so that what an oracle could reach lies between the two. It needs two responses a problem and arm.

    Source of the comparison: DiffAdapt (arXiv 2510.19669), tokens against accuracy per strategy, and its oracle; the
    halvings and intervals are ours.

    Args:
        results: a sweep's results of the arms: columns problem, sampler, correct, tokens.
        choices: held-out problem -> arm. Problems that are not in it are left out; it is for the caller to see that
            none of them was trained on.
        labels: held-out problem -> arm by the rule the probe is to learn. Labels made from the very responses in
            `results` are as optimistic as the oracle.
        reference: the arm that differences are taken to.
        arms: the fixed arms, in order; where None all there are, easy, normal and hard first, then by name.
        draws: bootstrap draws.
        seed: of the bootstrap and the halvings.
        level: of the intervals.

    Raises:
        DifficultyError: a column is missing, several models, an ungraded response, an arm that is not there, a problem
            that an arm was not run on, no problems, or a setting out of range.
    """
    if draws < 1 or not 0 < level < 1:
        raise DifficultyError(f"draws is at least 1 and level between 0 and 1, not {draws=}, {level=}.")
    data = gather(results, tuple(choices), arms)
    at = data.index(reference)
    strategies = _strategies(data, choices, labels, seed)
    acc, tok = np.column_stack([s.accuracy for s in strategies]), np.column_stack([s.tokens for s in strategies])
    d_acc, d_tok = acc - acc[:, [at]], tok[:, [at]] - tok  # exactly 0 for a strategy that is the reference
    sums = resampled_sums(np.column_stack([acc, tok, d_acc, d_tok]), draws=draws, generator=np.random.default_rng(seed))
    drawn = np.split(sums / len(acc), 4, axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):  # a reference without a token saves nothing
        drawn[3] = 100 * drawn[3] / drawn[1][:, [at]]
        saved = 100 * d_tok.mean(axis=0) / tok[:, at].mean()
    points = (acc.mean(axis=0), tok.mean(axis=0), d_acc.mean(axis=0), saved)
    estimates = [_estimates(point, sample, level) for point, sample in zip(points, drawn, strict=True)]
    outcomes = tuple(
        Outcome(strategy.name, strategy.kind, accuracy, tokens, difference, less, strategy.shares)
        for strategy, accuracy, tokens, difference, less in zip(strategies, *estimates, strict=True)
    )
    return Comparison(outcomes, reference, len(acc), data.samples, level, draws, seed)


class _Strategy(NamedTuple):
    name: str
    kind: Kind
    accuracy: NDArray[np.float64]  # (P,) of each problem
    tokens: NDArray[np.float64]  # (P,)
    shares: dict[str, float]


def _strategies(data: Arms, choices: Mapping[str, str], labels: Mapping[str, str] | None, seed: int) -> list[_Strategy]:
    named: list[tuple[str, Kind, NDArray[np.int64]]] = [
        (arm, "fixed", np.full(len(data.problems), k)) for k, arm in enumerate(data.names)
    ]
    named.append(("adaptive (probe)", "adaptive", data.chosen(choices, "choices")))
    if labels is not None:
        named.append(("adaptive (labels)", "labels", data.chosen(labels, "labels")))
    named.append(("oracle (in hindsight)", "oracle", best_arm(data.accuracy, data.tokens)))
    found = [_Strategy(name, kind, *data.of(arms), data.shares(arms)) for name, kind, arms in named]
    if data.samples[0] >= 2:
        found.append(_Strategy("oracle (split halves)", "oracle_split", *_split_oracle(data, seed)))
    return found


def best_arm(accuracy: NDArray[np.float64], tokens: NDArray[np.float64]) -> NDArray[np.int64]:
    """(P,) the arm of highest accuracy, of these the one of fewest tokens, of these the first; from (P, A) each."""
    best = accuracy == accuracy.max(axis=1, keepdims=True)
    found: NDArray[np.int64] = np.where(best, tokens, np.inf).argmin(axis=1)
    return found


def _split_oracle(data: Arms, seed: int) -> tuple[NDArray[np.float64], NDArray[np.float64], dict[str, float]]:
    """Chosen by one half of the responses and judged by the other, both ways round, averaged over the halvings."""
    generator = np.random.default_rng([seed, 1])  # another stream than the bootstrap's
    rows = np.arange(len(data.problems))
    accuracy, tokens = np.zeros(len(rows)), np.zeros(len(rows))
    used = np.zeros(len(data.names))
    for _ in range(_SPLITS):
        first, second = data.halves(generator)
        for chooser, judge in ((first, second), (second, first)):
            chosen = best_arm(*chooser)
            accuracy += judge[0][rows, chosen]
            tokens += judge[1][rows, chosen]
            used += np.bincount(chosen, minlength=len(used))
    times = 2 * _SPLITS
    shares = dict(zip(data.names, (used / (times * len(rows))).tolist(), strict=True))
    return accuracy / times, tokens / times, shares


def _estimates(points: NDArray[np.float64], sample: NDArray[np.float64], level: float) -> list[Estimate]:
    low, high = percentile_interval(sample, level)
    return [Estimate(*map(float, three)) for three in zip(points, low, high, strict=True)]
