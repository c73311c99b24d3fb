"""Row statistics of every attention call of a model, while it prefills or decodes."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.attention.decoding import HeadEntropies
from workbench.attention.following import Follower
from workbench.attention.interface import is_observing, observed
from workbench.attention.rows import STATISTICS, row_statistics
from workbench.attention.scores import ScoreReader
from workbench.errors import AttentionError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray
    from torch import nn

    from workbench.attention.following import Followed
    from workbench.attention.interface import Call
    from workbench.models import LanguageModel
    from workbench.traces import Trace

BLOCK = 128
"""Queries whose scores are held at a time, unless another number is asked for."""


class AttentionCapture:
    """What `capture` collected, call after call."""

    def __init__(self, *, block: int, model: str = "") -> None:
        self.follower = Follower()
        self._block, self._model = block, model
        self._read = ScoreReader().read

    def __call__(self, call: Call) -> None:
        """Measure one attention call."""
        scores = self._read(call)
        for one, followed in zip(scores, self.follower.rows(len(scores), call.query.shape[2]), strict=True):
            ids, sink = followed.keys(call.key.shape[2])
            measured = row_statistics(one, block=self._block, ids=ids, sink=sink)
            followed.rows.setdefault(call.layer, []).append(measured)
            followed.support.setdefault(call.layer, []).append(one.seen.support.numpy().astype(np.int32))

    @property
    def layers(self) -> tuple[int, ...]:
        """The numbers of the layers that have attention, ascending."""
        return tuple(sorted({layer for batch in self.follower.batches for layer in batch[0].rows}))

    @property
    def heads(self) -> tuple[int, ...]:
        """(L,) how many heads each of `layers` has."""
        first = {layer: parts[0] for batch in self.follower.batches for layer, parts in batch[0].rows.items()}
        return tuple(first[layer].shape[1] for layer in self.layers)

    def rows(self, sequence: int = 0) -> NDArray[np.float32]:
        """(S, L, H, T): the STATISTICS of every row in the order they were computed.

        `sequence` counts within each batch as it was at first; where there were several batches, theirs follow one
        another. Heads a layer does not have are NaN.

        Raises:
            AttentionError: nothing was captured.
        """
        return self._rows_of(self._sequences(sequence))

    def support(self, sequence: int = 0) -> NDArray[np.int32]:
        """(L, T): how many keys each row sees."""
        return self._support_of(self._sequences(sequence))

    def entropies(self, sequence: int = 0) -> NDArray[np.float32]:
        """(L, H, T): the entropy of every row in nats."""
        return self.rows(sequence)[STATISTICS.index("entropy")]

    def decoded(self, trace: Trace) -> HeadEntropies:
        """The entropies of every head at every token of a trace recorded within the capture, alone or in a batch.

        Raises:
            AttentionError: no sequence with this prompt and these tokens was decoded.
        """
        ids = trace.tokens["token_id"].to_numpy().astype(np.int32)
        prompt = np.array(trace.prompt_ids, np.int32)
        fed = np.concatenate([prompt, ids[:-1]])  # the last token is drawn and not read again
        sequences = (one for batch in reversed(self.follower.batches) for one in batch if one.rows)
        found = next((one for one in sequences if len(prompt) and one.begins_with(fed)), None)
        if found is None:
            raise AttentionError(
                "This trace was not decoded within the capture: record it inside `with wb.attention.capture(model)`, "
                "or measure its text in one pass with head_stats(model, trace)."
            )
        places = np.flatnonzero(found.attended)[len(prompt) - 1 : len(prompt) - 1 + len(ids)]
        entropy = self._rows_of([found])[STATISTICS.index("entropy")][..., places]  # (L, H, T)
        support = self._support_of([found])[:, places]
        return HeadEntropies(np.moveaxis(entropy, -1, 0), support.T, self.layers, tuple(ids.tolist()), self._model)

    def _sequences(self, place: int) -> list[Followed]:
        found = [batch[place] for batch in self.follower.batches if place < len(batch) and batch[place].rows]
        if not found:
            raise AttentionError(
                "No attention call was seen: the model did not run, or none of its layers calls attention through "
                "transformers' AttentionInterface."
            )
        return found

    def _rows_of(self, sequences: Sequence[Followed]) -> NDArray[np.float32]:
        parts = [np.concatenate([p for one in sequences for p in one.rows[layer]], axis=-1) for layer in self.layers]
        found = np.full((len(STATISTICS), len(parts), max(self.heads), parts[0].shape[-1]), np.nan, np.float32)
        for at, part in enumerate(parts):
            found[:, at, : part.shape[1]] = part
        return found

    def _support_of(self, sequences: Sequence[Followed]) -> NDArray[np.int32]:
        return np.stack([np.concatenate([p for one in sequences for p in one.support[layer]]) for layer in self.layers])


@contextmanager
def capture(model: LanguageModel, *, block: int = BLOCK) -> Iterator[AttentionCapture]:
    """Within the block every row of attention `model` computes in this thread is measured, decoding included.

    The model's output is what it always is, to the last bit, and its attention setting is restored afterwards. What
    `wb.record` decodes meanwhile is looked up by its trace: `AttentionCapture.decoded`. Statistics that compare tokens
    are NaN where a model is given embeddings instead of tokens, or a cache filled before; `sink` is NaN once a sliding
    window has left the first token behind.

    Raises:
        AttentionError: the model's attention cannot be observed.
    """
    collected = AttentionCapture(block=block, model=model.name)

    def begin(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if is_observing(collected):  # not in other threads, nor for a capture within this one
            collected.follower.begin(module, args, kwargs)

    with observed(model.hf, collected):
        handle = model.hf.base_model.register_forward_pre_hook(begin, with_kwargs=True)
        try:
            yield collected
        finally:
            handle.remove()
