"""Head statistics of a text, with a look at the memory first."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import nn

from workbench.attention.capture import BLOCK, AttentionCapture
from workbench.attention.head_stats import HeadStats
from workbench.attention.memory import estimate_memory
from workbench.attention.running import read_padding, read_tokens, run_observed
from workbench.errors import AttentionError, ParameterError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    from workbench.attention.interface import Call
    from workbench.models import LanguageModel
    from workbench.traces import Trace


_CALLS: WeakKeyDictionary[nn.Module, dict[int, int]] = WeakKeyDictionary()
"""By model, and by how many modules it had then: how many attention calls one pass makes."""


class _Enough(Exception):  # noqa: N818  -- ends the model's pass early; nothing went wrong
    """Every attention call has been seen."""


def head_stats(
    model: LanguageModel,
    text: str | Sequence[int] | Trace,
    *,
    attention_mask: ArrayLike | None = None,
    block: int = BLOCK,
    skip_rows: int = 0,
) -> HeadStats:
    """Statistics of every row of attention of every head over a text, in one pass of the model.

    The model computes its own output by its usual attention function; beside it the scores of `block` queries at a time
    are made, measured and forgotten, so that memory grows with the length of the text and not with its square. (A model
    whose own masks are square, under a sliding window, padding or the eager setting, makes those all the same.) What
    comes after the last attention is left out once an earlier text has shown which one that is.

    Args:
        model: from `wb.load` or `wb.wrap`.
        text: A string, taken verbatim; token ids; or a trace, whose prompt and tokens are read.
        attention_mask: (T,) 1 for tokens, 0 for padding, whose rows and columns do not count.
        block: Queries whose scores are held at a time.
        skip_rows: First rows left out of every mean; see `HeadStats.skipping`.

    Raises:
        AttentionError: a model whose attention cannot be observed, a text for which there is not enough memory (with
            one that would fit), or scores that are not finite.
        PromptError: fewer than two tokens, a token outside the vocabulary, or longer than the context.
        ParameterError: block or skip_rows out of range.
    """
    if block < 1:
        raise ParameterError(f"block={block}: at least one query must be looked at at a time.")
    ids = read_tokens(model, text)
    attended = read_padding(attention_mask, len(ids))
    if not 0 <= skip_rows < attended.sum():
        raise ParameterError(f"skip_rows={skip_rows}: this text has rows to skip from 0 to {attended.sum() - 1}.")
    estimate_memory(model, len(ids), block=block, padded=not attended.all()).check()
    captured = AttentionCapture(block=block)
    whole = (torch.as_tensor(values)[None] for values in (np.array(ids), attended))
    captured.follower.read(*whole, size=(1, len(ids)))
    _run(model, ids, attended, captured)
    rows, support = captured.rows(), captured.support()
    rows[..., ~attended] = np.nan
    support[:, ~attended] = 0
    _check_finite(rows[0], support, captured)
    texts = tuple(model.token_texts(ids))
    return HeadStats(rows, support, captured.layers, tuple(ids), texts, attended, model.name, skip_rows)


def _run(model: LanguageModel, ids: Sequence[int], attended: NDArray[np.bool_], captured: AttentionCapture) -> None:
    """One pass, ended after as many attention calls as an earlier pass of the same modules made."""
    hf, seen = model.hf, 0
    modules = sum(1 for _ in hf.modules())
    enough = _CALLS.get(hf, {}).get(modules)

    def observe(call: Call) -> None:
        nonlocal seen
        captured(call)
        seen += 1
        if seen == enough:
            raise _Enough

    with suppress(_Enough):
        run_observed(model, ids, attended, observe)
        _CALLS[hf] = {modules: seen}


def _check_finite(entropy: NDArray[np.float32], support: NDArray[np.int32], captured: AttentionCapture) -> None:
    """Every row of every head that sees a key has a number."""
    there = np.arange(entropy.shape[1]) < np.array(captured.heads)[:, None]  # (L, H)
    bad = np.argwhere(np.isnan(entropy) & there[..., None] & (support > 0)[:, None])
    if len(bad):
        layer, head, row = bad[0]
        raise AttentionError(
            f"The attention scores of layer {captured.layers[layer]}, head {head}, row {row} are not finite. Check the "
            "model's dtype (float16 overflows where bfloat16 or float32 do not)."
        )
