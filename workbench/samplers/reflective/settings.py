"""The settings of Self-Reflective Generation, and how the paper's differ from those of its code."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from workbench.samplers.parameters import Settings, choice, number


@dataclass(frozen=True)
class Reflective(Settings):
    """Self-Reflective Generation at Test Time (SRGen).

    Source: arXiv 2510.02919; its code in 2020-qqtcg/SRGen, SRGen/tnot_decorator.py.

    A token triggers where H_t > μ + k σ, mean and spread of the N entropies before it. There a vector δ, at first 0,
    is added to all states h_i after the final norm, and `steps` steps of size `rate` lower

        L(δ) = (1 - λ) L_CE + λ L_AEM
        L_CE = -Σ_i ln softmax(W (h_i + δ))[y_{i+1}]    over the text so far, prompt included
        L_AEM = H(softmax(W (h_t + δ)))

    The token is drawn from the logits W (h_t + δ), and δ is forgotten.

    The defaults are the values the paper's experiments were run with, under the rules as the paper writes them.
    `Reflective.reference()` gives the rules of its code. What differs, field by field:

    - `cross_entropy`: the paper sums over the tokens, the code takes their mean, so that the same λ weighs the entropy
      about t times more.
    - `threshold_rule`: the paper compares with μ + k σ alone and says nothing about the first N tokens and about which
      σ is meant; here none of them triggers, and σ² divides by N. The code: max(μ + k max(σ, minimal_std),
      minimal_threshold) with N - 1 under σ², and a fixed warm-up threshold for the first N.
    - `entropy_of`: the paper's entropies are the model's own, softmax(z); the code's, in the trigger and in L_AEM, are
      of softmax(z / T) with the temperature T of decoding.
    - `optimizer`: the paper leaves it open. The code uses AdamW, for which the rate of 0.01 was chosen, hence the
      default; under plain gradient steps the same rate means something else.
    - `max_corrections`: a limit of the code alone, 20 in its published scripts.
    """

    window: int = number(25, "N: how many entropies before a token its threshold is made of. The code's default is 20.",
        low=2, slider=(5, 100), step=1, unit="tokens")  # fmt: skip
    k: float = number(4.0, "How many standard deviations above the mean an entropy triggers. The code's default is 2.",
        low=0, slider=(0.0, 8.0), step=0.1)  # fmt: skip
    steps: int = number(3, "Optimisation steps at each trigger; 0 is plain decoding, and the code's default.",
        low=0, slider=(0, 20), step=1)  # fmt: skip
    rate: float = number(0.01, "Size of the optimiser's steps. The code's default is 0.1.",
        low=0, slider=(1e-4, 1.0), step=0.1, scale="log")  # fmt: skip
    weight: float = number(0.05, "λ: 0 fits the text so far only, 1 sharpens the next token only. The code's: 0.1.",
        low=0, high=1, slider=(0.0, 1.0))  # fmt: skip
    minimal_std: float = number(0.5, "Least standard deviation counted, under the reference rule.",
        low=0, slider=(0.0, 2.0), step=0.05, unit="nats")  # fmt: skip
    minimal_threshold: float = number(1.8, "Least threshold, under the reference rule.",
        low=0, slider=(0.0, 5.0), step=0.05, unit="nats")  # fmt: skip
    warm_up_threshold: float = number(
        3.0, "Threshold of the first N tokens, under the reference rule. The code's default is 5.",
        low=0, slider=(0.0, 8.0), step=0.1, unit="nats")  # fmt: skip
    max_corrections: int = number(20, "After so many triggers nothing is corrected any more. The code's default is 5.",
        low=0, slider=(0, 100), step=1)  # fmt: skip
    cross_entropy: str = choice(("sum", "mean"), "Over the text so far: the paper's sum, or the mean of its code.")
    threshold_rule: str = choice(("paper", "reference"), "μ + k σ alone, or with the least values of the code.")
    entropy_of: str = choice(
        ("raw", "tempered"), "Of softmax(z), or as in the code of softmax(z / T) at the temperature of decoding."
    )
    optimizer: str = choice(("adamw", "gradient"), "AdamW as in the code, or plain gradient steps.")

    @classmethod
    def reference(cls) -> Self:
        """The rules of 2020-qqtcg/SRGen with the values of its published scripts."""
        return cls(cross_entropy="mean", threshold_rule="reference", entropy_of="tempered", optimizer="adamw")
