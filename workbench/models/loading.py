"""Load a causal language model: a bundled one, a folder, or a model on the hub."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging as transformers_logging

from workbench.errors import ModelError, WorkbenchError
from workbench.models import folder as folders
from workbench.models import hub, sources
from workbench.models.memory import MemoryEstimate, estimate_tensors
from workbench.models.settings import Settings, choose, is_installed, quantization_config
from workbench.models.weights import INDEX, SINGLE, Tensor, Weights, find_weights, read_tensors
from workbench.models.wrapping import describe
from workbench.stopping import asked_by

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator
    from pathlib import Path

    from workbench.models.language_model import LanguageModel
    from workbench.stopping import Stop

_ONE_AT_A_TIME = threading.Lock()
"""transformers sets process-wide state while it loads: two at once lose weights."""


def load(
    source: str | os.PathLike[str] = "demo",
    *,
    device: str | torch.device = "auto",
    dtype: str | torch.dtype = "auto",
    revision: str | None = None,
    quantization: str | None = None,
    trust_remote_code: bool = False,
    allow_pickle: bool = False,
    token: str | None = None,
    stop: Stop | None = None,
) -> LanguageModel:
    """Load a causal language model and its tokenizer through transformers.

    Args:
        source: A bundled model's name, a folder, or a hub id (owner/name), tried in this order. Bundled models and
            folders never touch the network.
        device: "auto" is cuda where there is one, else mps, else cpu.
        dtype: "auto" is what the model was saved in; "float32", "bfloat16", "float16" or a torch dtype.
        revision: Branch, tag or commit, for hub ids.
        quantization: "4bit" or "8bit" through bitsandbytes, or None.
        trust_remote_code: Whether to run Python code that comes with the model.
        allow_pickle: Whether to read pickled weights where there are no others.
        token: For private models on the hub; None takes the one you are logged in with.
        stop: An event, or a function that says True, after which a download ends and no weights are read; what has
            come of a file stays, and the next download goes on from there.

    Raises:
        ModelError: it cannot be found, is refused, damaged, too large for the machine, or no causal language model;
            or it was stopped.
        MissingPackageError: quantization without its packages.
        ParameterError: a setting that does not exist.
    """
    settings, halt = choose(device, dtype, quantization), asked_by(stop)
    name, folder, commit = _locate(source, revision, token, code=trust_remote_code)
    config = folders.read_config(folder, name)
    folders.check_config(config, name, trust_remote_code=trust_remote_code)

    def check(tensors: list[Tensor]) -> None:
        _estimate(name, config, tensors, settings).check()

    if commit is not None:
        hub.fetch_weights(name, folder, token=token, allow_pickle=allow_pickle, check=check, stop=halt)
    weights = find_weights(folder, name, allow_pickle=allow_pickle)
    check(_tensors(weights))
    folders.check_tokenizer(folder, name)
    remote: dict[str, Any] = {
        "trust_remote_code": trust_remote_code,
        # Code may lie in another repository on the hub; all else is in the folder by now.
        "local_files_only": commit is None or not trust_remote_code,
    }
    with _ONE_AT_A_TIME, _quietly(), _explained(name, quantization):
        if halt():
            raise hub.stopped(name)
        tokenizer = AutoTokenizer.from_pretrained(folder, **remote)
        model = _load_weights(name, folder, weights, settings, remote)
    return describe(model, tokenizer, name=name, revision=commit, quantization=quantization)


def estimate(
    source: str | os.PathLike[str] = "demo",
    *,
    device: str | torch.device = "auto",
    dtype: str | torch.dtype = "auto",
    revision: str | None = None,
    quantization: str | None = None,
    token: str | None = None,
) -> MemoryEstimate:
    """How much memory `load` with these settings would need, and how much there is. Reads headers, never weights.

    Raises:
        ModelError: it cannot be found or has no safetensors weights.
        ParameterError: a setting that does not exist.
    """
    settings = choose(device, dtype, quantization)
    name, folder, commit = _locate(source, revision, token, code=False)
    config = folders.read_config(folder, name)
    there = (folder / SINGLE).is_file() or (folder / INDEX).is_file()
    if commit is not None and not there:
        tensors = hub.remote_tensors(name, folder, token=token)
    else:
        tensors = _tensors(find_weights(folder, name, allow_pickle=False))
    return _estimate(name, config, tensors, settings)


def _locate(
    source: str | os.PathLike[str], revision: str | None, token: str | None, *, code: bool
) -> tuple[str, Path, str | None]:
    """Name, folder, and for models on the hub the commit."""
    found = sources.resolve(source)
    if found.folder is None:
        folder = hub.fetch_description(found.name, revision=revision, token=token, code=code)
        return found.name, folder, folder.name
    if revision is not None:
        raise ModelError(f"{found.name} is a folder on this machine; revision={revision!r} goes with hub ids only.")
    return found.name, found.folder, None


def _tensors(weights: Weights) -> list[Tensor]:
    if weights.pickled:  # nothing is known before unpickling but the size
        return [Tensor("U8", (sum(file.stat().st_size for file in weights.files),))]
    return [tensor for file in weights.files for tensor in read_tensors(file)]


def _estimate(name: str, config: dict[str, Any], tensors: list[Tensor], settings: Settings) -> MemoryEstimate:
    declared = config.get("dtype") or config.get("torch_dtype")
    kept = settings.dtype or (declared if isinstance(declared, str) and "quantization_config" not in config else None)
    return estimate_tensors(
        name,
        tensors,
        device=settings.device,
        dtype=kept if isinstance(getattr(torch, kept or "", None), torch.dtype) else None,
        quantization=settings.quantization,
        vocabulary=config.get("vocab_size"),
    )


def _load_weights(
    name: str,
    folder: Path,
    weights: Weights,
    settings: Settings,
    remote: dict[str, Any],
) -> Any:  # noqa: ANN401  -- transformers is untyped
    device, quantizer = settings.device, quantization_config(settings)
    # With accelerate the weights go straight to the device, without passing through this machine's memory first.
    direct = quantizer is not None or (device.type != "cpu" and is_installed("accelerate"))
    model, report = AutoModelForCausalLM.from_pretrained(
        folder,
        dtype=settings.dtype or "auto",
        use_safetensors=not weights.pickled,
        quantization_config=quantizer,
        device_map={"": device} if direct else None,
        output_loading_info=True,
        **remote,
    )
    missing = sorted({*report["missing_keys"], *(key for key, *_ in report["mismatched_keys"])})
    if missing:
        some = ", ".join(missing[:3]) + (" ..." if len(missing) > 3 else "")
        raise ModelError(
            f"The weights of {name} do not match its config.json: {len(missing)} tensors it needs are not in the "
            f"files ({some}). They would have been random numbers."
        )
    return (model if direct else model.to(device)).eval().requires_grad_(requires_grad=False)


@contextmanager
def _explained(name: str, quantization: str | None) -> Iterator[None]:
    """What transformers raises, under our own name, with its first line kept."""
    try:
        yield
    except WorkbenchError:
        raise
    except torch.OutOfMemoryError as error:
        raise ModelError(
            f"The device's memory ran out while loading {name}. Try dtype='bfloat16' or device='cpu'."
        ) from error
    except json.JSONDecodeError as error:
        raise ModelError(f"A JSON file of {name} is broken: {error}. Download or copy it again.") from error
    except Exception as error:
        lines = (str(error).strip() or type(error).__name__).splitlines()
        if "trust_remote_code" in str(error):
            raise ModelError(
                f"The tokenizer of {name} brings its own Python code, which would run on this machine. Read it first; "
                "if you trust it: wb.load(..., trust_remote_code=True)."
            ) from error
        if quantization:
            raise ModelError(
                f"{name} cannot be quantised to {quantization} here: {lines[0]} Try quantization=None."
            ) from error
        raise ModelError(f"transformers cannot load {name}: {lines[0]}") from error


@contextmanager
def _quietly() -> Iterator[None]:
    """No progress bars and no remarks while a folder is read; what matters is raised."""
    verbosity, bars = transformers_logging.get_verbosity(), transformers_logging.is_progress_bar_enabled()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(verbosity)
        if bars:
            transformers_logging.enable_progress_bar()
