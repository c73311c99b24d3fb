"""Mirostat: a cut that is steered so that the surprise of the tokens stays near a target."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from workbench.kernels.atoms import keep_above, prefix_counting, tokens_left
from workbench.kernels.rules import keeps, learns
from workbench.samplers.parameters import choice, number, switch
from workbench.samplers.step import Signal, Step

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from workbench.kernels.atoms import Row

PAIRS = 100
"""How many pairs of neighbouring probabilities v1 fits Zipf's exponent to; the reference's number."""


@keeps
def steered(row: Row, parameters: NDArray[np.float64]) -> tuple[float, float]:
    """memory: μ as shown, μ - 2τ, log2 of the number of tokens."""
    target, _, version, feedback, _ = parameters
    left = tokens_left(row)
    mu = 2.0 * target + row.memory[1]
    row.memory[0], row.memory[2] = mu, math.log2(max(left, 2.0))
    if left < 2.0:
        return row.low, row.high
    if version == 0.0:
        return keep_above(row, math.log(row.total) - mu * math.log(2.0))
    above, below = 0.0, 0.0
    start = int(row.low)
    for i in range(min(PAIRS, row.x.shape[0] - 1 - start)):
        t = math.log((i + 2.0) / (i + 1.0))
        above += t * (row.x[start + i] - row.x[start + i + 1])
        below += t * t
    exponent = above / below if below > 0.0 else 1.0
    epsilon = exponent - 1.0
    scale = 1.0 / math.log(left) if abs(epsilon) < 1e-9 else epsilon / (1.0 - left ** (-epsilon))
    log_k = (math.log(scale) + mu * math.log(2.0)) / exponent if exponent > 1e-9 else math.inf
    k = left if log_k >= math.log(left) else math.exp(log_k)
    # The reference takes round(k) + 1 tokens, llama.cpp the whole part of k.
    k = math.floor(k + 0.5) + 1.0 if feedback == 0.0 else math.floor(k)
    return row.low, prefix_counting(row, max(1.0, k))


@learns
def feed_back(
    memory: NDArray[np.float64], parameters: NDArray[np.float64], _token: int, before: float, after: float
) -> None:
    """μ ← μ - η (S - τ) in bits."""
    target, rate, _, feedback, guard = parameters
    surprise = (before if feedback == 0.0 else after) / math.log(2.0)
    mu = 2.0 * target + memory[1] - rate * (surprise - target)
    if guard == 1.0:
        mu = min(max(mu, 0.0), max(2.0 * target, memory[2]))
    memory[1] = mu - 2.0 * target


@dataclass(frozen=True)
class Mirostat(Step):
    """Keep tokens of surprise -log2 p <= μ (v2); after each token of surprise S, μ ← μ - η (S - τ), from μ = 2τ. Bits.

    v1 keeps k tokens instead, k = (ε 2^μ / (1 - N^-ε))^(1/s) with Zipf's exponent s fitted to the 100 first pairs of
    neighbours and ε = s - 1. feedback: S under the distribution the step was given (original: paper and reference) or
    under what it kept (truncated: llama.cpp); the target means different things in the two. Where τ lies above the
    entropy that can be had, μ would grow without end; the guard holds it between 0 and log2 N.
    """

    name = "mirostat"
    title = "Mirostat"
    source = "Basu et al., arXiv 2007.14966, algorithms 1 and 2; basusourya/mirostat, mirostat.py; llama.cpp"
    keeps = steered
    learns = feed_back
    signal = Signal("mu", "bits", "largest surprise that is kept")
    engines = {"llamacpp": {"--mirostat-ent": "target", "--mirostat-lr": "rate"}}

    target: float = number(
        3.0, "τ: the mean surprise to hold.", low=0, high=30, open_low=True, slider=(0.5, 10.0), step=0.1, unit="bits"
    )
    rate: float = number(
        0.1, "η: how fast it is steered; the reference has 1, llama.cpp 0.1.", low=0, high=10, slider=(0.01, 1.0),
        step=0.02, scale="log",
    )  # fmt: skip
    version: str = choice(("v2", "v1"), "v2 cuts by surprise, v1 by a number of tokens from Zipf's law.")
    feedback: str = choice(
        ("original", "truncated"), "Whose surprise steers: before the cut (paper) or after it (llama.cpp)."
    )
    guard: bool = switch(True, "Hold μ between 0 and log2 of the vocabulary, so that it cannot wind up.")

    def lost(self, engine: str) -> tuple[str, ...]:
        """What the feedback is taken from."""
        if engine != "llamacpp" or self.feedback == "truncated":
            return ()
        return (
            "llama.cpp feeds back the truncated distribution's surprise: the same target gives more surprise there.",
        )
