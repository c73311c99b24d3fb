"""Whether numba can keep what it compiles, and has."""

from __future__ import annotations

import sys
import time
from tempfile import TemporaryFile
from typing import TYPE_CHECKING

from numba.core.dispatcher import Dispatcher

from workbench.doctor.check import FAIL, OK, WARN, Check

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_ELSEWHERE = "export NUMBA_CACHE_DIR=FOLDER, with a folder of your own, before starting."


def check_kernels() -> Iterator[Check]:
    """Compile all kernels and sampler steps, or load them from the cache, and say which it was."""
    from workbench.kernels.warming import warm  # noqa: PLC0415  -- where no cache can be written, importing them fails
    from workbench.samplers.warming import warm_steps  # noqa: PLC0415

    began = time.perf_counter()
    warm()
    warm_steps()
    seconds = time.perf_counter() - began
    kernels = dispatchers("workbench")
    yield check_cache({kernel.stats.cache_path for kernel in kernels if kernel.stats.cache_path})
    yield check_warmth(kernels, seconds)


def dispatchers(package: str) -> list[Dispatcher]:
    """The compiled functions of a package's modules that are loaded."""
    modules = [module for name, module in list(sys.modules.items()) if f"{name}.".startswith(f"{package}.")]
    found = [value for module in modules for value in vars(module).values() if isinstance(value, Dispatcher)]
    return list({id(one): one for one in found}.values())


def check_cache(folders: Iterable[str]) -> Check:
    """Whether numba can write where it keeps the kernels."""
    folders = sorted(folders)
    if not folders:
        return Check("numba cache", FAIL, "numba keeps nothing", _ELSEWHERE)
    for folder in folders:
        try:
            with TemporaryFile(dir=folder):
                pass
        except OSError as problem:
            found = f"{folder} cannot be written ({problem.strerror}), so every new kernel compiles anew"
            return Check("numba cache", WARN, found, _ELSEWHERE)
    return Check("numba cache", OK, f"writable, {', '.join(folders)}")


def check_warmth(kernels: Iterable[Dispatcher], seconds: float) -> Check:
    """Whether the kernels came from the cache or had to be compiled, by numba's own counts.

    Args:
        kernels: as `dispatchers` finds them, after they ran.
        seconds: how long that took.
    """
    stats = [kernel.stats for kernel in kernels]
    loaded = sum(sum(one.cache_hits.values()) for one in stats)
    compiled = sum(sum(one.cache_misses.values()) for one in stats)
    if not compiled:
        return Check("kernels", OK, f"warm: all {loaded} came from the cache in {seconds:.1f} s")
    found = f"cold: {compiled} of {compiled + loaded} had to be compiled, {seconds:.1f} s"
    remedy = (
        "They are kept now; `python -m workbench.kernels` and `python -m workbench.samplers` do it when installing."
    )
    return Check("kernels", WARN, found, remedy)
