"""A chain at work on the rows of a sketch: each step takes one stage to the next."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.kernels import chain, cutting, measuring, penalties, preparing, tempering
from workbench.kernels.parallel import over_rows

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from workbench.samplers.step import Step
    from workbench.traces.sketch import LogitSketch

_EXP_COST, _LOOK_COST = 4, 1
"""What an atom costs in the units of `over_rows`: one that is weighed anew, one that is looked at."""


@dataclass(frozen=True)
class Context:
    """What rows have besides their logits."""

    history: NDArray[np.int32]
    """Prompt and realised tokens of the one sequence."""
    first: int
    """Tokens of `history` that row 0 has seen."""
    tokens: NDArray[np.int32]
    """(T,) realised tokens, -1 where there is none."""
    uniforms: NDArray[np.float64]
    """(T,) see `uniform_draws`."""
    vocabulary: int


@dataclass(frozen=True)
class Stage:
    """All rows between two steps."""

    atoms: chain.Atoms
    state: NDArray[np.float64]
    """(T, STATE), columns as in `workbench.kernels.chain`."""
    memory: NDArray[np.float64]
    """(T, MEMORY) of the step that led here; column 0 is its signal."""

    def __len__(self) -> int:
        return len(self.state)

    @property
    def atoms_per_row(self) -> int:
        """Single tokens and bins."""
        return int(self.atoms.x.shape[1] + self.atoms.bin_x.shape[1])

    def certain(self) -> NDArray[np.bool_]:
        """(T,) whether which tokens are left is known beyond doubt, and each of them by its id or all are left."""
        s = self.state
        agreed = (s[:, chain.SURE_LOW] == s[:, chain.MAY_LOW]) & (s[:, chain.SURE_HIGH] == s[:, chain.MAY_HIGH])
        named = s[:, chain.HIGH] <= self.atoms.size
        whole: NDArray[np.bool_] = agreed & (named | self.uncut()) & (s[:, chain.BLUR] == 0)
        return whole

    def uncut(self) -> NDArray[np.bool_]:
        """(T,) whether nothing has been dropped, nor put into another order by a penalty."""
        bins = self.atoms.bin_count > 0
        last = bins.shape[1] - np.argmax(bins[:, ::-1], axis=1) if bins.shape[1] else np.zeros(len(self), np.int64)
        end = self.atoms.size + np.where(bins.any(axis=1), last, 0)
        whole = (self.state[:, chain.LOW] == 0) & (self.state[:, chain.HIGH] >= end)
        uncut: NDArray[np.bool_] = whole & (self.state[:, chain.REORDERED] == 0)
        return uncut


def first_stage(sketch: LogitSketch) -> Stage:
    """The raw distributions of a sketch, at temperature 1."""
    rows, top = sketch.top_logits.shape
    bins = sketch.tail_count.shape[1]
    atoms = chain.Atoms(
        ids=np.zeros((rows, top), np.int32), x=np.zeros((rows, top)), size=np.zeros(rows, np.int64),
        bin_x=np.zeros((rows, bins)), bin_count=np.zeros((rows, bins)), bin_spread=np.zeros((rows, bins)),
        origin=np.zeros(rows), width=np.zeros(rows), floor=np.zeros(rows), mass=np.zeros((rows, top + bins + 1)),
        tokens=np.zeros((rows, bins + 1)), raw_x=np.zeros((rows, top)),
        raw_bin_x=np.zeros((rows, bins)), raw_mass=np.zeros((rows, top + bins + 1)), raw_total=np.zeros(rows),
    )  # fmt: skip
    state = np.zeros((rows, chain.STATE))
    over_rows(
        preparing.prepare_rows, rows, _EXP_COST * (top + bins), sketch.top_ids, sketch.top_logits, sketch.tail_count,
        sketch.tail_mean, sketch.tail_mean_square, float(sketch.bin_width), sketch.log_z, sketch.entropy, sketch.low,
        sketch.token_ids, sketch.token_logit, atoms, state,
    )  # fmt: skip
    return Stage(atoms, state, np.zeros((rows, chain.MEMORY)))


Spare = dict[str, "NDArray[Any]"]
"""Arrays of a stage that nobody reads any more, by name, to be written again: fresh memory costs more than the sums."""


def next_stage(
    stage: Stage,
    step: Step,
    context: Context,
    memory: NDArray[np.float64] | None = None,
    spare: Spare | None = None,
) -> Stage:
    """`stage` after `step`.

    Args:
        stage: left as it is.
        step: what to do.
        context: what the rows have besides their logits.
        memory: what the step remembers of earlier tokens, where the rows are not the tokens of one sequence in order.
        spare: written into and kept for the next time, where there is one.
    """
    given = Stage(stage.atoms, stage.state.copy(), np.zeros((len(stage), chain.MEMORY)) if memory is None else memory)
    values, spare = np.array(step.values(), np.float64), {} if spare is None else spare
    if step.marks is not None and step.penalises is not None:
        given = _penalised(given, step, values, context, spare)
    if step.tempers is not None:
        given = _tempered(given, step, values, context, spare)
    if step.keeps is not None:
        _keep(given, step, values, context, in_turn=memory is None)
    return given


def _penalised(stage: Stage, step: Step, values: NDArray[np.float64], context: Context, spare: Spare) -> Stage:
    rules: Any = step
    atoms = _written(stage, _PENALISED, spare)
    over_rows(
        penalties.penalise_rows, len(stage), stage.atoms_per_row * _EXP_COST + len(context.history),
        rules.marks.compiled, rules.penalises.compiled, values, context.history, context.first, context.tokens,
        context.vocabulary, stage.atoms, stage.state, atoms,
    )  # fmt: skip
    return replace(stage, atoms=atoms)


_SCALED = ("x", "bin_x", "bin_spread", "origin", "width", "floor", "mass")
"""The arrays a temperature changes; the others are shared between stages."""
_PENALISED = tuple(name for name in chain.Atoms._fields if name not in ("width", "raw_total"))
"""Those a penalty changes."""


def _tempered(stage: Stage, step: Step, values: NDArray[np.float64], context: Context, spare: Spare) -> Stage:
    rule: Any = step.tempers
    atoms = _written(stage, _SCALED, spare)
    over_rows(
        tempering.temper_rows, len(stage), stage.atoms_per_row * _EXP_COST, rule.compiled, values, stage.atoms,
        context.uniforms, stage.memory, stage.state, atoms,
    )  # fmt: skip
    return replace(stage, atoms=atoms)


def _written(stage: Stage, names: Iterable[str], spare: Spare) -> chain.Atoms:
    """The stage's atoms with arrays to write into under these names."""
    return stage.atoms._replace(**{name: _spared(spare, name, getattr(stage.atoms, name)) for name in names})


