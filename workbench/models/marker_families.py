"""The think markers in use, one line a family. A new family is a new line here and nothing else."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Family:
    """One way of marking thought."""

    opening: str
    closing: str
    tokens: tuple[str, ...] = ()
    """What must be single tokens of the vocabulary for the family to count; empty means the two markers themselves."""
    also_opening: tuple[str, ...] = ()
    also_closing: tuple[str, ...] = ()
    implied_open: bool = True
    """Whether a closing marker that nothing opened means the text before it was thought."""


FAMILIES: tuple[Family, ...] = (
    Family("<think>", "</think>"),
    # Channels: each message names its own, and thought ends with its message. What leads to the final channel is a
    # marker too, so that no header token counts as answer.
    Family(
        "<|channel|>analysis<|message|>",
        "<|end|>",
        tokens=("<|channel|>", "<|message|>", "<|end|>"),
        also_opening=("<|start|>assistant<|channel|>analysis<|message|>",),
        also_closing=("<|channel|>final<|message|>", "<|start|>assistant<|channel|>final<|message|>"),
        implied_open=False,
    ),
    Family("[THINK]", "[/THINK]"),
    Family("<seed:think>", "</seed:think>"),
    Family("<|START_THINKING|>", "<|END_THINKING|>"),
    Family("<|begin_of_thought|>", "<|end_of_thought|>"),
    Family("<|inner_prefix|>", "<|inner_suffix|>"),
    Family("◁think▷", "◁/think▷"),
    Family("<thinking>", "</thinking>"),
    Family("<thought>", "</thought>"),
    Family("<reasoning>", "</reasoning>"),
)
