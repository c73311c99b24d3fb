"""Epsilon sampling: a smallest probability."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from workbench.kernels.atoms import keep_above
from workbench.kernels.rules import keeps
from workbench.samplers.parameters import number
from workbench.samplers.step import Reads, Step

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from workbench.kernels.atoms import Row


@keeps
def likely_enough(row: Row, parameters: NDArray[np.float64]) -> tuple[float, float]:
    """P >= ε, or the most likely token and its ties where none is."""
    if parameters[0] <= 0.0:
        return row.low, row.high
    return keep_above(row, math.log(parameters[0] * row.total))


@dataclass(frozen=True)
class Epsilon(Step):
    """Keep p_i >= ε. Where no token is that likely, the most likely one and its ties stay: greedy, at high entropy."""

    name = "epsilon_cutoff"
    title = "Epsilon"
    source = "Hewitt et al., arXiv 2210.15191, section 4.2; transformers, EpsilonLogitsWarper"
    keeps = likely_enough
    reads = Reads.TOTAL
    engines = {"transformers": {"epsilon_cutoff": "cutoff"}}

    cutoff: float = number(
        3e-4, "Tokens less likely than this are dropped; 0 drops none.", low=0, high=1, open_high=True,
        slider=(1e-5, 0.1), step=0.02, scale="log",
    )  # fmt: skip
