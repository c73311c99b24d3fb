"""One decode, a batch of sequences at a time: transformers prepares and runs the model, the loop in between is ours.

`generate(custom_generate=...)` gives a loop of one's own the prepared cache, masks and positions of any architecture.
The loop sees each step's raw logits before any processor, draws every sequence from a generator of its own, and hands
both to a recorder; no full-vocabulary tensor outlives its step. Sequences that have ended can leave the batch, so that
the long ones at the end do not carry them along.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import torch
from transformers.cache_utils import DynamicCache, DynamicLayer, DynamicSlidingWindowLayer

from workbench.errors import LogitsError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from workbench.models import LanguageModel
    from workbench.samplers import Sampler

_WORTH_LEAVING = 8
"""A batch is cut down once a row in this many has ended: the cache is copied once, as it is in every step anyway."""


class Recorder(Protocol):
    """Takes one step of a batch: raw and processed logits (B, V) float32, the drawn tokens (B,), who is still alive."""

    def step(self, raw: torch.Tensor, processed: torch.Tensor, tokens: torch.Tensor, alive: Sequence[bool]) -> None:
        """Keep what is wanted of this step."""

    def select(self, rows: Sequence[int]) -> None:
        """From now on the batch consists of these of its rows; called only where `decode` may drop rows."""


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
    max_new_tokens: int | Sequence[int],
    recorder: Recorder,
    stop: Callable[[], bool] | None = None,
    on_step: Callable[[int], None] | None = None,
    drop_ended: bool = False,
) -> Decoded:
    """Decode one sequence a prompt, left-padded together.

    Sequence i is drawn as `torch.multinomial` would from a generator seeded with `seeds[i]`: alone in its batch it is
    token for token what `torch.manual_seed(seeds[i]); model.generate(...)` gives. Greedy takes the first maximum.

    Args:
        model: what computes the logits.
        prompts: token ids, at least one each; the caller sees to it that they fit the context.
        sampler: how tokens are drawn.
        seeds: one a prompt.
        max_new_tokens: for all, or one a prompt.
        recorder: sees every step.
        stop: asked after every step; True ends all sequences.
        on_step: called after every step with the number of sequences that got a token in it.
        drop_ended: whether rows that have ended may leave the batch. They stay where the cache cannot give up rows
            (recurrent states, quantised caches).

    Raises:
        LogitsError: the model gave NaN, +inf or nothing but -inf; the step is named.
    """
    limits = [max_new_tokens] * len(prompts) if isinstance(max_new_tokens, int) else list(max_new_tokens)
    loop = _Loop(
        model, prompt_lengths=[len(prompt) for prompt in prompts], sampler=sampler, seeds=seeds, limits=limits,
        recorder=recorder, stop=stop, on_step=on_step, drop_ended=drop_ended,
    )  # fmt: skip
    ids, mask = left_pad(prompts, model.pad_id, model.device)
    with torch.inference_mode():
        model.hf.generate(
            input_ids=ids,
            attention_mask=mask,
            max_new_tokens=max(limits),
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
        limits: Sequence[int],
        recorder: Recorder,
        stop: Callable[[], bool] | None,
        on_step: Callable[[int], None] | None,
        drop_ended: bool,
    ) -> None:
        self.model, self.sampler, self.recorder = model, sampler, recorder
        self.stop, self.on_step, self.drop_ended = stop, on_step, drop_ended
        self.processor = sampler.processor(seeds=seeds, prompt_lengths=prompt_lengths) if sampler.steps else None
        self.generators = [torch.Generator(model.device).manual_seed(seed) for seed in seeds]
        self.limits = list(limits)
        self.rows = list(range(len(seeds)))
        """Which sequence each row of the batch is."""
        self.alive = [True] * len(seeds)
        """Of each row of the batch."""
        self.drawn: list[list[int]] = [[] for _ in seeds]
        self.finish = ["length"] * len(seeds)
        longest = max(prompt_lengths) + max(limits)
        self.last_position = model.context - 1 if model.context is not None and longest > model.context else None
        """Where rows that have ended, and go on only beside others, are held, lest they leave the context."""

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
        outputs = model._prefill(input_ids, generation_config, inputs)  # noqa: SLF001  -- the documented building block
        for step in range(max(self.limits)):
            if step:
                width = 1 if inputs["use_cache"] else None
                prepared = model.prepare_inputs_for_generation(input_ids, next_sequence_length=width, **inputs)
                outputs = model(**prepared, return_dict=True)
            inputs = model._update_model_kwargs_for_generation(outputs, inputs)  # noqa: SLF001
            raw = outputs.logits[:, -1].float()
            del outputs  # a first step's logits may hold the whole prompt
            tokens = self._step(input_ids, raw, step)
            input_ids = torch.cat([input_ids, tokens[:, None]], dim=-1)
            if not any(self.alive):
                break
            if self.stop is not None and self.stop():
                self._end_all()
                break
            input_ids, inputs = self._without_ended(input_ids, inputs)
        return input_ids

    def _step(self, input_ids: torch.Tensor, raw: torch.Tensor, step: int) -> torch.Tensor:
        """Draw from raw logits (B, V), record, and take what was drawn."""
        self._check_logits(raw, f"The model's raw logits at step {step}")
        processed = raw
        if self.processor is not None:
            processed = self.processor(input_ids, raw)
            self._check_logits(processed, f"The logits that the sampler left at step {step}")
        tokens = processed.argmax(dim=-1) if self.sampler.greedy else draw(processed, self.generators)
        self.recorder.step(raw, processed, tokens, self.alive)
        count = self._take(tokens.tolist())
        if self.on_step is not None:
            self.on_step(count)
        return tokens

    def _take(self, tokens: list[int]) -> int:
        """Append each living row's token to its sequence; how many there were."""
        living = [row for row, going in enumerate(self.alive) if going]
        for row in living:
            sequence, token = self.rows[row], tokens[row]
            drawn = self.drawn[sequence]
            drawn.append(token)
            if token in self.model.end_ids:
                self.alive[row], self.finish[sequence] = False, "end"
            elif len(drawn) == self.limits[sequence]:
                self.alive[row] = False
        return len(living)

    def _end_all(self) -> None:
        for row, going in enumerate(self.alive):
            if going:
                self.finish[self.rows[row]] = "stopped"

    def _without_ended(self, input_ids: torch.Tensor, inputs: dict[str, Any]) -> tuple[torch.Tensor, dict[str, Any]]:
        """The batch without the rows that have ended, once there are enough of them to make it worth the copying."""
        keep = [row for row, going in enumerate(self.alive) if going]
        ended = len(self.alive) - len(keep)
        if not (self.drop_ended and ended and ended * _WORTH_LEAVING >= len(self.alive) and _selectable(inputs)):
            if ended and self.last_position is not None and inputs.get("position_ids") is not None:
                inputs["position_ids"] = inputs["position_ids"].clamp(max=self.last_position)
            return input_ids, inputs
        chosen = torch.as_tensor(keep, device=input_ids.device)
        inputs["past_key_values"].batch_select_indices(chosen)
        tensors = {name: value[chosen] for name, value in inputs.items() if isinstance(value, torch.Tensor)}
        if self.processor is not None:
            self.processor.select(keep)
        self.recorder.select(keep)
        self.generators = [self.generators[row] for row in keep]
        self.rows = [self.rows[row] for row in keep]
        self.alive = [True] * len(keep)
        return input_ids[chosen], inputs | tensors

    def _check_logits(self, logits: torch.Tensor, what: str) -> None:
        fine = torch.isfinite(logits.amax(dim=-1))  # NaN for NaN, -inf for nothing left, +inf for +inf
        if bool(fine.all()):
            return
        where = f", prompt {self.rows[int((~fine).nonzero()[0])]} of the batch" if len(self.drawn) > 1 else ""
        raise LogitsError(f"{what}{where}: NaN, +inf or no token left. Try dtype='float32' or another model.")


