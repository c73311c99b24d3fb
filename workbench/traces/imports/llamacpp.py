"""llama.cpp's own completion endpoint: `completion_probabilities`, in the spelling of today and that before it.

Today {id, token, bytes, logprob, top_logprobs}, or prob and top_probs with post_sampling_probs; before
{content, probs: [{tok_str, prob}]}, in which the realised token has no value of its own. Sources: ggml-org/llama.cpp,
tools/server/README.md, tools/server/server-task.cpp and, before, examples/server/utils.hpp (`probs_vector_to_json`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from workbench.errors import TraceError
from workbench.traces.imports import engines
from workbench.traces.imports.entries import Entry, Imported, mapping, rows
from workbench.traces.imports.token_objects import entry_of, has_prob

if TYPE_CHECKING:
    from collections.abc import Mapping

NAME = "llama.cpp"
ASK = 'Ask for them with "n_probs": 20.'
_KEYS = {"completion_probabilities", "tokens_predicted", "generation_settings", "stopped_eos", "stop_type"}


def matches(document: Mapping[str, Any]) -> bool:
    """Whether this is an answer of /completion."""
    return bool(_KEYS & document.keys())


def parse(document: Mapping[str, Any], _engine: str | None = None) -> list[Imported]:
    """The one sequence.

    Raises:
        TraceError: no log-probabilities, or broken ones.
    """
    found = document.get("completion_probabilities")
    if not found:
        raise TraceError(f"The document has no log-probabilities (no completion_probabilities). {ASK}")
    where = "completion_probabilities"
    tokens = [mapping(token, f"{where}[{i}]") for i, token in enumerate(rows(found, where))]
    entries = [_entry(token, f"{where}[{i}]") for i, token in enumerate(tokens)]
    sampled = any(has_prob(token) or "probs" in token for token in tokens)
    settings = document.get("generation_settings") or {}
    prompt = document.get("prompt")
    ids = tuple(prompt) if isinstance(prompt, list) and all(isinstance(i, int) for i in prompt) else ()
    return [
        Imported(
            format=NAME,
            reading=engines.LLAMACPP_SAMPLED if sampled else engines.LLAMACPP_RAW,
            entries=tuple(entries),
            text=document.get("content"),
            prompt=prompt if isinstance(prompt, str) else "",
            prompt_ids=ids,
            model=document.get("model") or settings.get("model"),
            finish=document.get("stop_type"),
        )
    ]


def _entry(token: Mapping[str, Any], where: str) -> Entry:
    entry = entry_of(token, where)
    if entry.logprob is not None or "logprob" in token or "prob" in token:
        return entry
    # The older spelling: the realised token's value is that of its line in the list, if it has one there.
    own = next((a.logprob for a in entry.alternatives if a.text == entry.text), None)
    return replace(entry, logprob=own)
