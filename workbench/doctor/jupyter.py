"""JupyterLab's extensions that draw the panels: there, not switched off, and of the versions their packages brought."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jupyter_core.paths import jupyter_config_path, jupyter_path

from workbench.doctor.check import FAIL, OK, WARN, Check

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


@dataclass(frozen=True)
class Extension:
    """A lab extension and the Python package that brings it."""

    name: str
    package: str
    needed: bool
    """Whether the panels show nothing without it."""


EXTENSIONS = (
    Extension("@jupyter-widgets/jupyterlab-manager", "jupyterlab_widgets", needed=True),
    Extension("anywidget", "anywidget", needed=True),
    Extension("jupyterlab-plotly", "plotly", needed=False),
)


def check_extensions() -> Iterator[Check]:
    """Every extension, as JupyterLab of this environment would find it."""
    folders = [Path(folder) for folder in jupyter_path("labextensions")]
    disabled = disabled_extensions([Path(folder) for folder in jupyter_config_path()])
    for extension in EXTENSIONS:
        yield check_extension(extension, folders, brought(extension), disabled)


def check_extension(
    extension: Extension, folders: Sequence[Path], brought: str | None, disabled: frozenset[str]
) -> Check:
    """One extension.

    Args:
        extension: which.
        folders: where JupyterLab looks, first to last; the first copy is the one it loads.
        brought: the version in the installed Python package, None where that is not known.
        disabled: names of extensions that are switched off.
    """
    name = f"lab {extension.name.rpartition('/')[2]}"
    missing = FAIL if extension.needed else WARN
    again = f"pip install --force-reinstall {extension.package}, restart JupyterLab and reload the page."
    if extension.name in disabled:
        return Check(name, missing, "switched off", f"jupyter labextension enable {extension.name}")
    folder = next((one for one in folders if (one / extension.name / "package.json").is_file()), None)
    if folder is None:
        return Check(name, missing, "not found: panels would show as plain text", again)
    version = _version(folder / extension.name / "package.json")
    if version is None:
        return Check(name, missing, f"{folder / extension.name} is damaged", again)
    if brought is not None and version != brought:
        found = f"{version} in {folder} hides the {brought} that {extension.package} brought"
        return Check(name, WARN, found, f"Remove {folder / extension.name}, restart JupyterLab and reload the page.")
    return Check(name, OK, f"{version}, as {extension.package} brought it" if brought else version)


def brought(extension: Extension) -> str | None:
    """The extension's version in its installed package, or None."""
    wanted = f"labextensions/{extension.name}/package.json"
    try:
        files = metadata.files(extension.package) or ()
    except metadata.PackageNotFoundError:
        return None
    found = next((file for file in files if file.as_posix().endswith(wanted)), None)
    return None if found is None else _version(Path(str(found.locate())))


def disabled_extensions(folders: Sequence[Path]) -> frozenset[str]:
    """What `labconfig/page_config.json` in these folders switches off; earlier folders go before later ones."""
    states: dict[str, bool] = {}
    for folder in reversed(folders):
        listed = _json(folder / "labconfig" / "page_config.json").get("disabledExtensions")
        if isinstance(listed, list):
            states |= dict.fromkeys(map(str, listed), True)
        elif isinstance(listed, dict):
            states |= {str(name): bool(off) for name, off in listed.items()}
    return frozenset(name for name, off in states.items() if off)


def _version(path: Path) -> str | None:
    version = _json(path).get("version")
    return version if isinstance(version, str) else None


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
