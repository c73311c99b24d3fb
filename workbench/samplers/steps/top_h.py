"""Top-H: as many tokens as a share of the entropy allows. Three algorithms go by this name."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from numba import njit

from workbench.kernels.atoms import DOUBT, entropy_of, mass_between, moment_between, prefix_counting, x_of
from workbench.kernels.rules import keeps
from workbench.samplers.parameters import choice, number
from workbench.samplers.step import Step

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from workbench.kernels.atoms import Row


@njit
def entropy_share(mass: float, moment: float, total: float, variant: float) -> float:
    """Entropy of a prefix with Σ w = mass, Σ w x = moment: renormalised (paper), or -Σ p ln p with p = w / total."""
    if variant == 0.0:
        return math.log(mass) - moment / mass
    return (mass * math.log(total) - moment) / total


@keeps
def within_entropy(row: Row, parameters: NDArray[np.float64]) -> tuple[float, float]:
    """Add tokens by falling probability while the entropy so far is within the budget; the first one always stays."""
    alpha, variant, top_n = parameters
    end, total, budget = row.high, row.total, entropy_of(row)
    if variant != 0.0:
        end = prefix_counting(row, top_n)
        row.memory[DOUBT] = 1.0 if end > row.x.shape[0] and end < row.high else 0.0
        mass = mass_between(row, row.low, end)
        total = mass if variant == 2.0 else total
        budget = entropy_share(mass, moment_between(row, row.low, end), total, variant)
    if alpha >= 1.0:
        return row.low, end
    budget *= alpha * (1.0 + 1e-12)  # rounding alone must not drop a token; relative, as entropies may be tiny
    mass, moment, before = 0.0, 0.0, 0.0
    for i in range(int(row.low), math.ceil(end)):  # the entropy of a prefix grows with it
        stop = min(end, i + 1.0)
        # Of a single token by itself, as in moment_between.
        weight = math.exp(row.x[i]) if i < row.x.shape[0] else mass_between(row, max(row.low, float(i)), stop)
        mass += weight
        moment += weight * x_of(row, i)
        spent = entropy_share(mass, moment, total, variant) if mass > 0.0 else 0.0
        if spent > budget and i > int(row.low):
            # A bin is entered as far as the budget reaches, to first order, which is no bound.
            row.memory[DOUBT] = 1.0 if i >= row.x.shape[0] else row.memory[DOUBT]
            share = (budget - before) / (spent - before) if i >= row.x.shape[0] else 0.0
            return row.low, i + max(0.0, share) * (stop - i)
        before = spent
    return row.low, end


@dataclass(frozen=True)
class TopH(Step):
    """Keep the longest prefix S whose entropy stays within α times that of the whole distribution p.

    paper: H(q_S) <= α H(p), q_S renormalised over S. reference (its code): -Σ_S p ln p <= α (-Σ p ln p over the top_n
    most likely), neither renormalised. transformers: the same sums over the top_n renormalised among themselves. On a
    uniform distribution over n tokens the paper keeps ⌊n^α⌋, the other two ⌊α n⌋ (n <= top_n): α is not portable.
    """

    name = "top_h"
    title = "Top-H"
    source = (
        "arXiv 2509.02510, section 4; ErfanBaghaei/Top-H-Decoding, logit_processor.py; transformers, TopHLogitsWarper"
    )
    keeps = within_entropy
    engines = {"transformers": {"top_h": "alpha"}}

    alpha: float = number(
        0.4, "The share of the entropy that the kept tokens may have.", low=0, high=1, open_low=True,
        slider=(0.05, 1.0), step=0.01,
    )  # fmt: skip
    variant: str = choice(
        ("paper", "reference", "transformers"), "Whose algorithm: the paper's, its code's, or transformers'."
    )
    top_n: int = number(
        100, "How many tokens the code's and transformers' variants look at.", low=1, high=10_000, slider=(10, 1000),
        step=0.05, scale="log",
    )  # fmt: skip

    def lost(self, engine: str) -> tuple[str, ...]:
        """The variant."""
        if engine != "transformers" or (self.variant == "transformers" and self.top_n == 100):
            return ()
        return (
            "transformers has only its own variant of Top-H, with the 100 most likely tokens: α means another thing.",
        )
