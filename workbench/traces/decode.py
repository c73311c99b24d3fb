"""One decode, a batch of sequences at a time: transformers prepares and runs the model, the loop in between is ours.

`generate(custom_generate=...)` gives a loop of one's own the prepared cache, masks and positions of any architecture.
The loop sees each step's raw logits before any processor, draws every sequence from a generator of its own, and hands
both to a recorder; no full-vocabulary tensor outlives its step.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import torch

from workbench.errors import LogitsError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from workbench.models import LanguageModel
    from workbench.samplers import Sampler


class Recorder(Protocol):
    """Takes one step of a batch: raw and processed logits (B, V) float32, the drawn tokens (B,), who is still alive."""

    def step(self, raw: torch.Tensor, processed: torch.Tensor, tokens: torch.Tensor, alive: Sequence[bool]) -> None:
        """Keep what is wanted of this step."""


@dataclass(frozen=True)
class Decoded:
    """The drawn tokens of every sequence, cut after its first end token, and why it ended."""

    token_ids: list[list[int]]
    finish: list[str]
    """end (an end-of-sequence token), length (max_new_tokens reached) or stopped (by the caller)."""


def decode(
    model: LanguageModel,
    prompts: Sequence[Sequence[int]],
    *,
    sampler: Sampler,
    seeds: Sequence[int],
    max_new_tokens: int,
    recorder: Recorder,
    stop: Callable[[], bool] | None = None,
) -> Decoded:
    """Decode one sequence a prompt, left-padded together.

    Sequence i is drawn with `torch.multinomial` from a generator seeded with `seeds[i]`: alone in its batch it is
    token for token what `torch.manual_seed(seeds[i]); model.generate(...)` gives. Greedy takes the first maximum.

    Raises:
        LogitsError: the model gave NaN, +inf or nothing but -inf; the step is named.
    """
    loop = _Loop(
        model, prompt_lengths=[len(prompt) for prompt in prompts], sampler=sampler, seeds=seeds,
        max_new_tokens=max_new_tokens, recorder=recorder, stop=stop,
    )  # fmt: skip
    ids, mask = left_pad(prompts, model.pad_id, model.device)
    with torch.inference_mode():
        model.hf.generate(
            input_ids=ids,
            attention_mask=mask,
            max_new_tokens=max_new_tokens,
            do_sample=False,
            pad_token_id=model.pad_id,
            custom_generate=loop.run,
        )
    return Decoded(loop.drawn, loop.finish)


def left_pad(prompts: Sequence[Sequence[int]], pad: int, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids and attention mask (B, longest), the prompts aligned at their ends."""
    longest = max(len(prompt) for prompt in prompts)
    ids = torch.full((len(prompts), longest), pad, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for row, prompt in enumerate(prompts):
        ids[row, longest - len(prompt) :] = torch.as_tensor(prompt, dtype=torch.long)
        mask[row, longest - len(prompt) :] = 1
    return ids.to(device), mask.to(device)


class _Loop:
    """The state of one batch while it is decoded."""

    def __init__(
        self,
        model: LanguageModel,
        *,
        prompt_lengths: Sequence[int],
        sampler: Sampler,
        seeds: Sequence[int],
        max_new_tokens: int,
        recorder: Recorder,
        stop: Callable[[], bool] | None,
    ) -> None:
        self.model, self.sampler = model, sampler
        self.processor = sampler.processor(seeds=seeds, prompt_lengths=prompt_lengths) if sampler.steps else None
        self.generators = [torch.Generator(model.device).manual_seed(seed) for seed in seeds]
        self.max_new_tokens, self.recorder, self.stop = max_new_tokens, recorder, stop
        self.drawn: list[list[int]] = [[] for _ in seeds]
        self.finish = ["length"] * len(seeds)

    def run(
        self,
        model: Any,  # noqa: ANN401  -- transformers calls this with its own model and keywords
        input_ids: torch.Tensor,
        logits_processor: object = None,  # noqa: ARG002  -- the sampler's own take their place
        stopping_criteria: object = None,  # noqa: ARG002  -- the loop stops by itself
        generation_config: Any = None,  # noqa: ANN401
        **inputs: Any,  # noqa: ANN401
    ) -> torch.Tensor:
        """The loop `generate` calls after it has prepared the inputs."""
        alive = [True] * len(self.drawn)
        outputs = model._prefill(input_ids, generation_config, inputs)  # noqa: SLF001  -- the documented building block
        for step in range(self.max_new_tokens):
            if step:
                width = 1 if inputs["use_cache"] else None
                prepared = model.prepare_inputs_for_generation(input_ids, next_sequence_length=width, **inputs)
                outputs = model(**prepared, return_dict=True)
            inputs = model._update_model_kwargs_for_generation(outputs, inputs)  # noqa: SLF001
            raw = outputs.logits[:, -1].float()
            del outputs  # a first step's logits may hold the whole prompt
            _check_logits(raw, step)
            processed = raw if self.processor is None else self.processor(input_ids, raw)
            tokens = self._draw(processed)
            self.recorder.step(raw, processed, tokens, alive)
            self._take(tokens.tolist(), alive)
            input_ids = torch.cat([input_ids, tokens[:, None]], dim=-1)
            if not any(alive):
                break
            if self.stop is not None and self.stop():
                self.finish = ["stopped" if going else was for going, was in zip(alive, self.finish, strict=True)]
                break
        return input_ids

    def _draw(self, processed: torch.Tensor) -> torch.Tensor:
        if self.sampler.greedy:
            return processed.argmax(dim=-1)
        probabilities = torch.softmax(processed, dim=-1)
        drawn = [
            torch.multinomial(row, 1, generator=generator)
            for row, generator in zip(probabilities, self.generators, strict=True)
        ]
        return torch.cat(drawn)

    def _take(self, tokens: list[int], alive: list[bool]) -> None:
        for row, token in enumerate(tokens):
            if alive[row]:
                self.drawn[row].append(token)
                if token in self.model.end_ids:
                    alive[row], self.finish[row] = False, "end"


def _check_logits(raw: torch.Tensor, step: int) -> None:
    top = raw.amax(dim=-1)  # NaN for NaN, -inf for nothing left, +inf for +inf
    if not bool(torch.isfinite(top).all()):
        raise LogitsError(
            f"The model's raw logits at step {step}: NaN, +inf or no token left. Try dtype='float32' or another model."
        )
