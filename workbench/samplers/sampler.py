"""The settings a token is drawn with: temperature, top-k and top-p, in transformers' order and words."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, Self

from workbench.errors import ParameterError

if TYPE_CHECKING:
    from transformers import GenerationConfig, LogitsProcessorList


@dataclass(frozen=True)
class Sampler:
    """Temperature, then top-k, then top-p; nothing is filtered unless named.

    The order and the rules at the boundary are transformers' (generation/logits_process.py, 5.23): every filter sees
    tempered logits, top-k keeps all ties of the k-th logit, top-p keeps the smallest prefix of mass >= p.
    """

    temperature: float = 1.0
    """Divides the logits; 0 takes the most likely token always."""
    top_k: int = 0
    """Keep the k most likely tokens; 0 keeps all."""
    top_p: float = 1.0
    """Keep the smallest set of most likely tokens whose probabilities reach p; 1 keeps all."""

    def __post_init__(self) -> None:
        # Only finite temperatures: inf would make every logit 0 and -inf * 0 NaN.
        if not 0 <= self.temperature <= 100:
            raise ParameterError(f"temperature={self.temperature}: choose 0 (most likely token always) to 100.")
        if self.top_k < 0 or int(self.top_k) != self.top_k:
            raise ParameterError(f"top_k={self.top_k}: choose a whole number, 0 to keep all tokens.")
        if not 0 < self.top_p <= 1:
            raise ParameterError(f"top_p={self.top_p}: choose a probability above 0; 1 keeps all tokens.")

    @property
    def greedy(self) -> bool:
        """Whether the most likely token is taken always."""
        return self.temperature == 0

    def processors(self) -> LogitsProcessorList:
        """Transformers' own warpers for these settings, in its order; empty when greedy or when nothing is changed."""
        from transformers import (  # noqa: PLC0415  -- only decoding needs transformers
            LogitsProcessorList,
            TemperatureLogitsWarper,
            TopKLogitsWarper,
            TopPLogitsWarper,
        )

        steps = LogitsProcessorList()
        if self.greedy:
            return steps
        if self.temperature != 1.0:
            steps.append(TemperatureLogitsWarper(float(self.temperature)))
        if self.top_k:
            steps.append(TopKLogitsWarper(int(self.top_k)))
        if self.top_p < 1.0:
            steps.append(TopPLogitsWarper(float(self.top_p)))
        return steps

    def processor(self) -> LogitsProcessorList:
        """As `processors`."""
        return self.processors()

    @classmethod
    def from_generation_config(cls, config: GenerationConfig | None) -> Self:
        """The settings a model ships with; greedy when its `do_sample` is off."""
        if config is None:
            return cls()
        if not config.do_sample:
            return cls(temperature=0.0)
        given = {field.name: getattr(config, field.name, None) for field in fields(cls)}
        return cls(**{name: value for name, value in given.items() if value is not None})

    def to_dict(self) -> dict[str, Any]:
        """The settings by name, as they stand in a trace's meta."""
        return asdict(self)

    def to_json(self) -> str:
        """The settings as JSON."""
        return json.dumps(self.to_dict())

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The sampler `to_json` wrote.

        Raises:
            ParameterError: not JSON, a setting this version does not know, or one out of range.
        """
        try:
            given = json.loads(text)
        except json.JSONDecodeError as problem:
            raise ParameterError(f"These sampler settings are not JSON: {problem}.") from problem
        known = {field.name for field in fields(cls)}
        if not isinstance(given, dict) or not given.keys() <= known:
            raise ParameterError(f"Sampler settings are {sorted(known)}; this holds {given!r}.")
        return cls(**given)
