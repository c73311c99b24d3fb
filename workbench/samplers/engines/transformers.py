"""Settings as transformers' GenerationConfig."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workbench.samplers.engines.export import Export, before_greedy, call, carried, names_of

if TYPE_CHECKING:
    from workbench.samplers.sampler import Sampler

ORDER = (
    "repetition_penalty", "temperature", "top_h", "top_k", "top_p", "min_p", "typical_p", "epsilon_cutoff",
    "eta_cutoff",
)  # fmt: skip
"""generation/utils.py, _get_logits_processor, 5.23."""
# do_sample alone adds a top-k of 50.
NEUTRAL: dict[str, Any] = {
    "do_sample": True, "temperature": 1.0, "top_k": 0, "top_p": 1.0, "typical_p": 1.0, "epsilon_cutoff": 0.0,
    "eta_cutoff": 0.0, "repetition_penalty": 1.0,
}  # fmt: skip


def to_transformers(sampler: Sampler) -> Export:
    """`GenerationConfig(**export.values)` draws as the sampler does, save for what is lost."""
    values: dict[str, Any] = dict(NEUTRAL)
    if sampler.greedy:
        steps, lost = before_greedy(sampler.steps)
        kept, more = carried(steps, "transformers", ORDER)
        # The settings of sampling would only be warned about.
        values, lost = {"do_sample": False, "repetition_penalty": 1.0}, lost + more
    else:
        steps = [step for step in sampler.steps if step.name != "top_h" or not step.lost("transformers")]
        kept, lost = carried(steps, "transformers", ORDER)
        lost += [
            f"{step.title}, {getattr(step, 'variant', '')}: {line} It is left out."
            for step in sampler.steps
            if step.name == "top_h"
            for line in step.lost("transformers")
        ]
    for step in kept:
        values |= names_of(step, "transformers")
    text = f"from transformers import GenerationConfig\n\n{call('GenerationConfig', values)}"
    return Export("transformers", text, values, tuple(lost))
