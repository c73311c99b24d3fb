"""Which keys every query sees, read from whatever mask a model was given."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from workbench.errors import AttentionError

_ROWS = 1024
"""Rows of a mask looked at together."""


@dataclass(frozen=True, eq=False)
class Visibility:
    """Keys a query sees: all from `start` to before `stop`, counted in `columns`."""

    columns: torch.Tensor | None
    """(C,) the keys that any query sees, ascending; None where they are the first C."""
    start: torch.Tensor
    """(Q,) int64, on the CPU."""
    stop: torch.Tensor
    """(Q,) int64, on the CPU; equal to `start` for a query that sees nothing."""
    positions: torch.Tensor
    """(C,) int64, on the CPU: the keys' positions."""
    queries: torch.Tensor
    """(Q,) int64, on the CPU: the queries' positions, counted like the keys'."""

    @property
    def support(self) -> torch.Tensor:
        """(Q,) how many keys each query sees."""
        return self.stop - self.start

    def span(self, first: int, last: int) -> tuple[int, int]:
        """The columns that queries first to last see, (from, to)."""
        start, stop = self.start[first:last], self.stop[first:last]
        seeing = stop > start
        if not bool(seeing.any()):
            return 0, 0
        return int(start[seeing].min()), int(stop[seeing].max())


def read_mask(mask: torch.Tensor | None, queries: int, keys: int, *, causal: bool) -> Visibility:
    """The visibility a mask stands for.

    Args:
        mask: None (each query sees the keys up to its own where `causal`, else all), or (Q, K): true where a key is
            seen, or 0 where it is and the dtype's minimum or -inf where it is not, as transformers makes them.
        queries: Q; they are the last of the K positions.
        keys: K.
        causal: What a mask of None means for more than one query.

    Raises:
        AttentionError: a mask that adds anything else to the scores, or that lets a query see two stretches of keys.
    """
    if mask is None:
        return _without_mask(queries, keys, causal=causal and queries > 1)
    allowed = _allowed(mask)
    seen = allowed.any(dim=0)
    columns = seen.nonzero()[:, 0]
    compact = None if len(columns) and int(columns[-1]) + 1 == len(columns) else columns
    parts = [_intervals(allowed[at : at + _ROWS, columns]) for at in range(0, queries, _ROWS)]
    start, stop = (torch.cat(ends).cpu() for ends in zip(*parts, strict=True))
    at = torch.arange(queries) + max(keys - queries, 0)
    return Visibility(compact, start, stop, columns.cpu(), at)


def _without_mask(queries: int, keys: int, *, causal: bool) -> Visibility:
    keys = queries if causal else keys  # an empty static cache is longer than what it holds; sdpa cuts it too
    at = torch.arange(queries) + keys - queries
    stop = at + 1 if causal else torch.full((queries,), keys)
    return Visibility(None, torch.zeros(queries, dtype=torch.int64), stop, torch.arange(keys), at)


def _allowed(mask: torch.Tensor) -> torch.Tensor:
    if mask.dtype == torch.bool:
        return mask
    allowed = torch.empty(mask.shape, dtype=torch.bool, device=mask.device)
    for at in range(0, len(mask), _ROWS):
        block = mask[at : at + _ROWS]
        allowed[at : at + _ROWS] = block == 0
        if not bool((allowed[at : at + _ROWS] | (block <= torch.finfo(mask.dtype).min)).all()):
            raise AttentionError(
                "This model's mask adds a bias to the attention scores, which head statistics do not know how to read. "
                "Only masks that hide keys are supported."
            )
    return allowed


def _intervals(allowed: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    counts = allowed.sum(dim=-1)
    if allowed.shape[-1] == 0:
        return counts, counts
    first = allowed.to(torch.uint8).argmax(dim=-1)
    last = allowed.shape[-1] - allowed.flip(-1).to(torch.uint8).argmax(dim=-1)
    if not bool(((last - first == counts) | (counts == 0)).all()):
        raise AttentionError(
            "This model lets a query see keys on both sides of a stretch that is hidden from it but not from others. "
            "Head statistics need each query to see one stretch of keys."
        )
    return first, torch.where(counts == 0, first, last)
