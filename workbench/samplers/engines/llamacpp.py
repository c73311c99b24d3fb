"""Settings as llama.cpp's command line flags."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

from workbench.samplers.engines.export import Export, before_greedy, carried, names_of

if TYPE_CHECKING:
    from workbench.samplers.sampler import Sampler
    from workbench.samplers.step import Step

SAMPLERS = {
    "repetition_penalty": "penalties", "dry": "dry", "temperature": "temperature", "dynamic_temperature": "temperature",
    "top_k": "top_k", "top_p": "top_p", "min_p": "min_p", "typical_p": "typ_p", "top_nsigma": "top_n_sigma",
    "xtc": "xtc",
}  # fmt: skip
"""Our steps in the words of --samplers (tools/completion/README.md): any order, and what is not listed is off."""
# Its own defaults are T 0.8, top-k 40, top-p 0.95 and min-p 0.05.
NEUTRAL: dict[str, Any] = {
    "--temp": 1.0, "--top-k": 0, "--top-p": 1.0, "--min-p": 0.0, "--typical": 1.0, "--top-nsigma": -1.0,
    "--xtc-probability": 0.0, "--repeat-penalty": 1.0, "--dry-multiplier": 0.0, "--dynatemp-range": 0.0,
    "--mirostat": 0,
}  # fmt: skip


def to_llamacpp(sampler: Sampler) -> Export:
    """Flags of llama-cli and llama-server, the order of steps included."""
    steps: list[Step] = list(sampler.steps)
    lost: list[str] = []
    if sampler.greedy:
        penalties, lost = before_greedy(steps)
        steps = [*penalties, next(step for step in steps if step.values() == (0.0,) and step.name == "temperature")]
    kept, more = carried(steps, "llamacpp")
    lost += more
    if any(step.name == "mirostat" for step in kept):
        kept, more = with_mirostat(kept)
        lost += more
    heats = [step for step in kept if SAMPLERS.get(step.name) == "temperature"]
    for step in heats[1:]:
        kept.remove(step)
        lost.append(f"{step.title}: llama.cpp has one temperature, and {heats[0].title} is taken.")
    values = dict(NEUTRAL)
    for step in kept:
        values |= flags_of(step)
    listed = [SAMPLERS[step.name] for step in kept if step.name in SAMPLERS]
    values["--samplers"] = ";".join(listed or ["temperature"])
    text = shlex.join(part for flag, value in values.items() for part in (flag, f"{value}"))
    return Export("llamacpp", text, values, tuple(lost))


def with_mirostat(steps: list[Step]) -> tuple[list[Step], list[str]]:
    """Mirostat in llama.cpp runs after the temperature and takes the place of everything else."""
    at = next(i for i, step in enumerate(steps) if step.name == "mirostat")
    kept = [step for i, step in enumerate(steps) if step.name == "mirostat" or (step.name == "temperature" and i < at)]
    lost = [
        f"{step.title}: llama.cpp runs nothing but a temperature with Mirostat." for step in steps if step not in kept
    ]
    return kept, lost


def flags_of(step: Step) -> dict[str, Any]:
    """The flags of one step."""
    flags = names_of(step, "llamacpp")
    if step.name == "mirostat":
        flags["--mirostat"] = 2 if getattr(step, "version", "v2") == "v2" else 1
    for window in ("--repeat-last-n", "--dry-penalty-last-n"):
        if flags.get(window) == 0:
            flags[window] = -1  # there 0 is none, and -1 the whole context
    return flags
