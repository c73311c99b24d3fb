"""A causal language model as transformers loaded it, with what the workbench needs to know about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from workbench.models import prompts, token_text
from workbench.models.marker_search import template_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workbench.models.think_markers import ThinkMarkers
    from workbench.models.verification import Verification


@dataclass(frozen=True, eq=False, repr=False)
class LanguageModel:
    """A thin holder of a transformers model and its tokenizer. Made by `wb.load` or `wb.wrap`."""

    hf: Any
    """The transformers model."""
    tokenizer: Any
    """Its tokenizer, or None."""
    name: str
    """What the user asked for."""
    revision: str | None
    """The commit on the hub it came from; None for folders, bundled models and wrapped ones."""
    dtype: str
    """What it computes in, such as "float32"."""
    device: torch.device
    think_markers: ThinkMarkers | None
    context: int | None
    """Most positions it was made for, or None where it has no such limit."""
    vocabulary: int
    """Length V of a row of logits; at least the number of the tokenizer's tokens."""
    parameters: int
    """Number of parameters, those shared counted once."""
    end_ids: frozenset[int]
    """The tokens that end a sequence, by generation config, config and tokenizer."""
    pad_id: int
    """The token that fills up shorter sequences of a batch; masked, so that which one it is does not matter."""
    quantization: str | None = None
    """4bit, 8bit, or None."""

    @property
    def has_chat_template(self) -> bool:
        """Whether prompts go through a chat template unless told otherwise."""
        return bool(template_text(self.tokenizer))

    @property
    def precision(self) -> torch.dtype:
        """The dtype whose rounding its logits show: `dtype`, or half precision where weights are quantised."""
        found = torch.bfloat16 if self.quantization else getattr(torch, self.dtype, None)
        return found if isinstance(found, torch.dtype) else torch.float32

    def encode_prompt(self, prompt: prompts.Prompt, *, chat: bool | None = None) -> tuple[str, list[int]]:
        """The prompt's text and token ids as the model is given them.

        Args:
            prompt: A string: one user turn through the chat template when there is one, verbatim otherwise. A list of
                messages ({"role": ..., "content": ...}) goes through the chat template; when the last is the
                assistant's, the model goes on with it. A flat list, array or tensor of token ids is taken as it is.
            chat: True insists on the template, False takes a string verbatim.

        Raises:
            PromptError: empty, longer than the context, malformed, an id outside the vocabulary, no tokenizer, no chat
                template where one is needed, or a template that cannot render it.
        """
        return prompts.encode_prompt(self, prompt, chat=chat)

    def check_fits(self, length: int) -> None:
        """Whether `length` tokens fit the model's context.

        Raises:
            PromptError: they do not; both lengths are given.
        """
        prompts.check_fits(length, self.context)

    def token_texts(self, ids: Sequence[int]) -> list[str]:
        """What each token adds to the text; joined, the tokenizer's decoding of `ids`.

        A character spread over several tokens goes to the one that completes it. Without a tokenizer: the ids.
        """
        if self.tokenizer is None:
            return [f"⟨{int(i)}⟩" for i in ids]
        return token_text.token_texts(self.tokenizer, ids)

    def verify(self, tokens: int = 32) -> Verification:
        """Prove on a short text that the workbench's assumptions hold for this model; the result shows itself."""
        from workbench.models.verification import verify  # noqa: PLC0415  -- it imports polars, which nobody else here needs

        return verify(self, tokens)

    def __repr__(self) -> str:
        kind = self.quantization or self.dtype
        facts = [f"{self.parameters:,} parameters", f"{kind} on {self.device}", f"vocabulary {self.vocabulary:,}"]
        facts += [f"context {self.context:,}"] if self.context else []
        marks = self.think_markers
        facts += [f"thinks between {marks.open_text} and {marks.close_text}"] if marks else []
        return f"LanguageModel({self.name}: {', '.join(facts)})"
