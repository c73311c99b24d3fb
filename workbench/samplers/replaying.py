"""Replay: what a sampler would have kept of every distribution of a trace, from its sketch alone."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from workbench.errors import TraceError
from workbench.kernels import chain
from workbench.samplers.stages import Context, Stage, first_stage, measured, next_stage, uniform_draws

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
                "This trace carries no logit sketch, so it cannot be replayed. Record it here (wb.record), or score its "
                "text with a model (wb.score)."
            )
        self.trace = trace
        self._sketch: LogitSketch = trace.sketch
        self._context = _context(trace, self._sketch)
        self._first = first_stage(self._sketch)
        self._done: list[tuple[Step, Stage]] = []

    def replay(self, sampler: Sampler) -> Replay:
        """As `workbench.replay`."""
        same = 0
        while same < min(len(self._done), len(sampler.steps)) and self._done[same][0] == sampler.steps[same]:
            same += 1
        done = self._done[:same]
        for step in sampler.steps[same:]:
            done.append((step, next_stage(done[-1][1] if done else self._first, step, self._context)))
        self._done = done
        last = done[-1][1] if done else self._first
        signals = {
            _signal_name(step, place, sampler): stage.memory[:, 0]
            for place, (step, stage) in enumerate(done)
            if step.signal is not None
        }
        return Replay(sampler, self.trace, last, measured(last), signals)


def _context(trace: Trace, sketch: LogitSketch) -> Context:
    prompt = np.array(trace.prompt_ids, np.int32).reshape(-1)
    tokens = np.ascontiguousarray(sketch.token_ids, np.int32)
    # A token that is not known marks nothing: such a trace has no history to speak of.
    history = np.concatenate([prompt, np.maximum(tokens, 0)])
    seed = trace.meta.get("seed")
    draws = uniform_draws(seed if isinstance(seed, int) else 0, np.arange(len(tokens)))
    vocabulary = max(sketch.vocabulary, int(history.max(initial=0)) + 1)
    return Context(history, len(prompt), tokens, draws, vocabulary)


def _signal_name(step: Step, place: int, sampler: Sampler) -> str:
    name = step.signal.name if step.signal is not None else step.name
    alike = [i for i, other in enumerate(sampler.steps) if other.signal is not None and other.signal.name == name]
    return name if len(alike) == 1 else f"{name}_{alike.index(place) + 1}"


@dataclass(frozen=True, eq=False, repr=False)
class Replay:
    """What a sampler would have kept of every token's distribution. Nats."""

    sampler: Sampler
    trace: Trace
    stage: Stage
    """The atoms that are left, row by row."""
    values: NDArray[np.float64]
    """(T, MEASURED), columns as in `workbench.kernels.chain`."""
    signals: dict[str, NDArray[np.float64]]
    """What adaptive steps did, by name: (T,) temperatures, μ, quadrants, whether XTC acted."""

    def __len__(self) -> int:
        return len(self.values)

    def __repr__(self) -> str:
        found = self.summary
        return f"Replay({self.sampler!r}: {len(self)} tokens, mean support {found['mean_support']:.1f})"

    def __getitem__(self, name: str) -> NDArray[np.float64]:
        """A column of `tokens` as floats, without making the frame: kept, entropy, logprob, …"""
        return self.values[:, _COLUMNS[name]]

    @cached_property
    def exact(self) -> NDArray[np.bool_]:
        """(T,) whether the numbers of a token are exact: the cut fell among the tokens that the sketch has singly."""
        found: NDArray[np.bool_] = self.values[:, chain.BOUND] == 0
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
        return dict(
            zip(
                _SUMMARY,
                (
                    float(v[:, chain.KEPT].mean()), float((v[:, chain.KEPT] < 1.5).mean()),
                    float(v[:, chain.KEPT_MASS].mean()), float(sketch.entropy.mean()), float(v[:, chain.ENTROPY].mean()),
                    float(v[:, chain.DIVERGENCE].mean()), float(len(self.dropped)), len(self.dropped) / count,
                    raw, total, total - raw, float(np.exp(-raw / count)), float(np.exp(min(-total / count, 700.0))) if np.isfinite(total) else float("inf"),
                    float(after[np.isfinite(after)].sum()), float(self.exact.mean()),
                ),
                strict=True,
            )
        )  # fmt: skip

    def kept_ids(self, position: int) -> NDArray[np.int32]:
        """The tokens kept at `position`, by falling probability.

        Raises:
            TraceError: no such position, or the kept set reaches below the tokens that the sketch has singly.
        """
        row = self._row(position)
        low, high = int(self.stage.state[row, chain.LOW]), self.stage.state[row, chain.HIGH]
        if high > self.stage.atoms.size[row]:
            raise TraceError(
                f"At position {position} about {self['kept'][row]:,.0f} tokens are kept, of which the sketch knows the "
                f"{self.stage.atoms.size[row]:,} most likely by name. Record or score with a larger top."
            )
        return self.stage.atoms.ids[row, low : int(high)].copy()

    def distribution(self, position: int, count: int = 20) -> pl.DataFrame:
        """The `count` tokens most likely in the raw distribution: token_id, text, raw and sampled probability, kept.

        Raises:
            TraceError: no such position.
        """
        row = self._row(position)
        frame = self.trace.alternatives(position, count)
        atoms, state = self.stage.atoms, self.stage.state[row]
        low, high = state[chain.LOW], min(state[chain.HIGH], float(atoms.size[row]))
        ids = atoms.ids[row, int(low) : int(high)]
        p = atoms.weight[row, int(low) : int(high)] / state[chain.TOTAL]
        left = dict(zip(ids.tolist(), p.tolist(), strict=True))
        return frame.select("token_id", "text", raw=pl.col("logprob").exp()).with_columns(
            sampled=pl.col("token_id").map_elements(lambda i: left.get(i, 0.0), return_dtype=pl.Float64),
            kept=pl.col("token_id").is_in(list(left)),
        )

    def _row(self, position: int) -> int:
        if not 0 <= position < len(self):
            raise TraceError(f"Position {position} is outside the trace's 0 to {len(self) - 1}.")
        return position


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
