"""Text alone, for those who do not need the distributions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workbench.traces.recording import record

if TYPE_CHECKING:
    from collections.abc import Callable
    from threading import Event

    from workbench.models import LanguageModel
    from workbench.samplers import Sampler
    from workbench.traces.recording import Prompt


def generate(
    model: LanguageModel,
    prompt: Prompt,
    *,
    sampler: Sampler | None = None,
    max_new_tokens: int | None = None,
    seed: int = 0,
    n: int = 1,
    chat: bool | None = None,
    stop: Event | Callable[[], bool] | None = None,
) -> Any:  # noqa: ANN401  -- str for n=1, list[str] else
    """The text that `record` with the same arguments leaves in its traces: a string for n = 1, a list of n else.

    Raises:
        PromptError, LogitsError, ParameterError: as `record`.
    """
    found = record(
        model, prompt, sampler=sampler, max_new_tokens=max_new_tokens, seed=seed, n=n, chat=chat, top=1, stop=stop
    )
    return found.text if n == 1 else [trace.text for trace in found]
