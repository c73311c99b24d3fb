"""What a user may name as a model: a bundled one, a folder, a model on the hub."""

from __future__ import annotations

import difflib
import os
import re
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import try_to_load_from_cache

from workbench import locations
from workbench.errors import ModelError

_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
_WORD = re.compile(r"\w[\w.-]*")
_LOOKS_LIKE_A_PATH = re.compile(r"^[./~\\]|\\|/.*/|^[A-Za-z]:")


@dataclass(frozen=True)
class Source:
    """Where a model is to be loaded from."""

    name: str
    """As the user wrote it."""
    folder: Path | None
    """The folder, or None for a model on the hub."""


def bundled_names() -> tuple[str, ...]:
    """The names of the models that come with the workbench."""
    if not locations.MODELS.is_dir():
        return ()
    return tuple(sorted(path.name for path in locations.MODELS.iterdir() if (path / "config.json").is_file()))


def resolve(source: str | os.PathLike[str]) -> Source:
    """Decide what `source` means: a bundled name first, then a folder that exists, then a hub id (owner/name).

    Raises:
        ModelError: it is none of these; the bundled names are listed, those that are close first.
    """
    name = os.fspath(source)
    if isinstance(source, str) and name in bundled_names():
        return Source(name, locations.MODELS / name)
    path = Path(name).expanduser()
    if name and path.is_dir():
        return Source(name, path)
    if name and path.exists():
        raise ModelError(
            f"{name} is a file. Give the folder that holds the model's config.json, tokenizer and weights."
        )
    if not isinstance(source, str) or _LOOKS_LIKE_A_PATH.search(name):
        raise ModelError(f"There is no folder {name}. Give a folder with a model's config.json, tokenizer and weights.")
    if _HUB_ID.fullmatch(name) or _is_cached(name):
        return Source(name, None)
    raise ModelError(_unknown(name))


def _is_cached(name: str) -> bool:
    """Old hub ids have no owner; such a word is taken for one only where that model has been downloaded."""
    if not _WORD.fullmatch(name):
        return False
    return isinstance(try_to_load_from_cache(name, "config.json"), str)


def _unknown(name: str) -> str:
    names = bundled_names()
    close = difflib.get_close_matches(name, names, n=2)
    guess = f" Did you mean {' or '.join(map(repr, close))}?" if close else ""
    return (
        f"{name!r} is no bundled model, no folder and no hub id.{guess} Bundled are: {', '.join(names) or 'none'}. "
        "A folder is given by its path (./my-model), a model on the hub as owner/name (Qwen/Qwen3-0.6B)."
    )
