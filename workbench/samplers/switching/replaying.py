"""Replay: where two models would have taken turns over one text, from a trace of it by each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.errors import TraceError
from workbench.samplers.switching.cost import Cost
from workbench.samplers.switching.routing import NATS_PER_BIT, Route, route
from workbench.samplers.switching.run import route_frame

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

    from workbench.samplers.switching.settings import Switching
    from workbench.traces import Trace


@dataclass(frozen=True, eq=False, repr=False)
class SwitchingReplay:
    """What `Switching` would do on a given text: an estimate, as a live decode would go on from its own tokens."""

    small: Trace
    large: Trace
    settings: Switching
    route: Route
    """Which model would draw each token, and why."""
    logprob: NDArray[np.float64]
    """(T,) raw log-probability of each token under the model that would draw it, nats."""
    cost: Cost

    def __repr__(self) -> str:
        return f"SwitchingReplay({self.route!r}, {self.cost.describe()})"

    @property
    def caught_up(self) -> NDArray[np.int32]:
        """(T,) tokens before the newest that the drawing model would read for the first time, the prompt included."""
        large, points, prompt = self.route.large, self.route.switch_points, self.cost.prompt
        caught_up = np.zeros(len(large), np.int32)
        caught_up[0] = prompt - 1
        previous = np.concatenate([[0], points[:-1]])
        # Since it drew its last token, a model has missed what the other drew; at its first, the prompt too.
        caught_up[points] = points - previous + (np.arange(len(points)) == 0) * (prompt - 1)
        if self.settings.monitor == "small":
            caught_up[1:][~large[1:]] = 0
        return caught_up

    @property
    def summary(self) -> dict[str, Any]:
        """Settings, counts, costs and the text's log-probability (nats) switching, and under either model alone."""
        return {
            **{f"setting_{name}": value for name, value in self.settings.to_dict().items()},
            "tokens": len(self.route),
            **self.cost.to_dict(),
            "logprob": float(self.logprob.sum()),
            "logprob_small": float(self.small.tokens["logprob"].sum()),
            "logprob_large": float(self.large.tokens["logprob"].sum()),
        }

    def to_frame(self) -> pl.DataFrame:
        """A row a token: as a run's, with both models' raw entropies (bits) and raw log-probabilities (nats)."""
        small, large = self.small.tokens, self.large.tokens
        return route_frame(small, self.route).with_columns(
            caught_up=self.caught_up,
            logprob=self.logprob,
            entropy_small_bits=small["entropy"].to_numpy() / NATS_PER_BIT,
            entropy_large_bits=large["entropy"].to_numpy() / NATS_PER_BIT,
            logprob_small=small["logprob"],
            logprob_large=large["logprob"],
        )


def replay(
    small_trace: Trace,
    large_trace: Trace,
    settings: Switching,
    *,
    parameters: tuple[int, int] | None = None,
) -> SwitchingReplay:
    """Where `settings` would switch on a text of which each model has a trace.

    Both traces are of the same tokens after the same prompt: `wb.score` the text with either model, or record it with
    one and score it with the other. Routing is that of live decoding: given the run's own text, the run's own route.

    Args:
        small_trace: of the small model.
        large_trace: of the large model.
        settings: threshold, window, dwell, hysteresis, start, monitor.
        parameters: (P_S, P_L), numbers of parameters, for the costs; from the traces' meta ("parameters") where they
            stand there, not known otherwise.

    Raises:
        TraceError: the traces are not of the same tokens, have none, or lack entropies or log-probabilities.
    """
    _check_same(small_trace, large_trace)
    bits, logprobs = [], []
    for name, trace in (("small", small_trace), ("large", large_trace)):
        bits.append(_column(trace, "entropy", name) / NATS_PER_BIT)
        logprobs.append(_column(trace, "logprob", name))
    found = route(bits[0], bits[1], settings)
    cost = Cost.counted(
        found,
        prompt=len(small_trace.prompt_ids),
        monitor_small=settings.monitor == "small",
        parameters=parameters or _parameters(small_trace, large_trace),
    )
    logprob = np.where(found.large, logprobs[1], logprobs[0])
    return SwitchingReplay(small_trace, large_trace, settings, found, logprob, cost)


def _check_same(small: Trace, large: Trace) -> None:
    remedy = "Score one text with both: wb.score(model, token_ids, prompt=trace.prompt_ids)."
    if not len(small) or not len(large):
        raise TraceError(f"A trace without tokens cannot be replayed. {remedy}")
    if not small.prompt_ids or small.prompt_ids != large.prompt_ids:
        raise TraceError(
            f"The small model's trace follows a prompt of {len(small.prompt_ids)} tokens, the large model's one of "
            f"{len(large.prompt_ids)}; they must be the same, and known. {remedy}"
        )
    if len(small) != len(large):
        raise TraceError(
            f"The small model's trace has {len(small)} tokens, the large model's {len(large)}: not one text. {remedy}"
        )
    ids = [_column(trace, "token_id", name) for name, trace in (("small", small), ("large", large))]
    differing = np.flatnonzero(ids[0] != ids[1])
    if len(differing):
        at = int(differing[0])
        raise TraceError(
            f"The traces part at position {at}: token {int(ids[0][at])} in the small model's, {int(ids[1][at])} in the "
            f"large model's. {remedy}"
        )


def _column(trace: Trace, column: str, model: str) -> NDArray[Any]:
    values = trace.tokens[column]
    if values.null_count() or (values.dtype.is_float() and values.is_nan().any()):
        raise TraceError(
            f"The {model} model's trace does not know the {column} of every token. Score its text with the model: "
            "wb.score(model, token_ids, prompt=trace.prompt_ids)."
        )
    return values.to_numpy()


def _parameters(small: Trace, large: Trace) -> tuple[int, int] | None:
    found = small.meta.get("parameters"), large.meta.get("parameters")
    return (found[0], found[1]) if isinstance(found[0], int) and isinstance(found[1], int) else None
