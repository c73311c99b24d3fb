"""The formats that can be read. A new one is a file with NAME, ASK, matches and parse, and a line here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workbench.errors import ParameterError, TraceError
from workbench.traces.imports import jsonl, llamacpp, openai_chat, openai_completions, sglang, vllm

if TYPE_CHECKING:
    from types import ModuleType

    from workbench.traces.imports.entries import Imported
    from workbench.traces.trace import Trace


@dataclass(frozen=True)
class Shape:
    """One shape of document."""

    name: str
    ask: str
    """What to ask the engine for so that it records log-probabilities."""
    matches: Callable[[Mapping[str, Any]], bool]
    parse: Callable[[Mapping[str, Any], str | None], Sequence[Imported | Trace]]


def _shape(module: ModuleType) -> Shape:
    return Shape(module.NAME, module.ASK, module.matches, module.parse)


# The first that matches is taken: those that no other could be mistaken for stand first.
SHAPES = tuple(map(_shape, (openai_chat, openai_completions, vllm, sglang, llamacpp, jsonl)))

# Engines whose servers also speak OpenAI's formats: naming one says how to read what they wrote.
ENGINES = ("openai", "vllm", "sglang", "llama.cpp")

FORMATS = ("auto", *dict.fromkeys((*ENGINES, *(shape.name for shape in SHAPES))))


def parse(document: Mapping[str, Any], format_name: str) -> Sequence[Imported | Trace]:
    """All sequences of one document.

    Raises:
        ParameterError: no format is called so.
        TraceError: the document is of no known format, or not of that one; it is incomplete or broken.
    """
    if format_name not in FORMATS:
        raise ParameterError(f"format={format_name!r} is not known. Choose one of {', '.join(FORMATS)}.")
    engine = format_name if format_name in ENGINES else None
    for shape in SHAPES:
        wanted = format_name in ("auto", shape.name) or (engine and shape.name.startswith("openai-"))
        if wanted and shape.matches(document):
            return shape.parse(document, engine)
    raise TraceError(_unknown(document, format_name))


def _unknown(document: Mapping[str, Any], format_name: str) -> str:
    keys = ", ".join(sorted(map(str, document))[:12]) or "none"
    choices = document.get("choices")
    if isinstance(choices, list) and any(isinstance(choice, Mapping) and "delta" in choice for choice in choices):
        return (
            "This is a chunk of a stream (its choices hold delta). Record with stream=False, or join the chunks first."
        )
    if "error" in document and len(document) <= 3:
        return f"This is a server's error, not an answer: {document['error']!r:.200}"
    ways = " ".join(f"{shape.name}: {shape.ask}" for shape in SHAPES)
    what = "no format known here" if format_name == "auto" else f"not a {format_name} document"
    return f"The document is {what}; its keys are {keys}. Formats that can be read, and how to record them: {ways}"
