"""A trace in a line of plain text: for menus, legends and names of files."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, Any

from widgets.controls.sampler_words import in_words
from workbench.errors import WorkbenchError
from workbench.samplers import Sampler

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workbench.traces import Trace

LONGEST = 60
"""Characters of a label."""
_MODEL, _SAMPLER, _LEAST_PROMPT = 14, 16, 8
_MARKUP = re.compile(r"<[|｜][^<>]{0,40}[|｜]>")  # what a chat template puts around a question


def trace_label(number: int, trace: Trace) -> str:
    """Number, model, beginning of the prompt, tokens, sampler and seed, as far as they are known; LONGEST at most."""
    meta = trace.meta
    seed = meta.get("seed")
    after = [f"{len(trace):,} tok", sampler_words(meta.get("sampler"))[:_SAMPLER], *_known("seed", seed)]
    before = [str(number), *_known("", meta.get("model") and str(meta["model"]).split("/")[-1][:_MODEL])]
    room = LONGEST - len(" · ".join([*before, *after])) - 3
    prompt = cut(question(trace), max(room, _LEAST_PROMPT))
    return cut(plain(" · ".join(part for part in (*before, prompt, *after) if part)), LONGEST)


def legend_label(number: int, trace: Trace) -> str:
    """Number, model, sampler and seed: what a legend has room for."""
    model, words = trace.meta.get("model"), sampler_words(trace.meta.get("sampler"))
    parts = [str(number), *_known("", model), *([words] if words else []), *_known("seed", trace.meta.get("seed"))]
    return cut(plain(" · ".join(parts)), LONGEST)


def numbered(traces: Sequence[Trace]) -> list[tuple[str, int]]:
    """(label, index) of each, newest first; the oldest has number 1. Options of a menu."""
    return [(trace_label(index + 1, trace), index) for index, trace in reversed(list(enumerate(traces)))]


def index_of(traces: Sequence[Trace], trace: Trace | None) -> int | None:
    """Where that very trace stands; equal ones are others."""
    return next((index for index, other in enumerate(traces) if other is trace), None)


def question(trace: Trace) -> str:
    """What was asked, in one line: as the user wrote it where that is known, else without the template's marks."""
    asked = trace.meta.get("question")
    if isinstance(asked, str) and asked.strip():
        return plain(asked)
    return plain(_MARKUP.sub(" ", trace.prompt)).removeprefix("user ")


def sampler_words(given: Any) -> str:  # noqa: ANN401  -- as the trace's notes have it
    """How the tokens were drawn, in short: "T 0.6 top-k 20", "greedy"; empty where it is not known."""
    try:
        sampler = Sampler.from_dict(given)
    except (WorkbenchError, TypeError, AttributeError):  # another program's notes, or none
        return ""
    if sampler.greedy:
        return "greedy"
    return in_words(sampler).replace("Temperature ", "T ").replace("Top-", "top-").replace(" → ", " ")


def file_stem(trace: Trace) -> str:
    """Name of a file for it: model, beginning of the prompt and seed, in letters that every file system knows."""
    seed = trace.meta.get("seed")
    parts = [str(trace.meta.get("model") or "trace").split("/")[-1], question(trace)[:32], *_known("seed", seed)]
    return re.sub(r"[^a-z0-9.]+", "-", " ".join(parts).lower()).strip("-.")[:LONGEST] or "trace"


def cut(text: str, length: int) -> str:
    """The text, or its beginning and an ellipsis."""
    return text if len(text) <= length else f"{text[: length - 1].rstrip()}…"


def plain(text: str) -> str:
    """One line without characters that are not seen or that turn the direction of others."""
    seen = "".join(" " if unicodedata.category(letter)[0] in "CZ" else letter for letter in text[:2000])
    return " ".join(seen.split())


def _known(what: str, value: Any) -> list[str]:  # noqa: ANN401
    return [] if value is None else [f"{what} {value}".strip()]
