"""What a model still does to its head's output before it calls it logits: nothing, a factor, or a soft cap."""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Readout:
    """logits = head, or s * head, or c * tanh(head / c)."""

    kind: str
    """plain, scale, softcap or unknown."""
    value: float
    """The factor s or the cap c; 1 for plain, NaN for unknown."""
    difference: float
    """Largest |logits - readout(head)| under this description."""

    def describe(self) -> str:
        """The description in words, to stand after "the head's output"."""
        words = {"scale": f", times {self.value:.4g},", "softcap": f", soft-capped at {self.value:.4g},"}
        return words.get(self.kind, "")


def fit_readout(head: torch.Tensor, logits: torch.Tensor, tolerance: float) -> Readout:
    """The simplest description under which the head's output (..., V) gives the logits (..., V) within `tolerance`.

    The factor is the least-squares one; the cap is solved by bisection at the largest |head|, as c * tanh(h / c) grows
    with c. Cap: Gemma 2 report (arXiv 2408.00118), section 2, logit soft-capping.
    """
    h, z = head.double().flatten(), logits.double().flatten()
    plain = Readout("plain", 1.0, _largest(z - h))
    if plain.difference <= tolerance:
        return plain
    s = float(h @ z / (h @ h).clamp_min(1e-300))
    c = _cap(h, z)
    candidates = [Readout("scale", s, _largest(z - s * h)), Readout("softcap", c, _largest(z - c * torch.tanh(h / c)))]
    fitting = min(candidates, key=lambda readout: readout.difference)
    return fitting if fitting.difference <= tolerance else Readout("unknown", float("nan"), plain.difference)


def _cap(h: torch.Tensor, z: torch.Tensor) -> float:
    at = int(h.abs().argmax())
    top, seen = float(h[at].abs()), float(z[at].abs())
    low, high = max(seen, 1e-9), 1e6 * max(top, 1.0)
    for _ in range(100):
        middle = (low * high) ** 0.5  # caps span orders of magnitude
        if middle * float(torch.tanh(torch.tensor(top / middle, dtype=torch.float64))) < seen:
            low = middle
        else:
            high = middle
    return (low * high) ** 0.5


def _largest(difference: torch.Tensor) -> float:
    return float(difference.abs().max())
