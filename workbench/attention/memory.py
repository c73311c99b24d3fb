"""How much memory head statistics of a text will take, before it is taken."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import polars as pl
import torch

from workbench.attention.interface import EAGER_ROWS, usual_setting
from workbench.attention.rows import STATISTICS
from workbench.errors import AttentionError
from workbench.models.memory import available_memory

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workbench.models import LanguageModel

_OVERHEAD = 1.2
"""What is held in passing besides what is counted."""
_BUFFER_BYTES = 2 * 2**21
_SQUARE_MASKS = 2
"""Masks a model makes at most: for all keys and for a sliding window."""


@dataclass(frozen=True)
class AttentionMemory:
    """What head statistics of a text of `tokens` would take beside the weights of the model."""

    tokens: int
    block: int
    layers: int
    heads: int
    key_heads: int
    head_size: int
    hidden: int
    """Width of the residual stream."""
    intermediate: int
    """Width of the feed-forward part."""
    vocabulary: int
    item: int
    """Bytes a number of the model's activations."""
    squares: int
    """Bytes of masks for each pair of tokens."""
    eager: bool
    """Whether the model's usual attention makes its weights (for EAGER_ROWS queries at a time on a CPU)."""
    on_cpu: bool
    available: int | None
    """Bytes free on the device, or None where that cannot be known."""

    @property
    def needed(self) -> int:
        """Bytes: the rows' statistics, the scores of a block, the activations of a layer, and square masks if any."""
        T, group = self.tokens, -(-self.heads // self.key_heads)
        rows = 4 * (2 * len(STATISTICS) * self.layers * self.heads + self.layers) * T  # twice: parts, then the whole
        scores = max(_BUFFER_BYTES, 4 * group * min(self.block, T) * T)
        states = (2 * self.heads + 2 * self.key_heads) * self.head_size
        activations = self.item * T * (4 * self.hidden + 3 * self.intermediate + 2 * states) + 4 * self.vocabulary
        weights = 0
        if self.eager:
            weights = 3 * 4 * self.heads * T * (min(2 * EAGER_ROWS, T) if self.on_cpu else T)
        return int(_OVERHEAD * (rows + scores + activations + weights + self.squares * T * T))

    @property
    def fits(self) -> bool:
        """Whether there is enough; unknown counts as enough."""
        return self.available is None or self.needed <= self.available

    @property
    def most_tokens(self) -> int:
        """The longest text, up to this one, that fits with this block; 0 where none does."""
        low, high = 0, self.tokens
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if replace(self, tokens=middle).fits else (low, middle - 1)
        return low

    def check(self) -> None:
        """Nothing when it fits.

        Raises:
            AttentionError: it does not; both amounts and what would fit are named.
        """
        if self.fits or self.available is None:
            return
        smaller = next((b for b in (64, 16, 4) if b < self.block and replace(self, block=b).fits), None)
        suggestions = [f"block={smaller}"] if smaller else []
        suggestions += [f"the first {self.most_tokens:,} tokens"] if self.most_tokens > 1 else []
        raise AttentionError(
            f"Head statistics of {self.tokens:,} tokens need about {self.needed / 1e9:.2f} GB, and "
            f"{self.available / 1e9:.2f} GB are free. "
            f"Take {' or '.join(suggestions) or 'a smaller model'}, or close what else holds memory."
        )

    def to_frame(self) -> pl.DataFrame:
        """One row: tokens, block, needed, available, fits, most_tokens; amounts in bytes."""
        names = ("tokens", "block", "needed", "available", "fits", "most_tokens")
        return pl.DataFrame([{name: getattr(self, name) for name in names}], schema_overrides={"available": pl.Int64})


def estimate_memory(model: LanguageModel, tokens: int, *, block: int, padded: bool = False) -> AttentionMemory:
    """What `head_stats` of a text of that length would take, from the model's configuration.

    Args:
        model: Whose heads are to be measured.
        tokens: Length of the text.
        block: Queries whose scores are held at a time.
        padded: Whether the text has padding, which makes the model's masks square.
    """
    config = model.hf.config.get_text_config()
    heads = _most(getattr(config, "num_attention_heads", None)) or 1  # none where a model has no attention at all
    head_size = _most(getattr(config, "head_dim", None)) or config.hidden_size // heads
    eager = usual_setting(model.hf) == "eager"
    sliding = bool(getattr(config, "sliding_window", None)) and tokens > int(config.sliding_window)
    # A true/false mask is turned into float32 by sdpa; an additive one is made by way of true and false.
    squares = _SQUARE_MASKS * (1 + 4) if sliding or eager or padded else 0
    return AttentionMemory(
        tokens=tokens,
        block=block,
        layers=int(config.num_hidden_layers),
        heads=heads,
        key_heads=_most(getattr(config, "num_key_value_heads", None)) or heads,
        head_size=head_size,
        hidden=int(config.hidden_size),
        intermediate=_most(getattr(config, "intermediate_size", None)) or 4 * int(config.hidden_size),
        vocabulary=model.vocabulary,
        item=torch.empty(0, dtype=model.precision).element_size(),
        squares=squares,
        eager=eager,
        on_cpu=model.device.type == "cpu",
        available=available_memory(model.device),
    )


def _most(value: int | Sequence[int] | None) -> int:
    """The largest of what may be one number for all layers or one for each."""
    if value is None or isinstance(value, int):
        return value or 0
    return max(value)
