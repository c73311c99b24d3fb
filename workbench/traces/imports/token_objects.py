"""Tokens as JSON objects: the spelling OpenAI's chat format, llama.cpp's server and our own JSONL have in common.

{"token": "a", "id": 64, "bytes": [97], "logprob": -0.1, "top_logprobs": [{...}, ...]}, with "prob" and "top_probs"
where probabilities stand for their logarithms, "tok_str" or "text" for "token", "alternatives" for "top_logprobs".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from workbench.errors import TraceError
from workbench.traces.imports.entries import (
    Alternative,
    Entry,
    Spelling,
    logprob_of,
    logprob_of_prob,
    mapping,
    rows,
    spelling,
)

_TEXT = ("token", "tok_str", "text", "content", "tok")
_ID = ("id", "token_id")
_LISTS = ("top_logprobs", "top_probs", "alternatives", "probs")


def has_prob(token: Any) -> bool:  # noqa: ANN401  -- whatever the JSON holds
    """Whether a token's values are probabilities, not logarithms."""
    return isinstance(token, Mapping) and ("prob" in token or "top_probs" in token)


def entry_of(token: Any, where: str) -> Entry:  # noqa: ANN401
    """One realised token with its alternatives.

    Raises:
        TraceError: a part is of the wrong type, or a value is NaN or out of range.
    """
    about = mapping(token, where)
    spelled = _spelling(about, where)
    listed: Any = next((about[name] for name in _LISTS if about.get(name) is not None), [])
    alternatives = [
        alternative_of(other, f"{where}.{i}") for i, other in enumerate(rows(listed, f"{where}: alternatives"))
    ]
    kept = tuple(alternative for alternative in alternatives if alternative is not None)
    return Entry(spelled.text, spelled.raw, spelled.token_id, _value(about, where), kept)


def alternative_of(token: Any, where: str) -> Alternative | None:  # noqa: ANN401
    """One listed token; None where it has no value."""
    about = mapping(token, where)
    spelled = _spelling(about, where)
    value = _value(about, where)
    if value is None:
        return None
    text = f"⟨{spelled.token_id}⟩" if spelled.text is None else spelled.text
    return Alternative(spelled.token_id, text, value)


def _value(about: Mapping[str, Any], where: str) -> float | None:
    if "prob" in about:
        return logprob_of_prob(about["prob"], f"{where}.prob")
    return logprob_of(about.get("logprob"), f"{where}.logprob")


def _spelling(about: Mapping[str, Any], where: str) -> Spelling:
    token = next((about[name] for name in _TEXT if isinstance(about.get(name), str)), None)
    token_id = next((about[name] for name in _ID if isinstance(about.get(name), int)), None)
    raw = about.get("bytes")
    if token is None and token_id is None:
        raise TraceError(f'{where}: a token needs its text ("token") or its number ("id"); found {sorted(about)}.')
    try:
        given = None if raw is None else bytes(rows(raw, f"{where}.bytes"))
    except (TypeError, ValueError):
        raise TraceError(f"{where}.bytes: bytes are numbers from 0 to 255, found {raw!r:.60}.") from None
    if token is None:
        return Spelling(None if given is None else given.decode(errors="replace"), given, token_id)
    return spelling(token, None if given is None else list(given), token_id)
