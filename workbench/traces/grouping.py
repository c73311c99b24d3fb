"""Which sequences may share a batch: where batching itself would change what a model says, it is found out and avoided.

Attention is masked, so that padding and neighbours change nothing. A recurrent state has to be kept clean by each
architecture's own code, and not all of it does.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, TypeAlias
from weakref import WeakKeyDictionary

import torch

from workbench.samplers import Sampler
from workbench.traces.decode import decode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workbench.models import LanguageModel

Company: TypeAlias = Literal["any", "equal", "none"]
"""With which others a sequence can be decoded: any, those whose prompt is as long, or none."""

_FOUND: WeakKeyDictionary[Any, Company] = WeakKeyDictionary()
_LONG, _SHORT = 16, 3
"""Lengths of the prompts that are tried: the short one within the reach of a convolution over four tokens."""


def groups(model: LanguageModel, lengths: Sequence[int]) -> list[list[int]]:
    """Places of prompts of these lengths, each in one of the groups that this model can decode as a batch."""
    places = list(range(len(lengths)))
    if len(places) == 1:
        return [places]
    allowed = company(model)
    if allowed == "any":
        return [places]
    if allowed == "none":
        return [[place] for place in places]
    return [[place for place in places if lengths[place] == length] for length in sorted(set(lengths))]


def company(model: LanguageModel) -> Company:
    """What this model's sequences can share a batch with.

    Models that declare a recurrent state are tried, once: two short prompts are decoded together and alone, and the
    raw logits of the prompt and of one cached step compared.
    """
    if not getattr(model.hf, "_is_stateful", False):
        return "any"
    if model.hf not in _FOUND:
        long = [1 + i % (model.vocabulary - 1) for i in range(_LONG)]
        _FOUND[model.hf] = (
            "any" if _agree(model, [long, long[:_SHORT]]) else "equal" if _agree(model, [long, long[::-1]]) else "none"
        )
    return _FOUND[model.hf]


class _Raw:
    """Keeps every step's raw logits."""

    def __init__(self) -> None:
        self.steps: list[torch.Tensor] = []

    def step(self, raw: torch.Tensor, processed: torch.Tensor, tokens: torch.Tensor, alive: Sequence[bool]) -> None:  # noqa: ARG002
        self.steps.append(raw.clone())

    def select(self, rows: Sequence[int]) -> None:
        """Never asked for: rows stay to the end."""


def _agree(model: LanguageModel, prompts: Sequence[Sequence[int]]) -> bool:
    together = _raw_logits(model, prompts)
    alone = torch.cat([_raw_logits(model, [prompt]) for prompt in prompts], dim=1)
    allowed = max(1e-3, 8 * torch.finfo(model.precision).eps) * float(alone.abs().max())
    return bool((together - alone).abs().max() <= allowed)


def _raw_logits(model: LanguageModel, prompts: Sequence[Sequence[int]]) -> torch.Tensor:
    """(2, B, V) after each prompt, and after the token that then is likeliest."""
    raw = _Raw()
    endless = replace(model, end_ids=frozenset())
    seeds = [0] * len(prompts)
    decode(endless, prompts, sampler=Sampler(temperature=0), seeds=seeds, max_new_tokens=2, recorder=raw)
    return torch.stack(raw.steps)
