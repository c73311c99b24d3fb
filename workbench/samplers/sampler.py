"""A sampler: an ordered chain of steps between the model's logits and the draw."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from workbench.errors import ParameterError
from workbench.samplers.engines import to_llamacpp, to_transformers, to_vllm
from workbench.samplers.step import STEPS, Step
from workbench.samplers.steps import (
    Epsilon,
    Eta,
    LocallyTypical,
    MinP,
    RepetitionPenalty,
    Temperature,
    TopH,
    TopK,
    TopP,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from transformers import GenerationConfig

    from workbench.samplers.engines import Export
    from workbench.samplers.processor import SamplerProcessor

# GenerationConfig's names in the order in which transformers applies them (generation/utils.py,
# _get_logits_processor, 5.23), each with the value that changes nothing.
NEUTRAL = {
    "repetition_penalty": 1.0, "temperature": 1.0, "top_h": None, "top_k": 0, "top_p": 1.0, "min_p": None,
    "typical_p": 1.0, "epsilon_cutoff": 0.0, "eta_cutoff": 0.0,
}  # fmt: skip


@dataclass(frozen=True, init=False, repr=False)
class Sampler:
    """How the next token is chosen. `Sampler(temperature=0.8, top_p=0.95)`, or any chain of steps by `Sampler.chain`.

    The keywords are GenerationConfig's, in transformers' order: every filter sees tempered logits. Temperature 0 means
    greedy: it leaves the most likely token alone, so that filters after it have nothing to drop. Nothing is filtered
    unless named.
    """

    steps: tuple[Step, ...]
    """In the order in which they act."""

    def __init__(
        self,
        *,
        temperature: float = 1.0,
        top_k: int = 0,
        top_p: float = 1.0,
        min_p: float | None = None,
        typical_p: float = 1.0,
        epsilon_cutoff: float = 0.0,
        eta_cutoff: float = 0.0,
        top_h: float | None = None,
        repetition_penalty: float = 1.0,
    ) -> None:
        given = {
            "repetition_penalty": repetition_penalty, "temperature": temperature, "top_h": top_h, "top_k": top_k,
            "top_p": top_p, "min_p": min_p, "typical_p": typical_p, "epsilon_cutoff": epsilon_cutoff,
            "eta_cutoff": eta_cutoff,
        }  # fmt: skip
        steps = (_step(name, value) for name, value in given.items() if value is not None)
        object.__setattr__(self, "steps", tuple(step for step in steps if step is not None))

    @classmethod
    def chain(cls, steps: Sequence[Step]) -> Self:
        """A sampler of these steps in this order; the same step may come twice.

        Raises:
            ParameterError: something in it is not a step.
        """
        for step in steps:
            if not isinstance(step, Step):
                raise ParameterError(f"{step!r} is no sampler step; they are in wb.samplers, such as TopP(0.9).")
        sampler = cls()
        object.__setattr__(sampler, "steps", tuple(steps))
        return sampler

    @property
    def greedy(self) -> bool:
        """Whether the most likely token, after any penalties, is taken always."""
        return any(isinstance(step, Temperature) and step.temperature == 0 for step in self.steps)

    @property
    def temperature(self) -> float:
        """By what the logits are divided in all, dynamic temperatures aside; 0 where greedy."""
        product = 1.0
        for step in self.steps:
            product *= step.temperature if isinstance(step, Temperature) else 1.0
        return product

    def processor(
        self, *, seeds: Sequence[int] | None = None, prompt_lengths: Sequence[int] | None = None
    ) -> SamplerProcessor:
        """A transformers LogitsProcessor: (input_ids (B, L), raw logits (B, V)) -> (B, V), tempered, dropped = -inf.

        It owns temperature and order; give it to `generate` alone, with `do_sample=True, top_k=0` and neither
        temperature nor filters, since `do_sample` adds a top-k of 50 by itself (transformers runs its own warpers
        after custom processors). It keeps each row's state and starts anew with a new prompt.

        Args:
            seeds: one a row, for steps that draw by themselves (XTC); 0, 1, … where none are given.
            prompt_lengths: tokens of each row's prompt without left padding, which penalties then leave out.
        """
        from workbench.samplers.processor import SamplerProcessor  # noqa: PLC0415  -- it needs torch and transformers

        return SamplerProcessor(self, seeds=seeds, prompt_lengths=prompt_lengths)

    def to_transformers(self) -> Export:
        """The settings for `GenerationConfig(**export.values)`, what transformers does differently named."""
        return to_transformers(self)

    def to_vllm(self) -> Export:
        """The settings for vLLM's `SamplingParams(**export.values)`, what vLLM does differently named."""
        return to_vllm(self)

    def to_llamacpp(self) -> Export:
        """The settings as llama.cpp's flags, what llama.cpp does differently named."""
        return to_llamacpp(self)

    @classmethod
    def from_generation_config(cls, config: GenerationConfig | Mapping[str, Any] | None) -> Self:
        """The settings a model ships with; greedy when its `do_sample` is off.

        Raises:
            ParameterError: a setting out of range.
        """
        if config is None:
            return cls()
        values: Mapping[str, Any] = config if isinstance(config, dict) else config.to_dict()  # type: ignore[union-attr]
        given = {name: values.get(name) for name in NEUTRAL}
        if not values.get("do_sample"):
            penalty = given["repetition_penalty"]
            return cls(temperature=0.0, repetition_penalty=1.0 if penalty is None else penalty)
        return cls(**{name: value for name, value in given.items() if value is not None})

    def to_dict(self) -> dict[str, Any]:
        """The steps in order, JSON-able; as they stand in a trace's meta."""
        return {"steps": [step.to_dict() for step in self.steps]}

    def to_json(self) -> str:
        """The settings as JSON."""
        return json.dumps(self.to_dict())

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> Self:
        """The sampler of `to_dict`, or of GenerationConfig's names.

        Raises:
            ParameterError: neither of the two, a step or setting this version does not know, or one out of range.
        """
        if isinstance(given, dict) and isinstance(given.get("steps"), list) and given.keys() <= {"steps"}:
            return cls.chain([Step.from_dict(step) for step in given["steps"]])
        if isinstance(given, dict) and given.keys() <= NEUTRAL.keys():
            return cls(**given)
        names = ", ".join(NEUTRAL)
        raise ParameterError(
            f"Sampler settings are a list of steps ({', '.join(STEPS)}) under 'steps', or values for {names}; "
            f"this holds {given!r}."
        )

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The sampler `to_json` wrote.

        Raises:
            ParameterError: not JSON, or as `from_dict`.
        """
        try:
            given = json.loads(text)
        except json.JSONDecodeError as problem:
            raise ParameterError(f"These sampler settings are not JSON: {problem}.") from problem
        return cls.from_dict(given)

    def __repr__(self) -> str:
        return f"Sampler({' → '.join(map(repr, self.steps)) or 'raw'})"


_KINDS: dict[str, type[Step]] = {
    "repetition_penalty": RepetitionPenalty, "temperature": Temperature, "top_h": TopH, "top_k": TopK, "top_p": TopP,
    "min_p": MinP, "typical_p": LocallyTypical, "epsilon_cutoff": Epsilon, "eta_cutoff": Eta,
}  # fmt: skip


def _step(name: str, value: Any) -> Step | None:  # noqa: ANN401
    """The step of one keyword, checked; None where it changes nothing."""
    if value == NEUTRAL[name]:
        return None
    kind: Any = _KINDS[name]
    try:
        return kind(value, variant="transformers") if kind is TopH else kind(value)
    except ParameterError as problem:
        raise ParameterError(f"Sampler({name}={value!r}): {problem}") from problem
