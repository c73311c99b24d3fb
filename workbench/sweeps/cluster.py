"""Units on a Ray cluster: one model-holding actor a worker, each writing its own files."""

from __future__ import annotations

import logging
import os
import socket
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from workbench.errors import MissingPackageError, SweepError
from workbench.models.memory import available_memory
from workbench.sweeps.decoder import ATTEMPTS, POLL, Decoder, estimated
from workbench.sweeps.folder import SweepFolder
from workbench.sweeps.stopping import passing_on

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from workbench.sweeps.estimating import Estimate
    from workbench.sweeps.plan import Unit
    from workbench.sweeps.progress import Reporter

_WORKERS = 2
"""On machines without an accelerator, unless somebody says otherwise."""
_PATIENCE = 5.0
"""Seconds."""
_PROCESS = 500_000_000
"""Bytes of a worker that has imported everything and loaded nothing; Ray's own processes take about two of these."""
_SHARE = 0.5
"""Of the CPUs goes to the actors: Ray Data's own tasks need some, or it waits for ever."""


@dataclass(frozen=True)
class _Team:
    """The workers and what each is given."""

    count: int
    gpus: int
    """Of one worker."""
    cpus: float
    """Of one worker, as Ray counts them."""
    threads: int
    """Of one worker."""


def run_on_ray(  # noqa: PLR0917  -- what a run consists of
    folder: Path,
    sources: Mapping[str, str],
    units: Sequence[Unit],
    workers: int | None,
    reporter: Reporter,
    stop: Callable[[], bool],
) -> None:
    """Run the units on the cluster that RAY_ADDRESS names, or on a Ray of our own on this machine.

    The folder must be one that all workers see. `stop` is asked from a thread of its own; the units that are under way
    when it says True are left undone.

    Raises:
        MissingPackageError: Ray is not installed.
        SweepError: memory or disk do not suffice, or a worker failed; what was written stays.
    """
    ray, folder = _ray(), folder.resolve()
    with _started(ray, min(workers or _WORKERS, len(units))), passing_on(stop, SweepFolder(folder).stop_file, POLL):
        team = _team(ray, workers, len(units))
        try:
            reporter.say(str(_estimate(ray, folder, sources, team)))
            for row in _rows(ray, folder, sources, units, team):
                if row["problem"]:
                    raise SweepError(row["problem"])
                reporter.tokens(int(row["tokens"]))
                reporter.sequences(int(row["sequences"]))
        except ray.exceptions.RayError as problem:
            raise SweepError(
                f"A worker of the sweep failed ({_last_line(problem)}). What it had finished is kept; run the sweep "
                "again to go on, with fewer workers or a smaller batch_size if memory was short."
            ) from problem


def _team(ray: Any, workers: int | None, units: int) -> _Team:  # noqa: ANN401
    total = ray.cluster_resources()
    gpus = int(total.get("GPU", 0))
    count = min(workers or gpus or _WORKERS, units)
    if gpus and count > gpus:
        raise SweepError(f"{count} workers for {gpus} GPUs: ask for {gpus} at most.")
    cpus = total.get("CPU", 1.0) / count
    return _Team(count, 1 if gpus else 0, _SHARE * min(1.0, cpus), max(1, int(cpus)))


def _estimate(ray: Any, folder: Path, sources: Mapping[str, str], team: _Team) -> Estimate:  # noqa: ANN401
    """Measured where the work will be done, which need not be a machine like this one."""
    # One call a process, so that the memory of its model is free again when the actors come.
    there = ray.remote(num_cpus=team.cpus, num_gpus=team.gpus, max_calls=1, max_retries=ATTEMPTS - 1)(estimated)
    found = ray.get(there.remote(str(folder), dict(sources), team.threads))
    if isinstance(found, str):
        raise SweepError(found)
    return replace(found, seconds=found.seconds / team.count, tokens_per_second=found.tokens_per_second * team.count)


