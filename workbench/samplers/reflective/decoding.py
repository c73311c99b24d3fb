"""Decode with SRGen: the loop of `wb.record`, with corrected logits given to its sampler."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workbench.samplers.processor import SamplerProcessor
from workbench.samplers.reflective.reflector import Reflector
from workbench.samplers.reflective.replaying import decoding_temperature
from workbench.samplers.reflective.run import ReflectiveRun
from workbench.samplers.reflective.settings import Reflective
from workbench.samplers.sampler import Sampler
from workbench.samplers.steps import Temperature
from workbench.traces.recording import record

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import torch

    from workbench.models import LanguageModel
    from workbench.stopping import Stop
    from workbench.traces.recorder import Token
    from workbench.traces.recording import Prompt


def decode(
    model: LanguageModel,
    prompt: Prompt,
    settings: Reflective | None = None,
    *,
    sampler: Sampler | None = None,
    max_new_tokens: int | None = None,
    seed: int = 0,
    chat: bool | None = None,
    on_token: Callable[[Token], None] | None = None,
    stop: Stop | None = None,
    top: int = 256,
) -> ReflectiveRun:
    """Decode one sequence, correcting the logits wherever the entropy jumps; see `Reflective` for when and how.

    The corrected logits go to the sampler as the model's own would: penalties, temperature and cuts come after the
    correction. Where nothing triggers, and with zero steps, the tokens are those of `wb.record` with the same
    arguments.

    Unlike 2020-qqtcg/SRGen this goes on in the same decode: the reference ends it, decodes the text without special
    tokens, so that the chat template is gone, reads everything anew and starts counting `max_new_tokens` from there.

    Args:
        model: from `wb.load` or `wb.wrap`.
        prompt: as `wb.record` takes it.
        settings: the published ones where none are given.
        sampler: how tokens are drawn; the model's own generation settings where none is given.
        max_new_tokens: as `wb.record` takes it, like all that follow.
        seed: of the draws.
        chat: False takes a string verbatim.
        on_token: called with every token as it is drawn.
        stop: ends decoding after the token under way.
        top: how many logits a token's sketch holds exactly.

    Raises:
        ModelError: the head is quantised, or states and logits of the model do not fit together.
        LogitsError: the model gave NaN, or a correction ran away.
        PromptError, ParameterError: as `wb.record`.
    """
    settings = settings or Reflective()
    drawn_with = sampler or Sampler.from_generation_config(model.hf.generation_config)
    reflector = Reflector(model, settings, temperature=decoding_temperature(drawn_with), top=top)
    with reflector.listening():
        trace = record(
            model, prompt, sampler=_Reflecting(drawn_with, reflector), max_new_tokens=max_new_tokens, seed=seed,
            chat=chat, top=top, on_token=on_token, stop=stop,
        )  # fmt: skip
    trace = trace.with_meta(reflective=settings.to_dict())
    return ReflectiveRun(trace, settings, reflector.monitor.triggers, tuple(reflector.corrections))


class _Reflecting(Sampler):
    """A sampler that is given corrected logits. To the trace it is the sampler it stands for."""

    _sampler: Sampler
    _reflector: Reflector

    def __init__(self, sampler: Sampler, reflector: Reflector) -> None:
        # A sampler without steps is never asked for its processor, so it is given one that changes nothing.
        object.__setattr__(self, "steps", sampler.steps or (Temperature(1.0),))
        object.__setattr__(self, "_sampler", sampler)
        object.__setattr__(self, "_reflector", reflector)

    def processor(
        self, *, seeds: Sequence[int] | None = None, prompt_lengths: Sequence[int] | None = None
    ) -> SamplerProcessor:
        """See `Sampler.processor`."""
        return _ReflectingProcessor(self._sampler, self._reflector, seeds=seeds, prompt_lengths=prompt_lengths)

    def to_dict(self) -> dict[str, Any]:
        """See `Sampler.to_dict`."""
        return self._sampler.to_dict()


class _ReflectingProcessor(SamplerProcessor):
    """Corrects, then runs the sampler's chain."""

    def __init__(
        self,
        sampler: Sampler,
        reflector: Reflector,
        *,
        seeds: Sequence[int] | None,
        prompt_lengths: Sequence[int] | None,
    ) -> None:
        super().__init__(sampler, seeds=seeds, prompt_lengths=prompt_lengths)
        self._reflector, self._plain = reflector, not sampler.steps

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """(1, L) token ids and (1, V) raw logits -> (1, V) corrected and processed ones."""
        corrected = self._reflector(input_ids, scores)
        return corrected if self._plain else super().__call__(input_ids, corrected)
