"""Scaled attention scores, block of queries by block of queries, in one buffer that is used again and again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from workbench.attention.visibility import Visibility, read_mask
from workbench.errors import AttentionError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from workbench.attention.interface import Call

_BUFFER = 2**19
"""Scores held at a time, unless one key head's block alone is larger: 2 MB stay in a core's cache."""
_UNREADABLE = {
    "s_aux": "learned attention sinks",
    "position_bias": "a position bias added to the scores",
    "cache": "a paged cache",
}


@dataclass(frozen=True, eq=False)
class Scores:
    """What one attention call's scores are made of, for one sequence of the batch."""

    query: torch.Tensor
    """(Hkv, G, Q, D): G query heads share a key head."""
    key: torch.Tensor
    """(Hkv, C, D): the keys of `seen.columns`."""
    scaling: float
    softcap: float | None
    seen: Visibility

    @property
    def heads(self) -> int:
        """Query heads."""
        return self.query.shape[0] * self.query.shape[1]

    def of_queries(self, queries: torch.Tensor, head: int | None = None) -> torch.Tensor:
        """(H, R, C) float32 scores of R chosen queries, or (1, R, C) of one head; -inf where a key is not seen."""
        at, group = (slice(None), slice(None)) if head is None else map(_only, divmod(head, self.query.shape[1]))
        chosen = self.query[at, group][:, :, queries.to(self.query.device)].flatten(1, 2).float()  # (Hkv, G R, D)
        scores = torch.bmm(chosen, self.key[at].float().transpose(1, 2)).mul_(self.scaling)
        scores = self._cap(scores).view(-1, len(queries), scores.shape[-1])
        start, stop = (ends[queries, None].to(scores.device) for ends in (self.seen.start, self.seen.stop))
        column = torch.arange(scores.shape[-1], device=scores.device)
        return scores.masked_fill_((column < start) | (column >= stop), -torch.inf)

    def blocks(self, block: int) -> Iterator[tuple[int, int, int, int, torch.Tensor]]:
        """(first head, first query, first column, queries, scores (heads, queries, columns) float32), one at a time.

        Scores of keys a query does not see are there, but mean nothing. The next step overwrites the tensor.
        """
        key_heads, group, rows, _ = self.query.shape
        buffer = torch.empty(0, device=self.query.device)
        query, key = self.query.float(), self.key.float()
        for first in range(0, rows, block):
            last = min(first + block, rows)
            low, high = self.seen.span(first, last)
            size = group * (last - first) * (high - low)
            if size == 0:
                continue
            step = min(key_heads, max(1, _BUFFER // size))
            if buffer.numel() < step * size:
                buffer = torch.empty(step * size, device=self.query.device)
            for at in range(0, key_heads, step):
                some = query[at : at + step, :, first:last].flatten(1, 2)  # (some, G * queries, D)
                out = buffer[: len(some) * size].view(len(some), -1, high - low)
                torch.baddbmm(
                    out, some, key[at : at + step, low:high].transpose(1, 2), beta=0, alpha=self.scaling, out=out
                )
                yield at * group, first, low, last - first, self._cap(out).view(-1, last - first, high - low)

    def _cap(self, scores: torch.Tensor) -> torch.Tensor:
        if self.softcap is None:
            return scores
        return scores.div_(self.softcap).tanh_().mul_(self.softcap)


def _only(at: int) -> slice:
    return slice(at, at + 1)


class ScoreReader:
    """Makes `Scores` of attention calls; a mask that several layers share is read once."""

    def __init__(self) -> None:
        self._last: dict[tuple[int, int, int, int], tuple[torch.Tensor | None, Visibility]] = {}

    def read(self, call: Call) -> list[Scores]:
        """The scores of each sequence of the batch.

        Raises:
            AttentionError: the call computes something else than a softmax of scaled, capped and masked products.
        """
        module, query, key, mask, how = call
        for name, words in _UNREADABLE.items():
            if how.get(name) is not None:
                raise AttentionError(f"{type(module).__name__} uses {words}, which head statistics cannot read.")
        group = query.shape[1] // key.shape[1]
        scaling, softcap, causal = (how.get(name) for name in ("scaling", "softcap", "is_causal"))
        causal = bool(getattr(module, "is_causal", True) if causal is None else causal)
        found = []
        for b in range(len(query)):
            seen = self._visibility(mask, b, query.shape[2], key.shape[2], causal=causal)
            kept = key[b][:, : len(seen.positions)] if seen.columns is None else key[b][:, seen.columns]
            scale = query.shape[-1] ** -0.5 if scaling is None else scaling
            found.append(Scores(query[b].view(-1, group, *query.shape[2:]), kept, float(scale), softcap, seen))
        return found

    def _visibility(self, mask: torch.Tensor | None, b: int, queries: int, keys: int, *, causal: bool) -> Visibility:
        name = (0 if mask is None else id(mask), b, queries, keys)
        if name not in self._last or self._last[name][0] is not mask:
            one = None if mask is None else mask[min(b, len(mask) - 1)]
            if one is not None and len(one) != 1:
                raise AttentionError("This model's mask differs from head to head, which head statistics cannot read.")
            rows = None if one is None else one[0, :, :keys].expand(queries, -1)
            if mask is not None and len(self._last) >= 8:  # decoding brings a new mask with every token
                self._last.clear()
            self._last[name] = mask, read_mask(rows, queries, keys, causal=causal)
        return self._last[name][1]
