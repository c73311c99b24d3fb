"""Eta sampling: a smallest probability that falls with the entropy."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from workbench.kernels.atoms import entropy_of, keep_above
from workbench.kernels.rules import keeps
from workbench.samplers.parameters import number
from workbench.samplers.step import Step

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from workbench.kernels.atoms import Row


@keeps
def entropy_cutoff(row: Row, parameters: NDArray[np.float64]) -> tuple[float, float]:
    """P >= min(ε, √ε exp(-H))."""
    epsilon = parameters[0]
    if epsilon <= 0.0:
        return row.low, row.high
    threshold = min(math.log(epsilon), 0.5 * math.log(epsilon) - entropy_of(row))
    return keep_above(row, threshold + math.log(row.total))


@dataclass(frozen=True)
class Eta(Step):
    """Keep p_i >= η with η = min(ε, √ε exp(-H)), H in nats.

    The entropy acts where H > -½ ln ε: above 3.71 nats for ε = 6e-4. Never empty, as the largest probability is at
    least exp(-H).
    """

    name = "eta_cutoff"
    title = "Eta"
    source = "Hewitt et al., arXiv 2210.15191, section 4.3; transformers, EtaLogitsWarper"
    keeps = entropy_cutoff
    engines = {"transformers": {"eta_cutoff": "cutoff"}}

    cutoff: float = number(
        6e-4, "ε: tokens less likely than min(ε, √ε exp(-H)) are dropped; 0 drops none.", low=0, high=1, open_high=True,
        slider=(1e-5, 0.1), step=0.02, scale="log",
    )  # fmt: skip
