"""From tokens as a server reported them to a trace."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import polars as pl

from workbench.errors import TraceError
from workbench.traces.columns import INTERVAL, SCHEMA
from workbench.traces.imports.entries import Entry, Imported, Kind, Reading, clean
from workbench.traces.imports.listed import Listed, listed
from workbench.traces.imports.phases import Markers, phases
from workbench.traces.imports.texts import Joined, join
from workbench.traces.trace import Trace, unknown_columns

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from workbench.traces.interval import EntropyInterval

Part = Literal["auto", "generated", "prompt", "all"]

KNOWN_WIDTH = 1e-4
"""Nats. Entropies count as known where every token's interval is narrower: about what float32 logarithms are worth."""

ALTERNATIVES = pl.List(pl.Struct({"token_id": pl.Int32(), "text": pl.String(), "logprob": pl.Float64()}))
SAMPLED_INTERVAL = pl.Schema({"sampled_entropy_lower": pl.Float64(), "sampled_entropy_upper": pl.Float64()})


@dataclass(frozen=True)
class Options:
    """What the caller knows that the document does not say."""

    vocabulary: int | None = None
    think_markers: Markers = None
    logprobs: Kind | None = None
    part: Part = "auto"
    token_texts: Callable[[Sequence[int]], Sequence[str]] | None = None


@dataclass(frozen=True)
class _Span:
    """The tokens that become rows, and which distribution each one's values describe."""

    entries: tuple[Entry, ...]
    kinds: tuple[Kind, ...]
    before: tuple[Entry, ...]
    full: str | None


def to_trace(item: Imported, options: Options) -> Trace:
    """One trace: a row a token of the part asked for, null where a column cannot be known.

    Raises:
        TraceError: the part asked for is not in the document, or its values define no distribution.
    """
    reading = item.reading
    if options.logprobs is not None:
        reading = replace(reading, kind=options.logprobs, certainty="asked for", note="Taken as the caller said.")
    span = _span(item, reading.kind, options.part)
    joined = _joined(span.entries, span.full, options)
    before = _joined(span.before, None, options)
    prompt = clean(item.prompt) or "".join(before.texts)
    # Texts that are placeholders tell no phases.
    labels = phases(joined.texts, prompt, options.think_markers) if joined.spelled else [None] * len(joined.texts)
    frame = _frame(span, joined.texts, labels, item, options.vocabulary)
    ids = item.prompt_ids or _ids(span.before)
    full = "".join(joined.texts) if joined.spelled else clean(span.full or "") or "".join(joined.texts)
    notes = [reading.note, joined.note, *item.notes, *_remarks(item, span, frame, options)]
    meta = _meta(item, reading, frame, options) | {"notes": [note for note in notes if note]}
    return Trace(frame, prompt, ids, full, meta, None)


def _span(item: Imported, kind: Kind, part: Part) -> _Span:
    start = next((i for i, entry in enumerate(item.prompt_entries) if entry.logprob is not None), None)
    scored = () if start is None else item.prompt_entries[start:]
    unscored = item.prompt_entries[:start]
    raw: Kind = "raw"
    of_prompt = (raw,) * len(scored)
    if part == "auto":
        part = "generated" if item.entries else "prompt"
    if part == "prompt" and not scored:
        raise TraceError(
            "The document holds no log-probabilities of the prompt. Ask for them with prompt_logprobs=20 (vLLM), "
            "echo=True (completions) or logprob_start_len=0 (SGLang)."
        )
    if part == "generated":
        if not item.entries:
            raise TraceError('No generated token has log-probabilities; part="prompt" reads those of the prompt.')
        return _Span(item.entries, (kind,) * len(item.entries), item.prompt_entries, item.text)
    if part == "prompt":
        return _Span(scored, of_prompt, unscored, None)
    return _Span(scored + item.entries, of_prompt + (kind,) * len(item.entries), unscored, None)


def _joined(entries: Sequence[Entry], full: str | None, options: Options) -> Joined:
    ids = [entry.token_id for entry in entries]
    if options.token_texts is not None and entries and None not in ids:
        texts = tuple(options.token_texts([i for i in ids if i is not None]))
        if len(texts) != len(ids):
            raise TraceError(f"token_texts gave {len(texts)} texts for {len(ids)} tokens; it must give one a token.")
        return Joined(texts)
    return join(entries, full)


