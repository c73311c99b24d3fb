"""A model's head as the matrix that it is: states to logits, and a gradient on logits back to the states."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Self

import torch
from torch.nn import functional

from workbench.errors import ModelError
from workbench.models.readout import Readout, fit_readout
from workbench.models.structure import head as find_head

if TYPE_CHECKING:
    from torch import Tensor

    from workbench.models import LanguageModel

_PLAIN = Readout("plain", 1.0, 0.0)


@dataclass(frozen=True, eq=False)
class LinearHead:
    """Logits z = g(u) of scores u = W h + b: g(u) = u, s u, or c tanh(u / c), whatever the model does to its head."""

    weight: Tensor
    """W (V, D)."""
    bias: Tensor | None = None
    """b (V,)."""
    readout: Readout = field(default=_PLAIN)

    @classmethod
    def of(cls, model: LanguageModel) -> Self:
        """The head of a model, plain until `fitted`.

        Raises:
            ModelError: its weights are quantised, elsewhere, or no matrix.
        """
        module = find_head(model.hf)
        weight, bias = getattr(module, "weight", None), getattr(module, "bias", None)
        here = isinstance(weight, torch.Tensor) and not weight.is_meta
        if weight is None or not here or not weight.is_floating_point() or weight.dim() != 2:
            raise ModelError(
                f"Corrections need the head of {model.name} as a matrix of floating-point numbers, and it is a "
                f"{type(module).__name__} without one: load the model without quantisation and all on one device."
            )
        return cls(weight.detach(), None if bias is None else bias.detach())

    def fitted(self, state: Tensor, logits: Tensor, precision: torch.dtype) -> Self:
        """The same with the g under which a state (D,) gives the model's own logits (V,).

        Raises:
            ModelError: none of the three does.
        """
        readout = fit_readout(self.scores(state), logits.to(self.weight.device), self._tolerance(logits, precision))
        if readout.kind == "unknown":
            raise ModelError(
                "The states after the final norm do not give this model's logits through its head, a factor or a soft "
                f"cap, by up to {readout.difference:.2g}: they cannot be corrected. See model.verify()."
            )
        return replace(self, readout=readout)

    @property
    def dtype(self) -> torch.dtype:
        """What sums are taken in: float32, or float64 where the weights are."""
        return torch.promote_types(self.weight.dtype, torch.float32)

    def scores(self, states: Tensor) -> Tensor:
        """Scores u = W h + b: (..., D) to (..., V)."""
        return functional.linear(states.to(self.weight), self.weight, self.bias).to(self.dtype)

    def shift(self, delta: Tensor) -> Tensor:
        """By how much δ (D,) moves every score: W δ (V,).

        Kept apart from the states, whose half precision would swallow a small δ.
        """
        return (self.weight @ delta.to(self.weight)).to(self.dtype)

    def pull(self, gradient: Tensor) -> Tensor:
        """Wᵀ r: from a gradient on the scores (V,) to one on the states (D,)."""
        return (gradient.to(self.weight) @ self.weight).to(self.dtype)

    def logits(self, scores: Tensor) -> Tensor:
        """g(u)."""
        kind, value = self.readout.kind, self.readout.value
        if kind == "softcap":
            return value * torch.tanh(scores / value)
        return scores if kind == "plain" else value * scores

    def slope(self, logits: Tensor) -> Tensor | float:
        """g'(u), from g(u): 1, s, or 1 - (z / c)²."""
        kind, value = self.readout.kind, self.readout.value
        return 1.0 - (logits / value).square() if kind == "softcap" else value

    @staticmethod
    def _tolerance(logits: Tensor, precision: torch.dtype) -> float:
        """Rounding grows with the largest logit; half precision is given fewer units, or anything would fit."""
        units = 256 if precision in {torch.float32, torch.float64} else 8
        step = max(torch.finfo(precision).eps, torch.finfo(logits.dtype).eps)
        largest = float(logits.abs().max())
        return units * step * max(1.0, largest if math.isfinite(largest) else 1.0)
