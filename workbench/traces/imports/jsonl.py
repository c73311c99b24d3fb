"""Our own JSONL.

A line a trace, as `write_jsonl` writes it, gives back the very trace, its sketch excepted (that needs `Trace.save`):

    {"workbench_trace": 1, "prompt": "…", "prompt_ids": [1], "text": "…", "meta": {…},
     "tokens": [{"position": 0, …}, …]}

By hand, or from an engine not known here, a line a sequence is enough, and only `token` and `logprob` are needed in it:

    {"model": "m", "logprobs": "raw", "prompt": "…",
     "tokens": [{"token": "a", "id": 64, "bytes": [97], "logprob": -0.1,
                 "alternatives": [{"token": "b", "id": 65, "logprob": -2.4}]}, …]}

or a line a token, with the same keys; `trace` in it, a name or number, tells several sequences apart. Values are nats;
-inf, which JSON lacks, is written "-inf".
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Any

import polars as pl

from workbench.atomic import replacing
from workbench.errors import TraceError
from workbench.traces.columns import INTERVAL, SCHEMA
from workbench.traces.imports import engines
from workbench.traces.imports.build import ALTERNATIVES, SAMPLED_INTERVAL
from workbench.traces.imports.entries import Imported, Reading, mapping, rows
from workbench.traces.imports.token_objects import entry_of
from workbench.traces.trace import Trace

NAME = "jsonl"
VERSION = 1
ASK = 'Every token needs a "logprob".'
_KEY = "workbench_trace"


def write_jsonl(traces: Trace | Iterable[Trace], path: str | Path) -> Path:
    """Write one trace, or several, a line each; the file is whole or not there. Sketches are left out.

    Raises:
        TraceError: the folder is missing or not writable, the disk is full, or a trace's meta is not JSON.
    """
    target = Path(path).expanduser()
    several = [traces] if isinstance(traces, Trace) else list(traces)
    lines = [_written(trace) for trace in several]
    with replacing(target, TraceError) as part:
        part.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    return target


def _written(trace: Trace) -> str:
    document = {
        _KEY: VERSION,
        "prompt": trace.prompt,
        "prompt_ids": list(trace.prompt_ids),
        "text": trace.text,
        "meta": dict(trace.meta),
        "tokens": trace.tokens.to_dicts(),
    }
    try:
        return json.dumps(_finite(document), ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError) as problem:
        raise TraceError(f"This trace cannot be written as JSON: {problem}. Its meta must be plain JSON.") from problem


def _finite(value: Any) -> Any:  # noqa: ANN401  -- JSON
    """`value` with the floats JSON lacks as the texts "-inf", "inf" and "nan"."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, list | tuple) else value


def matches(document: Mapping[str, Any]) -> bool:
    """Whether this is a whole sequence of our own."""
    tokens = document.get("tokens")
    own = isinstance(tokens, list) and all(isinstance(token, Mapping) for token in tokens)
    return _KEY in document or (own and "choices" not in document)


def is_token(document: Mapping[str, Any]) -> bool:
    """Whether this is a single token of our own."""
    return "logprob" in document and any(name in document for name in ("token", "text", "id", "token_id"))


def parse(document: Mapping[str, Any], _engine: str | None = None) -> list[Imported | Trace]:
    """The one sequence of a line.

    Raises:
        TraceError: a trace of another version, a column missing, no or broken log-probabilities.
    """
    return [_trace(document)] if _KEY in document else [_sequence(document)]


def grouped(lines: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Lines with single tokens gathered into sequences: neighbours of the same `trace` belong together."""
    found: list[Mapping[str, Any]] = []
    for (single, _), group in groupby(lines, key=lambda line: (is_token(line), line.get("trace"))):
        members = list(group)
        found += [{"tokens": members}] if single else members
    return found


def _trace(document: Mapping[str, Any]) -> Trace:
    if document[_KEY] != VERSION:
        raise TraceError(
            f"The trace has JSONL version {document[_KEY]!r}; this version reads {VERSION}. Upgrade entropy-workbench."
        )
    tokens = rows(document.get("tokens"), "tokens")
    missing = [name for name in SCHEMA if tokens and name not in mapping(tokens[0], "tokens[0]")]
    if missing:
        raise TraceError(f"The trace lacks the columns {missing}. It was changed after it was written; write it again.")
    names = list(tokens[0]) if tokens else list(SCHEMA)
    known = pl.Schema({**SCHEMA, **INTERVAL, **SAMPLED_INTERVAL, "alternatives": ALTERNATIVES})
    try:
        columns = [pl.Series(n, [_restored(t[n], n) for t in tokens], known.get(n), strict=False) for n in names]
    except (KeyError, TypeError, ValueError, pl.exceptions.PolarsError) as problem:
        raise TraceError(f"The trace's tokens are damaged ({problem!r:.120}). Write it again.") from problem
    meta, ids = mapping(document.get("meta"), "meta"), rows(document.get("prompt_ids"), "prompt_ids")
    return Trace(pl.DataFrame(columns), document.get("prompt", ""), tuple(ids), document.get("text", ""), dict(meta))


def _restored(value: Any, name: str) -> Any:  # noqa: ANN401  -- JSON
    if name == "alternatives" and value is not None:
        return [{**other, "logprob": float(other["logprob"])} for other in value]
    return float(value) if value in ("-inf", "inf", "nan") and name not in ("text", "phase") else value


def _sequence(document: Mapping[str, Any]) -> Imported:
    tokens = rows(document["tokens"], "tokens")
    entries = tuple(entry_of(token, f"tokens[{i}]") for i, token in enumerate(tokens))
    if not any(entry.logprob is not None for entry in entries):
        raise TraceError(f"tokens: none has a log-probability. {ASK}")
    return Imported(
        format=NAME,
        reading=_reading(document),
        entries=entries,
        text=document.get("text"),
        prompt=str(document.get("prompt") or ""),
        prompt_ids=tuple(document.get("prompt_ids") or ()),
        model=document.get("model"),
        finish=document.get("finish"),
    )


def _reading(document: Mapping[str, Any]) -> Reading:
    kind = document.get("logprobs")
    if kind is None:
        return engines.UNSAID
    if kind not in ("raw", "sampled"):
        raise TraceError(f'logprobs: expected "raw" or "sampled", found {kind!r:.60}.')
    return replace(engines.UNSAID, kind=kind, certainty="documented", note="As the file says.")
