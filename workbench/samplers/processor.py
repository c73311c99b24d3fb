"""A sampler at work while a model decodes: the same stages as replay, on each step's logits."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from transformers import LogitsProcessor

from workbench.errors import ParameterError
from workbench.kernels import chain
from workbench.kernels.penalties import penalise_logits
from workbench.samplers.stages import Context, Stage, first_stage, next_stage, uniform_draws
from workbench.samplers.steps import Temperature
from workbench.traces.sketching import sketch_logits

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from workbench.samplers.sampler import Sampler
    from workbench.samplers.step import Step

TOP = 256
"""Logits known singly at first, as in a recorded sketch: where the cut falls among them nothing else is looked at."""

_AHEAD = 64
"""Positions for which uniform numbers are drawn at once."""


class SamplerProcessor(LogitsProcessor):
    """Runs a sampler's chain on each step's raw logits, row by row, with a state for each row.

    A row is first reduced to a sketch, as recording does, and sorted whole only where the cut reaches below it: what
    decoding keeps is what replay says was kept. Rows are told apart by their place in the batch, so beam search, which
    moves them, is not for steps with a state.
    """

    supports_continuous_batching = False

    def __init__(
        self, sampler: Sampler, *, seeds: Sequence[int] | None = None, prompt_lengths: Sequence[int] | None = None
    ) -> None:
        steps = list(sampler.steps)
        leading = 0
        while leading < len(steps) and steps[leading].marks is not None and steps[leading].keeps is None:
            leading += 1
        self._penalties, self._steps = steps[:leading], steps[leading:]
        self._seeds, self._lengths = seeds, prompt_lengths
        self._greedy = len(self._steps) == 1 and self._steps[0] == Temperature(0)
        self._seen: NDArray[np.int32] | None = None
        self._rows: _Rows | None = None

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """(B, L) token ids and (B, V) raw logits -> (B, V) tempered float32 logits, dropped tokens -inf."""
        ids = np.ascontiguousarray(input_ids.cpu().numpy(), np.int32)
        logits = np.ascontiguousarray(scores.detach().float().cpu().numpy())
        rows = self._rows_for(ids)
        if self._penalties:
            logits = self._penalised(logits, ids, rows)
        out = _only_best(logits) if self._greedy else self._chained(logits, ids, rows)
        self._seen = ids
        return torch.from_numpy(out).to(scores.device)

    def select(self, rows: Sequence[int]) -> None:
        """From now on the batch consists of these of its rows, each with its state."""
        chosen = list(rows)
        if self._seeds is not None:
            self._seeds = [self._seeds[row] for row in chosen]
        if self._lengths is not None:
            self._lengths = [self._lengths[row] for row in chosen]
        if self._seen is not None and self._rows is not None:
            self._seen = self._seen[chosen]
            self._rows.select(chosen)

    def _rows_for(self, ids: NDArray[np.int32]) -> _Rows:
        """The state of this decode; a new one where these tokens do not go on from those of the last call."""
        seen = self._seen
        goes_on = seen is not None and ids.shape == (seen.shape[0], seen.shape[1] + 1)
        if self._rows is None or seen is None or not goes_on or not np.array_equal(ids[:, :-1], seen):
            batch, width = ids.shape
            seeds = list(self._seeds) if self._seeds is not None else list(range(batch))
            lengths = list(self._lengths) if self._lengths is not None else [width] * batch
            if len(seeds) != batch or len(lengths) != batch:
                raise ParameterError(
                    f"This processor was made with {len(seeds)} seeds and {len(lengths)} prompt lengths, and is given "
                    f"{batch} rows: make one with one of each a row."
                )
            self._rows = _Rows(seeds, [width - length for length in lengths], len(self._steps))
        else:
            self._rows.learn(self._steps, ids[:, -1])
            self._rows.position += 1
        return self._rows

    def _penalised(self, logits: NDArray[np.float32], ids: NDArray[np.int32], rows: _Rows) -> NDArray[np.float32]:
        lowered = logits.copy()
        amount = np.zeros(logits.shape[1])
        for row, start in enumerate(rows.padding):
            for step in self._penalties:
                penalise_logits(
                    step.marks.compiled, step.penalises.compiled,  # type: ignore[union-attr]
                    np.array(step.values()), np.ascontiguousarray(ids[row, start:]), amount, lowered[row],
                )  # fmt: skip
        return lowered

    def _chained(self, logits: NDArray[np.float32], ids: NDArray[np.int32], rows: _Rows) -> NDArray[np.float32]:
        if not self._steps:
            return logits.copy()
        found = self._stages(logits, ids, rows, np.arange(len(logits)), TOP)
        rows.stages, rows.logits = found, logits
        out = np.full_like(logits, -np.inf)
        certain = found[-1].certain()
        _write(found, np.flatnonzero(certain), logits, np.flatnonzero(certain), out)
        rest = np.flatnonzero(~certain)
        if len(rest):
            whole = self._stages(logits, ids, rows, rest, logits.shape[1])
            _write(whole, np.arange(len(rest)), logits, rest, out)
        return out

    def _stages(
        self, logits: NDArray[np.float32], ids: NDArray[np.int32], rows: _Rows, which: NDArray[np.intp], top: int
    ) -> list[Stage]:
        """Every stage of these rows, the raw distributions first."""
        stages = [first_stage(sketch_logits(np.ascontiguousarray(logits[which]), top=top))]
        draws, vocabulary = rows.draws()[which], max(logits.shape[1], int(ids.max(initial=-1)) + 1)
        for place, step in enumerate(self._steps):
            memory = rows.memory[place, which].copy()
            if step.marks is not None:
                stages.append(self._penalised_within(stages[-1], step, ids, rows, which, memory, vocabulary))
                continue
            nothing = np.full(len(which), -1, np.int32)
            context = Context(nothing, 0, nothing, draws, logits.shape[1])
            stages.append(next_stage(stages[-1], step, context, memory))
        return stages

    def _penalised_within(  # noqa: PLR0917  -- the state of one call
        self, stage: Stage, step: Step, ids: NDArray[np.int32], rows: _Rows, which: NDArray[np.intp],
        memory: NDArray[np.float64], vocabulary: int,
    ) -> Stage:  # fmt: skip
        """A penalty that comes after other steps, each row with its own history."""
        parts: list[Stage] = []
        for i, row in enumerate(which):
            history = np.ascontiguousarray(ids[row, rows.padding[row] :])
            one = Stage(
                _rows_of(stage.atoms, slice(i, i + 1)), stage.state[i : i + 1],
                stage.memory[i : i + 1],
            )  # fmt: skip
            context = Context(history, len(history), np.full(1, -1, np.int32), np.zeros(1), vocabulary)
            parts.append(next_stage(one, step, context, memory[i : i + 1]))
        joined: Any = [np.concatenate(arrays) for arrays in zip(*(part.atoms for part in parts), strict=True)]
        return Stage(chain.Atoms(*joined), np.concatenate([part.state for part in parts]), memory)


class _Rows:
    """What is carried from step to step for each row of a batch."""

    def __init__(self, seeds: list[int], padding: list[int], steps: int) -> None:
        self.seeds, self.padding, self.position = seeds, padding, 0
        self.memory = np.zeros((steps, len(seeds), chain.MEMORY))
        self.stages: list[Stage] = []
        self.logits = np.zeros((0, 0), np.float32)
        self._uniforms = np.zeros((len(seeds), 0))

    def draws(self) -> NDArray[np.float64]:
        """Each row's uniform number at this position, (B,); many positions are drawn at once, which costs as little."""
        ahead = self.position % _AHEAD
        if not ahead or not self._uniforms.size:
            positions = np.arange(self.position - ahead, self.position - ahead + _AHEAD)
            self._uniforms = np.stack([uniform_draws(seed, positions) for seed in self.seeds])
        return self._uniforms[:, ahead]

    def select(self, chosen: list[int]) -> None:
        """Keep these rows."""
        self.seeds = [self.seeds[row] for row in chosen]
        self.padding = [self.padding[row] for row in chosen]
        self.memory = np.take(self.memory, chosen, axis=1)
        self._uniforms = self._uniforms[chosen]
        if self.stages:
            self.logits = self.logits[chosen]
            self.stages = [
                Stage(_rows_of(stage.atoms, chosen), stage.state[chosen], stage.memory[chosen]) for stage in self.stages
            ]

    def learn(self, steps: Sequence[Step], tokens: NDArray[np.int32]) -> None:
        """Hand the tokens just drawn to the steps that learn from them."""
        if not self.stages:
            return
        for place, step in enumerate(steps):
            if step.learns is None or not step.remembers:
                continue
            before, after = self.stages[place], self.stages[place + 1]
            for row, token in enumerate(tokens):
                memory = self.memory[place, row]
                memory[1:] = after.memory[row, 1:]
                # With its temperature, if it has one, `before` the cut means after that.
                x = _logit(after, row, int(token), self.logits)
                total = after.state[row, chain.TOTAL]
                given = before.state[row, chain.TOTAL] if step.tempers is None else total
                step.learns.function(
                    memory, np.array(step.values()), int(token), float(np.log(given)) - x, float(np.log(total)) - x
                )


