"""Which tokens trigger a correction: of a whole series of entropies, or token by token while decoding."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from workbench.kernels.reflective import reflective_rows
from workbench.traces.rolling import as_floats

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from workbench.samplers.reflective.settings import Reflective
    from workbench.traces.rolling import SeriesLike

_FIRST_TOKENS = 256


@dataclass(frozen=True, eq=False)
class Triggers:
    """Entropies against their thresholds, in nats."""

    entropy: NDArray[np.float64]
    """(T,) what is compared; NaN where it is not known."""
    threshold: NDArray[np.float64]
    """(T,) with what; infinite where there is none, as in the paper's first N tokens."""
    triggered: NDArray[np.bool_]
    """(T,) strictly above, and within the allowed number."""

    def __len__(self) -> int:
        return len(self.entropy)

    @property
    def positions(self) -> NDArray[np.int64]:
        """Of the tokens that trigger, ascending."""
        return np.flatnonzero(self.triggered)

    def to_frame(self) -> pl.DataFrame:
        """A row a token: position, entropy, threshold (null where there is none), triggered."""
        numbers = {name: np.where(np.isfinite(x), x, np.nan) for name, x in self._numbers().items()}
        columns = {"position": np.arange(len(self), dtype=np.int32), **numbers, "triggered": self.triggered}
        return pl.DataFrame(columns).with_columns(pl.col(list(numbers)).fill_nan(None))

    def _numbers(self) -> dict[str, NDArray[np.float64]]:
        return {"entropy": self.entropy, "threshold": self.threshold}


def triggers(entropies: SeriesLike, settings: Reflective) -> Triggers:
    """H_t > μ + k σ over the N entropies before token t, for entropies (T,) in nats; the rules are `Reflective`'s.

    A token whose entropy is not known (null or NaN) has no threshold and no place in any window. O(T N).

    Raises:
        ParameterError: not one finite-or-missing number a token.
    """
    x = as_floats(entropies)
    known = np.flatnonzero(~np.isnan(x))
    monitor = Monitor(settings)
    monitor.extend(x[known])
    found = monitor.triggers
    threshold, triggered = np.full(len(x), np.inf), np.zeros(len(x), np.bool_)
    threshold[known], triggered[known] = found.threshold, found.triggered
    return Triggers(x, threshold, triggered)


class Monitor:
    """Takes entropies as they come, and says of each whether it triggers."""

    def __init__(self, settings: Reflective) -> None:
        self._numbers = _numbers(settings)
        self._length, self._spent = 0, 0
        self._entropy, self._threshold = np.empty((2, _FIRST_TOKENS))
        self._triggered = np.empty(_FIRST_TOKENS, np.bool_)

    def extend(self, entropies: NDArray[np.float64]) -> bool:
        """Take the next entropies (n,); whether the last of them triggers."""
        start, stop = self._length, self._length + len(entropies)
        if stop > len(self._entropy):
            self._grow(max(stop, 2 * len(self._entropy)))
        self._entropy[start:stop] = entropies
        self._spent = reflective_rows(
            start, stop, self._spent, self._entropy, *self._numbers, self._threshold, self._triggered
        )
        self._length = stop
        return bool(stop > start and self._triggered[stop - 1])

    def __len__(self) -> int:
        return self._length

    @property
    def triggers(self) -> Triggers:
        """All taken so far."""
        rows = slice(self._length)
        return Triggers(self._entropy[rows].copy(), self._threshold[rows].copy(), self._triggered[rows].copy())

    def _grow(self, capacity: int) -> None:
        for name in ("_entropy", "_threshold", "_triggered"):
            array: NDArray[Any] = getattr(self, name)
            larger = np.empty(capacity, array.dtype)
            larger[: self._length] = array[: self._length]
            setattr(self, name, larger)


def _numbers(settings: Reflective) -> tuple[int, float, int, float, float, float, int]:
    """The kernel's arguments; the paper's rule is the code's with its least values out of the way."""
    if settings.threshold_rule == "paper":
        rule = (0, 0.0, -math.inf, math.inf)
    else:
        rule = (1, settings.minimal_std, settings.minimal_threshold, settings.warm_up_threshold)
    return settings.window, settings.k, *rule, settings.max_corrections
