"""DiffAdapt's three ways to decode, as presets that can be edited and swept."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from workbench.errors import ParameterError
from workbench.samplers import Sampler
from workbench.samplers.parameters import Settings, number

if TYPE_CHECKING:
    from collections.abc import Mapping

    from workbench.sweeps import Strategy

PLAIN = "{prompt}"
"""The problem's own words and nothing else."""


@dataclass(frozen=True)
class Preset(Settings):
    """How problems of one kind are decoded: temperature, token budget and prompt.

    Engines' own settings follow from `sampler`: `preset.sampler.to_vllm()` and its like, with
    `preset.max_new_tokens(maximum)` for `max_tokens`.
    """

    temperature: float = number(0.8, "Temperature; 0 is greedy.", low=0.0, slider=(0.0, 1.5), step=0.05)
    budget: float = number(
        1.0, "Share of the most new tokens it may use.", low=0.0, high=1.0, slider=(0.1, 1.0), step=0.05, open_low=True
    )
    prompt: str = PLAIN
    """What the model is asked; {prompt} stands for the problem."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.prompt, str) or PLAIN not in self.prompt:
            raise ParameterError(
                f"A preset's prompt holds {PLAIN} where the problem goes; this one is {self.prompt!r}."
            )

    @property
    def sampler(self) -> Sampler:
        """The temperature alone: nothing is filtered."""
        return Sampler(temperature=self.temperature)

    def max_new_tokens(self, maximum: int) -> int:
        """The budget in tokens, rounded; at least 1.

        Raises:
            ParameterError: a maximum below 1.
        """
        if maximum < 1:
            raise ParameterError(f"max_new_tokens is at least 1, not {maximum}.")
        return max(1, round(self.budget * maximum))


PRESETS: Mapping[str, Preset] = MappingProxyType(
    {"easy": Preset(0.5, 0.4), "normal": Preset(0.8, 1.0), "hard": Preset(0.4, 0.5)}
)
"""Temperatures and budgets of DiffAdapt (arXiv 2510.19669), prompts unchanged.

A model that was never taught to follow instructions, such as the demo model, would only be put off by more words.
"""

INSTRUCTED: Mapping[str, Preset] = MappingProxyType(
    {
        "easy": Preset(0.5, 0.4, "{prompt}\n\nSolve this directly, then check the result once and answer."),
        "normal": Preset(0.8, 1.0, "{prompt}\n\nThink step by step, one step after the other, then answer."),
        "hard": Preset(
            0.4,
            0.5,
            "{prompt}\n\nThis may be hard and room is short. Choose the most promising approach, follow it, and answer "
            "with the best result you have before you run out.",
        ),
    }
)
"""`PRESETS` with an instruction each, for models that follow them.

The paper gives each strategy a prompt (direct solution and verification; systematic steps; aware of its resources) but
its wording was not published; these words are ours, and results with them are not the paper's.
"""


def strategies(max_new_tokens: int, presets: Mapping[str, Preset] = PRESETS) -> dict[str, Strategy]:
    """The presets as arms of a sweep: `wb.sweeps.run(..., sampler=strategies(512))`.

    Args:
        max_new_tokens: what a budget of 1 means.
        presets: name -> preset; the names become the column `sampler`.

    Raises:
        ParameterError: no presets, or a maximum below 1.
    """
    if not presets:
        raise ParameterError("Give at least one preset; DiffAdapt's own are `PRESETS`.")
    budgets = {name: preset.max_new_tokens(max_new_tokens) for name, preset in presets.items()}
    from workbench.sweeps import Strategy  # noqa: PLC0415  -- presets can be looked at without the machinery of sweeps

    return {
        name: Strategy(sampler=preset.sampler, max_new_tokens=budgets[name], prompt=preset.prompt)
        for name, preset in presets.items()
    }
