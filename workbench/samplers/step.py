"""What one step of a sampler is: a frozen dataclass with rules. Defining a class registers it; the rest follows."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Any, ClassVar, Self

from workbench.errors import ParameterError
from workbench.kernels import chain
from workbench.samplers.parameters import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from workbench.kernels.rules import Rule

STEPS: dict[str, type[Step]] = {}
"""Every step by name, in the order in which they were defined."""


class Reads(IntEnum):
    """What `keeps` looks at besides the logits and their order; where a sketch leaves it open, its ends are tried."""

    SHAPE = chain.READS_SHAPE
    """Nothing else: neither row.total nor row.mean."""
    TOTAL = chain.READS_TOTAL
    """row.total, for probabilities."""
    ENTROPY = chain.READS_ENTROPY
    """row.total and row.mean, for the entropy."""


@dataclass(frozen=True)
class Signal:
    """What an adaptive step shows for every token."""

    name: str
    unit: str = ""
    help: str = ""


@dataclass(frozen=True)
class Step(Settings):
    """Base of all steps. A subclass is a frozen dataclass whose fields are made by `number`, `choice` and `switch`.

    It names itself and gives the rules it needs, functions of one row compiled by numba (`workbench.kernels.rules`):
    `tempers` divides the logits, `keeps` cuts (after `tempers`, where both are there), `learns` makes the cut depend on
    the tokens drawn so far, `marks` with `penalises` lowers the logits of tokens that have been seen.
    """

    name: ClassVar[str]
    """In JSON, and for `Sampler`'s keyword."""
    title: ClassVar[str]
    """As people say it."""
    source: ClassVar[str]
    """Paper and section, or repository and path."""
    tempers: ClassVar[Rule | None] = None
    keeps: ClassVar[Rule | None] = None
    learns: ClassVar[Rule | None] = None
    marks: ClassVar[Rule | None] = None
    penalises: ClassVar[Rule | None] = None
    reads: ClassVar[Reads] = Reads.ENTROPY
    """How much of a row the rule looks at; a rule that looks at less is asked less often. Leave it when in doubt."""
    spread_matters: ClassVar[bool] = False
    """Whether a rule looks at how all tokens lie, not at probabilities and their entropy alone."""
    signal: ClassVar[Signal | None] = None
    """What `memory[0]` holds after the rule has run, where that is worth seeing."""
    engines: ClassVar[Mapping[str, Mapping[str, str]]] = {}
    """For transformers, vllm and llamacpp: the engine's name of a setting -> the field that it is."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        for missing in (name for name in ("name", "title", "source") if not hasattr(cls, name)):
            raise TypeError(f"{cls.__name__} is a sampler's step and needs a class attribute {missing}.")
        if not any((cls.tempers, cls.keeps, cls.marks)):
            raise TypeError(f"{cls.__name__} has no rule: give it tempers, keeps, or marks with penalises.")
        STEPS[cls.name] = cls

    def values(self) -> tuple[float, ...]:
        """The parameters as the rules are given them: numbers in order of the fields, a choice as its index."""
        found = []
        for parameter in self.parameters():
            value = getattr(self, parameter.name)
            found.append(float(parameter.options.index(value) if parameter.options else value))
        return tuple(found)

    @property
    def remembers(self) -> bool:
        """Whether what this step does at a token depends on the tokens before, so that rows must be done in order."""
        return self.learns is not None

    def lost(self, engine: str) -> tuple[str, ...]:  # noqa: ARG002  -- for subclasses
        """What of these settings that engine would do differently, in sentences, though it knows the step."""
        return ()

    def to_dict(self) -> dict[str, Any]:
        """Name and parameters, JSON-able."""
        return {"step": self.name, **super().to_dict()}

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> Self:
        """The step that `to_dict` gave; called on `Step`, any step.

        Raises:
            ParameterError: no such step, an unknown parameter, or one out of range.
        """
        name = given.get("step", getattr(cls, "name", None))
        if name not in STEPS:
            raise ParameterError(f"There is no sampler step {name!r}; there are {', '.join(STEPS)}.")
        kind = STEPS[name]
        parameters = {key: tuple(v) if isinstance(v, list) else v for key, v in given.items() if key != "step"}
        step: Any = super(Step, kind).from_dict(parameters)
        return step
