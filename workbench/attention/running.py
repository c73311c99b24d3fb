"""A text as a model reads it, and one pass of the model over it with its attention observed."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

import numpy as np
import torch

from workbench.attention.interface import Observer, observed
from workbench.errors import AttentionError, PromptError
from workbench.models import LanguageModel
from workbench.traces import Trace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray


def read_tokens(model: LanguageModel, text: str | Sequence[int] | Trace) -> list[int]:
    """A string verbatim with the tokenizer's special tokens, token ids as they are, or a trace's prompt and tokens.

    Raises:
        PromptError: fewer than two tokens, an id outside the vocabulary, longer than the context, or no tokenizer.
        AttentionError: no LanguageModel.
    """
    if not isinstance(model, LanguageModel):
        raise AttentionError(f"Expected a model from wb.load or wb.wrap, not {type(model).__name__}.")
    if isinstance(text, Trace):
        ids = [*text.prompt_ids, *text.tokens["token_id"].to_list()]
    elif isinstance(text, str):
        if model.tokenizer is None:
            raise PromptError("This model has no tokenizer: give token ids, or wb.wrap(model, tokenizer).")
        ids = list(model.tokenizer(text)["input_ids"])
    else:
        ids = np.asarray(text, dtype=np.int64).tolist()
    if len(ids) < 2:
        raise PromptError("Attention needs a text of at least two tokens.")
    model.check_fits(len(ids))
    return model.encode_prompt(ids)[1]


def read_padding(mask: ArrayLike | None, tokens: int) -> NDArray[np.bool_]:
    """(T,): true for tokens that are no padding.

    Raises:
        PromptError: of another length, or fewer than two tokens left.
    """
    attended = np.ones(tokens, np.bool_) if mask is None else np.asarray(mask).astype(np.bool_).reshape(-1)
    if len(attended) != tokens:
        raise PromptError(f"The attention mask has {len(attended)} places, the text {tokens} tokens.")
    if attended.sum() < 2:
        raise PromptError("The attention mask leaves fewer than two tokens.")
    return attended


def run_observed(model: LanguageModel, ids: Sequence[int], attended: NDArray[np.bool_], observer: Observer) -> None:
    """One pass over the whole text without a cache; logits of the last position alone are made where that can be."""
    whole = torch.as_tensor(np.array(ids, dtype=np.int64)[None], device=model.device)
    given = {} if attended.all() else {"attention_mask": torch.as_tensor(attended[None].astype(np.int64))}
    given = {name: mask.to(model.device) for name, mask in given.items()}
    few = {"logits_to_keep": 1} if "logits_to_keep" in inspect.signature(model.hf.forward).parameters else {}
    with torch.inference_mode(), observed(model.hf, observer):
        model.hf(input_ids=whole, use_cache=False, return_dict=True, **given, **few)
