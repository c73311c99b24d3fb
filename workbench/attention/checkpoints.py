"""Head statistics of a list of checkpoints, one model in memory at a time."""

from __future__ import annotations

import gc
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import polars as pl

from workbench.attention.history import SCHEMA, HeadHistory
from workbench.attention.measuring import head_stats
from workbench.attention.running import read_tokens
from workbench.attention.training import rows_of
from workbench.errors import AttentionError, ParameterError, WorkbenchError
from workbench.models import LanguageModel, load
from workbench.models.sources import resolve
from workbench.stopping import asked_by

if TYPE_CHECKING:
    from collections.abc import Callable

    from workbench.stopping import Stop
    from workbench.traces import Trace

Source: TypeAlias = "str | os.PathLike[str] | LanguageModel"
_STEP = re.compile(r"(?:^|[^a-z])(?:checkpoint|global_step|step)[-_]?(\d+)/*$", re.IGNORECASE)


@dataclass(frozen=True)
class Checkpoint:
    """A model as it was at one step."""

    step: int
    source: Source
    revision: str | None = None

    @property
    def name(self) -> str:
        """What to call it."""
        return self.revision or (self.source.name if isinstance(self.source, LanguageModel) else str(self.source))


@dataclass(frozen=True)
class _Reading:
    """What all checkpoints of one model have in common."""

    ids: tuple[int, ...]
    vocabulary: int
    heads: tuple[tuple[int, int], ...]


def head_history(
    checkpoints: Source | Sequence[Source] | Mapping[int, Source],
    text: str | Sequence[int] | Trace,
    *,
    revisions: Sequence[str] | None = None,
    run: str = "model",
    skip_rows: int = 1,
    progress: Callable[[int, int], None] | None = None,
    stop: Stop | None = None,
) -> HeadHistory:
    """Statistics of every head on one text at every checkpoint of a training, ascending by step; `loss` is null.

    A step is read off a name that ends like `checkpoint-500`, `step-500` or `step500`; where a name does not, all are
    counted 0, 1, 2, … in the order given. Each is loaded (`wb.load`), measured and forgotten before the next.

    Args:
        checkpoints: Folders, hub ids or models from `wb.load` or `wb.wrap`; {step: one of these}; one folder with the
            folders `checkpoint-500` and so on in it, as transformers' Trainer leaves them; or one hub id with
            `revisions`.
        text: A string, taken verbatim; token ids; or a trace.
        revisions: Branches or tags of one hub id, such as ["step1000", "step2000"].
        run: What the run is called in the history.
        skip_rows: First rows left out of every mean.
        progress: called with (measured, all) after every checkpoint.
        stop: an event, or a function that says True, after which what is there is returned.

    Raises:
        AttentionError: no checkpoints, two of the same step, or checkpoints that differ in vocabulary, in the text's
            tokens or in their heads; or a model that cannot be measured.
        ModelError: one is missing (found out before the first is loaded, where it is a folder), or cannot be loaded.
        ParameterError: revisions beside several checkpoints, or steps that are no whole numbers.
        PromptError: a text the first cannot be given; see `head_stats`.
    """
    planned = _plan(checkpoints, revisions)
    halt = asked_by(stop)
    frames: list[pl.DataFrame] = [pl.DataFrame(schema=SCHEMA)]
    known: _Reading | None = None
    for number, checkpoint in enumerate(planned, start=1):
        if halt():
            break
        try:
            frame, known = _measure(checkpoint, text, skip_rows, known)
        except WorkbenchError as problem:
            raise type(problem)(f"Step {checkpoint.step} ({checkpoint.name}): {problem}") from problem
        frames.append(rows_of(run, checkpoint.step, frame))
        gc.collect()  # a model may hold itself in a circle: it goes before the next one comes
        if progress is not None:
            progress(number, len(planned))
    meta: dict[str, Any] = {"checkpoints": [one.name for one in planned[: len(frames) - 1]], "skip_rows": skip_rows}
    return HeadHistory(pl.concat(frames), meta | {"tokens": 0 if known is None else len(known.ids)})


