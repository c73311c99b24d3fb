"""All looks at the machine, quick ones first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.doctor.check import guarded

if TYPE_CHECKING:
    from collections.abc import Iterator

    from workbench.doctor.check import Check


def examine() -> Iterator[Check]:
    """Every check as it is done: versions, machine, lab extensions, kernels, browser, a small run of it all."""
    # Imported one by one, so that a package that is missing fails its own look only.
    yield from guarded("versions", _versions)
    yield from guarded("machine", _machine)
    yield from guarded("JupyterLab", _jupyter)
    yield from guarded("numba cache", _kernels)
    yield from guarded("browser", _browser)
    yield from guarded("end to end", _trial)


def _versions() -> Iterator[Check]:
    from workbench.doctor.versions import check_versions  # noqa: PLC0415

    yield from check_versions()


def _machine() -> Iterator[Check]:
    from workbench.doctor.machine import check_machine  # noqa: PLC0415

    yield from check_machine()


def _jupyter() -> Iterator[Check]:
    from workbench.doctor.jupyter import check_extensions  # noqa: PLC0415

    yield from check_extensions()


def _kernels() -> Iterator[Check]:
    from workbench.doctor.compiled import check_kernels  # noqa: PLC0415

    yield from check_kernels()


def _browser() -> Iterator[Check]:
    from workbench.doctor.browser import check_browser  # noqa: PLC0415

    yield check_browser()


def _trial() -> Iterator[Check]:
    from workbench.doctor.trial import check_trial  # noqa: PLC0415

    yield from check_trial()
