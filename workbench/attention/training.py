"""Head statistics while a model is being trained: a callback that leaves the training as it is, to the last bit."""

from __future__ import annotations

import math
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import polars as pl
import torch
from torch import nn

from workbench.attention.history import SCHEMA, STATISTIC_COLUMNS, HeadHistory
from workbench.attention.measuring import head_stats
from workbench.attention.running import read_tokens
from workbench.errors import AttentionError, ParameterError
from workbench.models import LanguageModel, wrap

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from transformers import TrainerCallback

    from workbench.attention.head_stats import HeadStats
    from workbench.traces import Trace


class HeadLogger:
    """Measures every head of a model on one fixed text at every `every`-th step of its training.

        logger = wb.attention.HeadLogger(model, text, every=50)
        for step, batch in enumerate(batches):
            loss = ...
            logger(step, loss)  # before the optimizer's step: the loss is that of the weights measured
        logger.history.save("heads.parquet")

    The model is in evaluation mode meanwhile and each of its parts afterwards in the mode it was in; no random numbers
    are drawn and no gradients touched, so that the training is the same with the logger and without.

    Args:
        model: from `wb.load` or `wb.wrap`, or the transformers model that is trained (then `text` is token ids).
        text: A string, taken verbatim; token ids; or a trace. Best one that is not trained on, 128 tokens or more.
        every: Steps between measurements; step 0 is measured.
        run: What the run is called in the history.
        skip_rows: First rows left out of every mean; the first sees one key only, and says nothing.

    Raises:
        ParameterError: `every` below 1, or skip_rows out of range.
        AttentionError, PromptError, ModelError: the model or text cannot be measured; see `head_stats`.
    """

    def __init__(
        self,
        model: LanguageModel | nn.Module,
        text: str | Sequence[int] | Trace,
        *,
        every: int = 50,
        run: str = "model",
        skip_rows: int = 1,
    ) -> None:
        if every < 1:
            raise ParameterError(f"every={every}: at least one step lies between two measurements.")
        if not isinstance(model, LanguageModel):
            if not isinstance(model, nn.Module):
                raise AttentionError(f"Expected a transformers model, or one from wb.load, not {type(model).__name__}.")
            with undisturbed(model):
                model = wrap(model)
        self.model, self.every, self.run, self.skip_rows = model, every, run, skip_rows
        self._ids = read_tokens(model, text)
        if not 0 <= skip_rows < len(self._ids):
            raise ParameterError(f"skip_rows={skip_rows}: this text has rows to skip from 0 to {len(self._ids) - 1}.")
        self._heads: dict[int, pl.DataFrame] = {}
        self._losses: dict[int, float] = {}

    def __call__(self, step: int, loss: float | torch.Tensor | None = None) -> bool:
        """Measure when `step` is a multiple of `every`, and say whether it was.

        A step that is measured again takes the place of the first time, as after going back to a checkpoint. Where
        training has made weights that are not finite, the statistics of every head are null from there on.

        Args:
            step: the optimizer steps done so far.
            loss: of the training at this step, in nats a token; kept when the step is measured.

        Raises:
            AttentionError: too little memory, or scores that are not finite though the weights are.
        """
        if step % self.every:
            return False
        self.measure(step, loss)
        return True

    def measure(self, step: int, loss: float | torch.Tensor | None = None) -> None:
        """Measure at this step, whatever its number.

        Raises:
            AttentionError: as above.
        """
        hf = self.model.hf
        if self._heads and not _finite(hf):
            known = next(iter(self._heads.values())).select("layer", "head")
            frame = known.with_columns(pl.lit(None, pl.Float64).alias(name) for name in STATISTIC_COLUMNS)
        else:
            with undisturbed(hf):
                model = replace(self.model, device=hf.device)  # a trainer may have moved it since
                frame = head_stats(model, self._ids, skip_rows=self.skip_rows).to_frame()
        self._heads[step] = frame
        self._losses.pop(step, None)
        self.note_loss(step, loss)

    def note_loss(self, step: int, loss: float | torch.Tensor | None) -> None:
        """Say the loss of a step that was measured before it was known; of other steps it is forgotten."""
        if loss is not None and step in self._heads:
            self._losses[step] = float(loss.detach() if isinstance(loss, torch.Tensor) else loss)

    @property
    def history(self) -> HeadHistory:
        """What was measured so far."""
        frames = [rows_of(self.run, step, heads, self._losses.get(step)) for step, heads in self._heads.items()]
        meta = {"model": self.model.name, "tokens": len(self._ids), "skip_rows": self.skip_rows, "every": self.every}
        return HeadHistory(pl.concat([pl.DataFrame(schema=SCHEMA), *frames]), meta)

    def as_trainer_callback(self) -> TrainerCallback:
        """A callback for transformers' Trainer, which must train this very model.

        It measures before the first step and after every `every`-th. The Trainer tells its loss (the mean since it last
        did) at every `logging_steps`: choose it so that `every` is a multiple; other steps have no loss.
        """
        from workbench.attention.trainer import HeadLoggerCallback  # noqa: PLC0415  -- the Trainer takes a second to import

        return HeadLoggerCallback(self)


@contextmanager
def undisturbed(hf: Any) -> Iterator[None]:  # noqa: ANN401  -- transformers models answer to more than nn.Module
    """Evaluation mode within the block; afterwards every part is in the mode it was in and random numbers go on."""
    before = [(part, part.training) for part in hf.modules()]
    devices = {weight.device for weight in hf.parameters() if weight.device.type == "cuda"}
    with torch.random.fork_rng(devices):
        try:
            hf.eval()
            yield
        finally:
            for part, training in before:
                part.training = training


def rows_of(run: str, step: int, heads: HeadStats | pl.DataFrame, loss: float | None = None) -> pl.DataFrame:
    """The rows of a history from the statistics of one step."""
    frame = heads if isinstance(heads, pl.DataFrame) else heads.to_frame()
    known = None if loss is None or math.isnan(loss) else loss
    about = {"run": pl.lit(run), "step": pl.lit(step, pl.Int32), "loss": pl.lit(known, pl.Float64)}
    return frame.with_columns(**about).select(SCHEMA.names()).cast(SCHEMA)


def _finite(hf: nn.Module) -> bool:
    return all(bool(weight.isfinite().all()) for weight in hf.parameters())
