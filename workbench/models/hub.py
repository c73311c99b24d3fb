"""Bring a model from the hub into huggingface_hub's cache and give its folder.

Small files first, so that remote code, pickled weights and models too large for the machine are refused before
gigabytes travel. What is in the cache already needs no network.
"""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from huggingface_hub import HfApi, errors, snapshot_download, try_to_load_from_cache
from huggingface_hub.utils.tqdm import tqdm

from workbench.errors import ModelError, WorkbenchError
from workbench.models.weights import INDEX, SINGLE, Tensor, listed_shards, weight_names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_SMALL = ("*.json", "*.jinja", "*.txt", "*.model", "*.tiktoken")


def fetch_description(name: str, *, revision: str | None, token: str | None, code: bool) -> Path:
    """The snapshot folder with everything but the weights; the folder's name is the commit.

    Raises:
        ModelError: no such model or revision, no access, or no network and nothing in the cache.
    """
    patterns = [*_SMALL, "*.py"] if code else [*_SMALL]
    with _explained(name, revision):
        try:
            return Path(
                snapshot_download(
                    name, revision=revision, token=token, allow_patterns=patterns, ignore_patterns=["*/*"]
                )
            )
        except errors.LocalEntryNotFoundError:
            # A cache that other programs filled may lack files that do not matter here.
            cached = try_to_load_from_cache(name, "config.json", revision=revision)
            if not isinstance(cached, str):
                raise
            return Path(cached).parent


def fetch_weights(
    name: str,
    folder: Path,
    *,
    token: str | None,
    allow_pickle: bool,
    check: Callable[[list[Tensor]], None],
    stop: Callable[[], bool],
) -> None:
    """Put the weights beside the description, after `check` has seen which tensors they hold, until `stop` says True.

    Raises:
        ModelError: none, or pickled ones only; no network; it was stopped; whatever `check` raises.
    """
    wanted = listed_shards(folder, name) if (folder / INDEX).is_file() else [SINGLE]
    if all((folder / file).is_file() for file in wanted):
        return
    api = HfApi(token=token)
    with _explained(name, folder.name):
        try:
            names = [file for file in api.list_repo_files(name, revision=folder.name) if "/" not in file]
        except Exception:
            if any(folder.glob("*.bin")):  # pickled weights in the cache: whether they may be read is decided by others
                return
            raise
    if INDEX not in names:
        wanted = weight_names(names, name, allow_pickle=allow_pickle)
    check(remote_tensors(name, folder, token=token))
    with _explained(name, folder.name):
        snapshot_download(
            name, revision=folder.name, token=token, allow_patterns=wanted, tqdm_class=_ending(name, stop)
        )


def stopped(name: str) -> ModelError:
    """What is raised once somebody has asked for an end."""
    return ModelError(f"Loading {name} was stopped. Load it again to go on; what was downloaded stays in the cache.")


def _ending(name: str, stop: Callable[[], bool]) -> type[tqdm]:
    """A progress bar that ends the download: huggingface_hub asks nobody else between two chunks of a file."""

    class Ending(tqdm):
        def update(self, n: float | None = 1) -> bool | None:
            if stop():
                raise stopped(name)
            return super().update(n)

    return Ending


def remote_tensors(name: str, folder: Path, *, token: str | None) -> list[Tensor]:
    """The tensors of a model on the hub, from the headers of its weight files; none where they are pickled."""
    with _explained(name, folder.name):
        try:
            found = HfApi(token=token).get_safetensors_metadata(name, revision=folder.name)
        except errors.NotASafetensorsRepoError:
            return []
    headers = found.files_metadata.values()
    return [Tensor(tensor.dtype, tuple(tensor.shape)) for header in headers for tensor in header.tensors.values()]


@contextmanager
def _explained(name: str, revision: str | None) -> Iterator[None]:
    """Turn what the hub's client raises into errors that say what to do."""
    at = f" at revision {revision!r}" if revision else ""
    try:
        yield
    except WorkbenchError:
        raise
    except errors.GatedRepoError as error:
        raise ModelError(
            f"{name} is gated: ask for access on https://huggingface.co/{name}, then log in with `hf auth login`."
        ) from error
    except (errors.RepositoryNotFoundError, errors.HFValidationError) as error:
        raise ModelError(
            f"The hub has no model {name!r}, or it is private. Check the spelling (owner/name); "
            "for a private one log in with `hf auth login`, or pass token=."
        ) from error
    except errors.RevisionNotFoundError as error:
        raise ModelError(f"{name} has no revision {revision!r}. Give a branch, a tag or a full commit hash.") from error
    except Exception as error:  # the http client's own errors differ from version to version
        offline = isinstance(error, errors.OfflineModeIsEnabled) or isinstance(
            error.__cause__, errors.OfflineModeIsEnabled
        )
        why = (
            "HF_HUB_OFFLINE is set"
            if offline
            else f"the hub cannot be reached ({_first_line(error.__cause__ or error)})"
        )
        raise ModelError(
            f"{name}{at} is not complete in the local cache, and {why}. Connect once to download it, "
            "or load a bundled model (wb.load('demo')) or a folder."
        ) from error


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
