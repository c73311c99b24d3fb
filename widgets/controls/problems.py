"""What went wrong, in words that say what to do."""

from __future__ import annotations

import torch

from workbench.errors import WorkbenchError

RAN_OUT = (
    "Memory ran out. Ask for fewer tokens or samples, unload a model or load one in bfloat16 in the tab Model, or "
    "close other programs; everything else stays as it was."
)


def problem_words(problem: Exception) -> str:
    """Errors of ours say it themselves; memory that ran out, what frees some; of others their kind and message."""
    if isinstance(problem, WorkbenchError):
        return str(problem)
    if isinstance(problem, (MemoryError, torch.OutOfMemoryError)) or "can't allocate memory" in str(problem):
        return RAN_OUT
    return f"{type(problem).__name__}: {problem}"
