"""Compile what samplers run, or load it from numba's cache, before somebody waits for it."""

from __future__ import annotations

import numpy as np

from workbench.kernels.penalties import penalise_logits
from workbench.samplers.sampler import Sampler
from workbench.samplers.step import STEPS
from workbench.samplers.steps import RepetitionPenalty


def warm_steps() -> None:
    """Replay every step there is on three tokens, with its defaults."""
    from workbench.samplers.replaying import Replayer  # noqa: PLC0415  -- it needs traces, which need samplers
    from workbench.traces.trace import Trace  # noqa: PLC0415  -- the same

    logits = np.linspace(0.0, 5.0, 3 * 12, dtype=np.float32).reshape(3, 12)
    replayer = Replayer(Trace.from_logits(logits, [11, 0, 5], prompt_ids=[1, 2], top=4))
    for kind in STEPS.values():
        replayer.replay(Sampler.chain([kind()])).distribution(0)
    step = RepetitionPenalty()
    rules = (step.marks.compiled, step.penalises.compiled)
    penalise_logits(*rules, np.array(step.values()), np.zeros(1, np.int32), np.zeros(12), logits[0])
