"""What of a chain an engine with a fixed order of steps can carry, and what not."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from workbench.samplers.step import Step

COMMUTE = frozenset(
    frozenset(pair)
    for pair in (
        ("temperature", "top_k"),  # a temperature does not change ranks
        ("temperature", "top_nsigma"),  # nor how many standard deviations a logit lies below the largest
        ("temperature", "repetition_penalty"),  # both multiply, and neither changes a sign
        ("top_k", "min_p"),  # ranks and ratios to the best: neither looks at what else is left
    )
)
"""Pairs of steps that keep the same tokens in either order; the others look at what is left, or at the temperature."""

TITLES = {"transformers": "transformers", "vllm": "vLLM", "llamacpp": "llama.cpp"}
"""As people write them."""

MAY_DROP_THE_BEST = ("typical_p", "xtc", "mirostat", "entropy_quadrants")


@dataclass(frozen=True)
class Export:
    """Settings in one engine's words."""

    engine: str
    """transformers, vllm or llamacpp."""
    text: str
    """To paste: Python for transformers and vLLM, command line flags for llama.cpp."""
    values: Mapping[str, Any]
    """The engine's own names; its defaults are set to what changes nothing where the chain says nothing."""
    lost: tuple[str, ...]
    """What the engine would do differently, in sentences; empty where it keeps the very same tokens."""

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return asdict(self)


def changes_nothing(step: Step) -> bool:
    """Whether a step leaves every distribution as it is."""
    neutral = {
        "temperature": 1.0, "top_p": 1.0, "min_p": 0.0, "typical_p": 1.0, "epsilon_cutoff": 0.0, "eta_cutoff": 0.0,
        "repetition_penalty": 1.0, "xtc": 0.0, "dry": 0.0,
    }  # fmt: skip
    return bool(step.values()[:1] == (neutral.get(step.name),))


def carried(steps: Sequence[Step], engine: str, order: Sequence[str] | None = None) -> tuple[list[Step], list[str]]:
    """The steps an engine has, each once, and sentences about all that it does differently.

    Args:
        steps: of the chain.
        engine: its key in `Step.engines`.
        order: names of steps in the engine's own order; None where it takes any.
    """
    kept: list[Step] = []
    lost: list[str] = []
    for step in steps:
        if changes_nothing(step):
            continue
        if engine not in step.engines:
            lost.append(f"{step.title}: {TITLES[engine]} has no such step; it is left out.")
        elif any(other.name == step.name for other in kept):
            lost.append(f"{step.title} comes twice: {TITLES[engine]} has it once, the first one is taken.")
        else:
            kept.append(step)
            lost += [f"{step.title}: {line}" for line in step.lost(engine)]
    if order is not None:
        lost += misplaced(kept, engine, order)
    return kept, lost


def misplaced(steps: Sequence[Step], engine: str, order: Sequence[str]) -> list[str]:
    """A sentence for each pair that the engine applies the other way round, where that makes a difference."""
    place = {name: i for i, name in enumerate(order)}
    return [
        f"{TITLES[engine]} applies {second.title} before {first.title}: what is kept can differ."
        for i, first in enumerate(steps)
        for second in steps[i + 1 :]
        if place[second.name] < place[first.name] and frozenset((first.name, second.name)) not in COMMUTE
    ]


def before_greedy(steps: Sequence[Step]) -> tuple[list[Step], list[str]]:
    """The penalties before the temperature of 0, and what is lost where an engine takes the best token itself."""
    at = next(i for i, step in enumerate(steps) if step.name == "temperature" and step.values() == (0.0,))
    penalties = [step for step in steps[:at] if step.marks is not None]
    lost = [
        f"{step.title} comes before temperature 0 and may drop the most likely token; greedy decoding takes it."
        for step in steps[:at]
        if step.name in MAY_DROP_THE_BEST
    ]
    return penalties, lost


def names_of(step: Step, engine: str) -> dict[str, Any]:
    """The engine's settings of one step."""
    return {name: getattr(step, field) for name, field in step.engines[engine].items()}


def call(name: str, values: Mapping[str, Any]) -> str:
    """A Python call with these keywords."""
    return f"{name}({', '.join(f'{key}={value!r}' for key, value in values.items())})"
