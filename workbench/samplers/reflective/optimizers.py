"""The two ways of stepping down a gradient."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import torch

if TYPE_CHECKING:
    from torch import Tensor

    from workbench.samplers.reflective.settings import Reflective


class Optimizer(Protocol):
    """Steps from one δ to the next."""

    def step(self, delta: Tensor, gradient: Tensor) -> Tensor:
        """The next δ (D,)."""


class Gradient:
    """δ ← δ - η g."""

    def __init__(self, rate: float) -> None:
        self._rate = rate

    def step(self, delta: Tensor, gradient: Tensor) -> Tensor:
        """The next δ (D,)."""
        return delta - self._rate * gradient


class AdamW:
    """AdamW (arXiv 1711.05101) as in 2020-qqtcg/SRGen: β = (0.9, 0.999), ε = 1e-5, weight decay 1e-8.

    Its steps hardly depend on the gradient's size: the first one moves every coordinate by about η.
    """

    def __init__(
        self, rate: float, *, betas: tuple[float, float] = (0.9, 0.999), epsilon: float = 1e-5, decay: float = 1e-8
    ) -> None:
        self._rate, self._betas, self._epsilon, self._decay = rate, betas, epsilon, decay
        self._steps = 0
        self._mean: Tensor | None = None
        self._square: Tensor | None = None

    def step(self, delta: Tensor, gradient: Tensor) -> Tensor:
        """The next δ (D,)."""
        first, second = self._betas
        mean = torch.zeros_like(gradient) if self._mean is None else self._mean
        square = torch.zeros_like(gradient) if self._square is None else self._square
        self._steps += 1
        self._mean = first * mean + (1 - first) * gradient
        self._square = second * square + (1 - second) * gradient.square()
        direction = self._mean / (1 - first**self._steps)
        size = (self._square / (1 - second**self._steps)).sqrt() + self._epsilon
        return delta * (1 - self._rate * self._decay) - self._rate * direction / size


def optimizer(settings: Reflective) -> Optimizer:
    """The one that is asked for, with nothing remembered."""
    return AdamW(settings.rate) if settings.optimizer == "adamw" else Gradient(settings.rate)
