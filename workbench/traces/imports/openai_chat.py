"""Chat completions: `choices[].logprobs.content[]` of OpenAI and of the servers that speak its format.

Sources: OpenAI API reference, "The chat completion object"; vllm-project/vllm, vllm/entrypoints/openai/chat_completion;
ggml-org/llama.cpp, tools/server/server-task.cpp (`completion_token_output::probs_vector_to_json`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from workbench.errors import TraceError
from workbench.traces.imports import engines
from workbench.traces.imports.entries import Entry, Imported, Reading, mapping, rows, same_length
from workbench.traces.imports.token_objects import entry_of, has_prob
from workbench.traces.imports.vllm import prompt_entries

NAME = "openai-chat"
ASK = "Ask for them with logprobs=True, top_logprobs=20."


def matches(document: Mapping[str, Any]) -> bool:
    """Whether this is a chat completion."""
    choices = document.get("choices")
    named = document.get("object") == "chat.completion"
    return isinstance(choices, list) and (named or any(isinstance(c, Mapping) and "message" in c for c in choices))


def parse(document: Mapping[str, Any], engine: str | None = None) -> list[Imported]:
    """One sequence a choice.

    Raises:
        TraceError: a choice without log-probabilities, or with broken ones.
    """
    found = enumerate(rows(document["choices"], "choices"))
    return [_choice(document, mapping(choice, f"choices[{i}]"), f"choices[{i}]", engine) for i, choice in found]


def _choice(document: Mapping[str, Any], choice: Mapping[str, Any], where: str, engine: str | None) -> Imported:
    message = mapping(choice.get("message"), f"{where}.message")
    logprobs = choice.get("logprobs") or {}
    refused = not logprobs.get("content") and bool(logprobs.get("refusal"))
    part = "refusal" if refused else "content"
    prompt = prompt_entries(document, choice, where)
    if logprobs.get(part) is None and not prompt.entries:
        raise TraceError(f"{where} has no log-probabilities (logprobs is null). {ASK}")
    tokens = rows(logprobs.get(part) or [], f"{where}.logprobs.{part}")
    entries = [entry_of(token, f"{where}.logprobs.{part}[{i}]") for i, token in enumerate(tokens)]
    return Imported(
        format=NAME,
        reading=_reading(document, choice, tokens, engine),
        entries=_with_ids(entries, choice, where),
        prompt_entries=prompt.entries,
        text=message.get(part),
        prompt=str(document.get("prompt_text") or ""),
        prompt_ids=prompt.ids,
        model=document.get("model"),
        finish=choice.get("finish_reason"),
        notes=("The model refused; the tokens are those of the refusal.",) if refused else (),
    )


def _reading(document: Mapping[str, Any], choice: Mapping[str, Any], tokens: Any, engine: str | None) -> Reading:  # noqa: ANN401
    first = tokens[0] if tokens else {}
    if has_prob(first):
        return engines.LLAMACPP_SAMPLED
    # Of the servers that speak this format llama.cpp alone puts an id into every token.
    if engine is None and "id" in first:
        return engines.LLAMACPP_RAW
    return engines.of_choice(document, choice, engine)


def _with_ids(entries: list[Entry], choice: Mapping[str, Any], where: str) -> tuple[Entry, ...]:
    ids = choice.get("token_ids")
    if not ids or not entries:
        return tuple(entries)
    same_length({"token_ids": len(ids), "logprobs": len(entries)}, where)
    return tuple(replace(entry, token_id=int(token_id)) for entry, token_id in zip(entries, ids, strict=True))
