"""Min-p: a share of the most likely token's probability."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from workbench.kernels.atoms import keep_above, x_of
from workbench.kernels.rules import keeps
from workbench.samplers.parameters import number
from workbench.samplers.step import Reads, Step

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from workbench.kernels.atoms import Row


@keeps
def near_the_best(row: Row, parameters: NDArray[np.float64]) -> tuple[float, float]:
    """In logits: x >= x_1 + ln m, which needs no sum."""
    if parameters[0] <= 0.0:
        return row.low, row.high
    return keep_above(row, x_of(row, int(row.low)) + math.log(parameters[0]))


@dataclass(frozen=True)
class MinP(Step):
    """Keep p_i >= m p_1, p_1 the largest probability. Never empty; 1 keeps the most likely token and its ties."""

    name = "min_p"
    title = "Min-p"
    source = "Nguyen et al., arXiv 2407.01082, section 3; transformers, MinPLogitsWarper"
    keeps = near_the_best
    reads = Reads.SHAPE
    engines = {"transformers": {"min_p": "m"}, "vllm": {"min_p": "m"}, "llamacpp": {"--min-p": "m"}}

    m: float = number(
        0.1, "Tokens less likely than this share of the most likely one are dropped; 0 drops none.", low=0, high=1,
        slider=(0.0, 0.5), step=0.005,
    )  # fmt: skip
