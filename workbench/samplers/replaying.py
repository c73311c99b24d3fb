"""Replay: what a sampler would have kept of every distribution of a trace, from its sketch alone."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from workbench.errors import TraceError
from workbench.kernels import chain
from workbench.samplers.stages import Context, Spare, Stage, first_stage, measured, next_stage, uniform_draws

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from workbench.samplers.sampler import Sampler
    from workbench.samplers.step import Step
    from workbench.traces.sketch import LogitSketch
    from workbench.traces.trace import Trace


def replay(trace: Trace, sampler: Sampler) -> Replay:
    """What `sampler` would have kept at every token of `trace`, the realised tokens given (teacher forcing).

    Steps with a state learn from the realised tokens. For many samplers on one trace, as when a slider moves, make a
    `Replayer` once: it does again only what comes after the first step that changed.

    Raises:
        TraceError: the trace carries no logit sketch.
    """
    return Replayer(trace).replay(sampler)


class Replayer:
    """Replays samplers on one trace and remembers the steps of the last one."""

    def __init__(self, trace: Trace) -> None:
        if trace.sketch is None:
            raise TraceError(
                "This trace carries no logit sketch, so it cannot be replayed. Record it here (wb.record), or score "
                "its text with a model (wb.score)."
            )
        self.trace = trace
        self._sketch: LogitSketch = trace.sketch
        self._context = _context(trace, self._sketch)
        self._first = first_stage(self._sketch)
        self._done: list[tuple[Step, Stage]] = []
        self._spare: list[Spare] = []

    def replay(self, sampler: Sampler) -> Replay:
        """As `workbench.replay`."""
        same = 0
        while same < min(len(self._done), len(sampler.steps)) and self._done[same][0] == sampler.steps[same]:
            same += 1
        del self._done[same:]  # their arrays are written again
        for place in range(same, len(sampler.steps)):
            if place == len(self._spare):
                self._spare.append({})
            step, before = sampler.steps[place], self._done[-1][1] if self._done else self._first
            self._done.append((step, next_stage(before, step, self._context, spare=self._spare[place])))
        last = self._done[-1][1] if self._done else self._first
        memories = tuple(stage.memory for _, stage in self._done)
        return Replay(sampler, self.trace, self._context, last.state, memories, measured(last))


def _context(trace: Trace, sketch: LogitSketch) -> Context:
    prompt = np.array(trace.prompt_ids, np.int32).reshape(-1)
    tokens = np.ascontiguousarray(sketch.token_ids, np.int32)
    # A token that is not known marks nothing: such a trace has no history to speak of.
    history = np.concatenate([prompt, np.maximum(tokens, 0)])
    seed = trace.meta.get("seed")
    draws = uniform_draws(seed if isinstance(seed, int) else 0, np.arange(len(tokens)))
    vocabulary = max(sketch.vocabulary, int(history.max(initial=0)) + 1)
    return Context(history, len(prompt), tokens, draws, vocabulary)


@dataclass(frozen=True, eq=False, repr=False)
class Replay:
    """What a sampler would have kept of every token's distribution. Nats."""

    sampler: Sampler
    trace: Trace
    context: Context
    state: NDArray[np.float64]
    """(T, STATE) after the last step, columns as in `workbench.kernels.chain`."""
    memories: tuple[NDArray[np.float64], ...]
    """(T, MEMORY) of each step."""
    values: NDArray[np.float64]
    """(T, MEASURED), columns as in `workbench.kernels.chain`."""

    def __len__(self) -> int:
        return len(self.values)

    def __repr__(self) -> str:
        found = self.summary
        return f"Replay({self.sampler!r}: {len(self)} tokens, mean support {found['mean_support']:.1f})"

    def __getitem__(self, name: str) -> NDArray[np.float64]:
        """A column of `tokens` as floats, without making the frame: kept, entropy, logprob, …"""
        return self.values[:, _COLUMNS[name]]

    @cached_property
    def signals(self) -> dict[str, NDArray[np.float64]]:
        """What adaptive steps did, by name: (T,) temperatures, μ, quadrants, whether XTC acted."""
        shown = [(step.signal.name, i) for i, step in enumerate(self.sampler.steps) if step.signal is not None]
        names = [name for name, _ in shown]
        return {
            name if names.count(name) == 1 else f"{name}_{names[:place].count(name) + 1}": self.memories[i][:, 0]
            for place, (name, i) in enumerate(shown)
        }

    @cached_property
    def exact(self) -> NDArray[np.bool_]:
        """(T,) whether the numbers of a token are exact: the cut fell among the tokens that the sketch has singly.

        A cut below them may leave log-probabilities without a doubt, where it is cold, but not the number of tokens.
        """
        v = self.values
        found: NDArray[np.bool_] = (v[:, chain.BOUND] == 0) & (v[:, chain.KEPT_LOW] == v[:, chain.KEPT_HIGH])
        return found

    @cached_property
    def tokens(self) -> pl.DataFrame:
        """A row a token.

        kept, with kept_low and kept_high, between which the true number lies; kept_mass, the raw probability of what
        is kept; entropy and logprob of the distribution that is left; survives, null where it cannot be told; exact;
        bound, by how much logprob may be off at most (nats), entropy_bound likewise; divergence KL(left ‖ raw); and a
        column for each adaptive step's signal.
        """
        v = self.values
        survives = pl.Series(v[:, chain.SURVIVES], nan_to_null=True).cast(pl.Boolean)
        known = self._realised
        frame = {
            "position": np.arange(len(self), dtype=np.int32),
            "kept": np.rint(v[:, chain.KEPT]).astype(np.int32),
            "kept_low": np.floor(v[:, chain.KEPT_LOW]).astype(np.int32),
            "kept_high": np.ceil(v[:, chain.KEPT_HIGH]).astype(np.int32),
            "kept_mass": v[:, chain.KEPT_MASS],
            "entropy": v[:, chain.ENTROPY],
            "logprob": pl.Series(np.where(known, v[:, chain.LOGPROB], np.nan), nan_to_null=True),
            "survives": survives.to_frame("s").select(pl.when(pl.Series(known)).then(pl.col("s")).otherwise(None))["s"],
            "exact": self.exact,
            "bound": v[:, chain.BOUND],
            "entropy_bound": v[:, chain.ENTROPY_BOUND],
            "divergence": v[:, chain.DIVERGENCE],
        }
        return pl.DataFrame(frame | self.signals)

    def to_frame(self) -> pl.DataFrame:
        """`tokens`."""
        return self.tokens

    @property
    def _realised(self) -> NDArray[np.bool_]:
        sketch: Any = self.trace.sketch
        known: NDArray[np.bool_] = sketch.token_ids >= 0
        return known

    @cached_property
    def dropped(self) -> NDArray[np.int64]:
        """Positions of realised tokens that surely would not have survived."""
        return np.flatnonzero((self.values[:, chain.SURVIVES] == 0) & self._realised)

    @cached_property
    def summary(self) -> dict[str, float]:
        """Means over the tokens, and what becomes of the sequence.

        mean_support (tokens kept), forced_share (of tokens with one choice), mean_kept_mass, mean_entropy_raw and
        mean_entropy, mean_divergence (KL(left ‖ raw), nats), dropped and dropped_share (realised tokens that would not
        have survived), logprob_raw and logprob of the whole sequence with logprob_change, perplexity_raw and
        perplexity; logprob is -inf and perplexity inf as soon as one token is dropped, and logprob_survivors is the sum
        over the others; exact_share.
        """
        v, sketch = self.values, self.trace.sketch
        if sketch is None or not len(self):
            return dict.fromkeys(_SUMMARY, float("nan"))
        known = self._realised
        raw = float((sketch.token_logit[known].astype(np.float64) - sketch.log_z[known]).sum())
        after = v[known, chain.LOGPROB]
        total, count = float(after.sum()), max(1, int(known.sum()))
        with np.errstate(over="ignore"):  # a dropped token makes the perplexity infinite
            perplexity, perplexity_raw = float(np.exp(-total / count)), float(np.exp(-raw / count))
        found = (
            v[:, chain.KEPT].mean(), (v[:, chain.KEPT] < 1.5).mean(), v[:, chain.KEPT_MASS].mean(),
            sketch.entropy.mean(), v[:, chain.ENTROPY].mean(), v[:, chain.DIVERGENCE].mean(), len(self.dropped),
            len(self.dropped) / count, raw, total, total - raw, perplexity_raw, perplexity,
            after[np.isfinite(after)].sum(), self.exact.mean(),
        )  # fmt: skip
        return {name: float(value) for name, value in zip(_SUMMARY, found, strict=True)}

    def kept_ids(self, position: int) -> NDArray[np.int32]:
        """The tokens kept at `position`, by falling probability.

        Raises:
            TraceError: no such position, or the kept set reaches below the tokens that the sketch has singly.
        """
        stage = self._at(position)
        low, high, size = int(stage.state[0, chain.LOW]), stage.state[0, chain.HIGH], int(stage.atoms.size[0])
        if high > size:
            raise TraceError(
                f"At position {position} about {self['kept'][position]:,.0f} tokens are kept, of which the sketch "
                f"knows the {size:,} most likely by name. Record or score with a larger top."
            )
        return stage.atoms.ids[0, low : int(high)].copy()

    def distribution(self, position: int, count: int = 20) -> pl.DataFrame:
        """The `count` tokens most likely in the raw distribution: token_id, text, raw and sampled probability, kept.

        Raises:
            TraceError: no such position.
        """
        stage = self._at(position)
        frame = self.trace.alternatives(position, count)
        low, high = int(stage.state[0, chain.LOW]), int(min(stage.state[0, chain.HIGH], stage.atoms.size[0]))
        p = np.exp(stage.atoms.x[0, low:high]) / stage.state[0, chain.TOTAL]
        left = dict(zip(stage.atoms.ids[0, low:high].tolist(), p.tolist(), strict=True))
        sampled = [left.get(token, 0.0) for token in frame["token_id"]]
        return frame.select("token_id", "text", raw=pl.col("logprob").exp()).with_columns(
            sampled=pl.Series(sampled, dtype=pl.Float64),
            kept=pl.Series([token in left for token in frame["token_id"]], dtype=pl.Boolean),
        )

    def _at(self, position: int) -> Stage:
        """The atoms of one token after the last step, worked out anew."""
        if not 0 <= position < len(self):
            raise TraceError(f"Position {position} is outside the trace's 0 to {len(self) - 1}.")
        sketch: Any = self.trace.sketch
        row, whole = slice(position, position + 1), self.context
        context = Context(
            whole.history, whole.first + position, whole.tokens[row], whole.uniforms[row], whole.vocabulary
        )
        stage = first_stage(sketch[row])
        for step, memory in zip(self.sampler.steps, self.memories, strict=True):
            stage = next_stage(stage, step, context, memory[row].copy())
        return stage


_SUMMARY = (
    "mean_support", "forced_share", "mean_kept_mass", "mean_entropy_raw", "mean_entropy", "mean_divergence", "dropped",
    "dropped_share", "logprob_raw", "logprob", "logprob_change", "perplexity_raw", "perplexity", "logprob_survivors",
    "exact_share",
)  # fmt: skip
_COLUMNS = {
    "kept": chain.KEPT, "kept_low": chain.KEPT_LOW, "kept_high": chain.KEPT_HIGH, "kept_mass": chain.KEPT_MASS,
    "entropy": chain.ENTROPY, "logprob": chain.LOGPROB, "survives": chain.SURVIVES, "bound": chain.BOUND,
    "entropy_bound": chain.ENTROPY_BOUND, "divergence": chain.DIVERGENCE,
}  # fmt: skip