def draw(logits: torch.Tensor, generators: Sequence[torch.Generator]) -> torch.Tensor:
    """One token a row of logits (B, V), row i from `generators[i]`: bit for bit `torch.multinomial(softmax, 1)`.

    A single draw of multinomial is argmax(p / q) with q ~ Exponential(1), V of them from the generator (ATen,
    Distributions.cpp, multinomial_out). Only q is a row's own business; the rest is done for all rows at once.
    Accelerators draw q for as many numbers as their kernel likes, so that there multinomial itself is asked.
    """
    probabilities = torch.softmax(logits, dim=-1)
    if logits.device.type != "cpu":
        rows = zip(probabilities, generators, strict=True)
        return torch.cat([torch.multinomial(row, 1, generator=generator) for row, generator in rows])
    q = torch.empty_like(probabilities)
    for row, generator in zip(q.unbind(), generators, strict=True):
        row.exponential_(1, generator=generator)
    return probabilities.div_(q).argmax(dim=-1)


def _selectable(inputs: dict[str, Any]) -> bool:
    """Whether a model's inputs are a cache of keys and values alone, and tensors of a row a sequence."""
    cache = inputs.get("past_key_values")
    if not isinstance(cache, DynamicCache):
        return False
    # Exact types: what derives from them holds more than keys and values, and does not always select it.
    plain = all(type(layer) in {DynamicLayer, DynamicSlidingWindowLayer} for layer in cache.layers)
    return plain and all(value.ndim == 2 for value in inputs.values() if isinstance(value, torch.Tensor))
