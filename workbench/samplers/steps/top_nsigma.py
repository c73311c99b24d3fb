"""Top-nσ: within n standard deviations of the largest logit."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from workbench.kernels.atoms import deviation_of, keep_above, tokens_left, x_of
from workbench.kernels.rules import keeps
from workbench.samplers.parameters import choice, number
from workbench.samplers.step import Reads, Step

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from workbench.kernels.atoms import Row


@keeps
def near_in_deviations(row: Row, parameters: NDArray[np.float64]) -> tuple[float, float]:
    """X >= x_1 - nσ; vLLM's code has a strict inequality."""
    left = tokens_left(row)
    if left <= 1.0:
        return row.low, row.high
    deviation = deviation_of(row)
    if parameters[1] != 2.0:
        deviation *= math.sqrt(left / (left - 1.0))
    threshold = x_of(row, int(row.low)) - parameters[0] * deviation
    if parameters[1] == 1.0:
        threshold = np.nextafter(threshold, math.inf)
    return keep_above(row, threshold)


@dataclass(frozen=True)
class TopNSigma(Step):
    """Keep z_i >= max z - n σ, σ the standard deviation of the logits that are left (finite ones only).

    Does not depend on the temperature, as everything scales with it; but filters before it change σ. paper: σ with
    Bessel's correction. vllm: the same, but strictly above (n = 0 leaves the most likely token). llama.cpp: the
    population's σ.
    """

    name = "top_nsigma"
    title = "Top-nσ"
    source = "Tang et al., arXiv 2411.07641; Tomorrowdawn/top_nsigma, src/hf/hf_nsigma.py"
    keeps = near_in_deviations
    reads = Reads.SHAPE
    spread_matters = True
    engines = {"llamacpp": {"--top-nsigma": "n"}}

    n: float = number(
        1.0, "How many standard deviations below the largest logit a token may lie.", low=0, high=100,
        slider=(0.0, 3.0), step=0.05,
    )  # fmt: skip
    variant: str = choice(("paper", "vllm", "llama.cpp"), "Which standard deviation, and whether its end is included.")

    def lost(self, engine: str) -> tuple[str, ...]:
        """The kind of standard deviation."""
        if engine != "llamacpp" or self.variant == "llama.cpp":
            return ()
        return ("llama.cpp takes the population standard deviation; at n = 0 it turns the step off.",)
