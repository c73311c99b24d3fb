"""PEAR's reward: a correct answer earns less, the more uncertain its thinking was than its answer."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from workbench.errors import ParameterError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


def pear_penalty(think: float, answer: float, *, alpha: float = 1.0) -> float:
    """P = max(0, H_think − α H_ans), nats (PEAR, arXiv 2510.08026).

    Adding c to both entropies changes H_think − α H_ans by (1 − α) c; at α = 1 it changes nothing.

    Raises:
        ParameterError: a mean entropy that is negative or not finite, or an α that is not finite.
    """
    return float(penalties(think, answer, alpha))


def pear_reward(
    think: float,
    answer: float,
    correct: bool,  # noqa: FBT001  -- the paper's third argument: the verdict
    *,
    alpha: float = 1.0,
    s: float = 1.0,
    format_reward: float = 0.0,
) -> float:
    """R = min(1, s − P) where the answer is correct, else r_fmt, with P = max(0, H_think − α H_ans).

    The paper has s ∈ (0, 1] and r_fmt ∈ [0, 1). There is no lower clip: correct but very uncertain thinking can earn
    less than r_fmt, or less than nothing.

    Args:
        think: H_think, mean raw entropy of thinking, nats; 0 where there is none.
        answer: H_ans, mean raw entropy of the answer, nats; 0 where there is none.
        correct: the verdict.
        alpha: α, how much of the answer's entropy excuses thinking; the paper's default is 1.
        s: what a correct answer earns without a penalty.
        format_reward: r_fmt, what a wrong one earns.

    Raises:
        ParameterError: a parameter out of range, or an entropy that is negative or not finite.
    """
    return float(reward_values(think, answer, correct, alpha=alpha, s=s, format_reward=format_reward))


def pear_kink(think: float, answer: float) -> float:
    """α* = H_think / H_ans, where the penalty ends and the reward's slope in α falls from H_ans to 0.

    NaN where H_ans is 0: then α changes nothing.

    Raises:
        ParameterError: an entropy that is negative or not finite.
    """
    think, answer = float(entropies(think, "think")), float(entropies(answer, "answer"))
    return think / answer if answer > 0 else math.nan


def reward_values(
    think: ArrayLike,
    answer: ArrayLike,
    correct: ArrayLike,
    *,
    alpha: ArrayLike = 1.0,
    s: float = 1.0,
    format_reward: float = 0.0,
) -> NDArray[np.float64]:
    """`pear_reward` of arrays, broadcast against each other.

    Raises:
        ParameterError: as `pear_reward`.
    """
    check_rewards(s, format_reward)
    earned = np.minimum(1.0, s - penalties(think, answer, alpha))
    return np.where(np.asarray(correct, dtype=bool), earned, format_reward)


def penalties(think: ArrayLike, answer: ArrayLike, alpha: ArrayLike = 1.0) -> NDArray[np.float64]:
    """`pear_penalty` of arrays, broadcast against each other.

    Raises:
        ParameterError: as `pear_penalty`.
    """
    weight = np.asarray(alpha, dtype=np.float64)
    if not np.isfinite(weight).all():
        raise ParameterError("alpha must be a finite number; the paper's default is 1.")
    return np.maximum(0.0, entropies(think, "think") - weight * entropies(answer, "answer"))


def entropies(values: ArrayLike, name: str) -> NDArray[np.float64]:
    """Mean entropies as float64.

    Raises:
        ParameterError: negative or not finite.
    """
    H = np.asarray(values, dtype=np.float64)
    if not (np.isfinite(H) & (H >= 0)).all():
        raise ParameterError(
            f"{name}: a mean entropy is a finite number of nats, 0 or more. For a phase without tokens give 0."
        )
    return H


def check_rewards(s: float, format_reward: float) -> None:
    """Whether s and r_fmt lie in [0, 1].

    Raises:
        ParameterError: they do not.
    """
    for name, value in (("s", s), ("format_reward", format_reward)):
        if not 0 <= value <= 1:
            raise ParameterError(f"{name}={value}: give a number from 0 to 1.")