def _ids(entries: Sequence[Entry]) -> tuple[int, ...]:
    ids = [entry.token_id for entry in entries if entry.token_id is not None]
    return tuple(ids) if len(ids) == len(entries) else ()


def _frame(
    span: _Span, texts: Sequence[str], labels: Sequence[str | None], item: Imported, vocabulary: int | None
) -> pl.DataFrame:
    places = [listed(entry, keyed_by_text=item.keyed_by_text) for entry in span.entries]
    bounds = [_bounds(place, vocabulary, index) for index, place in enumerate(places)]
    columns: dict[str, list[Any]] = {
        "position": list(range(len(places))),
        "token_id": [entry.token_id for entry in span.entries],
        "text": list(texts),
        "phase": list(labels),
        "rank": [place.rank for place in places],
    }
    for kind, prefix in (("raw", ""), ("sampled", "sampled_")):
        mine = [of == kind for of in span.kinds]
        own = [b if b is not None and here else None for b, here in zip(bounds, mine, strict=True)]
        columns[f"{prefix}logprob"] = [
            entry.logprob if here and entry.logprob != -math.inf else None
            for entry, here in zip(span.entries, mine, strict=True)
        ]
        columns[f"{prefix}entropy_lower"] = [b and b.lower for b in own]
        columns[f"{prefix}entropy_upper"] = [b and b.upper for b in own]
        # All or none: the few certain tokens are those of low entropy, and a mean over them alone would mislead.
        known = any(mine) and all(
            b is not None and b.width <= KNOWN_WIDTH for b, m in zip(bounds, mine, strict=True) if m
        )
        columns[f"{prefix}entropy"] = [
            (b.lower + (b.upper or b.lower)) / 2 if known and b is not None else None for b in own
        ]
    columns["alternatives"] = [_alternatives(entry) for entry in span.entries]
    extra = SAMPLED_INTERVAL if "sampled" in span.kinds else pl.Schema()
    schema = pl.Schema({**SCHEMA, **INTERVAL, **extra, "alternatives": ALTERNATIVES})
    return pl.DataFrame({name: columns.get(name, [None] * len(places)) for name in schema}, schema=schema)


def _bounds(place: Listed, vocabulary: int | None, index: int) -> EntropyInterval | None:
    try:
        return place.interval(vocabulary)
    except TraceError as problem:
        raise TraceError(f"Token {index}, {place.entry.text!r:.40}: {problem}") from problem


def _alternatives(entry: Entry) -> list[dict[str, Any]] | None:
    """As a list of structs, likeliest first; None where the server listed nothing."""
    if not entry.alternatives:
        return None
    return [vars(alternative) for alternative in sorted(entry.alternatives, key=lambda a: -a.logprob)]


def _remarks(item: Imported, span: _Span, frame: pl.DataFrame, options: Options) -> list[str]:
    """What a reader of these numbers has to know."""
    remarks = []
    stand_ins = sum(entry.logprob == -math.inf for entry in span.entries)
    if stand_ins:
        remarks.append(
            f"{stand_ins} tokens had the server's stand-in for very unlikely or -inf; their logprob is null."
        )
    if "sampled" in span.kinds:
        remarks.append("Ranks are those in the sampled distribution.")
    bounds = [name for name in ("entropy_lower", "sampled_entropy_lower") if name in frame.columns]
    if options.vocabulary is None and any(frame[name].null_count() < len(frame) for name in bounds):
        remarks.append("Give vocabulary= the model's vocabulary size for an upper bound of the entropy.")
    if item.keyed_by_text:
        remarks.append("Alternatives came keyed by text: tokens spelled alike are one, so a rank can be too small.")
    return remarks


def _meta(item: Imported, reading: Reading, frame: pl.DataFrame, options: Options) -> dict[str, Any]:
    listed_most = frame["alternatives"].list.len().max()
    return {
        "kind": "imported",
        "format": item.format,
        "engine": reading.engine,
        "model": item.model,
        "logprobs": {"kind": reading.kind, "certainty": reading.certainty},
        "top_k": listed_most or 0,
        "vocabulary": options.vocabulary,
        "think_markers": list(options.think_markers) if options.think_markers else None,
        "finish": item.finish,
        "missing": unknown_columns(frame),
    }
