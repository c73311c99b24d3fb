"""Live decoding by two models in turn."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.errors import ParameterError
from workbench.samplers.sampler import Sampler
from workbench.samplers.switching.loop import SwitchingLoop
from workbench.samplers.switching.pair import check_text, check_vocabularies
from workbench.samplers.switching.run import SwitchingRun
from workbench.samplers.switching.settings import Switching
from workbench.stopping import asked_by
from workbench.traces.provenance import provenance
from workbench.traces.trace import Trace, names_of, phases_of, token_frame, unknown_columns

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from workbench.models import LanguageModel
    from workbench.stopping import Stop
    from workbench.traces.recorder import Token

_DEFAULT = Switching()
_SHARED = ("think_markers", "versions", "time")
"""What a trace's meta says once for both models."""


def decode(
    small: LanguageModel,
    large: LanguageModel,
    prompt: str | Sequence[int] | Sequence[Mapping[str, str]],
    settings: Switching = _DEFAULT,
    *,
    sampler: Sampler | None = None,
    max_new_tokens: int | None = None,
    seed: int = 0,
    chat: bool | None = None,
    on_token: Callable[[Token], None] | None = None,
    stop: Stop | None = None,
    top: int = 256,
) -> SwitchingRun:
    """Decode `prompt` with Entropy Adaptive Decoding, and record every token as `wb.record` does.

    Each model keeps a cache of its own; the one that takes over first reads, in one pass, what it has not seen. The
    large model is what is approximated: its chat template and its generation settings are used. A sequence ends with
    an end token of the model that drew it. Where one model's rows of logits are padded to be longer, the padding,
    which holds no token, is cut off. A token is drawn as in `wb.record`, from one generator a device, so that with a
    threshold of +inf the tokens are those of `wb.record(small, …)`, and with one below 0 and `start="large"` those of
    `wb.record(large, …)`.

    Args:
        small: draws while the rolling entropy is low; may be the large model itself.
        large: draws while it is high; may be on another device.
        prompt: one user turn (through the chat template when there is one), a list of messages, or token ids.
        settings: threshold, window, dwell, hysteresis, start, monitor.
        sampler: how tokens are drawn; the large model's own generation settings where none is given.
        max_new_tokens: where to end at the latest; up to 1024, as both contexts allow, where none is given.
        seed: of the generator.
        chat: False takes a string verbatim, True insists on a chat template.
        on_token: called with every token as it is drawn, in the decoding thread.
        stop: an event, or a function that says True, after which decoding ends at once and what is there is returned.
        top: how many logits a token's sketch holds exactly.

    Raises:
        ModelError: the models have different vocabularies.
        PromptError: no chat template, empty, too long for one of the contexts.
        LogitsError: a model gave NaN, +inf or nothing but -inf; model and step are named.
        ParameterError: a number out of range.
    """
    if max_new_tokens is not None and max_new_tokens < 1:
        raise ParameterError(f"max_new_tokens={max_new_tokens}: ask for at least one token.")
    check_vocabularies(small, large)
    text, ids = large.encode_prompt(prompt, chat=chat)
    limit = max_new_tokens or _default_limit((small, large), len(ids))
    check_text((small, large), ids, len(ids) + limit)
    drawn_with = sampler or Sampler.from_generation_config(large.hf.generation_config)
    loop = SwitchingLoop(
        small, large, ids, settings, sampler=drawn_with, seed=seed, limit=limit, top=top, on_token=on_token
    )
    began = time.perf_counter()
    finish = loop.run(asked_by(stop))
    route = loop.router.route()
    about = {
        "question": prompt if isinstance(prompt, str) else None,
        "sampler": drawn_with.to_dict(),
        "max_new_tokens": limit,
        "seconds": round(time.perf_counter() - began, 3),
        "seed": seed,
        "sequence": 0,
        "finish": finish,
        "switching": settings.to_dict(),
        "switch_points": route.switch_points.tolist(),
    }
    trace = _trace(loop, text, ids, about)
    return SwitchingRun(trace, settings, route, np.array(loop.caught_up, np.int32), loop.cost())


def _trace(loop: SwitchingLoop, prompt: str, prompt_ids: Sequence[int], about: dict[str, Any]) -> Trace:
    small, large, recorded = loop.small.model, loop.large.model, loop.recorder.finish(0)
    texts = large.token_texts(loop.drawn)
    phases = phases_of(large, loop.drawn, prompt_ids)
    frame = token_frame(recorded.sketch, texts=texts, phases=phases, sampled=recorded.sampled)
    models = {"small": _about(small), "large": _about(large)}
    shared = {name: value for name, value in provenance(large).items() if name in _SHARED}
    meta: dict[str, Any] = {
        "kind": "switched",
        "model": f"{small.name} ⇄ {large.name}",
        "models": models,
        "vocabulary": loop.vocabulary,
        **shared,
        **about,
        "missing": unknown_columns(frame),
    }
    names = names_of(large, recorded.sketch)
    return Trace(frame, prompt, tuple(prompt_ids), "".join(texts), meta, recorded.sketch, names)


def _about(model: LanguageModel) -> dict[str, Any]:
    own = {name: value for name, value in provenance(model).items() if name not in _SHARED}
    return {**own, "parameters": model.parameters}


def _default_limit(models: Sequence[LanguageModel], prompt: int) -> int:
    contexts = [model.context for model in models if model.context is not None]
    return max(1, min([1024, *(context - prompt for context in contexts)]))
