"""Top-p, nucleus sampling: a fixed share of the probability."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from workbench.kernels.atoms import prefix_reaching
from workbench.kernels.rules import keeps
from workbench.samplers.parameters import number
from workbench.samplers.step import Reads, Step

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from workbench.kernels.atoms import Row


@keeps
def nucleus(row: Row, parameters: NDArray[np.float64]) -> tuple[float, float]:
    """The shortest prefix of this mass; all where it is 1."""
    if parameters[0] >= 1.0:
        return row.low, row.high
    return row.low, prefix_reaching(row, parameters[0] * row.total)


@dataclass(frozen=True)
class TopP(Step):
    """Keep the smallest set of most likely tokens whose probabilities reach p; 0 keeps one, 1 all.

    A token that starts exactly at mass p is dropped. Of tokens with equal logits at the end those with the larger ids
    stay; which do in transformers is left to a sort that is not stable, how many is the same.
    """

    name = "top_p"
    title = "Top-p"
    source = "Holtzman et al., arXiv 1904.09751, section 3.1; transformers, TopPLogitsWarper"
    keeps = nucleus
    reads = Reads.TOTAL
    engines = {"transformers": {"top_p": "p"}, "vllm": {"top_p": "p"}, "llamacpp": {"--top-p": "p"}}

    p: float = number(
        0.95, "The probability that the kept tokens reach together; 1 keeps all.", low=0, high=1, slider=(0.05, 1.0),
        step=0.005,
    )  # fmt: skip
