"""Statistics of every row of attention: by the compiled kernel on a CPU, by torch elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from workbench.kernels import attention as kernel
from workbench.kernels.parallel import over_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from workbench.attention.scores import Scores
    from workbench.attention.visibility import Visibility

STATISTICS = ("entropy", "max_weight", "distance", "sink", "previous_token", "same_token", "induction", "row_norm")
"""What is measured of a row, in the order of the first axis of `row_statistics`."""
_NO_TOKEN, _NO_QUERY = -1, -2


@dataclass(frozen=True, eq=False)
class Keys:
    """What the statistics need to know of the keys and queries besides their scores."""

    positions: NDArray[np.float32]
    """(C,)"""
    ids: NDArray[np.int32]
    """(C,) the keys' tokens."""
    before: NDArray[np.int32]
    """(C,) the tokens before them."""
    own: NDArray[np.int64]
    """(Q,) the column of each query's own token."""
    at: NDArray[np.float32]
    """(Q,) the queries' positions."""
    tokens: NDArray[np.int32]
    """(Q,) the queries' tokens."""
    sink: int
    """The column of the first token, or NO_KEY."""

    @classmethod
    def of(cls, seen: Visibility, ids: NDArray[np.int32] | None, sink: int) -> Keys:
        """Of the positions that are seen; `ids` (K,) by position, None where tokens are not known."""
        positions, queries = seen.positions.numpy(), seen.queries.numpy()
        own = np.searchsorted(positions, queries)
        there = (own < len(positions)) & (positions[np.minimum(own, len(positions) - 1)] == queries)
        column = np.searchsorted(positions, sink)
        known = np.full(len(positions), _NO_TOKEN, np.int32) if ids is None else ids[positions]
        return cls(
            positions.astype(np.float32),
            known,
            np.concatenate([np.full(1, _NO_TOKEN, np.int32), known[:-1]]),
            np.where(there, own, kernel.NO_KEY),
            queries.astype(np.float32),
            np.full(len(queries), _NO_QUERY, np.int32) if ids is None else ids[queries],
            int(column) if column < len(positions) and positions[column] == sink else kernel.NO_KEY,
        )

    def part(self, first: int, last: int, low: int, high: int) -> Keys:
        """Queries first to last and columns low to high; columns are counted from `low`."""
        sink = self.sink - low if low <= self.sink < high else kernel.NO_KEY
        own = np.where((self.own >= low) & (self.own < high), self.own - low, kernel.NO_KEY)[first:last]
        keys = (self.positions[low:high], self.ids[low:high], self.before[low:high])
        return Keys(*keys, own, self.at[first:last], self.tokens[first:last], sink)


def row_statistics(
    scores: Scores, *, block: int, ids: NDArray[np.int32] | None = None, sink: int = 0
) -> NDArray[np.float32]:
    """(S, H, Q): the STATISTICS of every row, NaN for a query that sees no key.

    With A a row's weights at query position i, over the keys j it sees: entropy -Σ A ln A in nats; largest weight; mean
    distance Σ A (i - j); weight on the first token (NaN where it is not seen); on the token before; on earlier keys
    j < i of the same token; on keys j < i whose token before is the query's (what an induction head looks at); and the
    norm of the scores around their mean.

    Args:
        scores: of one attention call and sequence.
        block: queries whose scores are held at a time.
        ids: (K,) tokens by key position; without them the two that compare tokens are NaN.
        sink: The position of the first token.
    """
    seen = scores.seen
    keys = Keys.of(seen, ids, sink)
    out = np.full((len(STATISTICS), scores.heads, len(seen.queries)), np.nan, np.float32)
    measure = _by_kernel if scores.query.device.type == "cpu" else _by_torch
    for head, first, low, queries, values in scores.blocks(block):
        last, (heads, _, columns) = first + queries, values.shape
        starts, stops = ((ends[first:last] - low).numpy() for ends in (seen.start, seen.stop))
        measured = measure(values, starts, stops, keys.part(first, last, low, low + columns))
        out[:, head : head + heads, first:last] = np.moveaxis(measured, -1, 0)
    if ids is None:
        out[[STATISTICS.index(name) for name in ("same_token", "induction")]] = np.nan
    return out


def _by_kernel(
    values: torch.Tensor, starts: NDArray[np.int64], stops: NDArray[np.int64], keys: Keys
) -> NDArray[np.float32]:
    heads, queries, columns = values.shape
    rows = values.numpy().reshape(heads * queries, columns)
    out = np.empty((len(rows), kernel.ROW_STATISTICS), np.float32)
    over_rows(
        kernel.attention_rows, len(rows), columns, rows, starts, stops, keys.own, keys.sink, keys.positions,
        keys.ids, keys.before, keys.at, keys.tokens, out,
    )  # fmt: skip
    return out.reshape(heads, queries, -1)


def _by_torch(
    values: torch.Tensor, starts: NDArray[np.int64], stops: NDArray[np.int64], keys: Keys
) -> NDArray[np.float32]:
    def put(array: NDArray[np.generic]) -> torch.Tensor:
        return torch.from_numpy(array).to(values.device)

    column = torch.arange(values.shape[-1], device=values.device)
    hidden = (column < put(starts)[:, None]) | (column >= put(stops)[:, None])  # (Q, C)
    count = (~hidden).sum(dim=-1)
    centre = values.masked_fill(hidden, 0.0).sum(dim=-1) / count
    norm = (values - centre[..., None]).masked_fill(hidden, 0.0).norm(dim=-1)
    logs = values.masked_fill(hidden, -torch.inf).log_softmax(dim=-1)
    weights = logs.exp()
    own, tokens = put(keys.own)[:, None], put(keys.tokens)[:, None]
    earlier = column != own
    distance = (put(keys.at)[:, None] - put(keys.positions)).masked_fill(hidden, 0.0)
    before = (own - 1 == column) & (own > 0)
    sink = weights[..., keys.sink] if keys.sink >= 0 else torch.full_like(centre, torch.nan)
    unseen = hidden[:, keys.sink] if keys.sink >= 0 else hidden.any(dim=-1)
    found = [
        -(weights * logs.masked_fill(hidden, 0.0)).sum(dim=-1),
        weights.amax(dim=-1),
        (weights * distance).sum(dim=-1),
        sink.masked_fill(unseen, torch.nan),
        (weights * before).sum(dim=-1),
        (weights * ((put(keys.ids) == tokens) & earlier)).sum(dim=-1),
        (weights * ((put(keys.before) == tokens) & earlier)).sum(dim=-1),
        norm,
    ]
    return torch.stack(found, dim=-1).masked_fill((count == 0)[:, None], torch.nan).cpu().numpy()
