"""What the phase panel's sliders say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from workbench.samplers.parameters import Settings, choice, number

if TYPE_CHECKING:
    from workbench.phases import EatRun, EatStop


@dataclass(frozen=True)
class PhaseView(Settings):
    """Which entropies, and PEAR's reward."""

    kind: str = choice(("raw", "sampled"), "Raw: the model's own distribution. Sampled: the one really drawn from.")
    boundary: str = choice(
        ("labels", "first", "last"), "Every marked stretch is thinking, or all before the first or last closing marker."
    )
    alpha: float = number(1.0, "α: how much an uncertain answer excuses uncertain thinking.", slider=(-1.0, 3.0))
    s: float = number(
        1.0, "What a correct answer earns without a penalty.", low=0.0, high=1.0, slider=(0.0, 1.0), open_low=True
    )
    format_reward: float = number(
        0.0, "What a wrong answer earns.", low=0.0, high=1.0, slider=(0.0, 1.0), open_high=True
    )


@dataclass(frozen=True)
class EatView(Settings):
    """When EAT (arXiv 2509.26522) stops thinking."""

    alpha: float = number(0.2, "Weight of the newest entropy.", low=0.0, high=1.0, slider=(0.05, 0.5), open_low=True)
    delta: float = number(
        1e-3,
        "δ: below this moving variance thinking stops.",
        low=0.0,
        slider=(1e-6, 1e-1),
        scale="log",
        unit="nats²",
        open_low=True,
    )
    min_distance: int = number(
        0, "The first boundary that may stop; 0 takes 4 / α rounded up, as the paper.", low=0, slider=(0, 60), step=1
    )
    variant: str = choice(("paper", "reference"), "The first quiet boundary, or the one before it as the code has it.")

    def stop(self, run: EatRun) -> EatStop:
        """Where this run stops."""
        return run.stop(**self.arguments())

    def arguments(self) -> dict[str, object]:
        """As `ema_stop` and `eat_outcome` take them."""
        return {**self.to_dict(), "min_distance": self.min_distance or None}
