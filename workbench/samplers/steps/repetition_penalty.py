"""Repetition penalty: every token seen so far becomes less likely."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from workbench.kernels.rules import marks, penalises
from workbench.samplers.parameters import number
from workbench.samplers.step import Step

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@marks
def seen(history: NDArray[np.int32], length: int, parameters: NDArray[np.float64], amount: NDArray[np.float64]) -> None:
    """1 for each token among the last ones."""
    last = int(parameters[1])
    for i in range(max(0, length - last) if last > 0 else 0, length):
        amount[history[i]] = 1.0


@penalises
def divided(logit: float, _amount: float, parameters: NDArray[np.float64]) -> float:
    """Z / θ where z > 0, z θ where it is not."""
    return logit / parameters[0] if logit > 0.0 else logit * parameters[0]


@dataclass(frozen=True)
class RepetitionPenalty(Step):
    """z → z / θ for z > 0 and z θ for z < 0, for every token in the prompt or drawn before; once, however often seen.

    Below 1 it would reward repetition and lift tokens that a sketch does not know: such values are refused.
    """

    name = "repetition_penalty"
    title = "Repetition penalty"
    source = "Keskar et al., arXiv 1909.05858, section 4.1; transformers, RepetitionPenaltyLogitsProcessor"
    marks = seen
    penalises = divided
    engines = {
        "transformers": {"repetition_penalty": "penalty"},
        "vllm": {"repetition_penalty": "penalty"},
        "llamacpp": {"--repeat-penalty": "penalty", "--repeat-last-n": "last_n"},
    }

    penalty: float = number(
        1.1, "θ: positive logits are divided by it, negative ones multiplied; 1 changes nothing.", low=1, high=100,
        slider=(1.0, 2.0), step=0.01,
    )  # fmt: skip
    last_n: int = number(
        0, "How many of the last tokens count, prompt included; 0 counts all.", low=0, high=10_000_000,
        slider=(0, 1024), step=1,
    )  # fmt: skip

    def lost(self, engine: str) -> tuple[str, ...]:
        """The window."""
        if engine in ("transformers", "vllm") and self.last_n:
            return (f"Every token seen so far is penalised there, not the last {self.last_n} only.",)
        return ()
