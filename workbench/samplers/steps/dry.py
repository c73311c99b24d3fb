"""DRY, don't repeat yourself: the token that would go on with a sequence seen before becomes less likely."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numba import njit

from workbench.errors import ParameterError
from workbench.kernels.rules import marks, penalises
from workbench.samplers.parameters import number
from workbench.samplers.step import Step

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

BREAKERS = ("\n", ":", '"', "*")
"""Texts that a repetition does not reach across; llama.cpp's."""
_LARGEST_LOG = 88.72  # of a float32


@njit(forceinline=True)
def is_one_of(token: int, tokens: NDArray[np.float64]) -> bool:
    """Whether a token is in the list."""
    for other in tokens:  # noqa: SIM110  -- numba has no any() over a generator
        if other == token:
            return True
    return False


@marks
def repeated(
    history: NDArray[np.int32], length: int, parameters: NDArray[np.float64], amount: NDArray[np.float64]
) -> None:
    """Multiplier · base^(n - allowed) for each token that followed an earlier copy of the last n tokens."""
    multiplier, base, allowed, last_n = parameters[0], parameters[1], int(parameters[2]), int(parameters[3])
    breakers = parameters[4:]
    size = min(length, last_n) if last_n > 0 else length
    if multiplier <= 0.0 or size < 2:
        return
    reach = 0  # how many of the last tokens come after the last breaker
    while reach < size and not is_one_of(history[length - 1 - reach], breakers):
        reach += 1
    most = int(_LARGEST_LOG / math.log(base)) if base > 1.000001 else 1 << 30
    # The Z-algorithm on the reversed text: matched[i] tokens before the i-th last one end as the text does.
    matched = np.zeros(size, np.int64)
    left, right = 0, 0
    for i in range(1, size):
        n = min(right - i, matched[i - left]) if i < right else 0
        while i + n < size and history[length - 1 - n] == history[length - 1 - i - n]:
            n += 1
        matched[i] = n
        if i + n > right:
            left, right = i, i + n
    for i in range(1, size):
        n = min(matched[i], reach)
        token = history[length - i]
        if n >= max(allowed, 1) and not is_one_of(token, breakers):
            amount[token] = max(amount[token], multiplier * base ** min(n - allowed, most))


@penalises
def lowered(logit: float, amount: float, _parameters: NDArray[np.float64]) -> float:
    """Z - amount."""
    return logit - amount


@dataclass(frozen=True)
class DRY(Step):
    """z_x → z_x - multiplier · base^(n - allowed), n the longest end of the text that x followed before.

    Acts where n >= allowed, a match ends at a breaker, and a breaker itself is never penalised. Prompt included.
    """

    name = "dry"
    title = "DRY"
    source = "ggml-org/llama.cpp, src/llama-sampling.cpp, llama_sampler_dry"
    marks = repeated
    penalises = lowered
    engines = {
        "llamacpp": {
            "--dry-multiplier": "multiplier",
            "--dry-base": "base",
            "--dry-allowed-length": "allowed_length",
            "--dry-penalty-last-n": "last_n",
        }
    }

    multiplier: float = number(
        0.8, "The penalty, in logits, of a repetition of the allowed length; 0 turns it off.", low=0, high=1000,
        slider=(0.0, 5.0), step=0.05, unit="nats",
    )  # fmt: skip
    base: float = number(
        1.75, "By how much the penalty grows with each further token.", low=1, high=100, slider=(1.0, 4.0), step=0.05
    )
    allowed_length: int = number(
        2, "Repetitions shorter than this are free.", low=1, high=1000, slider=(1, 20), step=1, unit="tokens"
    )
    last_n: int = number(
        0, "How many of the last tokens are searched, prompt included; 0 searches all.", low=0, high=10_000_000,
        slider=(0, 1024), step=1,
    )  # fmt: skip
    breakers: tuple[int, ...] = field(default=())
    """Ids of the tokens that a repetition does not reach across; `DRY.breaker_ids(tokenizer)` finds them."""

    def __post_init__(self) -> None:
        super().__post_init__()
        try:
            ids = tuple(int(token) for token in self.breakers)
        except (TypeError, ValueError):
            raise ParameterError(
                f"DRY: breakers={self.breakers!r} are not token ids; DRY.breaker_ids(tokenizer) finds them."
            ) from None
        object.__setattr__(self, "breakers", ids)

    def values(self) -> tuple[float, ...]:
        """The numbers, then the breakers."""
        return (*super().values(), *map(float, self.breakers))

    @staticmethod
    def breaker_ids(tokenizer: Any, texts: Sequence[str] = BREAKERS) -> tuple[int, ...]:  # noqa: ANN401
        """Ids of the tokens whose text contains one of `texts`."""
        ids = sorted(tokenizer.get_vocab().values())
        decoded = zip(ids, tokenizer.batch_decode([[i] for i in ids]), strict=True)
        return tuple(i for i, text in decoded if any(one in text for one in texts))

    def lost(self, engine: str) -> tuple[str, ...]:
        """Breakers."""
        if engine != "llamacpp":
            return ()
        return (
            "llama.cpp takes breakers as texts (--dry-sequence-breaker): its own four are used unless you add them.",
        )
