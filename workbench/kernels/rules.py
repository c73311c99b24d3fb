"""What a sampler's author writes: a function of one row. Compiled on first use, cached on disk.

The loops over rows take a rule as a compiled function pointer, so that a new rule never recompiles them.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numba import cfunc, typeof, types

from workbench.kernels.atoms import Row

if TYPE_CHECKING:
    from collections.abc import Callable

_VECTOR = np.empty(1)
_TOKENS = np.empty(1, np.int32)
ROW = typeof(
    Row(
        ids=_TOKENS, x=_VECTOR, bin_x=_VECTOR, bin_count=_VECTOR, bin_spread=_VECTOR,
        mass=_VECTOR, tokens=_VECTOR, low=0.0, high=0.0, total=0.0, mean=0.0, origin=0.0,
        width=0.0, floor=0.0, uniform=0.0, memory=_VECTOR,
    )
)  # fmt: skip
_REALS = typeof(_VECTOR)
_IDS = typeof(_TOKENS)


class Rule:
    """A function compiled for one signature when it is first asked for."""

    def __init__(self, function: Callable[..., Any], signature: Any) -> None:
        self.function, self._signature = function, signature
        self.__doc__ = function.__doc__

    @cached_property
    def compiled(self) -> Any:
        """The function pointer the loops over rows are given."""
        return cfunc(self._signature, cache=True)(self.function)


def keeps(function: Callable[..., Any]) -> Rule:
    """`(row, parameters) -> (low, high)`: which atoms stay, as positions; see `workbench.kernels.atoms`."""
    return Rule(function, types.UniTuple(types.float64, 2)(ROW, _REALS))


def tempers(function: Callable[..., Any]) -> Rule:
    """`(row, parameters) -> T`: the temperature that the row's logits are divided by."""
    return Rule(function, types.float64(ROW, _REALS))


def learns(function: Callable[..., Any]) -> Rule:
    """`(memory, parameters, token, before, after)`: what the drawn token teaches, by its id and its surprisal in nats.

    `before` is -log p among what the step was given, `after` among what it kept. Called before the row that follows.
    """
    return Rule(function, types.void(_REALS, _REALS, types.int64, types.float64, types.float64))


def marks(function: Callable[..., Any]) -> Rule:
    """`(history, length, parameters, amount)`: writes the amount by which each token is to be penalised.

    `history` holds the prompt and all tokens; only `history[:length]` has been seen. Entries of `amount` (V,) that are
    not written stay 0, which means: leave that token alone.
    """
    return Rule(function, types.void(_IDS, types.int64, _REALS, _REALS))


def penalises(function: Callable[..., Any]) -> Rule:
    """`(logit, amount, parameters) -> logit`, never larger than it was; only called where amount > 0."""
    return Rule(function, types.float64(types.float64, types.float64, _REALS))
