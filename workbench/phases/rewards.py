"""PEAR's rewards over many responses: against alpha, within a group, and where they are not what one would expect."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from workbench.errors import ParameterError
from workbench.phases.pear import check_rewards, entropies, penalties, reward_values

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True, repr=False)
class RewardCurve:
    """Rewards of n responses at A values of α."""

    alphas: NDArray[np.float64]
    """(A,)"""
    rewards: NDArray[np.float64]
    """(n, A)"""
    kinks: NDArray[np.float64]
    """(n,) α* = H_think / H_ans; NaN where α changes nothing: a wrong answer, or one whose entropy is 0."""
    s: float
    format_reward: float

    @property
    def mean(self) -> NDArray[np.float64]:
        """(A,) mean over the responses; NaN of none."""
        return self.rewards.mean(axis=0) if len(self.rewards) else np.full(len(self.alphas), np.nan)

    def to_frame(self) -> pl.DataFrame:
        """A row a response and α: response, alpha, reward, kink."""
        n, count = self.rewards.shape
        return pl.DataFrame(
            {
                "response": np.repeat(np.arange(n, dtype=np.int64), count),
                "alpha": np.tile(self.alphas, n),
                "reward": self.rewards.ravel(),
                "kink": np.repeat(self.kinks, count),
            }
        ).with_columns(pl.col("kink").fill_nan(None))

    def __repr__(self) -> str:
        return f"RewardCurve({len(self.rewards)} responses at {len(self.alphas)} values of alpha)"


@dataclass(frozen=True, repr=False)
class PearRewards:
    """Rewards of the responses of one group, and what to look at twice."""

    penalty: NDArray[np.float64]
    """(n,) P, nats."""
    reward: NDArray[np.float64]
    """(n,) r."""
    correct: NDArray[np.bool_]
    """(n,)"""
    format_reward: float

    @property
    def advantage(self) -> NDArray[np.float64]:
        """(n,) (r − mean) / std over the group, the standard deviation that of a population; 0 where all r agree."""
        if not len(self.reward):
            return self.reward
        centred = self.reward - self.reward.mean()
        spread = float(np.sqrt((centred**2).mean()))
        # rounding alone can leave a spread where there is none
        alike = np.ptp(self.reward) <= np.finfo(np.float64).eps * np.abs(self.reward).max(initial=0.0)
        return np.zeros_like(centred) if alike else centred / spread

    @property
    def below_format(self) -> NDArray[np.bool_]:
        """(n,) correct, yet earning less than a wrong answer does."""
        return self.correct & (self.reward < self.format_reward)

    @property
    def negative(self) -> NDArray[np.bool_]:
        """(n,) correct, yet with a reward below zero."""
        return self.correct & (self.reward < 0)

    def to_frame(self) -> pl.DataFrame:
        """A row a response: correct, penalty, reward, advantage, below_format, negative."""
        names = ("correct", "penalty", "reward", "advantage", "below_format", "negative")
        return pl.DataFrame({name: getattr(self, name) for name in names})

    def __repr__(self) -> str:
        return (
            f"PearRewards({len(self.reward)} responses, {int(self.below_format.sum())} correct below the format reward)"
        )


def pear_rewards(
    think: ArrayLike,
    answer: ArrayLike,
    correct: ArrayLike,
    *,
    alpha: float = 1.0,
    s: float = 1.0,
    format_reward: float = 0.0,
) -> PearRewards:
    """`pear_reward` of the n responses of a group, with the group advantage GRPO trains on.

    Raises:
        ParameterError: a parameter out of range, lengths that disagree, entropies that are negative or not finite.
    """
    H_think, H_answer, right = _responses(think, answer, correct)
    rewards = reward_values(H_think, H_answer, right, alpha=alpha, s=s, format_reward=format_reward)
    return PearRewards(penalties(H_think, H_answer, alpha), rewards, right, format_reward)


def reward_curve(
    think: ArrayLike,
    answer: ArrayLike,
    correct: ArrayLike,
    alphas: ArrayLike,
    *,
    s: float = 1.0,
    format_reward: float = 0.0,
) -> RewardCurve:
    """Rewards as α goes: for a correct answer a line of slope H_ans up to α* = H_think / H_ans, then flat at s.

    Args:
        think: (n,) or one H_think, nats.
        answer: (n,) or one H_ans, nats.
        correct: (n,) or one verdict.
        alphas: (A,) values of α.
        s: what a correct answer earns without a penalty.
        format_reward: what a wrong one earns.

    Raises:
        ParameterError: as `pear_rewards`.
    """
    H_think, H_answer, right = _responses(think, answer, correct)
    check_rewards(s, format_reward)
    grid = np.atleast_1d(np.asarray(alphas, dtype=np.float64))
    rewards = reward_values(
        H_think[:, None], H_answer[:, None], right[:, None], alpha=grid[None], s=s, format_reward=format_reward
    )
    matters = right & (H_answer > 0)
    kinks = np.divide(H_think, H_answer, out=np.full(len(right), np.nan), where=matters)
    return RewardCurve(grid, rewards, kinks, s, format_reward)


def _responses(
    think: ArrayLike, answer: ArrayLike, correct: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    H_think, H_answer = (np.atleast_1d(entropies(H, name)) for H, name in ((think, "think"), (answer, "answer")))
    right = np.atleast_1d(np.asarray(correct))
    if right.dtype.kind not in "bui" or right.shape != H_think.shape or right.shape != H_answer.shape:
        raise ParameterError(
            f"think {H_think.shape}, answer {H_answer.shape} and correct {right.shape} ({right.dtype}) need one "
            "number, one number and one true or false a response. Leave out responses without a verdict."
        )
    return H_think, H_answer, right.astype(bool)
