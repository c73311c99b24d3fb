"""Top-k: a fixed number of tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from workbench.kernels.atoms import prefix_counting, with_ties
from workbench.kernels.rules import keeps
from workbench.samplers.parameters import choice, number
from workbench.samplers.step import Reads, Step

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from workbench.kernels.atoms import Row


@keeps
def most_likely(row: Row, parameters: NDArray[np.float64]) -> tuple[float, float]:
    """The k first, with the ties of the last one or without."""
    high = prefix_counting(row, parameters[0])
    return row.low, with_ties(row, high) if parameters[1] == 0.0 else high


@dataclass(frozen=True)
class TopK(Step):
    """Keep the k most likely tokens: S = {i : z_i >= z_(k)}. k > V keeps all.

    transformers and vLLM keep all ties of the k-th logit, llama.cpp sorts and cuts to exactly k.
    """

    name = "top_k"
    title = "Top-k"
    source = "transformers, generation/logits_process.py, TopKLogitsWarper"
    keeps = most_likely
    reads = Reads.SHAPE
    engines = {"transformers": {"top_k": "k"}, "vllm": {"top_k": "k"}, "llamacpp": {"--top-k": "k"}}

    k: int = number(
        50, "How many of the most likely tokens stay.", low=1, high=10_000_000, slider=(1, 200), step=0.02, scale="log"
    )
    variant: str = choice(
        ("transformers", "llama.cpp"), "Whether ties of the k-th logit stay (transformers) or not (llama.cpp)."
    )

    def lost(self, engine: str) -> tuple[str, ...]:
        """Ties."""
        if (engine == "llamacpp") == (self.variant == "llama.cpp"):
            return ()
        return ("Ties of the k-th logit " + ("are cut there." if engine == "llamacpp" else "are kept there."),)
