"""From what a user calls a prompt to the text and token ids the model is given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from workbench.errors import PromptError
from workbench.models.token_text import token_texts

if TYPE_CHECKING:
    from workbench.models.language_model import LanguageModel

Message = Mapping[str, Any]
"""{"role": ..., "content": ...}; other keys go to the chat template as they are."""
Prompt = str | Sequence[Message] | Sequence[int] | np.ndarray | torch.Tensor


def encode_prompt(model: LanguageModel, prompt: Prompt, *, chat: bool | None = None) -> tuple[str, list[int]]:
    """See `LanguageModel.encode_prompt`."""
    if isinstance(prompt, str):
        text, ids = _from_string(model, prompt, chat)
    elif isinstance(prompt, (list, tuple)) and prompt and isinstance(prompt[0], Mapping):
        if chat is False:
            raise PromptError("A list of messages needs the chat template; chat=False goes with a string.")
        text, ids = _from_messages(model, prompt)
    else:
        ids = _as_ids(prompt)
        _check_vocabulary(ids, model.vocabulary)
        text = "" if model.tokenizer is None else "".join(token_texts(model.tokenizer, ids))
    if not ids:
        raise PromptError("The prompt is empty: give at least one token.")
    _check_vocabulary(ids, model.vocabulary)
    model.check_fits(len(ids))
    return text, ids


def check_fits(length: int, context: int | None) -> None:
    """Whether that many tokens fit the context.

    Raises:
        PromptError: they do not; both lengths are given.
    """
    if context is not None and length > context:
        raise PromptError(
            f"{length:,} tokens do not fit the model's context of {context:,}. Shorten the text by "
            f"{length - context:,} tokens, or take a model with a longer context."
        )


def _from_string(model: LanguageModel, prompt: str, chat: bool | None) -> tuple[str, list[int]]:  # noqa: FBT001
    if not prompt:
        raise PromptError("The prompt is empty: give at least one character.")
    if model.has_chat_template if chat is None else chat:
        return _from_messages(model, [{"role": "user", "content": prompt}])
    return prompt, _verbatim(_tokenizer(model), prompt)


def _from_messages(model: LanguageModel, messages: Sequence[Any]) -> tuple[str, list[int]]:
    tokenizer = _tokenizer(model)
    for place, message in enumerate(messages):
        _check_message(place, message)
    if not model.has_chat_template:
        raise PromptError(
            f"The tokenizer of {model.name} has no chat template. Give the prompt as one string with chat=False, or "
            "set model.tokenizer.chat_template."
        )
    if not any(message["content"].strip() for message in messages):
        raise PromptError("The prompt is empty: no message has any content.")
    goes_on = messages[-1]["role"] == "assistant"
    try:
        text = tokenizer.apply_chat_template(
            [dict(message) for message in messages],
            tokenize=False,
            add_generation_prompt=not goes_on,
            continue_final_message=goes_on,
        )
    except Exception as error:
        raise PromptError(
            f"The chat template of {model.name} cannot render this prompt: {error}. "
            "Check the order of the roles, or write the prompt out and pass chat=False."
        ) from error
    # The template has written the special tokens; adding them again would begin the sequence twice.
    return text, list(tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])


def _check_message(place: int, message: object) -> None:
    if not isinstance(message, Mapping):
        raise PromptError(f"Message {place} is a {type(message).__name__}, not a mapping with role and content.")
    for key in ("role", "content"):
        if not isinstance(message.get(key), str):
            found = type(message[key]).__name__ if key in message else "missing"
            raise PromptError(f"Message {place}: {key!r} must be a string, and is {found}.")


def _verbatim(tokenizer: Any, text: str) -> list[int]:  # noqa: ANN401  -- transformers is untyped
    """The tokens of `text`, after the beginning-of-sequence token if the tokenizer puts one and the text does not.

    What a tokenizer puts at the end is left off: the model is to go on from here.
    """
    plain = list(tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])
    framed = list(tokenizer(text, verbose=False)["input_ids"])
    begun = tokenizer.bos_token_id is not None and plain[:1] == [tokenizer.bos_token_id]
    for start in range(len(framed) - len(plain) + 1):
        if not begun and framed[start : start + len(plain)] == plain:
            return framed[: start + len(plain)]
    return plain


def _as_ids(prompt: Any) -> list[int]:  # noqa: ANN401  -- a user may pass anything
    if isinstance(prompt, torch.Tensor):
        prompt = prompt.detach().cpu().numpy()
    mixed = isinstance(prompt, (list, tuple)) and any(isinstance(value, (bool, np.bool_)) for value in prompt)
    try:
        array = np.asarray(prompt)
    except ValueError:  # ragged
        array = np.empty((), dtype=object)
    if array.ndim == 1 and array.size == 0:
        raise PromptError("The prompt is empty: give at least one token.")
    if array.ndim != 1 or array.dtype.kind not in "iu" or mixed:
        what = f"{array.ndim}-dimensional {array.dtype}" if isinstance(prompt, np.ndarray) else type(prompt).__name__
        raise PromptError(
            f"A prompt is a string, a list of messages, or a flat list of token ids; this one is not: {what}. "
            "Several prompts go in one call each."
        )
    return [int(i) for i in array]


def _check_vocabulary(ids: Sequence[int], vocabulary: int) -> None:
    for place, token_id in enumerate(ids):
        if not 0 <= token_id < vocabulary:
            raise PromptError(
                f"Token {place} of the prompt has id {token_id}, outside the model's vocabulary of {vocabulary:,}. "
                "Do the tokenizer and the model belong together?"
            )


def _tokenizer(model: LanguageModel) -> Any:  # noqa: ANN401
    if model.tokenizer is None:
        raise PromptError("This model has no tokenizer: give token ids, or wb.wrap(model, tokenizer).")
    return model.tokenizer
