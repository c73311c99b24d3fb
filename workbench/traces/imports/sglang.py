"""SGLang's own /generate: `meta_info` with [logprob, token id, text or null] triples.

Sources: sgl-project/sglang, python/sglang/srt/managers/tokenizer_manager.py (`add_logprob_to_meta_info`,
`detokenize_logprob_tokens`) and python/sglang/srt/layers/sampler.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from workbench.errors import TraceError
from workbench.traces.imports import engines
from workbench.traces.imports.entries import Alternative, Entry, Imported, clean, logprob_of, mapping, rows, same_length

NAME = "sglang"
ASK = 'Ask for them with "return_logprob": true, "top_logprobs_num": 20, "return_text_in_logprobs": true.'


def matches(document: Mapping[str, Any]) -> bool:
    """Whether this is an answer of /generate."""
    return isinstance(document.get("meta_info"), Mapping)


def parse(document: Mapping[str, Any], _engine: str | None = None) -> list[Imported]:
    """The one sequence.

    Raises:
        TraceError: no log-probabilities, lists of different lengths, or broken values.
    """
    info = mapping(document["meta_info"], "meta_info")
    entries, prompt = _entries(info, "output"), _entries(info, "input")
    if not entries and not prompt:
        raise TraceError(f"meta_info has no log-probabilities (no output_token_logprobs). {ASK}")
    finish = info.get("finish_reason")
    return [
        Imported(
            format=NAME,
            reading=engines.SGLANG,
            entries=entries,
            prompt_entries=prompt,
            text=document.get("text"),
            prompt_ids=tuple(entry.token_id for entry in prompt if entry.token_id is not None),
            model=document.get("model"),
            finish=finish.get("type") if isinstance(finish, Mapping) else finish,
        )
    ]


def _entries(info: Mapping[str, Any], side: str) -> tuple[Entry, ...]:
    where = f"meta_info.{side}_token_logprobs"
    tokens = rows(info.get(f"{side}_token_logprobs") or [], where)
    top = rows(info.get(f"{side}_top_logprobs") or [None] * len(tokens), f"meta_info.{side}_top_logprobs")
    same_length({f"{side}_token_logprobs": len(tokens), f"{side}_top_logprobs": len(top)}, "meta_info")
    return tuple(
        _entry(token, listed, f"{where}[{i}]") for i, (token, listed) in enumerate(zip(tokens, top, strict=True))
    )


def _entry(token: Any, listed: Any, where: str) -> Entry:  # noqa: ANN401  -- JSON
    value, token_id, text = _triple(token, where)
    alternatives = []
    for i, line in enumerate(rows(listed or [], where)):
        other, other_id, other_text = _triple(line, f"{where}.top[{i}]")
        logprob = logprob_of(other, f"{where}.top[{i}]")
        if logprob is not None:
            alternatives.append(Alternative(other_id, f"⟨{other_id}⟩" if other_text is None else other_text, logprob))
    return Entry(text, None, token_id, logprob_of(value, where), tuple(alternatives))


def _triple(line: Any, where: str) -> tuple[Any, int, str | None]:  # noqa: ANN401  -- JSON
    parts: Sequence[Any] = rows(line, where)
    if len(parts) not in (2, 3) or not isinstance(parts[1], int):
        raise TraceError(f"{where}: expected [logprob, token id, text], found {list(parts)!r:.60}.")
    text = parts[2] if len(parts) == 3 else None
    return parts[0], parts[1], None if text is None else clean(str(text))
