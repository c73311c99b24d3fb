"""One head's attention in a window of a text, made again for that head alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import torch

from workbench.attention.running import run_observed
from workbench.attention.scores import ScoreReader
from workbench.errors import AttentionError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from workbench.attention.interface import Call
    from workbench.models import LanguageModel

LARGEST_WINDOW = 256
"""Most tokens a pattern is drawn for."""


@dataclass(frozen=True, eq=False, repr=False)
class Pattern:
    """Attention weights of one head among N tokens of a text."""

    layer: int
    head: int
    start: int
    """The position of the window's first token."""
    weights: NDArray[np.float32]
    """(N, N): row i is query start + i; each row's share of the whole, so that it sums to at most 1."""
    texts: tuple[str, ...]
    """(N,) what each token adds to the text."""

    @property
    def outside(self) -> NDArray[np.float32]:
        """(N,) each row's weight on keys outside the window."""
        return np.asarray(np.maximum(1 - self.weights.sum(axis=1), 0), dtype=np.float32)

    def __repr__(self) -> str:
        return f"Pattern(layer {self.layer}, head {self.head}, tokens {self.start} to {self.start + len(self.texts)})"

    def to_frame(self) -> pl.DataFrame:
        """A row a weight above 0: query, key (positions in the text), weight."""
        query, key = np.nonzero(self.weights)
        return pl.DataFrame({"query": query + self.start, "key": key + self.start, "weight": self.weights[query, key]})


class _Seen(Exception):  # noqa: N818  -- ends the model's pass early; nothing went wrong
    """The layer that was asked for has been seen."""


def head_pattern(
    model: LanguageModel,
    ids: Sequence[int],
    attended: NDArray[np.bool_],
    *,
    layer: int,
    head: int,
    start: int,
    size: int,
    texts: Sequence[str],
) -> Pattern:
    """A_ij for queries and keys in [start, start + size), of one head; the layers after it are not run.

    Raises:
        AttentionError: a window outside the text or larger than `LARGEST_WINDOW`, or a layer that is not there.
    """
    if not 1 <= size <= LARGEST_WINDOW:
        raise AttentionError(f"size={size}: a window has 1 to {LARGEST_WINDOW} tokens. Look at a part of the text.")
    if not 0 <= start < len(ids):
        raise AttentionError(f"start={start}: the text's positions are 0 to {len(ids) - 1}.")
    stop = min(start + size, len(ids))
    found: list[torch.Tensor] = []
    read = ScoreReader().read

    def observe(call: Call) -> None:
        if call.layer == layer:
            scores = read(call)[0]
            if head >= scores.heads:
                raise AttentionError(f"Layer {layer} of {model.name} has {scores.heads} heads, so no head {head}.")
            weights = scores.of_queries(torch.arange(start, stop), head)[0].softmax(dim=-1).nan_to_num(0.0)
            window = weights.new_zeros(stop - start, len(ids))
            window[:, scores.seen.positions.to(window.device)] = weights
            found.append(window[:, start:stop].cpu())
            raise _Seen

    try:
        run_observed(model, ids, attended, observe)
    except _Seen:
        return Pattern(layer, head, start, found[0].numpy(), tuple(texts[start:stop]))
    raise AttentionError(f"{model.name} has no attention in layer {layer}. Give the model these statistics are of.")
