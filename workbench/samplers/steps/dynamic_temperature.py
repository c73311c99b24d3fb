"""Dynamic temperature: cold where the model is sure, hot where it is not."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from workbench.kernels.atoms import entropy_of, tokens_left
from workbench.kernels.rules import tempers
from workbench.samplers.parameters import number
from workbench.samplers.step import Signal, Step

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from workbench.kernels.atoms import Row


@tempers
def by_entropy(row: Row, parameters: NDArray[np.float64]) -> float:
    """T_low + (T_high - T_low) (H / ln c)^e."""
    base, reach, exponent = parameters
    temperature = base
    left = tokens_left(row)
    if left > 1.0 and reach > 0.0:
        low, high = max(0.0, base - reach), base + reach
        share = min(1.0, entropy_of(row) / math.log(left))
        temperature = low + (high - low) * share**exponent
    row.memory[0] = temperature
    return temperature


@dataclass(frozen=True)
class DynamicTemperature(Step):
    """T = T_low + (T_high - T_low) (H / ln c)^e with T_low = max(0, T - r), T_high = T + r.

    H is the entropy of the c tokens that are left at this place of the chain, at temperature 1 unless another step
    divided before; so that a filter before it changes T also where it does not change the probabilities. One token
    left, or r = 0: plain temperature.
    """

    name = "dynamic_temperature"
    title = "Dynamic temperature"
    source = "ggml-org/llama.cpp, src/llama-sampling.cpp, llama_sampler_temp_ext_apply"
    tempers = by_entropy
    signal = Signal("temperature", help="what the logits of this token were divided by")
    engines = {"llamacpp": {"--temp": "base", "--dynatemp-range": "range", "--dynatemp-exp": "exponent"}}

    base: float = number(0.8, "The middle of the range of temperatures.", low=0, high=100, slider=(0.0, 2.0), step=0.05)
    range: float = number(
        0.5, "Half the range: T goes from base - range (sure) to base + range (unsure); 0 turns it off.",
        low=0, high=100, slider=(0.0, 1.5), step=0.05,
    )  # fmt: skip
    exponent: float = number(
        1.0, "Above 1 stays cold for longer as the entropy rises.", low=0, high=100, open_low=True, slider=(0.25, 4.0),
        step=0.05,
    )  # fmt: skip
