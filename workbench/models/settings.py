"""The settings of a load: device, dtype and quantization, checked against this machine before anything is read."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from typing import Any

import torch

from workbench.errors import MissingPackageError, ModelError, ParameterError

_DTYPES = ("float32", "bfloat16", "float16", "float64")
QUANTIZATIONS = ("4bit", "8bit")


@dataclass(frozen=True)
class Settings:
    """How a model is to be loaded."""

    device: torch.device
    dtype: str | None
    """A dtype's name, or None: as the model was saved."""
    quantization: str | None
    """4bit, 8bit or None."""


def choose(device: str | torch.device, dtype: str | torch.dtype, quantization: str | None) -> Settings:
    """The settings as this machine can carry them out.

    Raises:
        ParameterError: a setting that does not exist.
        ModelError: a device that is not there.
        MissingPackageError: quantization without its packages.
    """
    require_quantization(quantization)
    return Settings(choose_device(device), choose_dtype(dtype), quantization)


def choose_device(device: str | torch.device) -> torch.device:
    """The device meant; "auto" is cuda where there is one, else mps, else cpu.

    Raises:
        ParameterError: no device of that name.
        ModelError: this machine has no such device.
    """
    mps = torch.backends.mps.is_available()
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "mps" if mps else "cpu")
    try:
        chosen = torch.device(device)
    except (RuntimeError, TypeError) as error:
        raise ParameterError(f"device={device!r}: give 'auto', 'cpu', 'cuda', 'cuda:1' or 'mps'.") from error
    if chosen.type == "cuda" and (chosen.index or 0) >= torch.cuda.device_count():
        raise ModelError(
            f"device={device!r}: this machine has {torch.cuda.device_count()} CUDA devices. Try device='auto'."
        )
    if chosen.type == "mps" and not mps:
        raise ModelError("device='mps': this machine has none. Try device='auto'.")
    return chosen


def choose_dtype(dtype: str | torch.dtype) -> str | None:
    """The dtype's name, or None for "auto": as the model was saved.

    Raises:
        ParameterError: no floating dtype of that name.
    """
    name = str(dtype).removeprefix("torch.")
    if name == "auto":
        return None
    if name not in _DTYPES:
        raise ParameterError(f"dtype={dtype!r}: give 'auto' or one of {', '.join(_DTYPES)}.")
    return name


def require_quantization(quantization: str | None) -> None:
    """Whether that quantization can be tried.

    Raises:
        ParameterError: another word.
        MissingPackageError: bitsandbytes or accelerate is not installed.
    """
    if quantization is None:
        return
    if quantization not in QUANTIZATIONS:
        raise ParameterError(f"quantization={quantization!r}: give '4bit', '8bit' or None.")
    for package in ("bitsandbytes", "accelerate"):
        if not is_installed(package):
            raise MissingPackageError(
                f"quantization={quantization!r} needs {package}: pip install 'entropy-workbench[quantized]'"
            )


def quantization_config(settings: Settings) -> Any:  # noqa: ANN401  -- transformers is untyped
    """The BitsAndBytesConfig of transformers for "4bit" (NF4) or "8bit", or None."""
    if settings.quantization is None:
        return None
    from transformers import BitsAndBytesConfig  # noqa: PLC0415  -- wanted here only, and slow to import

    if settings.quantization == "8bit":
        return BitsAndBytesConfig(load_in_8bit=True)
    compute = getattr(torch, settings.dtype or "bfloat16")
    return BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=compute)


def is_installed(package: str) -> bool:
    """Whether a package can be imported, without importing it."""
    try:
        return importlib.util.find_spec(package) is not None
    except (ImportError, ValueError):  # set to None in sys.modules: blocked
        return False
