"""Locally typical sampling: tokens whose surprisal is near the entropy, not the most likely ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from workbench.kernels.atoms import ends, weight_of, within, x_of
from workbench.kernels.rules import keeps
from workbench.samplers.parameters import choice, number
from workbench.samplers.step import Step

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from workbench.kernels.atoms import Row


@keeps
def typical(row: Row, parameters: NDArray[np.float64]) -> tuple[float, float]:
    """Grow an interval around x = E[x], where -log p equals the entropy, nearest atom first, until it has the mass."""
    if parameters[0] >= 1.0:
        return row.low, row.high
    start, stop = ends(row)
    right = start
    last = stop
    while right < last:  # the first atom at or below the mean
        middle = (right + last) // 2
        if x_of(row, middle) > row.mean:
            right = middle + 1
        else:
            last = middle
    left, mass, target, distance = right - 1, 0.0, parameters[0] * row.total, -1.0
    share = 1.0
    took_left = False
    while left >= start or right < stop:
        above = x_of(row, left) - row.mean if left >= start else 1e300
        below = row.mean - x_of(row, right) if right < stop else 1e300
        nearest = min(above, below)
        # Ties in distance all stay in transformers; two distances that differ by rounding alone are one.
        if mass >= target and (parameters[1] == 1.0 or nearest > distance + 1e-12 * max(1.0, distance)):
            break
        took_left = above <= below
        atom = left if took_left else right
        weight = weight_of(row, atom)
        share = min(1.0, (target - mass) / weight) if mass + weight > target and weight > 0.0 else 1.0
        mass += weight
        distance = nearest
        left, right = (left - 1, right) if took_left else (left, right + 1)
    low, high = left + 1.0, float(right)
    k = row.x.shape[0]
    if share < 1.0 and not took_left and right - 1 >= k:
        high = within(row, right - 1, share)
    if share < 1.0 and took_left and left + 1 >= k:
        low = left + 2.0 - share
    return max(low, row.low), min(high, row.high)


@dataclass(frozen=True)
class LocallyTypical(Step):
    """Order tokens by |-log p - H| and keep the shortest prefix whose probability reaches the mass.

    The most likely token may be dropped. As -log p - H = E[x] - x for logits x, what is kept is one interval of ranks
    around E[x]. Ties in distance all stay in transformers; llama.cpp cuts at the token that reaches the mass.
    """

    name = "typical_p"
    title = "Locally typical"
    source = "Meister et al., arXiv 2202.00666, section 4; transformers, TypicalLogitsWarper"
    keeps = typical
    engines = {"transformers": {"typical_p": "mass"}, "llamacpp": {"--typical": "mass"}}

    mass: float = number(
        0.9, "The probability that the kept tokens reach together; 1 keeps all.", low=0, high=1, open_low=True,
        slider=(0.05, 1.0), step=0.005,
    )  # fmt: skip
    variant: str = choice(
        ("transformers", "llama.cpp"), "Whether ties in distance stay (transformers) or not (llama.cpp)."
    )

    def lost(self, engine: str) -> tuple[str, ...]:
        """Ties."""
        if (engine == "llamacpp") == (self.variant == "llama.cpp"):
            return ()
        return ("Ties in distance " + ("are cut there." if engine == "llamacpp" else "are kept there."),)
