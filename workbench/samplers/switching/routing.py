"""From entropies to the model of each token: one rule, for replay all at once, for live decoding token by token."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from workbench.errors import ParameterError
from workbench.kernels.switching import LARGE, SMALL, next_model, route_tokens, window_mean
from workbench.traces.rolling import SeriesLike, as_floats

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from workbench.samplers.switching.settings import Switching

NATS_PER_BIT = math.log(2)
_STARTS = {"small": SMALL, "large": LARGE}


@dataclass(frozen=True, eq=False, repr=False)
class Route:
    """Which model draws each of T tokens, and why."""

    large: NDArray[np.bool_]
    """(T,) whether the large model draws the token."""
    monitored: NDArray[np.float64]
    """(T,) the raw entropy that enters the window, bits."""
    mean: NDArray[np.float64]
    """(T,) of the window that ends with the token, bits: what decides the model of the next token."""

    def __len__(self) -> int:
        return len(self.large)

    def __repr__(self) -> str:
        drawn, switches = int(self.large.sum()), len(self.switch_points)
        return f"Route({len(self)} tokens, {drawn} by the large model, {switches} switches)"

    @property
    def switched(self) -> NDArray[np.bool_]:
        """(T,) whether another model draws the token than drew the one before it."""
        switched = np.zeros(len(self), dtype=bool)
        switched[1:] = self.large[1:] != self.large[:-1]
        return switched

    @property
    def switch_points(self) -> NDArray[np.int64]:
        """(n,) the first token after each switch."""
        return np.flatnonzero(self.switched)


def route(small: SeriesLike, large: SeriesLike, settings: Switching) -> Route:
    """The model of each token, by the rule of `Switching`.

    Args:
        small: (T,) raw entropies in bits of the small model at each token.
        large: (T,) those of the large model at the same tokens; not looked at where `settings.monitor` is "small".
        settings: threshold, window, dwell, hysteresis, start, monitor.

    Raises:
        ParameterError: different lengths, or an entropy that is not a finite number.
    """
    entropies = [np.ascontiguousarray(as_floats(values)) for values in (small, large)]
    if len(entropies[0]) != len(entropies[1]):
        raise ParameterError(
            f"{len(entropies[0])} entropies of the small model but {len(entropies[1])} of the large one: "
            "give one of each a token."
        )
    for name, values in zip(_STARTS, entropies, strict=True):
        if np.isnan(values).any():
            where = int(np.isnan(values).argmax())
            raise ParameterError(f"The {name} model's entropy of token {where} is missing; routing needs all of them.")
    tokens = len(entropies[0])
    active, stream, mean = np.empty(tokens, np.int8), np.empty(tokens), np.empty(tokens)
    route_tokens(
        *entropies, settings.monitor == "small", _STARTS[settings.start],
        settings.window, settings.up, settings.down, settings.dwell, active, stream, mean,
    )  # fmt: skip
    return Route(active == LARGE, stream, mean)


class Router:
    """The rule of `Switching`, a token at a time: ask `large`, draw, then `take` the entropy.

    Args:
        settings: threshold, window, dwell, hysteresis, start.
        capacity: most tokens there can be.
    """

    def __init__(self, settings: Switching, capacity: int) -> None:
        self._settings, self._active, self._since = settings, _STARTS[settings.start], 0
        self._models, self._stream, self._means = np.empty(capacity, np.int8), np.empty(capacity), np.empty(capacity)
        self._tokens = 0

    @property
    def large(self) -> bool:
        """Whether the large model draws the next token."""
        return self._active == LARGE

    def take(self, entropy: float) -> None:
        """Count the token just drawn, and the monitored raw entropy at it in bits; decide who draws the next."""
        at, settings = self._tokens, self._settings
        self._models[at], self._stream[at] = self._active, entropy
        self._tokens += 1
        self._since += 1
        self._means[at] = window_mean(self._stream, self._tokens, settings.window)
        following = next_model(
            self._means[at], self._active, self._since, settings.up, settings.down, settings.dwell
        )  # fmt: skip
        if following != self._active:
            self._active, self._since = following, 0

    def route(self) -> Route:
        """What has been decided so far."""
        done = slice(self._tokens)
        return Route(self._models[done] == LARGE, self._stream[done].copy(), self._means[done].copy())
