"""How much memory a model will take, from its files' headers, against how much there is."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import torch

from workbench.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from workbench.models.weights import Tensor

_BITS = re.compile(r"\d+")
_OVERHEAD = 1.1
"""Buffers, the largest shard in passing, a short cache."""
_QUANTIZED_BYTES = {"4bit": 0.57, "8bit": 1.02}
"""Bytes a weight of a quantised matrix: the bits themselves and the block or row scales (4-bit: one float32 in 64)."""


@dataclass(frozen=True)
class MemoryEstimate:
    """What loading a model would take."""

    name: str
    parameters: int
    dtype: str
    """What the weights would be held in; "4bit" or "8bit" when quantised."""
    device: str
    needed: int
    """Bytes: the weights and a tenth more."""
    available: int | None
    """Bytes free on the device now, or None where that cannot be known."""

    @property
    def fits(self) -> bool:
        """Whether there is enough; unknown counts as enough."""
        return self.available is None or self.needed <= self.available

    def to_frame(self) -> pl.DataFrame:
        """One row: name, parameters, dtype, device, needed, available, fits."""
        names = ("name", "parameters", "dtype", "device", "needed", "available", "fits")
        return pl.DataFrame(
            [{field: getattr(self, field) for field in names}], schema_overrides={"available": pl.Int64}
        )

    def check(self) -> None:
        """Nothing when it fits.

        Raises:
            ModelError: it does not; both amounts and what to try are named.
        """
        if self.fits or self.available is None:
            return
        raise ModelError(
            f"{self.name} needs about {_size(self.needed)} in {self.dtype} on {self.device}, and "
            f"{_size(self.available)} are free. Try {', '.join(self._remedies())}, close what else holds "
            "memory, or take a smaller model."
        )

    def _remedies(self) -> list[str]:
        remedies = ["dtype='bfloat16'"] if self.dtype == "float32" else []
        remedies += ["quantization='4bit'"] if self.dtype != "4bit" else []
        return [*remedies, f"device='{'cpu' if self.device != 'cpu' else 'cuda'}' if there is more memory"]


def estimate_tensors(
    name: str,
    tensors: Iterable[Tensor],
    *,
    device: torch.device,
    dtype: str | None,
    quantization: str | None,
    vocabulary: int | None,
) -> MemoryEstimate:
    """Bytes = sum over tensors of elements times the bytes of an element, times 1.1.

    Args:
        name: What the model is called in messages.
        tensors: Of the weight files' headers.
        device: Where it would go.
        dtype: What floating tensors are turned into, such as "bfloat16"; None leaves them as they are stored.
        quantization: "4bit" or "8bit" for matrices other than those with a side of `vocabulary` (embeddings and head).
        vocabulary: See `quantization`.
    """
    tensors = list(tensors)
    target = getattr(torch, dtype).itemsize if dtype else None
    needed = 0.0
    for tensor in tensors:
        if quantization and len(tensor.shape) >= 2 and vocabulary not in tensor.shape:
            needed += tensor.count * _QUANTIZED_BYTES[quantization]
        else:
            needed += tensor.count * _bytes(tensor.dtype, target)
    held = quantization or dtype or _commonest(tensors)
    parameters = sum(tensor.count for tensor in tensors)
    return MemoryEstimate(name, parameters, held, str(device), int(needed * _OVERHEAD), available_memory(device))


def available_memory(device: torch.device) -> int | None:
    """Bytes free on `device`, or None where that cannot be known."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    if device.type == "mps":
        return int(torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory())
    found = [amount for amount in (_system_memory(), _container_memory()) if amount is not None]
    return min(found, default=None)


def _system_memory() -> int | None:
    meminfo = Path("/proc/meminfo")
    if meminfo.is_file():
        found = re.search(r"^MemAvailable:\s+(\d+) kB", meminfo.read_text(), re.MULTILINE)
        if found:
            return int(found[1]) * 1024
    if "SC_PHYS_PAGES" in getattr(os, "sysconf_names", {}):  # all there is, not what is free: better than nothing
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return None


def _container_memory(group: Path = Path("/sys/fs/cgroup")) -> int | None:
    """What a container's own limit leaves (control groups, version 2); file cache counts as free."""
    try:
        limit = (group / "memory.max").read_text().strip()
        used = int((group / "memory.current").read_text())
        cache = re.search(r"^inactive_file (\d+)", (group / "memory.stat").read_text(), re.MULTILINE)
    except (OSError, ValueError):
        return None
    return None if limit == "max" else max(int(limit) - used + (int(cache[1]) if cache else 0), 0)


def _bytes(stored: str, target: int | None) -> float:
    found = _BITS.search(stored)
    own = int(found[0]) / 8 if found else 1.0  # BOOL has no number
    return target if target is not None and stored in {"F64", "F32", "F16", "BF16"} else own


def _commonest(tensors: Iterable[Tensor]) -> str:
    names = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16"}
    counts: dict[str, int] = {}
    for tensor in tensors:
        counts[tensor.dtype] = counts.get(tensor.dtype, 0) + tensor.count
    most = max(counts, key=lambda stored: counts[stored], default="F32")
    return names.get(most, most.lower())


def _size(amount: int) -> str:
    for unit, factor in (("GB", 1e9), ("MB", 1e6)):
        if amount >= factor:
            return f"{amount / factor:.1f} {unit}"
    return f"{amount / 1e3:.0f} kB"
