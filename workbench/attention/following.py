"""Which text each row of a model's batches belongs to, call after call: decoding feeds a token, not a text."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, field
from types import MethodType
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray
    from torch import nn

_NO_TOKEN = -1


@dataclass(eq=False)
class Followed:
    """One sequence as far as a model has read it, and what was measured of its rows."""

    ids: NDArray[np.int32]
    """(T,) the tokens it was fed, padding included; empty where they are not known."""
    attended: NDArray[np.bool_]
    """(T,): false for padding."""
    known: bool
    rows: dict[int, list[NDArray[np.float32]]] = field(default_factory=dict)
    """By layer, (S, H, q) of each call."""
    support: dict[int, list[NDArray[np.int32]]] = field(default_factory=dict)
    """By layer, (q,) of each call."""

    def __len__(self) -> int:
        return len(self.attended)

    def read(self, ids: NDArray[np.int32] | None, attended: NDArray[np.bool_]) -> None:
        """Go on by the tokens of one call; `attended` is of all tokens so far."""
        self.known = self.known and ids is not None
        self.ids = np.concatenate([self.ids, ids]) if self.known and ids is not None else self.ids[:0]
        self.attended = attended

    def keys(self, count: int) -> tuple[NDArray[np.int32] | None, int]:
        """The tokens (count,) of the keys a layer holds, and which of them is the text's first, -1 if it holds it not.

        A layer with more keys than tokens has room for those to come (a static cache); one with fewer holds the last.
        """
        gone = max(len(self) - count, 0)
        sink = max(int(self.attended.argmax()) - gone, -1)
        if not self.known:
            return None, sink
        ids = np.full(count, _NO_TOKEN, np.int32)
        held = self.ids[gone:]
        ids[: len(held)] = held
        return ids, sink

    def begins_with(self, ids: NDArray[np.int32]) -> bool:
        """Whether these are the first tokens it was fed, padding aside."""
        return self.known and np.array_equal(self.ids[self.attended][: len(ids)], ids)


class Follower:
    """Keeps the sequences of every batch, in the order they came."""

    def __init__(self) -> None:
        self.batches: list[list[Followed]] = []
        """Each as it was at first."""
        self._now: list[Followed] = []
        """The rows of the batch under way."""
        self._cache: object = None

    def begin(self, module: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        """Take note of what a model is about to be called with."""
        names = inspect.signature(module.forward).parameters if args else ()
        given = dict(zip(names, args, strict=False)) | dict(kwargs)
        ids, states, mask = (given.get(name) for name in ("input_ids", "inputs_embeds", "attention_mask"))
        tokens = states if ids is None else ids
        if isinstance(tokens, torch.Tensor):
            plain = mask if isinstance(mask, torch.Tensor) and mask.ndim == 2 else None
            self.read(ids, plain, size=(tokens.shape[0], tokens.shape[1]), cache=given.get("past_key_values"))

    def read(
        self, ids: torch.Tensor | None, mask: torch.Tensor | None, *, size: tuple[int, int], cache: object = None
    ) -> None:
        """A call with tokens (B, Q), the attention mask (B, K) if there is one, and what is held of earlier calls."""
        batch, new = size
        held = int(cache.get_seq_length()) if hasattr(cache, "get_seq_length") else 0
        if held == 0 or len(self._now) != batch or len(self._now[0]) != held:
            empty = np.empty(0, np.int32)
            self._now = [Followed(empty, np.ones(held, np.bool_), held == 0) for _ in range(batch)]
            self.batches.append(self._now)
        tokens = None if ids is None else ids.cpu().numpy().astype(np.int32)
        attended = np.ones((batch, held + new), np.bool_) if mask is None else mask.cpu().numpy().astype(np.bool_)
        for row, followed in enumerate(self._now):
            followed.read(None if tokens is None else tokens[row], attended[row, : held + new])
        self._follow(cache)

    def rows(self, batch: int, queries: int) -> list[Followed]:
        """The sequences of an attention call's batch; strangers where nobody said that a call began."""
        if len(self._now) != batch or len(self._now[0]) < queries:
            self.read(None, None, size=(batch, queries))
        return self._now

    def _follow(self, cache: object) -> None:
        """Notice when rows leave the batch: only the cache is told which ones stay."""
        if not hasattr(cache, "batch_select_indices") or cache is self._cache:
            return
        self._cache = cache

        def select(held: Any, indices: torch.Tensor) -> None:  # noqa: ANN401
            type(held).batch_select_indices(held, indices)
            if held is self._cache:
                self._now = [self._now[row] for row in indices.tolist()]

        # Bound, so that a deep copy of the cache selects from itself.
        cache.batch_select_indices = MethodType(select, cache)
