"""What a model would take before it is loaded: memory, disk or download; and how far a download has come."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from huggingface_hub import constants

from workbench.errors import ModelError
from workbench.models import estimate
from workbench.models.hub import fetch_description, remote_tensors
from workbench.models.memory import available_memory
from workbench.models.sources import resolve
from workbench.models.weights import find_weights

if TYPE_CHECKING:
    from widgets.panels.model_form import ModelRequest
    from workbench.models import MemoryEstimate
    from workbench.models.weights import Tensor

_BITS = {"F64": 64, "I64": 64, "U64": 64, "F32": 32, "I32": 32, "U32": 32, "F16": 16, "BF16": 16, "I16": 16, "U16": 16}


@dataclass(frozen=True)
class Fit:
    """What loading would take."""

    memory: MemoryEstimate
    weights: int
    """Bytes of the weight files."""
    download: bool
    """Whether they have yet to come from the hub."""

    def now(self) -> Fit:
        """The same with the memory that is free now."""
        free = available_memory(torch.device(self.memory.device))
        return replace(self, memory=replace(self.memory, available=free))


def measure_fit(request: ModelRequest) -> Fit:
    """Look at headers only; a model on the hub is asked about there, unless it is in the cache.

    Raises:
        WorkbenchError: as `workbench.models.estimate`.
    """
    memory = estimate(**request.arguments())
    found = resolve(request.source)
    folder = found.folder or fetch_description(found.name, revision=request.revision, token=None, code=False)
    try:
        files = find_weights(folder, found.name, allow_pickle=False).files
    except ModelError:
        tensors = remote_tensors(found.name, folder, token=None)
        return Fit(memory, sum(_bytes(tensor) for tensor in tensors), download=True)
    return Fit(memory, sum(file.stat().st_size for file in files), download=False)


def downloaded(source: str) -> int:
    """Bytes of that model in the hub's cache on this machine, unfinished files included."""
    blobs = Path(constants.HF_HUB_CACHE) / f"models--{source.replace('/', '--')}" / "blobs"
    total = 0
    for file in blobs.glob("*"):
        try:
            total += file.stat().st_size
        except OSError:  # an unfinished file that has just been given its name
            continue
    return total


def _bytes(tensor: Tensor) -> int:
    return tensor.count * _BITS.get(tensor.dtype, 8) // 8
