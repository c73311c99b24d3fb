"""Close a thought early, at the end of every step, and read what the model then makes of it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from workbench.entropies import entropy
from workbench.errors import ModelError, ParameterError, TraceError
from workbench.phases.eat_run import EatRun
from workbench.phases.steps import AUTO, step_ends
from workbench.samplers.switching.caches import CachedModel

if TYPE_CHECKING:
    from collections.abc import Callable

    from workbench.models import LanguageModel
    from workbench.traces import Trace


def entropy_after_think(
    model: LanguageModel,
    trace: Trace,
    *,
    every: str = AUTO,
    closing: str | None = None,
    name: str = "",
    on_boundary: Callable[[int, int], None] | None = None,
    stop: Callable[[], bool] | None = None,
) -> EatRun:
    r"""The raw entropy x_t of the token after a closing marker, at the end of each step of the thinking.

    EAT, arXiv 2509.26522; xidulu/EAT, compute_entropy_ngram.py. The model reads the text once, step by step with its
    cache, and at each boundary the closing marker in its place, which the cache then forgets; a model whose cache
    cannot forget reads the text anew. At the end of the thinking, with the bare marker, x_t is the trace's own entropy
    of the token that followed its marker, provided nothing stood between.

    Args:
        model: the one that wrote the trace, or another with the same tokens.
        trace: one with thinking.
        every: what ends a step; see `step_ends`.
        closing: what to append at a boundary: the model's closing marker and, if wanted, how the answer begins
            ("</think>\n\nFinal answer: "). Where the token after the bare marker is certain, such as a line break, its
            entropy says nothing; then an answer's beginning belongs here. The bare marker by default.
        name: which trace this is, for tables over several.
        on_boundary: called with boundaries done and boundaries in all.
        stop: a function that says True when to end at once; the run then has the boundaries read so far.

    Raises:
        ModelError: the model has no think markers, or no tokenizer for `closing`.
        ParameterError: `closing` lacks the closing marker, or `every` is empty.
        PromptError: longer than the model's context.
        TraceError: no thinking, or no token ids to read.
    """
    text, closing_ids = _closing(model, closing)
    prompt, ids = _ids(model, trace)
    steps = step_ends(trace, every=every, end_ids=model.end_ids)
    model.check_fits(len(prompt) + int(steps.cuts[-1]) + len(closing_ids))
    cached = CachedModel(model)
    values: list[float] = []
    for done, cut in enumerate(steps.cuts.tolist(), start=1):
        if stop is not None and stop():
            break
        logits = cached.logits([*prompt, *ids[:cut], *closing_ids])
        values.append(float(entropy(logits[None]).entropy[0]))
        if on_boundary is not None:
            on_boundary(done, len(steps.cuts))
    return EatRun(
        name=name,
        kept=steps.cuts[: len(values)],
        entropy=np.array(values, dtype=np.float64),
        start=steps.start,
        thinking=int(steps.cuts[-1]),
        tokens=len(ids),
        closing=text,
        closing_tokens=len(closing_ids),
        every=steps.every,
    )


def forced_answers(
    model: LanguageModel,
    trace: Trace,
    run: EatRun,
    grade: Callable[[str], object],
    *,
    max_new_tokens: int = 64,
    on_boundary: Callable[[int, int], None] | None = None,
    stop: Callable[[], bool] | None = None,
) -> EatRun:
    """What the model answers, decoded greedily, when its thinking is closed at each boundary, and whether it is right.

    `grade` is given the whole text as it would stand there (thinking so far, closing, answer, no end token) and says
    True or False, or gives a verdict with `correct`; it also judges the text as it was written. An answer that has not
    ended after `max_new_tokens` is judged as far as it got.

    Raises:
        ParameterError: `grade` gave no verdict, `max_new_tokens` is below 1, or the run is not of this trace.
        PromptError: longer than the model's context.
        TraceError: no token ids to read.
    """
    if max_new_tokens < 1:
        raise ParameterError(f"max_new_tokens={max_new_tokens}: an answer takes at least one token.")
    _, closing_ids = _closing(model, run.closing)
    prompt, ids = _ids(model, trace)
    if len(ids) != run.tokens:
        raise ParameterError(f"The run {run.name!r} is of a text of {run.tokens} tokens, and this one has {len(ids)}.")
    model.check_fits(len(prompt) + run.thinking + len(closing_ids) + max_new_tokens)
    cached = CachedModel(model)
    answers: list[list[int]] = []
    correct: list[bool] = []
    for done, cut in enumerate(run.kept.tolist(), start=1):
        if stop is not None and stop():
            break
        before = [*ids[:cut], *closing_ids]
        answers.append(_greedy(cached, [*prompt, *before], max_new_tokens))
        correct.append(_verdict(grade, _text(model, [*before, *answers[-1]])))
        if on_boundary is not None:
            on_boundary(done, len(run))
    return replace(
        run,
        kept=run.kept[: len(answers)],
        entropy=run.entropy[: len(answers)],
        answers=tuple(_text(model, answer) for answer in answers),
        answer_tokens=np.array([len(answer) for answer in answers], dtype=np.int64),
        correct=np.array(correct, dtype=bool),
        full_correct=_verdict(grade, _text(model, ids)),
    )


def eat(
    model: LanguageModel,
    trace: Trace,
    grade: Callable[[str], object] | None = None,
    *,
    every: str = AUTO,
    closing: str | None = None,
    name: str = "",
    max_new_tokens: int = 64,
) -> EatRun:
    """`entropy_after_think`, and with a `grade` also `forced_answers`.

    The moving mean, the moving variance and the stopping point follow from the run without the model:
    `run.stop(alpha=0.2, delta=1e-3)`; over several runs, `eat_outcome`.

    Raises:
        ModelError, ParameterError, PromptError, TraceError: as those two.
    """
    run = entropy_after_think(model, trace, every=every, closing=closing, name=name)
    return run if grade is None else forced_answers(model, trace, run, grade, max_new_tokens=max_new_tokens)


def _closing(model: LanguageModel, closing: str | None) -> tuple[str, list[int]]:
    marks = model.think_markers
    if marks is None:
        raise ModelError(f"{model.name} has no think markers, so its thinking cannot be closed early.")
    if closing is None or closing == marks.close_text:
        return marks.close_text, list(marks.close_ids)
    if marks.close_text not in closing:
        raise ParameterError(f"closing={closing!r} lacks the model's closing marker {marks.close_text!r}.")
    if model.tokenizer is None:
        raise ModelError("Without a tokenizer the closing marker can only be used as it is: leave closing out.")
    return closing, list(model.tokenizer(closing, add_special_tokens=False)["input_ids"])


def _ids(model: LanguageModel, trace: Trace) -> tuple[list[int], list[int]]:
    """The ids of prompt and text."""
    column = trace.tokens["token_id"]
    if column.null_count() or not trace.prompt_ids:
        raise TraceError(
            "This trace does not know the ids of its tokens or its prompt. Score its text first: wb.score(model, text, "
            "prompt)."
        )
    ids = column.to_list()
    if max(*trace.prompt_ids, *ids, 0) >= model.vocabulary:
        raise TraceError(
            f"The trace has token ids beyond the {model.vocabulary:,} of {model.name}. Take the model that wrote it."
        )
    return list(trace.prompt_ids), ids


def _greedy(cached: CachedModel, ids: list[int], budget: int) -> list[int]:
    """The most likely continuation, its end token included; an argmax a token."""
    answer: list[int] = []
    while len(answer) < budget and not (answer and answer[-1] in cached.model.end_ids):
        answer.append(int(cached.logits([*ids, *answer]).argmax()))
    return answer


def _text(model: LanguageModel, ids: list[int]) -> str:
    return "".join(model.token_texts([i for i in ids if i not in model.end_ids]))


def _verdict(grade: Callable[[str], object], text: str) -> bool:
    verdict = grade(text)
    verdict = getattr(verdict, "correct", verdict)
    if not isinstance(verdict, (bool, np.bool_)):
        raise ParameterError(f"grade gave {verdict!r}: it must say True or False, or give a verdict with .correct.")
    return bool(verdict)
