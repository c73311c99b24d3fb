"""Two models that can take turns: one vocabulary, and room for the same text in both."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.errors import ModelError, PromptError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workbench.models import LanguageModel

_REMEDY = "Two models can take turns only if every token id means the same to both; take two of one family."


def check_vocabularies(small: LanguageModel, large: LanguageModel) -> None:
    """Whether every token id means the same to both models.

    Rows of logits may differ in length, as families pad their larger models' vocabularies, where no token lies in the
    difference. Without two tokenizers only the lengths can be compared.

    Raises:
        ModelError: it does not; the first id that differs is named.
    """
    if small.tokenizer is None or large.tokenizer is None:
        if small.vocabulary != large.vocabulary:
            raise ModelError(
                f"{small.name} has a vocabulary of {small.vocabulary:,} tokens, {large.name} one of "
                f"{large.vocabulary:,}, and not both have a tokenizer to say which are the same. {_REMEDY}"
            )
        return
    if small.tokenizer is large.tokenizer and small.vocabulary == large.vocabulary:
        return
    tokens = _tokens(small), _tokens(large)
    if tokens[0] != tokens[1]:
        differing = min(i for i in tokens[0].keys() | tokens[1].keys() if tokens[0].get(i) != tokens[1].get(i))
        words = [repr(found[differing]) if differing in found else "no token" for found in tokens]
        raise ModelError(
            f"{small.name} and {large.name} have different vocabularies ({len(tokens[0]):,} and {len(tokens[1]):,} "
            f"tokens): token {differing} is {words[0]} for the first and {words[1]} for the second. {_REMEDY}"
        )


def check_text(models: Sequence[LanguageModel], prompt_ids: Sequence[int], length: int) -> None:
    """Whether both models know the prompt's tokens and have room for `length` of them.

    Raises:
        PromptError: one has not; it is named.
    """
    for model in models:
        if max(prompt_ids) >= model.vocabulary:
            raise PromptError(
                f"Token {max(prompt_ids)} of the prompt is outside the vocabulary of {model.name}, "
                f"{model.vocabulary:,} tokens. Leave it out, or take another model."
            )
        try:
            model.check_fits(length)
        except PromptError as problem:
            raise PromptError(f"{model.name}: {problem}") from problem


def _tokens(model: LanguageModel) -> dict[int, str]:
    """The tokens the model can draw, by id."""
    return {i: token for token, i in model.tokenizer.get_vocab().items() if i < model.vocabulary}
