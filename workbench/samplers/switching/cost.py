"""What switching costs: the paper's count, and the count of all positions that were really computed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

if TYPE_CHECKING:
    from workbench.samplers.switching.routing import Route


@dataclass(frozen=True)
class Cost:
    """Tokens drawn and positions computed by two models.

    A position is one token run through one model; its cost is taken to be the model's number of parameters P, as the
    paper does. All relative costs are relative to the large model decoding everything, so that 1 means nothing saved.
    Positions count work, not time: a catch-up runs many of them in one pass, which takes less time than as many
    passes. Where a model uses a part of its parameters only (mixture of experts), put the active ones in their
    place with `dataclasses.replace`.
    """

    tokens_small: int
    """Tokens drawn by the small model."""
    tokens_large: int
    """Tokens drawn by the large model."""
    switches: int
    """How often the model changed."""
    prompt: int
    """Tokens of the prompt."""
    read_small: int
    """Positions the small model computed, prompt, catch-ups and monitoring included."""
    read_large: int
    """Positions the large model computed, prompt and catch-ups included."""
    monitored: int
    """Passes of the small model whose logits were only looked at, while the large one drew."""
    parameters_small: int | None
    """P_S; None where it is not known."""
    parameters_large: int | None
    """P_L; None where it is not known."""

    @classmethod
    def counted(cls, route: Route, *, prompt: int, monitor_small: bool, parameters: tuple[int, int] | None) -> Cost:
        """The cost of a route where each model has a cache and so reads no position twice.

        To draw token t a model must have read the prompt and t tokens: in all a model reads up to the last token it
        draws, or is monitored at, and one that does neither reads nothing.
        """
        large, tokens = route.large, len(route)
        read_small = prompt + tokens - 1 if monitor_small and tokens else _read_until_last(~large, prompt)
        small_parameters, large_parameters = parameters or (None, None)
        return cls(
            tokens_small=int((~large).sum()),
            tokens_large=int(large.sum()),
            switches=len(route.switch_points),
            prompt=prompt,
            read_small=read_small,
            read_large=_read_until_last(large, prompt),
            monitored=int(large.sum()) if monitor_small else 0,
            parameters_small=small_parameters,
            parameters_large=large_parameters,
        )

    @property
    def tokens(self) -> int:
        """Tokens drawn."""
        return self.tokens_small + self.tokens_large

    @property
    def large_share(self) -> float:
        """f_L, the share of tokens drawn by the large model; NaN without tokens."""
        return self.tokens_large / self.tokens if self.tokens else math.nan

    @property
    def ratio(self) -> float:
        """P_S / P_L; NaN where either is not known."""
        if not self.parameters_small or not self.parameters_large:
            return math.nan
        return self.parameters_small / self.parameters_large

    @property
    def caught_up_small(self) -> int:
        """Positions the small model computed without its logits being used: the prompt, and what it had missed."""
        return self.read_small - self.tokens_small - self.monitored

    @property
    def caught_up_large(self) -> int:
        """Positions the large model computed without its logits being used: the prompt, and what it had missed."""
        return self.read_large - self.tokens_large

    @property
    def paper(self) -> float:
        """The paper's relative cost f_L + (1 − f_L) P_S / P_L: a switch costs nothing, the prompt does not count."""
        return self.large_share + (1 - self.large_share) * self.ratio

    @property
    def true(self) -> float:
        """(P_S read_S + P_L read_L) / (P_L (prompt + tokens − 1)).

        The denominator is what the large model alone computes for the same tokens: the last one is read by nobody.
        """
        alone = self.prompt + self.tokens - 1
        if alone <= 0:
            return math.nan
        return (self.read_small * self.ratio + self.read_large) / alone

    def describe(self) -> str:
        """Both relative costs in words."""
        return f"cost {self.true:.3f} of the large model's (by the paper's count {self.paper:.3f})"

    def to_dict(self) -> dict[str, float | int | None]:
        """Counts and relative costs by name, JSON-able; what is not known is None."""
        names = (
            "tokens_small", "tokens_large", "switches", "prompt", "read_small", "read_large", "caught_up_small",
            "caught_up_large", "monitored", "parameters_small", "parameters_large",
        )  # fmt: skip
        shares = {"large_share": self.large_share, "paper_cost": self.paper, "true_cost": self.true}
        known = {name: None if math.isnan(value) else value for name, value in shares.items()}
        return {name: getattr(self, name) for name in names} | known

    def to_frame(self) -> pl.DataFrame:
        """A row a model: tokens drawn, positions caught up with, monitored, read, and parameters."""
        return pl.DataFrame(
            {
                "model": ["small", "large"],
                "tokens": [self.tokens_small, self.tokens_large],
                "caught_up": [self.caught_up_small, self.caught_up_large],
                "monitored": [self.monitored, 0],
                "read": [self.read_small, self.read_large],
                "parameters": pl.Series([self.parameters_small, self.parameters_large], dtype=pl.Int64),
            }
        )


def _read_until_last(drawn: np.ndarray, prompt: int) -> int:
    """Positions read by a model that drew these tokens (T,)."""
    own = np.flatnonzero(drawn)
    return prompt + int(own[-1]) if len(own) else 0
