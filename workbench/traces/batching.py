"""Many sequences decoded and recorded together, each with a prompt, a seed and a length of its own."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from workbench.errors import ParameterError, PromptError
from workbench.kernels.sketch import MAX_BINS
from workbench.models.memory import available_memory
from workbench.stopping import asked_by
from workbench.traces.decode import decode
from workbench.traces.grouping import groups
from workbench.traces.provenance import provenance
from workbench.traces.recorder import Recorded, Recorder, Token
from workbench.traces.trace import Trace, names_of, phases_of, token_frame, unknown_columns

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from workbench.models import LanguageModel
    from workbench.samplers import Sampler
    from workbench.stopping import Stop


@dataclass(frozen=True)
class Task:
    """One sequence to decode."""

    prompt_ids: tuple[int, ...]
    prompt: str
    """Their text."""
    seed: int
    sequence: int
    """Its number among those of the call."""
    max_new_tokens: int
    question: str | None = None
    """The prompt as it was typed, where it was a string."""


def record_batch(
    model: LanguageModel,
    prompts: Sequence[Sequence[int]],
    *,
    sampler: Sampler,
    seeds: Sequence[int],
    max_new_tokens: int | Sequence[int],
    top: int = 256,
    stop: Stop | None = None,
    on_step: Callable[[int], None] | None = None,
    texts: Sequence[str] | None = None,
    questions: Sequence[str] | None = None,
) -> list[Trace]:
    """Decode one sequence a prompt, all in one left-padded batch, and record each as `wb.record` does.

    Sequence i depends on its own prompt, seed and limit alone, up to the rounding of batched matrix products. Models
    that batching itself would disturb (see `workbench.traces.grouping`) are given fewer at a time.

    Args:
        model: from `wb.load` or `wb.wrap`.
        prompts: token ids, as `LanguageModel.encode_prompt` gives them.
        sampler: how tokens are drawn.
        seeds: one a prompt.
        max_new_tokens: for all, or one a prompt.
        top: how many logits a token's sketch holds exactly. 0 leaves the sketches out of the traces and spends no time
            on them; the token columns are as exact as ever.
        stop: an event, or a function that says True, after which decoding ends at once and what is there is returned.
        on_step: called after every step with the number of sequences that got a token in it.
        texts: the prompts as text, where they are known; decoded from the ids otherwise.
        questions: the prompts as they were typed, for the traces' meta.

    Returns:
        list[Trace]: one a prompt, in their order.

    Raises:
        PromptError: an empty prompt, a token outside the vocabulary, or one too long for the context; which is named.
        LogitsError: the model gave NaN, or nothing was left to draw from.
        ParameterError: no prompts, lists of different lengths, or a number out of range.
    """
    count = len(prompts)
    if not count:
        raise ParameterError("prompts=[]: give at least one prompt.")
    _check_length("seeds", seeds, count)
    if texts is not None:
        _check_length("texts", texts, count)
    if questions is not None:
        _check_length("questions", questions, count)
    if top < 0:
        raise ParameterError(f"top={top}: 256 is usual; 0 keeps no sketches.")
    limits = _limits(max_new_tokens, count)
    ids = [_checked(model, place, prompt, limits[place]) for place, prompt in enumerate(prompts)]
    check_memory(count, sum(limits), top, model.vocabulary)
    if texts is None:
        texts = ["" if model.tokenizer is None else "".join(model.token_texts(prompt)) for prompt in ids]
    asked: Sequence[str | None] = [None] * count if questions is None else questions
    tasks = [Task(ids[i], texts[i], int(seeds[i]), i, limits[i], asked[i]) for i in range(count)]
    return record_tasks(model, tasks, sampler=sampler, top=top, stop=stop, on_step=on_step)


def record_tasks(
    model: LanguageModel,
    tasks: Sequence[Task],
    *,
    sampler: Sampler,
    top: int,
    stop: Stop | None = None,
    on_step: Callable[[int], None] | None = None,
    on_token: Callable[[Token], None] | None = None,
) -> list[Trace]:
    """Decode and record these together as far as the model allows; a trace each, in their order.

    `on_token` is told phases, which depend on how a prompt ends: it is for tasks that share theirs.
    """
    found: dict[int, Trace] = {}
    for group in groups(model, [len(task.prompt_ids) for task in tasks]):
        chosen = [tasks[place] for place in group]
        traces = _decoded(model, chosen, sampler, top=top, stop=asked_by(stop), on_step=on_step, on_token=on_token)
        found |= dict(zip(group, traces, strict=True))
    return [found[place] for place in range(len(tasks))]


def _decoded(
    model: LanguageModel,
    tasks: Sequence[Task],
    sampler: Sampler,
    *,
    top: int,
    stop: Callable[[], bool],
    on_step: Callable[[int], None] | None,
    on_token: Callable[[Token], None] | None,
) -> list[Trace]:
    """One batch."""
    numbers = [task.sequence for task in tasks]
    recorder = Recorder(model, sampler, tasks[0].prompt_ids, numbers, top=top or None, on_token=on_token)
    began = time.perf_counter()
    decoded = decode(
        model,
        [task.prompt_ids for task in tasks],
        sampler=sampler,
        seeds=[task.seed for task in tasks],
        max_new_tokens=[task.max_new_tokens for task in tasks],
        recorder=recorder,
        stop=stop,
        on_step=on_step,
        drop_ended=True,
    )
    about = {"kind": "recorded", **provenance(model), "sampler": sampler.to_dict()}
    about["seconds"] = round(time.perf_counter() - began, 3)
    traces = []
    for row, task in enumerate(tasks):
        meta = about | {
            "question": task.question,
            "max_new_tokens": task.max_new_tokens,
            "seed": task.seed,
            "sequence": task.sequence,
            "finish": decoded.finish[row],
        }
        traces.append(_trace(model, task, recorder.finish(row), decoded.token_ids[row], meta, sketched=top > 0))
    return traces


def check_memory(sequences: int, tokens: int, top: int, vocabulary: int) -> None:
    """Sketches lie in main memory whatever the device, and are the only thing that grows with every token.

    Raises:
        ParameterError: those of so many tokens in all may not fit.
    """
    if not top:
        return
    needed = tokens * (8 * min(top, vocabulary) + 12 * MAX_BINS)
    available = available_memory(torch.device("cpu"))
    if available is not None and needed > available:
        raise ParameterError(
            f"{sequences:,} sequences of up to {tokens:,} tokens in all may take {needed / 1e9:.1f} GB of sketches; "
            f"{available / 1e9:.1f} GB are free. Ask for fewer sequences or tokens at a time, or for a smaller top."
        )


def _trace(
    model: LanguageModel, task: Task, recorded: Recorded, ids: list[int], meta: Mapping[str, Any], *, sketched: bool
) -> Trace:
    texts = model.token_texts(ids)
    phases = phases_of(model, ids, task.prompt_ids)
    frame = token_frame(recorded.sketch, texts=texts, phases=phases, sampled=recorded.sampled)
    about = {**meta, "missing": unknown_columns(frame)}
    sketch = recorded.sketch if sketched else None
    names = {} if sketch is None else names_of(model, sketch)
    return Trace(frame, task.prompt, task.prompt_ids, "".join(texts), about, sketch, names)


def _check_length(name: str, values: Sequence[object], count: int) -> None:
    if len(values) != count:
        raise ParameterError(f"{count} prompts but {len(values)} {name}: give one a prompt.")


def _limits(max_new_tokens: int | Sequence[int], count: int) -> list[int]:
    limits = [max_new_tokens] * count if isinstance(max_new_tokens, int) else [int(limit) for limit in max_new_tokens]
    _check_length("values of max_new_tokens", limits, count)
    if min(limits) < 1:
        raise ParameterError(f"max_new_tokens={min(limits)}: ask for at least one token.")
    return limits


def _checked(model: LanguageModel, place: int, prompt: Sequence[int], limit: int) -> tuple[int, ...]:
    ids = tuple(int(token) for token in prompt)
    if not ids:
        raise PromptError(f"Prompt {place} is empty: give at least one token.")
    outside = next((token for token in ids if not 0 <= token < model.vocabulary), None)
    if outside is not None:
        raise PromptError(f"Prompt {place} holds token {outside}, outside the vocabulary of {model.vocabulary:,}.")
    try:
        model.check_fits(len(ids) + limit)
    except PromptError as problem:
        raise PromptError(f"Prompt {place}, {len(ids):,} tokens and up to {limit:,} new ones: {problem}") from problem
    return ids
