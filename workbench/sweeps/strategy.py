"""How one arm of a sweep decodes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workbench.errors import SweepError
from workbench.samplers import Sampler

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT = "default"
"""The arm that decodes with the model's own generation settings."""


@dataclass(frozen=True)
class Strategy:
    """A sampler, a token budget and a prompt template; DiffAdapt's strategies are three of these."""

    sampler: Sampler | None = None
    """None: the model's own generation settings."""
    max_new_tokens: int | None = None
    """None: what the sweep says."""
    prompt: str = "{prompt}"
    """{prompt} stands for the problem; {name} for its column `name`."""

    def __post_init__(self) -> None:
        if self.max_new_tokens is not None and self.max_new_tokens < 1:
            raise SweepError(f"max_new_tokens={self.max_new_tokens}: a strategy needs at least one token.")

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""
        sampler = None if self.sampler is None else self.sampler.to_dict()
        return {"sampler": sampler, "max_new_tokens": self.max_new_tokens, "prompt": self.prompt}

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> Strategy:
        """What `to_dict` gave."""
        sampler = given["sampler"]
        return cls(None if sampler is None else Sampler.from_dict(sampler), given["max_new_tokens"], given["prompt"])


def arms_of(sampler: Sampler | Strategy | Mapping[str, Sampler | Strategy | None] | None) -> dict[str, Strategy]:
    """Name -> strategy, from whatever a user gave; a single one is called "default", or by its steps.

    Raises:
        SweepError: no arm, or something that is neither a sampler nor a strategy.
    """
    if sampler is None:
        return {DEFAULT: Strategy()}
    if isinstance(sampler, (Sampler, Strategy)):
        return {_described(sampler): _strategy(sampler)}
    if not hasattr(sampler, "items"):
        raise SweepError(
            f"sampler={sampler!r}: give a Sampler, a Strategy, or a mapping of names to these; "
            "wb.Sampler(temperature=0.8) makes one."
        )
    if not sampler:
        raise SweepError("sampler is an empty mapping: name at least one.")
    return {str(name): _strategy(one) for name, one in sampler.items()}


def _strategy(given: object) -> Strategy:
    if given is None:
        return Strategy()
    if isinstance(given, Sampler):
        return Strategy(given)
    if isinstance(given, Strategy):
        return given
    raise SweepError(f"{given!r} is neither a Sampler nor a Strategy.")


def _described(given: Sampler | Strategy) -> str:
    sampler = given if isinstance(given, Sampler) else given.sampler
    if sampler is None:
        return DEFAULT
    if sampler.greedy:
        return "greedy"
    words = ", ".join(f"{step.name} {next(iter(vars(step).values()), '')}".strip() for step in sampler.steps)
    return words or "unfiltered"
