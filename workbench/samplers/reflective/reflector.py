"""What stands between a model's logits and its sampler: watches the entropy, and corrects where it jumps."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import torch

from workbench.errors import LogitsError, ModelError
from workbench.models.structure import structure, watch
from workbench.samplers.reflective.head import LinearHead
from workbench.samplers.reflective.loss import Objective, past_sums
from workbench.samplers.reflective.optimizers import optimizer
from workbench.samplers.reflective.replaying import entropies
from workbench.samplers.reflective.run import Correction
from workbench.samplers.reflective.triggers import Monitor
from workbench.traces.sketching import sketch_logits

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from torch import Tensor

    from workbench.models import LanguageModel
    from workbench.models.structure import Call
    from workbench.samplers.reflective.loss import PastSums
    from workbench.samplers.reflective.settings import Reflective


class Reflector:
    """One decode's state: entropies, states of the prefix, and the cross-entropy of the prefix at δ = 0.

    The states come from watching the final norm while the model decodes, so that no pass is made twice. The sums at
    δ = 0 grow with the prefix: each token goes through the head once for the first step of all corrections after it.

    Args:
        model: a batch of one is decoded with it.
        settings: when and how to correct.
        temperature: T of decoding, for entropies that are asked for tempered.
        top: logits a trace's sketch holds, so that tempered entropies are the same as in its replay.

    Raises:
        ModelError: the model's structure cannot be made out, or its head is no matrix.
    """

    def __init__(self, model: LanguageModel, settings: Reflective, *, temperature: float, top: int) -> None:
        parts = structure(model.hf)
        self._source = parts.layers[-1] if parts.norm is None else parts.norm
        self._head, self._precision, self._fitted = LinearHead.of(model), model.precision, False
        self._settings, self._top = settings, top
        self._temperature = 1.0 if settings.entropy_of == "raw" else temperature
        self._calls: list[Call] = []
        self._states = States()
        self._at_zero: PastSums | None = None
        self.monitor = Monitor(settings)
        self.corrections: list[Correction] = []

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Take in the states of every pass the model makes meanwhile."""
        with watch([self._source]) as calls:
            self._calls = calls
            yield

    def __call__(self, ids: Tensor, raw: Tensor) -> Tensor:
        """Token ids (1, L) so far and the model's logits (1, V) for the next -> its logits, corrected or as they are.

        Raises:
            ModelError: the states do not give the logits.
            LogitsError: the correction ran away.
        """
        made = [call.made for call in self._calls if call.made is not None]
        self._calls.clear()
        states = self._states.take(made, ids.shape[1])
        if not self._fitted:
            self._head, self._fitted = self._head.fitted(states[-1], raw[0], self._precision), True
        if not self.monitor.extend(self._entropy(raw)) or self._settings.steps == 0:
            return raw
        return self._correct(states, ids[0, 1:], raw)

    def _entropy(self, logits: Tensor) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        row = np.ascontiguousarray(logits.float().cpu().numpy())
        top = 1 if self._temperature == 1.0 else self._top  # entropies at T = 1 need no atoms
        return entropies(sketch_logits(row, top=top), self._temperature)

    def _correct(self, states: Tensor, targets: Tensor, raw: Tensor) -> Tensor:
        began, head = time.perf_counter(), self._head
        targets = targets.to(head.weight.device)
        done = 0 if self._at_zero is None else self._at_zero.count
        new = past_sums(head, states[done:-1], targets[done:])
        self._at_zero = new if self._at_zero is None else self._at_zero + new
        objective = Objective(
            head, states, targets, self._settings, temperature=self._temperature, at_zero=self._at_zero
        )
        stepping, delta = optimizer(self._settings), torch.zeros_like(states[-1], dtype=head.dtype)
        before = after = objective(delta)
        for _ in range(self._settings.steps):
            delta = stepping.step(delta, after.gradient)
            after = objective(delta)
        corrected = objective.corrected(raw[0], delta)[None]
        position = len(self.monitor) - 1
        if not bool(torch.isfinite(corrected).all()):
            raise LogitsError(
                f"The correction at step {position} ran away, |δ| = {float(delta.norm()):.2g}: take a smaller rate "
                f"than {self._settings.rate:g}, cross_entropy='mean', or optimizer='adamw'."
            )
        correction = Correction(
            position=position,
            corrected_entropy=float(self._entropy(corrected)[0]),
            delta_norm=float(delta.norm()),
            loss_before=before.loss,
            loss_after=after.loss,
            head_rows=objective.head_rows + new.count,
            seconds=time.perf_counter() - began,
        )
        self.corrections.append(correction)
        return corrected


class States:
    """Hidden states of a growing prefix, in an array that doubles when it is full."""

    def __init__(self) -> None:
        self._rows: Tensor | None = None
        self._length = 0

    def take(self, made: Sequence[Tensor], length: int) -> Tensor:
        """Put what one step made, (1, n, D) a call, at the end of a prefix of `length` tokens; all (length, D) of it.

        A model that decodes without a cache makes all states again, which then take the place of the old ones.

        Raises:
            ModelError: states are missing, or there are too many.
        """
        rows = torch.cat([one.reshape(-1, one.shape[-1]) for one in made]) if made else torch.empty(0, 0)
        if len(rows) not in {length, length - self._length}:
            raise ModelError(
                f"{len(rows)} states came for {length - self._length} new tokens: the model's final norm is not called "
                "once a token, or another decode is running on the same model. Run one at a time; see model.verify()."
            )
        if self._rows is None or length > len(self._rows):
            larger = rows.new_empty(2 * length, rows.shape[-1])
            if self._rows is not None:
                larger[: self._length] = self._rows[: self._length]
            self._rows = larger
        self._rows[length - len(rows) : length] = rows
        self._length = length
        return self._rows[:length]
