"""Legacy completions: `choices[].logprobs` with tokens, token_logprobs, top_logprobs and text_offset side by side.

Alternatives come as a table from text to log-probability, so tokens spelled alike are one. With echo=true the prompt's
tokens come first, and the first of all has no log-probability. Sources: OpenAI API reference, "The completion object"
(legacy); vllm-project/vllm, vllm/entrypoints/openai/completion/serving.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from workbench.errors import TraceError
from workbench.traces.imports import engines
from workbench.traces.imports.entries import (
    Alternative,
    Entry,
    Imported,
    logprob_of,
    mapping,
    rows,
    same_length,
    spelling,
)
from workbench.traces.imports.texts import join
from workbench.traces.imports.vllm import prompt_entries

NAME = "openai-completions"
ASK = "Ask for them with logprobs=5 (echo=True adds the prompt's)."


def matches(document: Mapping[str, Any]) -> bool:
    """Whether this is a legacy completion."""
    choices = document.get("choices")
    return isinstance(choices, list) and any(isinstance(c, Mapping) and "text" in c for c in choices)


def parse(document: Mapping[str, Any], engine: str | None = None) -> list[Imported]:
    """One sequence a choice.

    Raises:
        TraceError: a choice without log-probabilities, with lists of different lengths or broken values.
    """
    choices = [mapping(c, f"choices[{i}]") for i, c in enumerate(rows(document["choices"], "choices"))]
    return [_choice(document, choice, f"choices[{i}]", engine) for i, choice in enumerate(choices)]


def _choice(document: Mapping[str, Any], choice: Mapping[str, Any], where: str, engine: str | None) -> Imported:
    logprobs = choice.get("logprobs")
    prompt = prompt_entries(document, choice, where)
    if not logprobs and not prompt.entries:
        raise TraceError(f"{where} has no log-probabilities (logprobs is null). {ASK}")
    entries = _entries(mapping(logprobs or {}, f"{where}.logprobs"), choice, f"{where}.logprobs")
    echoed = _echoed(document, entries)
    text = str(choice.get("text") or "")
    notes: tuple[str, ...] = ()
    if echoed is None:
        echoed = 0
        notes = ("The prompt was echoed, and where it ends is not told; its tokens stand among the others.",)
    before = entries[:echoed]
    if before:
        text = text.removeprefix("".join(join(entries, text).texts[:echoed]))
    return Imported(
        format=NAME,
        reading=engines.of_choice(document, choice, engine),
        entries=entries[echoed:],
        prompt_entries=before or prompt.entries,
        text=text,
        prompt_ids=prompt.ids,
        model=document.get("model"),
        finish=choice.get("finish_reason"),
        keyed_by_text=True,
        notes=notes,
    )


def _entries(logprobs: Mapping[str, Any], choice: Mapping[str, Any], where: str) -> tuple[Entry, ...]:
    tokens = rows(logprobs.get("tokens") or [], f"{where}.tokens")
    values = rows(logprobs.get("token_logprobs") or [], f"{where}.token_logprobs")
    top = rows(logprobs.get("top_logprobs") or [None] * len(tokens), f"{where}.top_logprobs")
    counts = {"tokens": len(tokens), "token_logprobs": len(values), "top_logprobs": len(top)}
    offsets = logprobs.get("text_offset")
    same_length(counts if offsets is None else counts | {"text_offset": len(offsets)}, where)
    entries = tuple(
        _entry(token, value, listed, f"{where}[{i}]")
        for i, (token, value, listed) in enumerate(zip(tokens, values, top, strict=True))
    )
    return _with_ids(entries, choice)


def _entry(token: Any, value: Any, listed: Any, where: str) -> Entry:  # noqa: ANN401  -- JSON
    spelled = spelling(str(token))
    alternatives = []
    for text, other in mapping(listed or {}, f"{where}.top_logprobs").items():
        logprob = logprob_of(other, f"{where}.top_logprobs[{text!r}]")
        if logprob is not None:
            named = spelling(text)
            alternatives.append(Alternative(named.token_id, text if named.text is None else named.text, logprob))
    own = logprob_of(value, f"{where}.token_logprobs")
    return Entry(spelled.text, spelled.raw, spelled.token_id, own, tuple(alternatives))


def _echoed(document: Mapping[str, Any], entries: Sequence[Entry]) -> int | None:
    """How many of the tokens are the prompt's; None where it was echoed and the document does not say."""
    if not entries or entries[0].logprob is not None:
        return 0
    count = (document.get("usage") or {}).get("prompt_tokens")
    if not isinstance(count, int) or not 0 < count <= len(entries):
        return None
    # With several prompts usage adds them all up; several choices of one prompt begin alike.
    begins = {tuple(((choice.get("logprobs") or {}).get("tokens") or [])[:count]) for choice in document["choices"]}
    return count if len(begins) == 1 else None


def _with_ids(entries: tuple[Entry, ...], choice: Mapping[str, Any]) -> tuple[Entry, ...]:
    ids = [*(choice.get("prompt_token_ids") or []), *(choice.get("token_ids") or [])]
    if len(ids) != len(entries):  # without echo the prompt's ids are not among the tokens
        ids = choice.get("token_ids") or []
    if len(ids) != len(entries):
        return entries
    return tuple(replace(entry, token_id=int(token_id)) for entry, token_id in zip(entries, ids, strict=True))
