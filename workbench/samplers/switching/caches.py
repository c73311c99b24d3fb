"""A model with a cache that follows a text which others write too."""

from __future__ import annotations

from itertools import takewhile
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workbench.models import LanguageModel


class CachedModel:
    """Gives the raw logits after any text, reading in one pass what its cache has not seen of it.

    Tokens in the cache that the text does not have are removed from it. transformers makes the cache that fits the
    architecture; a model that has none reads the whole text every time.
    """

    def __init__(self, model: LanguageModel) -> None:
        self.model = model
        self.read = 0
        """Positions computed so far."""
        self._cache: Any = None
        self._seen: list[int] = []
        # Logits of a whole prompt can be larger than the model.
        self._only_last = {"logits_to_keep": 1} if model.hf._supports_logits_to_keep() else {}  # noqa: SLF001

    @property
    def seen(self) -> int:
        """Tokens in the cache."""
        return len(self._seen)

    def logits(self, ids: Sequence[int]) -> torch.Tensor:
        """Raw logits (V,) float32 after `ids`, at least one token, on the model's device."""
        # The logits come from reading a token, so the last one is always read, even where the cache has it.
        self._roll_back(min(_common(self._seen, ids), len(ids) - 1))
        fresh = list(ids[len(self._seen) :])
        with torch.inference_mode():
            output = self.model.hf(
                input_ids=torch.tensor([fresh], device=self.model.device),
                past_key_values=self._cache,
                use_cache=True,
                return_dict=True,
                **self._only_last,
            )
        self.read += len(fresh)
        self._cache = output.get("past_key_values")
        self._seen = self._seen + fresh if self._cache is not None else []
        return output.logits[0, -1].float()

    def _roll_back(self, length: int) -> None:
        """Keep the first `length` tokens of the cache; none of them where a layer has forgotten what came before."""
        surplus = len(self._seen) - length
        if not surplus:
            return
        try:
            self._cache.crop(-surplus)
        except (RuntimeError, ValueError):  # a full sliding window, or a recurrent state
            self._cache, length = None, 0
        self._seen = self._seen[:length]


def _common(one: Sequence[int], other: Sequence[int]) -> int:
    """Length of the common beginning."""
    if len(one) <= len(other) and list(other[: len(one)]) == one:  # so it is unless there is something to roll back
        return len(one)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))
