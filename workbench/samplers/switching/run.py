"""What a decode by two models leaves behind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from workbench.samplers.switching.routing import NATS_PER_BIT

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from workbench.samplers.switching.cost import Cost
    from workbench.samplers.switching.routing import Route
    from workbench.samplers.switching.settings import Switching
    from workbench.traces import Trace


@dataclass(frozen=True, eq=False, repr=False)
class SwitchingRun:
    """One sequence decoded by two models in turn."""

    trace: Trace
    """Of every token the distribution of the model that drew it; both models are named in its meta."""
    settings: Switching
    route: Route
    """Which model drew each token, and why."""
    caught_up: NDArray[np.int32]
    """(T,) tokens before the newest that the drawing model read for the first time; at its first, the prompt too."""
    cost: Cost

    def __repr__(self) -> str:
        return f"SwitchingRun({self.route!r}, {self.cost.describe()})"

    def to_frame(self) -> pl.DataFrame:
        """A row a token: what it is, which model drew it, and the raw entropies in bits.

        `entropy_bits` is that of the distribution the token was drawn from, before temperature; `monitored_bits` what
        entered the window (the same with `monitor="active"`); `window_bits` the window's mean with this token, which
        decided the model of the next.
        """
        tokens = self.trace.tokens
        bits = tokens["entropy"].to_numpy() / NATS_PER_BIT
        return route_frame(tokens, self.route).with_columns(entropy_bits=bits, caught_up=self.caught_up)


def route_frame(tokens: pl.DataFrame, route: Route) -> pl.DataFrame:
    """A row a token: position, token_id, text, model, switched, monitored_bits, window_bits."""
    return tokens.select("position", "token_id", "text").with_columns(
        model=pl.Series(np.where(route.large, "large", "small"), dtype=pl.String),
        switched=route.switched,
        monitored_bits=route.monitored,
        window_bits=route.mean,
    )