def _spared(spare: Spare, name: str, like: NDArray[Any]) -> NDArray[Any]:
    """An array of that shape to write into."""
    if name not in spare or spare[name].shape != like.shape or spare[name] is like:
        spare[name] = np.empty_like(like)
    return spare[name]


def _keep(stage: Stage, step: Step, values: NDArray[np.float64], context: Context, *, in_turn: bool) -> None:
    rule: Any = step.keeps
    if step.learns is not None and step.remembers and in_turn:
        cutting.keep_in_turn(
            rule.compiled, step.learns.compiled, values, stage.atoms, context.tokens, context.uniforms, stage.memory,
            stage.state,
        )  # fmt: skip
        return
    over_rows(
        cutting.keep_rows, len(stage), stage.atoms_per_row * _LOOK_COST, rule.compiled, values, int(step.reads),
        step.spread_matters, stage.atoms,
        context.uniforms, stage.memory, stage.state,
    )  # fmt: skip


def measured(stage: Stage) -> NDArray[np.float64]:
    """(T, MEASURED) what is left of every row, columns as in `workbench.kernels.chain`."""
    out = np.empty((len(stage), chain.MEASURED))
    over_rows(measuring.measure_rows, len(stage), stage.atoms_per_row, stage.atoms, stage.state, out)
    return out


def uniform_draws(seed: int, positions: NDArray[np.int64]) -> NDArray[np.float64]:
    """Numbers in [0, 1) that depend on seed and position alone: decoding and replay draw the same.

    The finaliser of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014, figure 17) over position and seed.
    """
    with np.errstate(over="ignore"):
        z = positions.astype(np.uint64) + np.uint64(1)
        z = z * np.uint64(0x9E3779B97F4A7C15) + np.uint64(seed % 2**64) * np.uint64(0xD1B54A32D192ED03)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z ^= z >> np.uint64(31)
    draws: NDArray[np.float64] = (z >> np.uint64(11)).astype(np.float64) / 2.0**53
    return draws
