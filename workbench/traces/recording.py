"""Decode and record in one pass."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from workbench.errors import ParameterError
from workbench.samplers import Sampler
from workbench.stopping import Stop, asked_by
from workbench.traces.batching import Task, check_memory, record_tasks

if TYPE_CHECKING:
    from workbench.models import LanguageModel
    from workbench.traces.recorder import Token
    from workbench.traces.trace import Trace

Prompt = str | Sequence[int] | Sequence[Mapping[str, str]]

_BATCH_BYTES = 256 * 2**20
"""Most logits of one step, raw and processed, that an automatic batch size allows for."""


def record(
    model: LanguageModel,
    prompt: Prompt,
    *,
    sampler: Sampler | None = None,
    max_new_tokens: int | None = None,
    seed: int = 0,
    n: int = 1,
    batch_size: int | None = None,
    chat: bool | None = None,
    top: int = 256,
    on_token: Callable[[Token], None] | None = None,
    stop: Stop | None = None,
) -> Any:  # noqa: ANN401  -- Trace for n=1, list[Trace] else; an overload cannot tell n=1 from another int
    """Decode `prompt` and keep, for every token, the raw distribution and the one it was really drawn from.

    Args:
        model: from `wb.load` or `wb.wrap`.
        prompt: one user turn (put through the chat template when there is one), a list of messages, or token ids.
        sampler: how tokens are drawn; the model's own generation settings where none is given.
        max_new_tokens: where to end at the latest; up to 1024, as the context allows, where none is given.
        seed: sequence i of n draws from a generator seeded with seed + i, whatever the batch size.
        n: how many sequences.
        batch_size: how many of them are decoded together; what fits 256 MiB of logits, 16 at most, by default.
        chat: False takes a string verbatim, True insists on a chat template.
        top: how many logits a token's sketch holds exactly.
        on_token: called with every token as it is drawn, in the decoding thread.
        stop: an event, or a function that says True, after which decoding ends at once and what is there is returned.

    Returns:
        Trace: for n = 1, a list of n of them else. `meta["finish"]` says end, length or stopped.

    Raises:
        PromptError: no chat template, empty, too long for the context.
        LogitsError: the model gave NaN, or nothing was left to draw from.
        ParameterError: a number out of range.
    """
    _check(n=n, batch_size=batch_size, max_new_tokens=max_new_tokens, top=top)
    text, ids = model.encode_prompt(prompt, chat=chat)
    limit = max_new_tokens or _default_limit(model, len(ids))
    model.check_fits(len(ids) + limit)
    drawn_with = sampler or Sampler.from_generation_config(model.hf.generation_config)
    question = prompt if isinstance(prompt, str) else None
    size = batch_size or max(1, min(n, 16, _BATCH_BYTES // (8 * model.vocabulary)))
    check_memory(n, n * limit, top, model.vocabulary)
    halt = asked_by(stop)
    traces: list[Trace] = []
    for first in range(0, n, size):
        if first and halt():
            break
        batch = range(first, min(first + size, n))
        tasks = [Task(tuple(ids), text, seed + i, i, limit, question) for i in batch]
        traces += record_tasks(model, tasks, sampler=drawn_with, top=top, stop=halt, on_token=on_token)
    return traces[0] if n == 1 else traces


def _default_limit(model: LanguageModel, prompt: int) -> int:
    return 1024 if model.context is None else max(1, min(1024, model.context - prompt))


def _check(*, n: int, batch_size: int | None, max_new_tokens: int | None, top: int) -> None:
    if n < 1:
        raise ParameterError(f"n={n}: ask for at least one sequence.")
    if batch_size is not None and batch_size < 1:
        raise ParameterError(
            f"batch_size={batch_size}: at least one sequence a batch; leave it out for a fitting size."
        )
    if max_new_tokens is not None and max_new_tokens < 1:
        raise ParameterError(f"max_new_tokens={max_new_tokens}: ask for at least one token.")
    if top < 1:
        raise ParameterError(f"top={top}: a sketch holds at least one logit a token; 256 is usual.")
