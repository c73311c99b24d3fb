"""Accelerator, memory, cores and threads."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from workbench.doctor.check import OK, WARN, Check
from workbench.kernels.parallel import thread_count
from workbench.models.memory import available_memory

if TYPE_CHECKING:
    from collections.abc import Iterator

LITTLE_MEMORY = 2 * 10**9
"""Bytes; the bundled models, JupyterLab and a browser need about so many together."""


def check_machine() -> Iterator[Check]:
    """Accelerator, memory, cores and threads."""
    yield check_accelerator()
    yield check_memory(available_memory(torch.device("cpu")))
    yield check_threads(usable_cores(), torch.get_num_threads(), thread_count())


def check_accelerator() -> Check:
    """Where models run by default, and what that means for their size."""
    if torch.cuda.is_available():
        free, total = torch.cuda.mem_get_info(0)
        many = torch.cuda.device_count()
        found = f"cuda: {torch.cuda.get_device_name(0)}, {free / 1e9:.0f} of {total / 1e9:.0f} GB free"
        return Check("accelerator", OK, found + (f", the first of {many}" if many > 1 else ""))
    if torch.backends.mps.is_available():
        return Check("accelerator", OK, "mps: Apple's GPU, which shares this machine's memory")
    if shutil.which("nvidia-smi"):
        built = f"built for CUDA {torch.version.cuda}" if torch.version.cuda else "built for the CPU alone"
        remedy = "Run nvidia-smi; if it lists a device, install the torch for its driver (pytorch.org, Get started)."
        return Check("accelerator", WARN, f"a GPU's driver is here, but torch, {built}, finds no device", remedy)
    found = "none: models run on the CPU, which suits the bundled ones and is slow above about 1 billion parameters"
    return Check("accelerator", OK, found)


def check_memory(free: int | None) -> Check:
    """Memory that is free for models."""
    if free is None:
        return Check("memory", OK, "how much is free cannot be known here")
    found = f"{free / 1e9:.1f} GB free"
    if free >= LITTLE_MEMORY:
        return Check("memory", OK, found)
    return Check("memory", WARN, found, "Close other programs: JupyterLab with a bundled model takes about 2 GB.")


def usable_cores(group: Path = Path("/sys/fs/cgroup/cpu.max")) -> float:
    """Cores this process may use: those it may run on, and of their time what a container's quota leaves."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = group.read_text().split()
        return min(float(allowed), int(quota) / int(period))
    except (OSError, ValueError):  # no control groups, or "max": no quota
        return float(allowed)


def check_threads(cores: float, torch_threads: int, numba_threads: int) -> Check:
    """Threads against cores: with more, they wait for each other and spin while they do."""
    set_to = os.environ.get("OMP_NUM_THREADS")
    found = f"{cores:g} cores, {torch_threads} torch threads, {numba_threads} kernel threads"
    found += f", OMP_NUM_THREADS={set_to}" if set_to else ""
    if max(torch_threads, numba_threads) > max(1.0, cores):
        whole = max(1, int(cores))
        return Check("cores", WARN, found, f"export OMP_NUM_THREADS={whole} NUMBA_NUM_THREADS={whole} before starting.")
    return Check("cores", OK, found)