def _measure(
    checkpoint: Checkpoint, text: str | Sequence[int] | Trace, skip_rows: int, known: _Reading | None
) -> tuple[pl.DataFrame, _Reading]:
    source = checkpoint.source
    model = source if isinstance(source, LanguageModel) else load(source, revision=checkpoint.revision)
    if known is not None and model.vocabulary != known.vocabulary:
        raise AttentionError(_other(f"its vocabulary is {model.vocabulary:,}, the first one's {known.vocabulary:,}"))
    untold = known is not None and model.tokenizer is None
    ids = known.ids if known is not None and untold else tuple(read_tokens(model, text))
    if known is not None and ids != known.ids:
        raise AttentionError(_other("its tokenizer makes other tokens of the text"))
    frame = head_stats(model, ids, skip_rows=skip_rows).to_frame()
    heads = tuple(frame.select("layer", "head").iter_rows())
    if known is not None and heads != known.heads:
        raise AttentionError(_other(f"it has {_count(heads)}, the first {_count(known.heads)}"))
    return frame, _Reading(ids, model.vocabulary, heads)


def _count(heads: tuple[tuple[int, int], ...]) -> str:
    return f"{len(heads)} heads in {len({layer for layer, _ in heads})} layers"


def _other(why: str) -> str:
    return (
        f"This is no checkpoint of the same model as the first: {why}. Give each model a head_history of its own, with "
        "its own run=, and put them together with HeadHistory.joined."
    )


def _plan(
    checkpoints: Source | Sequence[Source] | Mapping[int, Source], revisions: Sequence[str] | None
) -> list[Checkpoint]:
    """Every checkpoint with its step, ascending; what can be checked of each without loading it is."""
    if revisions is not None:
        if not isinstance(checkpoints, str):
            raise ParameterError("revisions are those of one hub id: give that as the checkpoints, as a string.")
        found = [Checkpoint(step, checkpoints, name) for step, name in zip(_steps(revisions), revisions, strict=True)]
    elif isinstance(checkpoints, Mapping):
        strange = [step for step in checkpoints if not isinstance(step, int) or step < 0]
        if strange:
            raise ParameterError(f"{strange[0]!r} is no step: give {{step: checkpoint}} with whole numbers from 0 on.")
        found = [Checkpoint(step, source) for step, source in checkpoints.items()]
    else:
        many = not isinstance(checkpoints, str) and isinstance(checkpoints, Sequence)
        sources = list(checkpoints) if many else _within(checkpoints)  # type: ignore[arg-type]  # mypy forgets `many`
        names = [Checkpoint(0, source).name for source in sources]
        found = [Checkpoint(step, source) for step, source in zip(_steps(names), sources, strict=True)]
    _check(found)
    return sorted(found, key=lambda one: one.step)


def _within(source: Any) -> list[Source]:  # noqa: ANN401  -- one source
    """The checkpoints in a folder of the Trainer's, or else the source itself."""
    if not isinstance(source, (str, os.PathLike)):
        return [source]
    folder = Path(source).expanduser()
    inside = [path for path in sorted(folder.glob("*")) if path.is_dir() and _STEP.search(path.name)]
    return [*inside] or [source]


def _steps(names: Sequence[str]) -> list[int]:
    read = [_STEP.search(name) for name in names]
    numbers = [int(found[1]) for found in read if found]
    return numbers if len(numbers) == len(names) else list(range(len(names)))


def _check(found: Sequence[Checkpoint]) -> None:
    if not found:
        raise AttentionError("There are no checkpoints. Give folders, hub ids or models, or a hub id with revisions.")
    for one in found:
        if isinstance(one.source, LanguageModel):
            continue
        if not isinstance(one.source, (str, os.PathLike)):
            raise ParameterError(
                f"A checkpoint is a folder, a hub id or a model from wb.load, not a {type(one.source).__name__}."
            )
        resolve(one.source)  # a folder that is missing is said before an hour has gone into the others
    steps = [one.step for one in found]
    twice = sorted({step for step in steps if steps.count(step) > 1})
    if twice:
        names = [one.name for one in found if one.step == twice[0]]
        raise AttentionError(
            f"{' and '.join(names)} are both of step {twice[0]}. Give {{step: checkpoint}} to say which is which."
        )
