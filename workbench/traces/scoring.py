"""Teacher forcing: the distributions a model would have had at every token of a given text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import torch

from workbench.errors import PromptError
from workbench.traces.provenance import provenance
from workbench.traces.sketch import LogitSketch
from workbench.traces.sketching import sketch_logits
from workbench.traces.trace import Trace, names_of, phases_of, token_frame, unknown_columns

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workbench.models import LanguageModel

_BLOCK_BYTES = 64 * 2**20
"""Most float32 logits held at a time: 110 rows of a 152 k vocabulary, all of a small model's."""


def score(
    model: LanguageModel,
    text: str | Sequence[int],
    prompt: str | Sequence[int] | Sequence[dict[str, str]] | None = None,
    *,
    chat: bool | None = None,
    top: int = 256,
) -> Trace:
    """Run the model over `text` (a string or token ids) after `prompt` and keep the distribution of every token.

    The entropy of token t is that of the logits at t - 1; without a prompt the first token has no distribution and is
    left out, unless the tokenizer puts a beginning-of-sequence token before it. The sampled columns are null: nothing
    was drawn. The model runs in blocks with its own cache, so that no more than a block of logits is held.

    Raises:
        PromptError: empty text, a token outside the vocabulary, or longer than the model's context.
        LogitsError: the model gave NaN or +inf, with the position.
    """
    prompt_text, prompt_ids = ("", []) if prompt is None else model.encode_prompt(prompt, chat=chat)
    ids = _encode(model, text, first=not prompt_ids)
    whole = [*prompt_ids, *ids]
    model.check_fits(len(whole))
    start = max(len(prompt_ids), 1)
    if len(whole) <= start:
        raise PromptError("There is nothing to score: give a text of at least two tokens, or a prompt before it.")
    sketch = _sketch(model, whole, start, top)
    target = whole[start:]
    texts = model.token_texts(target)
    before = whole[:start]
    frame = token_frame(sketch, texts=texts, phases=phases_of(model, target, before))
    meta: dict[str, Any] = {"kind": "scored", **provenance(model), "missing": unknown_columns(frame)}
    shown = prompt_text if prompt_ids else "".join(model.token_texts(before))
    return Trace(frame, shown, tuple(before), "".join(texts), meta, sketch, names_of(model, sketch))


def _encode(model: LanguageModel, text: str | Sequence[int], *, first: bool) -> list[int]:
    if not isinstance(text, str):
        return model.encode_prompt(np.asarray(text, dtype=np.int64).tolist())[1]
    if not text:
        raise PromptError("The text to score is empty.")
    if model.tokenizer is None:
        raise PromptError("This model has no tokenizer: give the text as token ids, or wb.wrap(model, tokenizer).")
    return list(model.tokenizer(text, add_special_tokens=first)["input_ids"])


def _sketch(model: LanguageModel, ids: Sequence[int], start: int, top: int) -> LogitSketch:
    """The sketches of the logits at start - 1 to the end - 1, whose realised tokens are ids[start:]."""
    block = int(np.clip(_BLOCK_BYTES // (4 * model.vocabulary), 16, 2048))
    whole = torch.as_tensor(ids, device=model.device)[None]
    parts: list[LogitSketch] = []
    cache = None
    with torch.inference_mode():
        for at in range(0, len(ids) - 1, block):
            end = min(at + block, len(ids) - 1)
            output = model.hf(input_ids=whole[:, at:end], past_key_values=cache, use_cache=True, return_dict=True)
            cache = output.past_key_values
            first = max(at, start - 1)
            if first < end:
                parts.append(sketch_logits(output.logits[0, first - at :], ids[first + 1 : end + 1], top=top))
    return LogitSketch.concatenate(parts)


def mean_surprisal(trace: Trace) -> float:
    """Mean negative log-likelihood in nats, L = (1/N) sum of -ln p(y_t | y_<t); its exponential is the perplexity."""
    return -float(trace.tokens.select(pl.col("logprob").mean()).item())
