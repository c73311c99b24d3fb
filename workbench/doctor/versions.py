"""Python and the installed packages against the ranges that the workbench's own metadata names."""

from __future__ import annotations

import platform
from importlib import metadata
from typing import TYPE_CHECKING

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from workbench import __version__
from workbench.doctor.check import FAIL, OK, WARN, Check

if TYPE_CHECKING:
    from collections.abc import Iterator

DISTRIBUTION = "entropy-workbench"
_EXTRAS = {
    "quantized": "only loading in 4 or 8 bits needs it",
    "cluster": "only sweeps with --backend ray need it",
}


def check_versions() -> Iterator[Check]:
    """The workbench, Python, each package it requires, and the extras a user may have use for."""
    try:
        about = metadata.metadata(DISTRIBUTION)
    except metadata.PackageNotFoundError:
        found = f"{__version__}, which is not installed: it runs from the folder it lies in"
        yield Check("workbench", WARN, found, "pip install -e . in its folder, so that its packages can be compared.")
        return
    yield _own(about["Version"])
    yield compare("python", platform.python_version(), about["Requires-Python"] or "", "Make an environment with it.")
    required = [Requirement(line) for line in metadata.requires(DISTRIBUTION) or ()]
    for one in sorted(required, key=lambda one: one.name):
        if _applies(one):
            yield check_package(one)
    for extra, use in _EXTRAS.items():
        for one in required:
            if not _applies(one) and _applies(one, extra):
                yield check_package(one, optional=f"{use}: pip install '{DISTRIBUTION}[{extra}]'")


def check_package(required: Requirement, *, optional: str = "") -> Check:
    """One package against its range.

    Args:
        required: name and range.
        optional: what it is for and how to get it, where the workbench runs without it.
    """
    name = required.name
    line = f"pip install '{name}{required.specifier}'"
    try:
        version = metadata.version(name)
    except metadata.PackageNotFoundError:
        return Check(name, OK, f"not installed; {optional}") if optional else Check(name, FAIL, "not installed", line)
    return compare(name, version, str(required.specifier), line)


def compare(name: str, version: str, supported: str, remedy: str) -> Check:
    """A version against a range such as ">=2.8,<3"."""
    inside = SpecifierSet(supported).contains(version, prereleases=True)
    if inside:
        return Check(name, OK, version)
    return Check(name, FAIL, f"{version}, and {supported} is supported", remedy)


def _applies(required: Requirement, extra: str = "") -> bool:
    return required.marker is None or required.marker.evaluate({"extra": extra})


def _own(installed: str) -> Check:
    if installed == __version__:
        return Check("workbench", OK, __version__)
    found = f"{__version__} is what runs, {installed} is what was installed"
    return Check("workbench", WARN, found, "Install it anew, or leave the folder of the other copy.")
