"""Settings as vLLM's SamplingParams."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workbench.samplers.engines.export import Export, before_greedy, call, carried, names_of

if TYPE_CHECKING:
    from workbench.samplers.sampler import Sampler

ORDER = ("repetition_penalty", "temperature", "min_p", "top_k", "top_p")
"""vllm/v1/sample/sampler.py: penalties, temperature, argmax-invariant processors (min_p), top-k with top-p."""
NEUTRAL: dict[str, Any] = {"temperature": 1.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0, "repetition_penalty": 1.0}
COLDEST = 0.01
"""vllm/sampling_params.py, _MAX_TEMP: temperatures between 0 and this are raised to it."""
LEAST_TOP_P = 1e-9
"""vLLM wants top_p above 0; this keeps one token all the same."""


def to_vllm(sampler: Sampler) -> Export:
    """`SamplingParams(**export.values)`; max_tokens is left to the user, whose default there is 16."""
    values: dict[str, Any] = dict(NEUTRAL)
    if sampler.greedy:
        steps, lost = before_greedy(sampler.steps)
        kept, more = carried(steps, "vllm", ORDER)
        values["temperature"], lost = 0.0, lost + more
    else:
        kept, lost = carried(sampler.steps, "vllm", ORDER)
    for step in kept:
        values |= names_of(step, "vllm")
    if 0 < values["temperature"] < COLDEST:
        lost.append(f"vLLM raises a temperature of {values['temperature']} to {COLDEST}.")
    values["top_p"] = max(values["top_p"], LEAST_TOP_P)
    return Export("vllm", f"from vllm import SamplingParams\n\n{call('SamplingParams', values)}", values, tuple(lost))
