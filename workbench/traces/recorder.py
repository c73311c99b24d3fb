"""What a decode leaves behind, step by step: sketches of the raw logits, and what the sampler made of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.kernels.entropy import ENTROPY, LOG_Z, VARENTROPY
from workbench.kernels.parallel import over_rows
from workbench.kernels.sampled import KEPT, KEPT_MASS, SAMPLED, SAMPLED_ENTROPY, SAMPLED_LOG_Z, sampled_rows
from workbench.kernels.sketch import FINITE, RANK
from workbench.models.token_text import TextStream
from workbench.traces.sketching import SketchWriter

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import torch
    from numpy.typing import NDArray

    from workbench.models import LanguageModel
    from workbench.samplers import Sampler
    from workbench.traces.sketch import LogitSketch

_FIRST_STEPS = 256
SAMPLED_COLUMNS = ("sampled_logprob", "sampled_entropy", "kept", "kept_mass")
"""In the order of the kernel's result, whose log Z gives way to the drawn token's log-probability."""
LOGPROB = SAMPLED_LOG_Z


@dataclass(frozen=True)
class Token:
    """One token of a decode under way."""

    sequence: int
    """Which of the n sequences."""
    row: Mapping[str, Any]
    """Its values in the trace's columns."""


@dataclass(frozen=True)
class Recorded:
    """One sequence's sketch, and its sampled columns by name, (T,) each."""

    sketch: LogitSketch
    sampled: dict[str, NDArray[np.float64]]


class Recorder:
    """Takes the steps of one batch and gives back each row's sketch and sampled columns.

    Args:
        model: decodes token texts and phases for `on_token`.
        sampler: how the tokens are drawn; greedy and plain draws need no second look at the logits.
        prompt_ids: of the prompt all rows share, where `on_token` is to be told phases: they depend on how it ends.
        sequences: numbers of the batch's rows.
        top: logits a sketch holds exactly; None for sketches that know their statistics and nothing else.
        on_token: called with every token of a row that is still alive.
    """

    def __init__(
        self,
        model: LanguageModel,
        sampler: Sampler,
        prompt_ids: Sequence[int],
        sequences: Sequence[int],
        *,
        top: int | None,
        on_token: Callable[[Token], None] | None,
    ) -> None:
        self._greedy, self._sequences, self._on_token = sampler.greedy, sequences, on_token
        self._writer = SketchWriter(_FIRST_STEPS * len(sequences), model.vocabulary, top=top)
        self._sampled = np.empty((0, SAMPLED))
        self._batch = list(range(len(sequences)))  # which of `sequences` each row of the batch is
        self._kept: list[list[int]] = [[] for _ in sequences]  # where in the writer each one's tokens are
        streaming = on_token is not None
        self._texts = [TextStream(model.tokenizer) for _ in sequences] if streaming and model.tokenizer else []
        markers = model.think_markers
        self._labellers = [markers.labeller(prompt_ids) for _ in sequences] if streaming and markers else []

    def step(self, raw: torch.Tensor, processed: torch.Tensor, tokens: torch.Tensor, alive: Sequence[bool]) -> None:
        """Keep one step: raw and processed logits (B, V) float32, the drawn tokens (B,), which rows still count."""
        ids = tokens.cpu().numpy().astype(np.int32)
        logits, writer, start = _as_rows(raw), self._writer, self._writer.rows
        writer.append(logits, ids)
        if len(self._sampled) < writer.rows:
            self._sampled = np.resize(self._sampled, (2 * writer.rows + _FIRST_STEPS, SAMPLED))
        scores = None if processed is raw or self._greedy else _as_rows(processed)
        self._keep_sampled(slice(start, writer.rows), logits, scores)
        for row, going in enumerate(alive, start):
            if going:
                b = self._batch[row - start]
                self._kept[b].append(row)
                if self._on_token is not None:
                    self._on_token(Token(self._sequences[b], self._row(b, row, int(ids[row - start]))))

    def select(self, rows: Sequence[int]) -> None:
        """From now on the batch consists of these of its rows; what the others left is kept."""
        self._batch = [self._batch[row] for row in rows]

    def _keep_sampled(self, rows: slice, logits: NDArray[np.float32], processed: NDArray[np.float32] | None) -> None:
        """Fill the rows' sampled columns; `processed` is None where it is the raw logits themselves."""
        writer, out = self._writer, self._sampled[rows]
        log_z = writer.statistics[rows, LOG_Z]
        raw_logprob = writer.token_logits[rows] - log_z
        if self._greedy:  # all mass lies on the token taken
            out[:, LOGPROB], out[:, SAMPLED_ENTROPY], out[:, KEPT], out[:, KEPT_MASS] = 0, 0, 1, np.exp(raw_logprob)
        elif processed is None:
            out[:, LOGPROB], out[:, SAMPLED_ENTROPY] = raw_logprob, writer.statistics[rows, ENTROPY]
            out[:, KEPT], out[:, KEPT_MASS] = writer.counts[rows, FINITE], 1
        else:
            over_rows(sampled_rows, len(out), writer.vocabulary, logits, processed, out)
            out[:, LOGPROB] = processed[np.arange(len(out)), writer.token_ids[rows]] - out[:, SAMPLED_LOG_Z]

    def _row(self, b: int, row: int, token: int) -> dict[str, Any]:
        """The columns of the token just kept, as the finished trace will have them."""
        writer, position = self._writer, len(self._kept[b]) - 1
        statistics = writer.statistics[row]
        values: dict[str, Any] = {
            "position": position,
            "token_id": token,
            "text": self._texts[b].add(token) if self._texts else f"⟨{token}⟩",
            "phase": self._labellers[b].add(token) if self._labellers else "answer",
            "rank": int(writer.counts[row, RANK]),
            "logprob": float(writer.token_logits[row] - statistics[LOG_Z]),
            "entropy": float(statistics[ENTROPY]),
            "varentropy": float(statistics[VARENTROPY]),
        }
        values |= {name: float(value) for name, value in zip(SAMPLED_COLUMNS, self._sampled[row], strict=True)}
        return values | {"kept": int(values["kept"])}

    def finish(self, row: int) -> Recorded:
        """What was kept of one row of the batch as it was at first, up to its end."""
        rows = np.asarray(self._kept[row], np.int64)
        sampled = {name: self._sampled[rows, i] for i, name in enumerate(SAMPLED_COLUMNS)}
        return Recorded(self._writer.finish(rows), sampled)


def _as_rows(logits: torch.Tensor) -> NDArray[np.float32]:
    rows: NDArray[np.float32] = np.ascontiguousarray(logits.cpu().numpy())
    return rows
