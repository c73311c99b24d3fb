"""Which distribution each engine's log-probabilities describe. Read in the engines' own sources and documentation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workbench.traces.imports.entries import Reading

if TYPE_CHECKING:
    from collections.abc import Mapping

OPENAI = Reading(
    "openai",
    "raw",
    "assumed",
    "OpenAI's documentation does not say whether temperature and filters enter; the values are taken as raw (T = 1). "
    'If another server with this format wrote them, pass logprobs="sampled" or format= its name.',
)
VLLM = Reading(
    "vllm",
    "raw",
    "engine default",
    "vLLM's default logprobs_mode is raw_logprobs, before temperature and filters; the response does not say if it "
    'was another. Pass logprobs="sampled" if the server ran with processed_logprobs, or was older than the V1 engine.',
)
LLAMACPP_RAW = Reading(
    "llama.cpp",
    "raw",
    "documented",
    "llama.cpp's logprob is the softmax of the model's logits, before the sampler chain.",
)
LLAMACPP_SAMPLED = Reading(
    "llama.cpp",
    "sampled",
    "documented",
    "llama.cpp's prob (post_sampling_probs, and the older spelling tok_str, prob) is taken after the sampler chain.",
)
SGLANG = Reading(
    "sglang",
    "sampled",
    "engine default",
    "SGLang divides by the temperature and applies penalties before it takes log-probabilities, but not top-k, top-p "
    'or min-p. Pass logprobs="raw" if temperature was 1 (or 0) without penalties, or the server ran with '
    "SGLANG_RETURN_ORIGINAL_LOGPROB=1.",
)
UNSAID = Reading(
    None,
    "raw",
    "assumed",
    "The file does not say which distribution its log-probabilities describe; they are taken as raw. "
    'logprobs="sampled" says otherwise.',
)

_VLLM_KEYS = {"prompt_logprobs", "prompt_token_ids", "kv_transfer_params"}
_VLLM_CHOICE_KEYS = {"stop_reason", "prompt_logprobs", "token_ids"}
_SGLANG_CHOICE_KEYS = {"matched_stop"}


def of_choice(document: Mapping[str, Any], choice: Mapping[str, Any], engine: str | None) -> Reading:
    """Which engine behind an OpenAI-compatible endpoint wrote `choice`: as told, or by what only one of them writes."""
    known = {"vllm": VLLM, "sglang": SGLANG, "llama.cpp": LLAMACPP_RAW, "openai": OPENAI}
    if engine is not None:
        return known[engine]
    if _SGLANG_CHOICE_KEYS & choice.keys():
        return SGLANG
    if _VLLM_KEYS & document.keys() or _VLLM_CHOICE_KEYS & choice.keys():
        return VLLM
    return OPENAI
