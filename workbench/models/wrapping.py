"""Turn a transformers model and its tokenizer into a LanguageModel, once both have been looked at."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from workbench.errors import ModelError
from workbench.models.language_model import LanguageModel
from workbench.models.marker_search import find_think_markers


def wrap(model: Any, tokenizer: Any = None) -> LanguageModel:  # noqa: ANN401  -- transformers is untyped
    """A LanguageModel from a transformers model that is already in the notebook.

    The model is left as it is, weights, dtype and device, except that it is put in evaluation mode. Without a tokenizer
    prompts are token ids and tokens show as their numbers.

    Raises:
        ModelError: no causal language model, or a tokenizer with more tokens than the model has logits.
    """
    name = str(getattr(getattr(model, "config", None), "name_or_path", "") or type(model).__name__)
    return describe(model, tokenizer, name=name)


def describe(
    model: Any,  # noqa: ANN401
    tokenizer: Any,  # noqa: ANN401
    *,
    name: str,
    revision: str | None = None,
    quantization: str | None = None,
) -> LanguageModel:
    """Look at model and tokenizer and write down what the workbench needs to know.

    Raises:
        ModelError: no causal language model, or a tokenizer that does not fit it.
    """
    _require_generator(model)
    vocabulary = _vocabulary(model, name)
    model.eval()
    _require_causal(model, name, vocabulary)
    if tokenizer is not None:
        _require_fit(tokenizer, vocabulary, name)
    ends = _end_ids(model, tokenizer, vocabulary)
    return LanguageModel(
        hf=model,
        tokenizer=tokenizer,
        name=name,
        revision=revision,
        dtype=str(model.dtype).removeprefix("torch."),
        device=model.device,
        think_markers=None if tokenizer is None else find_think_markers(tokenizer),
        context=_context(model.config),
        vocabulary=vocabulary,
        parameters=int(model.num_parameters()),
        end_ids=ends,
        pad_id=_pad_id(model, tokenizer, ends, vocabulary),
        quantization=quantization,
    )


def _require_generator(model: object) -> None:
    if not isinstance(model, nn.Module) or not hasattr(model, "config") or not hasattr(model, "generate"):
        raise ModelError(f"{type(model).__name__} is no transformers model that generates text.")


def _vocabulary(model: Any, name: str) -> int:  # noqa: ANN401
    head = model.get_output_embeddings()
    if head is None or getattr(model.config, "is_encoder_decoder", False):
        raise ModelError(f"{name} ({type(model).__name__}) is no causal language model: it gives no next-token logits.")
    return int(getattr(head, "out_features", None) or head.weight.shape[0])


def _require_causal(model: Any, name: str, vocabulary: int) -> None:  # noqa: ANN401
    """Change the last of six tokens: a causal model's logits before it stay as they were."""
    ids = torch.tensor([[0, 1, 2, 3, 4, 5], [0, 1, 2, 3, 4, 6]], device=model.device) % vocabulary
    with torch.inference_mode():
        logits = model(input_ids=ids, use_cache=False).logits[:, :-1].float()
    rounding = 1e-5 if model.dtype in (torch.float32, torch.float64) else 3e-2
    difference = float((logits[0] - logits[1]).abs().max())
    if difference > rounding * float(logits.abs().max()):
        raise ModelError(
            f"{name} ({type(model).__name__}) is no causal language model: its logits depend on later tokens."
        )


def _require_fit(tokenizer: Any, vocabulary: int, name: str) -> None:  # noqa: ANN401
    ids = tokenizer.get_vocab().values()
    if not ids:
        raise ModelError(f"The tokenizer of {name} is empty. Its files are missing or broken.")
    if max(ids) >= vocabulary:
        raise ModelError(
            f"The tokenizer of {name} has tokens up to id {max(ids):,}, but the model gives {vocabulary:,} logits. "
            "They do not belong together: load the tokenizer from the model's own folder, or resize the embeddings."
        )


def _context(config: Any) -> int | None:  # noqa: ANN401
    limit = getattr(config.get_text_config(), "max_position_embeddings", None)
    return int(limit) if limit else None


def _end_ids(model: Any, tokenizer: Any, vocabulary: int) -> frozenset[int]:  # noqa: ANN401
    declared = [
        getattr(getattr(model, "generation_config", None), "eos_token_id", None),
        getattr(model.config.get_text_config(), "eos_token_id", None),
        getattr(tokenizer, "eos_token_id", None),
    ]
    ends: set[int] = set()
    for found in declared:
        ends.update(found if isinstance(found, (list, tuple)) else [] if found is None else [found])
    return frozenset(
        int(i) for i in ends if 0 <= int(i) < vocabulary
    )  # a config's default may lie beyond a small vocabulary


def _pad_id(model: Any, tokenizer: Any, ends: frozenset[int], vocabulary: int) -> int:  # noqa: ANN401
    candidates = [
        getattr(tokenizer, "pad_token_id", None),
        getattr(getattr(model, "generation_config", None), "pad_token_id", None),
        min(ends, default=0),
    ]
    return int(next(found for found in candidates if isinstance(found, int) and 0 <= found < vocabulary))