def _rows(
    ray: Any, folder: Path, sources: Mapping[str, str], units: Sequence[Unit], team: _Team  # noqa: ANN401
) -> Iterator[dict[str, Any]]:  # fmt: skip
    """What the workers say of each unit, as they finish."""
    numbers = ray.data.from_items([{"unit": unit.number} for unit in units], override_num_blocks=len(units))
    decoder = numbers.map_batches(
        Decoder, batch_size=1, num_gpus=team.gpus, num_cpus=team.cpus,
        compute=ray.data.ActorPoolStrategy(size=team.count),
        fn_constructor_args=(str(folder), dict(sources), team.threads),
    )  # fmt: skip
    yield from decoder.iter_rows()


def _ray() -> Any:  # noqa: ANN401  -- an optional module
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if os.environ.get("RAY_ADDRESS") and _has_token():
        # A cluster started by hand asks for its token; a client with an address is not told so.
        os.environ.setdefault("RAY_AUTH_MODE", "token")
    try:
        import ray  # noqa: PLC0415
        import ray.data  # noqa: PLC0415
    except ImportError as problem:
        raise MissingPackageError(
            "The ray backend needs Ray: pip install 'entropy-workbench[cluster]', or take backend='local'."
        ) from problem
    return ray


def _has_token() -> bool:
    """Whether there is a token of the kind that `ray start --head` makes."""
    named = os.environ.get("RAY_AUTH_TOKEN") or os.environ.get("RAY_AUTH_TOKEN_PATH")
    return bool(named) or (Path.home() / ".ray" / "auth_token").is_file()


def _reach(address: str) -> None:
    """Whether anybody listens there: Ray itself would wait for minutes.

    Raises:
        SweepError: nobody does.
    """
    host, _, port = address.rpartition(":")
    if not (host and port.isdigit()) or "/" in host:
        return  # "auto", or a scheme of Ray's own
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_PATIENCE).close()
    except OSError as problem:
        raise SweepError(
            f"Nothing answers at {address} (RAY_ADDRESS): {problem}. Start a cluster with `ray start --head`, or unset "
            "RAY_ADDRESS to use this machine alone."
        ) from problem


def _check_memory(workers: int) -> None:
    """Ray ends the processes of a machine whose memory is full and starts them again, without end and without a word.

    Raises:
        SweepError: so many workers would get there before they have loaded a model.
    """
    free, need = available_memory(torch.device("cpu")), (workers + 2) * _PROCESS
    if free is not None and free < need:
        raise SweepError(
            f"{workers} workers and Ray itself take about {need / 1e9:.1f} GB before any model is loaded, and "
            f"{free / 1e9:.1f} GB are free. End other programs, take fewer workers, or backend='local'."
        )


@contextmanager
def _started(ray: Any, workers: int) -> Iterator[None]:  # noqa: ANN401
    """Join what this process joined already or what RAY_ADDRESS names; else start Ray here, and stop it again."""
    ours = not ray.is_initialized()
    if ours:
        address = os.environ.get("RAY_ADDRESS")
        if address:
            _reach(address)
        else:
            _check_memory(workers)
        here = {} if address else {"include_dashboard": False, "num_cpus": max(2, os.cpu_count() or 1)}
        try:  # "local", for without an address Ray would join what else runs on this machine
            ray.init(address=address or "local", log_to_driver=False, logging_level=logging.ERROR, **here)
        except (ConnectionError, RuntimeError, ValueError) as problem:
            where = f"at {address} (RAY_ADDRESS)" if address else "on this machine"
            raise SweepError(
                f"Ray {where} cannot be joined ({problem}). A cluster with a token wants RAY_AUTH_MODE=token and "
                "its token in ~/.ray/auth_token or RAY_AUTH_TOKEN."
            ) from problem
    context = ray.data.DataContext.get_current()
    shown, context.enable_progress_bars = context.enable_progress_bars, False
    logger = logging.getLogger("ray.data")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        context.enable_progress_bars = shown
        logger.setLevel(level)
        if ours:
            ray.shutdown()


def _last_line(problem: Exception) -> str:
    lines = [line.strip() for line in str(problem).splitlines() if line.strip()]
    return lines[-1] if lines else type(problem).__name__
