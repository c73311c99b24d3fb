"""The weight files of a model's folder: which they are, whether they are whole, and what tensors they hold."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workbench.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

SINGLE = "model.safetensors"
INDEX = "model.safetensors.index.json"
PICKLED = (".bin", ".pt", ".pth", ".ckpt", ".pkl")
_PICKLED_NAMES = ("pytorch_model.bin", "pytorch_model.bin.index.json")
_POINTER = b"version https://git-lfs"
_MOST_HEADER = 100 * 2**20
"""The format's own limit on a header."""


@dataclass(frozen=True)
class Tensor:
    """One tensor of a weight file, from its header."""

    dtype: str
    """As safetensors writes it: F32, BF16, I8 ..."""
    shape: tuple[int, ...]

    @property
    def count(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)


@dataclass(frozen=True)
class Weights:
    """The weight files of a folder."""

    files: tuple[Path, ...]
    pickled: bool


def find_weights(folder: Path, name: str, *, allow_pickle: bool) -> Weights:
    """The files that hold the weights; safetensors before anything else.

    Raises:
        ModelError: none, shards missing, or only pickled ones without `allow_pickle`.
    """
    if (folder / INDEX).is_file():
        return Weights(_shards(folder, name), pickled=False)
    if (folder / SINGLE).is_file():
        return Weights((folder / SINGLE,), pickled=False)
    wanted = weight_names((path.name for path in folder.iterdir()), name, allow_pickle=allow_pickle)
    return Weights(tuple(folder / file for file in wanted if not file.endswith(".json")), pickled=True)


def weight_names(names: Iterable[str], name: str, *, allow_pickle: bool) -> list[str]:
    """Of a folder's file names those that hold weights, where the safetensors names are the standard ones.

    Raises:
        ModelError: none, or only pickled ones without `allow_pickle`.
    """
    found = sorted(names)
    if SINGLE in found:
        return [SINGLE]
    pickled = [file for file in found if file.endswith(PICKLED) and "training_args" not in file]
    loadable = [file for file in found if file.startswith("pytorch_model") and ".bin" in file]
    if pickled and not allow_pickle:
        raise ModelError(
            f"{name} has pickled weights only ({pickled[0]}), and unpickling can run any code. Look for a version in "
            "safetensors, or convert it where you trust it: model.save_pretrained(folder). If you trust this file: "
            "wb.load(..., allow_pickle=True)."
        )
    if allow_pickle and any(file in _PICKLED_NAMES for file in loadable):
        return loadable
    other = next(
        (file for file in found if file.endswith((".gguf", ".h5", ".msgpack", ".onnx", *PICKLED, ".safetensors"))), None
    )
    hint = f" {other} is there, but transformers looks for {SINGLE}." if other else ""
    raise ModelError(f"{name} holds no weights ({SINGLE} or {INDEX}).{hint} Is the download complete?")


def read_tensors(path: Path) -> list[Tensor]:
    """The tensors of a safetensors file, from its header alone; the file's length is held against it.

    Format: 8 bytes header length N (little endian), N bytes of JSON, then the data (huggingface/safetensors, README).

    Raises:
        ModelError: truncated, corrupt, or only a pointer of git-lfs.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(8)
        if start == _POINTER[:8] and (start + file.read(len(_POINTER) - 8)) == _POINTER:
            raise ModelError(f"{path} is only a git-lfs pointer to the weights. Run `git lfs pull` in its folder.")
        length = int.from_bytes(start, "little")
        if size < 8 or length > _MOST_HEADER or 8 + length > size:
            raise ModelError(f"{path} is truncated or no safetensors file ({size:,} bytes). Download or copy it again.")
        header = _parse(file.read(length), path)
    end = 8 + length + max((entry["data_offsets"][1] for entry in header.values()), default=0)
    if size != end:
        state = "truncated" if size < end else "corrupt"
        raise ModelError(f"{path} is {state}: {size:,} bytes where its header says {end:,}. Download or copy it again.")
    return [Tensor(entry["dtype"], tuple(entry["shape"])) for entry in header.values()]


def _parse(raw: bytes, path: Path) -> dict[str, Any]:
    try:
        header = json.loads(raw)
        header.pop("__metadata__", None)
        for entry in header.values():
            Tensor(entry["dtype"], tuple(entry["shape"]))
            int(entry["data_offsets"][1])
    except (ValueError, AttributeError, KeyError, TypeError, IndexError) as error:
        raise ModelError(f"The header of {path} is corrupt. Download or copy the file again.") from error
    return header


def listed_shards(folder: Path, name: str) -> list[str]:
    """The weight files the folder's index names, whether they are there or not.

    Raises:
        ModelError: an index that cannot be read.
    """
    try:
        return sorted(set(json.loads((folder / INDEX).read_text())["weight_map"].values()))
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise ModelError(f"{INDEX} of {name} cannot be read: {error}. Download or copy it again.") from error


def _shards(folder: Path, name: str) -> tuple[Path, ...]:
    shards = listed_shards(folder, name)
    missing = [shard for shard in shards if not (folder / shard).is_file()]
    if missing:
        raise ModelError(
            f"{name} lacks {len(missing)} of its {len(shards)} weight files: {', '.join(missing[:3])}"
            f"{' ...' if len(missing) > 3 else ''}. Download or copy them into {folder}."
        )
    return tuple(folder / shard for shard in shards)
