"""Row statistics of every attention call of a model, while it prefills or decodes."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.attention.interface import observed
from workbench.attention.rows import STATISTICS, row_statistics
from workbench.attention.scores import ScoreReader
from workbench.errors import AttentionError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import torch
    from numpy.typing import NDArray
    from torch import nn

    from workbench.models import LanguageModel

BLOCK = 128
"""Queries whose scores are held at a time, unless another number is asked for."""


class AttentionCapture:
    """What `capture` collected, call after call."""

    def __init__(self, *, block: int, ids: NDArray[np.int32] | None, sink: int) -> None:
        self._block, self._ids, self._sink = block, ids, sink
        self._read = ScoreReader().read
        self._rows: dict[int, list[NDArray[np.float32]]] = {}
        self._support: dict[int, list[NDArray[np.int32]]] = {}

    def __call__(
        self,
        module: nn.Module,
        query: torch.Tensor,
        key: torch.Tensor,
        mask: torch.Tensor | None,
        how: Mapping[str, Any],
    ) -> None:
        """Measure one attention call."""
        layer = layer_of(module)
        scores = self._read(module, query, key, mask, how)
        measured = [row_statistics(one, block=self._block, ids=self._ids, sink=self._sink) for one in scores]
        self._rows.setdefault(layer, []).append(np.stack(measured))
        support = [one.seen.support.numpy().astype(np.int32) for one in scores]
        self._support.setdefault(layer, []).append(np.stack(support))

    @property
    def layers(self) -> tuple[int, ...]:
        """The numbers of the layers that have attention, ascending."""
        return tuple(sorted(self._rows))

    @property
    def heads(self) -> tuple[int, ...]:
        """(L,) how many heads each of `layers` has."""
        return tuple(self._rows[layer][0].shape[2] for layer in self.layers)

    def rows(self, sequence: int = 0) -> NDArray[np.float32]:
        """(S, L, H, T): the STATISTICS of every row in the order they were computed.

        Heads a layer does not have are NaN.

        Raises:
            AttentionError: nothing was captured.
        """
        parts = [np.concatenate(self._rows[layer], axis=-1)[sequence] for layer in self._checked()]
        found = np.full((len(STATISTICS), len(parts), max(self.heads), parts[0].shape[-1]), np.nan, np.float32)
        for at, part in enumerate(parts):
            found[:, at, : part.shape[1]] = part
        return found

    def support(self, sequence: int = 0) -> NDArray[np.int32]:
        """(L, T): how many keys each row sees."""
        return np.stack([np.concatenate(self._support[layer], axis=-1)[sequence] for layer in self._checked()])

    def entropies(self, sequence: int = 0) -> NDArray[np.float32]:
        """(L, H, T): the entropy of every row in nats."""
        return self.rows(sequence)[STATISTICS.index("entropy")]

    def _checked(self) -> tuple[int, ...]:
        if not self._rows:
            raise AttentionError(
                "No attention call was seen: the model did not run, or none of its layers calls attention through "
                "transformers' AttentionInterface."
            )
        return self.layers


@contextmanager
def capture(model: LanguageModel, *, block: int = BLOCK) -> Iterator[AttentionCapture]:
    """Within the block every row of attention `model` computes in this thread is measured, decoding included.

    The model's output is what it always is, to the last bit, and its attention setting is restored afterwards. Tokens
    are not known here: the statistics that compare them are 0, and `distance`, `sink` and `previous_token` count
    positions within what the layer still holds.

    Raises:
        AttentionError: the model's attention cannot be observed.
    """
    collected = AttentionCapture(block=block, ids=None, sink=0)
    with observed(model.hf, collected):
        yield collected


def layer_of(module: nn.Module) -> int:
    """The number of the layer an attention module belongs to.

    Raises:
        AttentionError: it does not say.
    """
    layer: int | None = getattr(module, "layer_idx", None)
    if layer is None:
        raise AttentionError(f"{type(module).__name__} does not know which layer it belongs to (no layer_idx).")
    return int(layer)
