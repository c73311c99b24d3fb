"""`wb.read_trace`: log-probabilities that other engines recorded, as traces."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from workbench.errors import ParameterError, TraceError
from workbench.traces.imports import jsonl
from workbench.traces.imports.build import Options, Part, to_trace
from workbench.traces.imports.registry import parse
from workbench.traces.imports.source import documents
from workbench.traces.trace import Trace

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from workbench.traces.imports.entries import Kind
    from workbench.traces.imports.phases import Markers


def read_trace(
    source: object,
    *,
    format: str = "auto",  # noqa: A002  -- the contract's name
    vocabulary: int | None = None,
    think_markers: Markers = None,
    logprobs: Kind | None = None,
    part: Part = "auto",
    token_texts: Callable[[Sequence[int]], Sequence[str]] | None = None,
) -> Trace:
    """Read the one sequence of a document that another engine recorded.

    Read are OpenAI chat completions and legacy completions, as OpenAI, vLLM, SGLang and llama.cpp serve them, vLLM's
    `RequestOutput`, llama.cpp's /completion in both its spellings, SGLang's /generate, results of batch jobs, and JSONL
    of our own (see `workbench.traces.imports.jsonl`).

    What the document cannot tell is null and named in `meta["missing"]`. From the k listed tokens of a position follows
    an interval for its entropy, in `entropy_lower` and `entropy_upper` (`workbench.traces.interval`); `entropy` itself
    is filled only where every interval of the trace is narrower than 1e-4 nats. A rank is given where the list proves
    it. `alternatives` holds the listed tokens, likeliest first. Log-probabilities after temperature and filters go into
    the sampled columns, and `meta["logprobs"]` says how sure that is.

    Args:
        source: path of a .json or .jsonl file, JSON already parsed, or a client's response object.
        format: "auto", a format, or the engine behind an OpenAI-compatible endpoint, which tells how to read it.
        vocabulary: the model's vocabulary size, without which an entropy has no upper bound.
        think_markers: opening and closing text; None looks for the known ones, False says that there are none.
        logprobs: "raw" or "sampled", where you know better than the document which distribution it describes.
        part: "generated", "prompt" (its scored tokens), "all" of both; "auto" is generated, or prompt where nothing is.
        token_texts: spells token ids for documents without text, such as `model.token_texts`.

    Raises:
        TraceError: no such file, not JSON, truncated, of unknown format, without log-probabilities, with lists that
            disagree or values that are none; or several sequences, for which there is `read_traces`.
        ParameterError: an argument out of range.
    """
    traces = read_traces(
        source,
        format=format,
        vocabulary=vocabulary,
        think_markers=think_markers,
        logprobs=logprobs,
        part=part,
        token_texts=token_texts,
    )
    if len(traces) != 1:
        raise TraceError(f"The document holds {len(traces)} sequences. wb.traces.read_traces(…) gives a list of them.")
    return traces[0]


def read_traces(
    source: object,
    *,
    format: str = "auto",  # noqa: A002  -- the contract's name
    vocabulary: int | None = None,
    think_markers: Markers = None,
    logprobs: Kind | None = None,
    part: Part = "auto",
    token_texts: Callable[[Sequence[int]], Sequence[str]] | None = None,
) -> list[Trace]:
    """Read all sequences of a document, or of many: n > 1 choices, a list of responses, a line each. See `read_trace`.

    Raises:
        TraceError: as `read_trace`.
        ParameterError: as `read_trace`.
    """
    _check(vocabulary=vocabulary, logprobs=logprobs, part=part)
    options = Options(vocabulary, think_markers, logprobs, part, token_texts)
    found = jsonl.grouped(documents(source))
    name = Path(source).name if isinstance(source, str | Path) else None
    traces = []
    for index, document in enumerate(found):
        try:
            items = parse(document, format)
            made = [item if isinstance(item, Trace) else _named(to_trace(item, options), name) for item in items]
        except TraceError as problem:
            where = ": ".join([*([name] if name else []), *([f"document {index}"] if len(found) > 1 else [])])
            raise TraceError(f"{where}: {problem}" if where else str(problem)) from problem
        traces += made
    if not traces:
        raise TraceError("The document holds no sequence: its list of choices is empty.")
    return traces


def _named(trace: Trace, name: str | None) -> Trace:
    return trace if name is None else trace.with_meta(source=name)


def _check(*, vocabulary: int | None, logprobs: str | None, part: str) -> None:
    if vocabulary is not None and vocabulary < 1:
        raise ParameterError(f"vocabulary={vocabulary}: a vocabulary has at least one token.")
    if logprobs not in (None, "raw", "sampled"):
        raise ParameterError(f'logprobs={logprobs!r}: say "raw" or "sampled", or leave it out.')
    if part not in ("auto", "generated", "prompt", "all"):
        raise ParameterError(f'part={part!r}: say "generated", "prompt", "all" or "auto".')
