"""A sampler in one short line, for legends and lists."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workbench.samplers import Sampler, Step


def in_words(sampler: Sampler) -> str:
    """Each step's name with its first setting, in order: "Temperature 0.8 → Top-p 0.95"; "raw" without steps."""
    return " → ".join(_step(step) for step in sampler.steps) or "raw"


def _step(step: Step) -> str:
    first = next(iter(step.parameters()), None)
    if first is None:
        return step.title
    value = getattr(step, first.name)
    return f"{step.title} {value:g}" if isinstance(value, (int, float)) else f"{step.title} {value}"
