"""What a strip shows, as plain columns: texts, phases and one float32 row of layer values a token."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from workbench.errors import ParameterError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MAX_PHASES = 255  # a phase travels as one byte


@dataclass(frozen=True, eq=False)
class Layer:
    """One number a token, by which the strip can be coloured.

    Raises:
        ParameterError: the range is empty or not finite, or the scale is unknown.
    """

    values: npt.ArrayLike = field(repr=False)
    """(T,) a number a token; NaN (or None) where it is not known."""
    label: str
    """Short name for selector, legend and tooltip; says raw or sampled."""
    unit: str = ""
    """Such as nats; empty for counts."""
    description: str = ""
    """One line for the legend."""
    range: tuple[float, float] | None = None
    """Values at the two ends of the colour scale; by default 0 to about the 99th percentile of what is there."""
    scale: Literal["linear", "log"] = "linear"
    """`log` colours by log(1 + value - low), for ranks."""
    digits: int = 3
    """Decimals shown."""
    selectable: bool = True
    """False for a number that only the tooltip shows."""

    def __post_init__(self) -> None:
        if self.scale not in ("linear", "log"):
            raise ParameterError(f"A layer's scale is 'linear' or 'log', not {self.scale!r}.")
        if self.range is not None and not (np.isfinite(self.range).all() and self.range[0] < self.range[1]):
            raise ParameterError(
                f"The range of layer {self.label!r} must be (low, high) with low < high: {self.range}."
            )

    def described(self, name: str) -> dict[str, Any]:
        """Everything but the values, as JSON."""
        return {
            "name": name,
            "label": self.label,
            "unit": self.unit,
            "description": self.description,
            "range": None if self.range is None else [float(self.range[0]), float(self.range[1])],
            "scale": self.scale,
            "digits": self.digits,
            "selectable": self.selectable,
        }


class Columns:
    """Texts, phases and layers that grow; packed for the browser as JSON texts and binary numbers.

    Appending and packing hold a lock: JupyterLab may ask for the state from another thread while a decode appends.
    """

    def __init__(
        self, texts: Sequence[str], phases: Sequence[str], layers: Mapping[str, Layer], epoch: int = 0
    ) -> None:
        if "phase" in layers:
            raise ParameterError("A layer cannot be named 'phase': that is the column of phases. Choose another name.")
        self.epoch = epoch
        self.layers = dict(layers)
        self.texts: list[str] = []
        self._phase_names: list[str] = []
        self._codes = bytearray()
        self._rows = np.empty((0, len(layers)), dtype=np.float32)  # (capacity, L)
        self._lock = threading.Lock()
        self.append(texts, phases, {name: layer.values for name, layer in layers.items()})

    def __len__(self) -> int:
        return len(self.texts)

    def append(self, texts: Sequence[str], phases: Sequence[str], values: Mapping[str, npt.ArrayLike]) -> int:
        """Add tokens at the end; returns how many there were before.

        Raises:
            ParameterError: columns of different lengths, or other layers than the strip was made with.
        """
        rows = self._stacked(len(texts), values)
        if len(phases) != len(texts):
            raise ParameterError(f"{len(texts)} texts but {len(phases)} phases; give one phase a token.")
        with self._lock:
            codes = self._encoded(phases)
            start, end = len(self.texts), len(self.texts) + len(texts)
            if end > len(self._rows):
                grown = np.empty((max(end, 2 * len(self._rows)), len(self.layers)), dtype=np.float32)
                grown[:start] = self._rows[:start]
                self._rows = grown
            self._rows[start:end] = rows
            self._codes.extend(codes)
            self.texts.extend(_encodable(text) for text in texts)
        return start

    def packed(self, start: int = 0) -> dict[str, Any]:
        """Tokens from `start` on: `texts` as a list, `codes` (n,) uint8 and `values` (n, L) float32 as bytes."""
        with self._lock:
            return {
                "epoch": self.epoch,
                "start": start,
                "texts": self.texts[start:],
                "phases": list(self._phase_names),
                "layers": [layer.described(name) for name, layer in self.layers.items()],
                "codes": bytes(self._codes[start:]),
                "values": self._rows[start : len(self.texts)].astype("<f4").tobytes(),
            }

    def _stacked(self, count: int, values: Mapping[str, npt.ArrayLike]) -> npt.NDArray[np.float32]:
        if set(values) != set(self.layers):
            raise ParameterError(
                f"The strip has the layers {sorted(self.layers)}, the values are for {sorted(values)}."
            )
        rows = np.empty((count, len(self.layers)), dtype=np.float32)
        for column, name in enumerate(self.layers):
            layer = np.asarray(values[name], dtype=np.float64)
            if layer.shape != (count,):
                raise ParameterError(f"Layer {name!r} has shape {layer.shape}, but there are {count} texts.")
            rows[:, column] = layer
        return rows

    def _encoded(self, phases: Sequence[str]) -> bytes:
        known = {name: code for code, name in enumerate(self._phase_names)}
        codes = [known.setdefault(phase, len(known)) for phase in phases]
        if len(known) > MAX_PHASES:
            raise ParameterError(f"{len(known)} different phases; a strip can tell {MAX_PHASES} apart.")
        self._phase_names = list(known)
        return bytes(codes)


def _encodable(text: str) -> str:
    """The text, with lone surrogates (which no JSON message can carry) replaced by U+FFFD."""
    if text.isascii():
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
