"""What a model knows of a prompt before it answers: the last hidden state at the prompt's last token."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.errors import DifficultyError, ModelError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import torch
    from numpy.typing import NDArray

    from workbench.models import LanguageModel
    from workbench.models.prompts import Prompt


def prompt_states(
    model: LanguageModel, prompts: Sequence[Prompt], *, batch_size: int = 16, chat: bool | None = None
) -> NDArray[np.float32]:
    """(N, d) the state h_L that the head is given at each prompt's last token, after the prefill.

    It is the last layer's state after the final norm, where a model has one: transformers' `hidden_states[-1]`, and
    what the first token's logits are read from. DiffAdapt (arXiv 2510.19669) says "last-layer hidden state" and not on
    which side of the norm. Prompts of like length share a batch, padded at the left; the padding is masked, so that a
    batch gives what each prompt alone gives, up to rounding. Models whose state padding would reach are not padded.

    Args:
        model: the model that will answer.
        prompts: as for `wb.record`: strings, lists of messages or lists of token ids.
        batch_size: prompts in one pass.
        chat: as for `wb.record`.

    Raises:
        DifficultyError: no prompts, or a batch size below 1.
        PromptError: a prompt the model cannot be given.
        ModelError: the head is not given one state a position.
    """
    if isinstance(prompts, str) or not len(prompts):
        raise DifficultyError("Give a list of prompts with at least one in it.")
    if batch_size < 1:
        raise DifficultyError(f"batch_size is at least 1, not {batch_size}.")
    ids = [model.encode_prompt(prompt, chat=chat)[1] for prompt in prompts]
    batches = list(_batches(model, ids, batch_size))
    states = [_last_states(model, [ids[i] for i in batch]).cpu().numpy() for batch in batches]
    found: NDArray[np.float32] = np.concatenate(states)[np.argsort(np.concatenate(batches))]
    return found


def _batches(model: LanguageModel, ids: Sequence[Sequence[int]], size: int) -> Iterator[list[int]]:
    """Which prompts share a pass: neighbours in length, as far as the model allows."""
    from workbench.traces.grouping import groups  # noqa: PLC0415  -- it imports torch

    order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
    for group in groups(model, [len(ids[i]) for i in order]):
        for start in range(0, len(group), size):
            yield [order[place] for place in group[start : start + size]]


def _last_states(model: LanguageModel, prompts: Sequence[Sequence[int]]) -> torch.Tensor:
    """(B, d) float32. Prefilled as `generate` does it, which knows each architecture's masks and positions."""
    import torch  # noqa: PLC0415  -- the labels and the comparison do without it

    from workbench.models.structure import head, watch  # noqa: PLC0415
    from workbench.traces.decode import left_pad  # noqa: PLC0415

    def prefill(hf: Any, input_ids: torch.Tensor, generation_config: Any = None, **inputs: Any) -> torch.Tensor:  # noqa: ANN401
        hf._prefill(input_ids, generation_config, inputs)  # noqa: SLF001  -- the documented building block
        return input_ids

    ids, mask = left_pad(prompts, model.pad_id, model.device)
    with torch.inference_mode(), watch([head(model.hf)]) as calls:
        model.hf.generate(
            input_ids=ids,
            attention_mask=mask,
            max_new_tokens=1,
            do_sample=False,
            pad_token_id=model.pad_id,
            custom_generate=prefill,
        )
    given = calls[-1].given if calls else None
    if given is None or given.ndim != 3 or len(given) != len(prompts):
        shape = None if given is None else tuple(given.shape)
        raise ModelError(
            f"The head of {model.name} is not given one state a position (B, T, d) but {shape}; this model's prompt "
            "states cannot be read. Pass states of your own to `train_probe`."
        )
    return given[:, -1].float()
