"""When thinking could have stopped: the entropy after a closing marker, smoothed, and quiet at last."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import polars as pl

from workbench.errors import ParameterError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

Variant = Literal["paper", "reference"]
VARIANTS: tuple[Variant, ...] = ("paper", "reference")


@dataclass(frozen=True, repr=False)
class EatStop:
    """The exponential moving mean and variance of the entropies after a closing marker, and where they say stop."""

    entropy: NDArray[np.float64]
    """(B,) x_t, nats."""
    mean: NDArray[np.float64]
    """(B,) m_t, nats."""
    variance: NDArray[np.float64]
    """(B,) v_t, nats²."""
    index: int | None
    """The boundary to stop at, an index of these arrays; None where v_t never falls below δ in time."""
    alpha: float
    delta: float
    min_distance: int
    """The first boundary that may stop."""
    variant: Variant

    @property
    def stopped(self) -> bool:
        """Whether there is a boundary to stop at."""
        return self.index is not None

    def to_frame(self) -> pl.DataFrame:
        """A row a boundary: boundary, entropy, mean, variance, quiet (v_t < δ), stop."""
        at = np.arange(len(self.entropy))
        return pl.DataFrame(
            {
                "boundary": at,
                "entropy": self.entropy,
                "mean": self.mean,
                "variance": self.variance,
                "quiet": self.variance < self.delta,
                "stop": at == (-1 if self.index is None else self.index),
            }
        )

    def __repr__(self) -> str:
        where = "never stops" if self.index is None else f"stops at boundary {self.index}"
        return f"EatStop({where} of {len(self.entropy)}, alpha={self.alpha:g}, delta={self.delta:g})"


def ema_stop(
    entropies: ArrayLike,
    *,
    alpha: float = 0.2,
    delta: float = 1e-3,
    min_distance: int | None = None,
    variant: Variant = "paper",
) -> EatStop:
    """Stop at the first boundary whose moving variance lies below δ (EAT, arXiv 2509.26522).

        m_t = α x_t + (1 − α) m_{t−1},            m_0 = x_0
        v_t = α (x_t − m_t)² + (1 − α) v_{t−1},   v_0 = 0

    The variance takes the mean already updated with x_t. v_0 is 0 by definition and not by observation, so boundary 0
    never stops.

    Args:
        entropies: (B,) x_t, raw entropy in nats of the first token after the closing marker, at each boundary.
        alpha: α in (0, 1], the weight of the newest; 1 / α boundaries are remembered.
        delta: δ, nats², the variance below which the entropy counts as settled.
        min_distance: the first boundary that may stop. By default 4 / α rounded up (20 for 0.2): by then the start
            weighs (1 − α)^{4/α} < e⁻⁴ < 2 %.
        variant: "paper" stops at the first t ≥ min_distance with v_t < δ. "reference" is xidulu/EAT's
            early_stopping_utils.py: it drops v_0 and returns the index i ≥ min_distance within what is left, which is
            one before the boundary t = i + 1 whose variance was below δ; with fewer than min_distance boundaries it
            does not stop.

    Raises:
        ParameterError: a parameter out of range, or entropies that are unknown, negative or not one row.
    """
    x = np.asarray(entropies, dtype=np.float64)
    if x.ndim != 1 or not (np.isfinite(x) & (x >= 0)).all():
        raise ParameterError("entropies are one row of finite numbers, 0 or more, one a boundary.")
    distance = _check(alpha, delta, min_distance, variant)
    mean, variance = _moving(x, alpha)
    return EatStop(
        x, mean, variance, _first_quiet(variance < delta, distance, variant), alpha, delta, distance, variant
    )


def default_min_distance(alpha: float) -> int:
    """4 / α, rounded up.

    Raises:
        ParameterError: α outside (0, 1].
    """
    if not 0 < alpha <= 1:
        raise ParameterError(f"alpha={alpha}: the newest entropy's weight lies above 0 and is at most 1.")
    return math.ceil(round(4 / alpha, 9))  # so that 4 / 0.05 is 80 and not 81


def _check(alpha: float, delta: float, min_distance: int | None, variant: str) -> int:
    typical = default_min_distance(alpha)
    if not (math.isfinite(delta) and delta > 0):
        raise ParameterError(f"delta={delta}: give a variance above 0; 1e-6 to 0.1 nats² are usual.")
    if min_distance is not None and min_distance < 0:
        raise ParameterError(f"min_distance={min_distance}: give a number of boundaries, 0 or more.")
    if variant not in VARIANTS:
        raise ParameterError(f"variant={variant!r}: take one of {', '.join(VARIANTS)}.")
    return typical if min_distance is None else int(min_distance)


def _moving(x: NDArray[np.float64], alpha: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    mean, variance = np.empty_like(x), np.zeros_like(x)
    m, v = (float(x[0]), 0.0) if len(x) else (0.0, 0.0)
    for t, value in enumerate(x.tolist()):
        if t:
            m = alpha * value + (1 - alpha) * m
            v = alpha * (value - m) ** 2 + (1 - alpha) * v
        mean[t], variance[t] = m, v
    return mean, variance


def _first_quiet(quiet: NDArray[np.bool_], distance: int, variant: Variant) -> int | None:
    if variant == "reference":
        quiet = quiet[1:] if distance <= len(quiet) else quiet[:0]
    else:
        distance = max(1, distance)
    found = np.flatnonzero(quiet[distance:])
    return distance + int(found[0]) if len(found) else None
