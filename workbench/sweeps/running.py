"""Start a sweep, or go on with it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tqdm.auto import tqdm

from workbench.errors import SweepError
from workbench.models import LanguageModel
from workbench.problems import Problems
from workbench.problems import load as load_problems
from workbench.samplers import Sampler
from workbench.stopping import Stop, asked_by
from workbench.sweeps.estimating import Estimate, estimate_units
from workbench.sweeps.folder import SweepFolder
from workbench.sweeps.local import Worker, run_here
from workbench.sweeps.progress import Progress, Reporter
from workbench.sweeps.strategy import Strategy, arms_of
from workbench.sweeps.sweep import Sweep
from workbench.sweeps.task import Task

if TYPE_CHECKING:
    from workbench.sweeps.plan import Unit

Model = LanguageModel | str | os.PathLike[str]
Arms = Sampler | Strategy | Mapping[str, Sampler | Strategy | None] | None
Backend = Literal["local", "ray"]
BATCH_SIZE = 64
"""Sequences decoded together unless somebody says otherwise. A fixed number: rows must not depend on the machine."""


def run(
    model: Model | Mapping[str, Model] = "demo",
    problems: Problems | str = "arithmetic",
    *,
    samples: int = 4,
    sampler: Arms = None,
    out: str | Path,
    backend: Backend = "local",
    seed: int = 0,
    max_new_tokens: int | None = None,
    batch_size: int | None = None,
    workers: int | None = None,
    top: int = 0,
    progress: bool | Callable[[Progress], None] = True,
    stop: Stop | None = None,
) -> Sweep:
    """Decode problems x samples x samplers x models into `out`, grade every response, and keep every token.

    The same call goes on where an earlier one was stopped or killed: what is written stays, what was under way is done
    again, and the rows are those of an uninterrupted run. A sequence's seed depends on `seed`, its problem and its
    sample alone, so that samplers and models are compared on the same draws. Batches are part of the plan: both
    backends decode the same ones. Another batch size, number of threads or machine gives the same tokens as far as the
    rounding of sums lets it.

    Args:
        model: a name, a folder, a hub id, a LanguageModel, or a mapping of names to these.
        problems: what `wb.problems.load` gives, or what it takes.
        samples: sequences a problem, model and sampler.
        sampler: None for each model's own settings, a Sampler, a Strategy, or a mapping of names to these.
        out: the sweep's folder.
        backend: "local", or "ray": as many processes as `workers`, here or on the cluster that RAY_ADDRESS names.
        seed: of the whole sweep.
        max_new_tokens: where sequences end at the latest; up to 1024, as the context allows, where none is given.
        batch_size: sequences decoded together; 64 unless the folder's sweep says otherwise.
        workers: processes of the ray backend; one a GPU, or two without any, by default.
        top: logits of each token to keep for replays; 0 keeps none, which makes a sweep a hundred times smaller.
        progress: True for a progress bar and an estimate, or a function to be called with each `Progress`.
        stop: an event, or a function that says True, after which the run ends within a token.

    Returns:
        Sweep: complete, unless it was stopped.

    Raises:
        SweepError: the folder holds something else, a prompt a model cannot be given, too little memory or disk.
        ProblemError, ModelError, ParameterError: as the parts say.
    """
    _check(backend=backend, workers=workers)
    _check_numbers(samples=samples, max_new_tokens=max_new_tokens, batch_size=batch_size, top=top)
    found = problems if isinstance(problems, Problems) else load_problems(problems)
    models, arms = _models(model), arms_of(sampler)
    sources = _sources(models) if backend == "ray" else {}
    halt = asked_by(stop)
    folder = SweepFolder(Path(out).expanduser())
    with folder.locked():
        settings = _settings(folder, found, models, arms, samples, seed, max_new_tokens, batch_size, top)
        folder.begin(settings, found.frame)
        task = Task.of(folder)
        sweep = Sweep(folder.path)
        left = sweep.missing
        total = len(task.problems) * samples * len(task.strategies) * len(models)
        reporter = None
        try:
            if backend == "ray" and left:
                from workbench.sweeps.cluster import run_on_ray  # noqa: PLC0415  -- ray is optional

                reporter = Reporter(total, total - _sequences(left), progress)
                run_on_ray(folder.path, sources, left, workers, reporter, halt)
            elif left and not halt():
                worker = Worker(folder, task, models)
                known = estimate_units(task, worker, list(left), folder.path, stop=halt)
                known.check()
                if progress is True:
                    tqdm.write(str(known))
                reporter = Reporter(total, total - _sequences(left), progress)
                run_here(worker, left, reporter, halt)
        finally:
            if reporter is not None:
                reporter.close()
    return sweep


def estimate(
    model: Model | Mapping[str, Model] = "demo",
    problems: Problems | str = "arithmetic",
    *,
    samples: int = 4,
    sampler: Arms = None,
    out: str | Path = ".",
    seed: int = 0,
    max_new_tokens: int | None = None,
    batch_size: int | None = None,
    top: int = 0,
) -> Estimate:
    """What `run` with the same arguments would take at most, from the counts and a short probe; nothing is written.

    Raises:
        SweepError, ProblemError, ModelError: as `run`.
    """
    found = load_problems(problems) if not isinstance(problems, Problems) else problems
    models = _models(model)
    task = Task(found, arms_of(sampler), tuple(models), samples, seed, max_new_tokens, batch_size or BATCH_SIZE, top)
    folder = Path(out).expanduser()
    return estimate_units(task, Worker(SweepFolder(folder), task, models), list(task.units()), folder.resolve())


def _settings(  # noqa: PLR0917  -- as `run`
    folder: SweepFolder, found: Problems, models: Mapping[str, Any], arms: Mapping[str, Strategy],
    samples: int, seed: int, max_new_tokens: int | None, batch_size: int | None, top: int,
) -> dict[str, Any]:  # fmt: skip
    """What rows depend on, and what is good to know of a run."""
    if batch_size is None:
        batch_size = folder.settings()["batch_size"] if folder.exists() else BATCH_SIZE
    return {
        "problems": found.name, "digest": found.digest, "grader": found.grader,
        "models": {name: _source(one) for name, one in models.items()},
        "samplers": {name: arm.to_dict() for name, arm in arms.items()},
        "samples": samples, "seed": seed, "max_new_tokens": max_new_tokens, "batch_size": batch_size, "top": top,
        "versions": {name: version(name) for name in ("entropy-workbench", "torch", "transformers", "polars")},
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
    }  # fmt: skip


def _models(given: Any) -> dict[str, Any]:  # noqa: ANN401  -- whatever a user gave
    named = given if isinstance(given, Mapping) else {_name(given): given}
    if not named:
        raise SweepError("model is an empty mapping: name at least one.")
    return {str(name): one if isinstance(one, LanguageModel) else os.fspath(one) for name, one in named.items()}


def _name(model: Any) -> str:  # noqa: ANN401
    if isinstance(model, LanguageModel):
        return model.name
    if not isinstance(model, (str, os.PathLike)):
        raise SweepError(f"model={model!r}: give a name, a folder, a hub id or a LanguageModel.")
    return os.fspath(model)


def _source(model: Any) -> str | None:  # noqa: ANN401
    """What the model can be loaded from again; None for one that was wrapped."""
    return model if isinstance(model, str) else model.name


def _sources(models: Mapping[str, Any]) -> dict[str, str]:
    held = [name for name, one in models.items() if not isinstance(one, str)]
    if held:
        raise SweepError(
            f"Workers load models themselves: give {', '.join(held)} by name, folder or hub id, not as a LanguageModel."
        )
    return {name: str(Path(one).resolve()) if Path(one).is_dir() else one for name, one in models.items()}


def _sequences(units: tuple[Unit, ...]) -> int:
    return sum(len(unit) for unit in units)


def _check(*, backend: str, workers: int | None) -> None:
    if backend not in ("local", "ray"):
        raise SweepError(f"backend={backend!r}: take local or ray.")
    if workers is not None and workers < 1:
        raise SweepError(f"workers={workers}: at least one.")


def _check_numbers(*, samples: int, max_new_tokens: int | None, batch_size: int | None, top: int) -> None:
    for name, value, least in (
        ("samples", samples, 1), ("max_new_tokens", max_new_tokens, 1), ("batch_size", batch_size, 1), ("top", top, 0)
    ):  # fmt: skip
        if value is not None and (not isinstance(value, int) or value < least):
            raise SweepError(f"{name}={value!r}: a whole number of at least {least}.")
