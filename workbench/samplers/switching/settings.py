"""The settings of Entropy Adaptive Decoding."""

from __future__ import annotations

from dataclasses import dataclass

from workbench.samplers.parameters import Settings, choice, number


@dataclass(frozen=True)
class Switching(Settings):
    """When two models of one vocabulary take turns: Entropy Adaptive Decoding.

    With H_i the entropy of the raw logits that token i was drawn from, in bits and before any temperature, the mean
    H̄_t = (1/w) Σ_{i=t−w+1..t} H_i decides who draws token t + 1. Once the model at work has drawn `dwell` tokens
    since the last switch (or since the start), the large model draws if H̄_t > `up`, the small one if H̄_t ≤ `down`; in
    between, and before that, nothing changes. The paper has one threshold, as has `hysteresis=0`, and w = 5.

    The paper leaves open, and here it is so:

    - Token 0 is drawn by `start`; a decision needs a token, so a dwell of 0 is a dwell of 1.
    - Before w tokens the window holds those there are. It goes on over a switch.
    - `monitor` says whose entropy H_i is: that of the model that drew token i ("active"), or always the small model's
      ("small"), which then reads along while the large one draws.
    - Threshold and dwell have no published values; the defaults are a place to begin.

    With a threshold of +inf the small model draws alone, with any below 0 the large one, after the first dwell of the
    other where `start` is the other.

    Raises:
        ParameterError: a setting out of range.
    """

    threshold: float = number(
        0.75,
        "Mean raw entropy of the window above which the large model takes over.",
        slider=(0.0, 4.0), step=0.05, unit="bits",
    )  # fmt: skip
    window: int = number(
        5, "Tokens whose entropies are averaged.", low=1, high=4096, slider=(1, 32), step=1, unit="tokens"
    )
    dwell: int = number(
        10, "Fewest tokens a model draws before it can hand over.", low=0, slider=(0, 64), step=1, unit="tokens"
    )
    hysteresis: float = number(
        0.0,
        "How far below the threshold the mean must fall before the small model takes over again.",
        low=0.0, high=64.0, slider=(0.0, 2.0), step=0.05, unit="bits",
    )  # fmt: skip
    start: str = choice(("small", "large"), "The model that draws the first token.")
    monitor: str = choice(
        ("active", "small"), "Whose entropies fill the window: the drawing model's or the small one's."
    )

    @property
    def up(self) -> float:
        """Bits above which the large model takes over: the threshold."""
        return self.threshold

    @property
    def down(self) -> float:
        """Bits at or below which the small model takes over: the threshold less the hysteresis."""
        return self.threshold - self.hysteresis
