"""Temperature: sharper or flatter, nothing dropped."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from workbench.kernels.rules import tempers
from workbench.samplers.parameters import number
from workbench.samplers.step import Step

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from workbench.kernels.atoms import Row


@tempers
def constant(_row: Row, parameters: NDArray[np.float64]) -> float:
    """The same for every row."""
    return float(parameters[0])


@dataclass(frozen=True)
class Temperature(Step):
    """p ∝ exp(z / T). T = 0 takes the most likely token always, the first of ties.

    The entropy moves with T by dH/dT = V / T, V the varentropy of the tempered distribution.
    """

    name = "temperature"
    title = "Temperature"
    source = "transformers, generation/logits_process.py, TemperatureLogitsWarper"
    tempers = constant
    engines = {
        "transformers": {"temperature": "temperature"},
        "vllm": {"temperature": "temperature"},
        "llamacpp": {"--temp": "temperature"},
    }

    temperature: float = number(
        1.0,
        "Divides the logits: below 1 sharper, above 1 flatter, 0 takes the most likely token always.",
        low=0, high=100, slider=(0.0, 2.0), step=0.05,
    )  # fmt: skip
