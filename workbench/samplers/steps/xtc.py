"""XTC, exclude top choices: now and then drop all likely tokens but the least likely of them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from workbench.kernels.atoms import DOUBT, position_of
from workbench.kernels.rules import keeps
from workbench.samplers.parameters import number
from workbench.samplers.step import Reads, Signal, Step

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from workbench.kernels.atoms import Row


@keeps
def exclude(row: Row, parameters: NDArray[np.float64]) -> tuple[float, float]:
    """With the given probability, drop all tokens of p >= t but the last."""
    probability, threshold = parameters
    row.memory[0] = 0.0
    if row.uniform >= probability or threshold > 0.5:
        return row.low, row.high
    passing = row.high if threshold <= 0.0 else min(row.high, position_of(row, math.log(threshold * row.total)))
    if passing > row.x.shape[0]:
        row.memory[DOUBT] = 1.0  # the last token that passes is one of a bin
    if passing - row.low < 2.0:
        return row.low, row.high
    row.memory[0] = 1.0
    return max(row.low, passing - 1.0), row.high


@dataclass(frozen=True)
class XTC(Step):
    """With probability P, of the tokens with p >= t keep only the least likely one and everything below it.

    Acts only where two tokens or more pass the threshold, so never for t > 0.5. The chance is drawn from the seed and
    the position alone, so that replay with the trace's seed repeats what decoding did.
    """

    name = "xtc"
    title = "XTC"
    source = "ggml-org/llama.cpp, src/llama-sampling.cpp, llama_sampler_xtc"
    keeps = exclude
    reads = Reads.TOTAL
    signal = Signal("xtc", help="1 where the top choices were excluded")
    engines = {"llamacpp": {"--xtc-probability": "probability", "--xtc-threshold": "threshold"}}

    probability: float = number(0.5, "How often it acts.", low=0, high=1, slider=(0.0, 1.0), step=0.05)
    threshold: float = number(
        0.1, "Tokens at least this likely are the top choices; above 0.5 nothing happens.", low=0, high=1,
        slider=(0.0, 0.5), step=0.01,
    )  # fmt: skip
