"""vLLM: `LLM.generate` results, and the prompt log-probabilities its HTTP endpoints add to OpenAI's formats.

A position is a table from token id to {logprob, rank, decoded_token}, the realised token first, then the top k; ranks
count from 1. The first prompt token has none. Source: vllm-project/vllm, vllm/logprobs.py and vllm/outputs.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from workbench.errors import TraceError
from workbench.traces.imports import engines
from workbench.traces.imports.entries import (
    Alternative,
    Entry,
    Imported,
    clean,
    logprob_of,
    mapping,
    rows,
    same_length,
)

NAME = "vllm"
ASK = "Ask for them with SamplingParams(logprobs=20), and prompt_logprobs=20 for the prompt's."


@dataclass(frozen=True)
class Prompt:
    """A prompt's tokens and, where they were asked for, their log-probabilities."""

    entries: tuple[Entry, ...]
    ids: tuple[int, ...]


def matches(document: Mapping[str, Any]) -> bool:
    """Whether this is a `RequestOutput`."""
    outputs = document.get("outputs")
    return isinstance(outputs, Sequence) and not isinstance(outputs, str) and "prompt_token_ids" in document


def parse(document: Mapping[str, Any], _engine: str | None = None) -> list[Imported]:
    """One sequence a completion.

    Raises:
        TraceError: a completion without log-probabilities, or with broken ones.
    """
    prompt = prompt_entries(document, {}, "prompt_logprobs")
    sequences = []
    for index, output in enumerate(rows(document["outputs"], "outputs")):
        where = f"outputs[{index}]"
        about = mapping(output, where)
        if about.get("logprobs") is None and not prompt.entries:
            raise TraceError(f"{where} has no log-probabilities (logprobs is null). {ASK}")
        sequences.append(
            Imported(
                format=NAME,
                reading=engines.VLLM,
                entries=table_entries(about.get("logprobs") or [], about.get("token_ids") or [], where),
                prompt_entries=prompt.entries,
                text=about.get("text"),
                prompt=str(document.get("prompt") or ""),
                prompt_ids=prompt.ids,
                finish=about.get("finish_reason"),
            )
        )
    return sequences


def prompt_entries(document: Mapping[str, Any], choice: Mapping[str, Any], where: str) -> Prompt:
    """The prompt's tokens as vLLM gives them, in the choice (completions) or beside the choices (chat, offline)."""
    ids = choice.get("prompt_token_ids") or document.get("prompt_token_ids") or []
    tables = choice.get("prompt_logprobs") or document.get("prompt_logprobs")
    entries = table_entries(tables, ids, f"{where}: prompt_logprobs") if tables else ()
    return Prompt(entries, tuple(int(i) for i in ids))


def table_entries(tables: Any, ids: Sequence[Any], where: str) -> tuple[Entry, ...]:  # noqa: ANN401  -- JSON
    """Tokens from tables by id; where no ids are given, each position's realised token is the first of its table.

    Raises:
        TraceError: as many ids as tables are not there, a realised token is missing from its table, a broken value.
    """
    positions = rows(tables, where)
    if ids and positions:
        same_length({"token_ids": len(ids), "logprobs": len(positions)}, where)
    realised = list(ids) if ids else [None] * len(positions)
    return tuple(
        _entry(table, token_id, f"{where}[{i}]")
        for i, (table, token_id) in enumerate(zip(positions, realised, strict=bool(positions)))
    )


def _entry(table: Any, token_id: Any, where: str) -> Entry:  # noqa: ANN401  -- JSON
    if not table:  # the first token of a prompt
        return Entry(None if token_id is not None else "", token_id=None if token_id is None else int(token_id))
    lines = [_line(key, value, f"{where}.{key}") for key, value in mapping(table, where).items()]
    named = lines[0].alternative.token_id if token_id is None else int(token_id)
    own = next((line for line in lines if line.alternative.token_id == named), None)
    if own is None:
        raise TraceError(f"{where}: the realised token {token_id} is not among the listed {list(table)[:8]}.")
    return Entry(
        own.text,
        token_id=own.alternative.token_id,
        logprob=own.alternative.logprob,
        alternatives=tuple(line.alternative for line in lines),
        rank=own.rank,
    )


@dataclass(frozen=True)
class _Line:
    alternative: Alternative
    text: str | None
    rank: int | None


def _line(key: Any, value: Any, where: str) -> _Line:  # noqa: ANN401  -- JSON
    try:
        token_id = int(key)
    except (TypeError, ValueError):
        raise TraceError(f"{where}: expected a token id as key, found {key!r:.60}.") from None
    about = value if isinstance(value, Mapping) else {"logprob": value}
    logprob = logprob_of(about.get("logprob"), f"{where}.logprob")
    if logprob is None:
        raise TraceError(f"{where}: this token has no logprob. Record it again.")
    text = about.get("decoded_token")
    text = None if text is None else clean(text)
    rank = about.get("rank")
    shown = f"⟨{token_id}⟩" if text is None else text
    return _Line(Alternative(token_id, shown, logprob), text, None if rank is None else int(rank) - 1)