def _rows_of(atoms: chain.Atoms, rows: slice | list[int]) -> chain.Atoms:
    arrays: Any = [array[rows].copy() for array in atoms]
    return chain.Atoms(*arrays)


def _logit(stage: Stage, row: int, token: int, logits: NDArray[np.float32]) -> float:
    """X of a token at that stage."""
    atoms, state = stage.atoms, stage.state[row]
    found = np.flatnonzero(atoms.ids[row, : atoms.size[row]] == token)
    if len(found):
        return float(atoms.x[row, found[0]])
    return float((float(logits[row, token]) - float(logits[row].max())) * state[chain.SCALE])


def _only_best(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    out = np.full_like(logits, -np.inf)
    best = logits.argmax(axis=1)
    rows = np.arange(len(logits))
    out[rows, best] = logits[rows, best]
    return out


def _write(
    stages: list[Stage], which: NDArray[np.intp], logits: NDArray[np.float32], rows: NDArray[np.intp],
    out: NDArray[np.float32],
) -> None:  # fmt: skip
    """Put what is left of the stages' rows `which` into rows `rows` of `out`."""
    last = stages[-1]
    uncut = last.uncut()
    for i, row in zip(which, rows, strict=True):
        low, high = int(last.state[i, chain.LOW]), int(last.state[i, chain.HIGH])
        if uncut[i]:
            kept: slice | NDArray[np.int32] = slice(None)
        else:
            kept = last.atoms.ids[i, low:high]
        if last.state[i, chain.REORDERED]:
            out[row, kept] = last.state[i, chain.HIGHEST] + last.atoms.x[i, low:high]
            continue
        # Divided step by step in float32, as transformers does, so that the same seed draws the same token.
        values = logits[row, kept]
        for before, after in pairwise(stages):
            scale = after.state[i, chain.SCALE] / before.state[i, chain.SCALE]
            if scale != 1.0:
                values = values / np.float32(1.0 / scale)
        out[row, kept] = values
