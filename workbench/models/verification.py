"""The self-check of a loaded model: does what the workbench relies on hold for this one?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl
import torch

from workbench.errors import ModelError, PromptError
from workbench.models.readout import fit_readout
from workbench.models.structure import structure, watch
from workbench.models.token_text import decode

if TYPE_CHECKING:
    from collections.abc import Callable

    from workbench.models.language_model import LanguageModel

OK, DIFFERS, NOT_APPLICABLE = "ok", "differs", "not applicable"
_SAMPLE = "How many apples are 12 and 7 apples? Add them: naïve or not, 12 + 7 = 19 ✓. "
_QUESTION = "What is 3 plus 4? Answer naïvely: 7 ✓"


@dataclass(frozen=True)
class Check:
    """One thing that was tried."""

    name: str
    status: str
    """ok, differs or not applicable."""
    difference: float | None
    """Largest absolute difference of two logits, or None where nothing was measured."""
    tolerance: float | None
    """How large it may be: a multiple of the dtype's precision at the largest logit."""
    sentence: str
    """What was found, in words."""


@dataclass(frozen=True, repr=False)
class Verification:
    """The checks of one model."""

    model: str
    checks: tuple[Check, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing differs."""
        return all(check.status != DIFFERS for check in self.checks)

    def to_frame(self) -> pl.DataFrame:
        """A row a check: check, status, difference, tolerance, sentence."""
        rows = [(c.name, c.status, c.difference, c.tolerance, c.sentence) for c in self.checks]
        kinds = {"check": pl.String, "status": pl.String, "difference": pl.Float64, "tolerance": pl.Float64}
        return pl.DataFrame(rows, schema={**kinds, "sentence": pl.String}, orient="row")

    def __repr__(self) -> str:
        lines = [f"{check.status:>14}  {check.name}: {check.sentence}" for check in self.checks]
        return "\n".join([f"Verification of {self.model}", *lines])

    def _repr_markdown_(self) -> str:
        rows = [f"| {check.name} | **{check.status}** | {check.sentence} |" for check in self.checks]
        return "\n".join([f"Self-check of `{self.model}`", "", "| check | status | finding |", "|---|---|---|", *rows])


def verify(model: LanguageModel, tokens: int = 32) -> Verification:
    """Try on a text of `tokens` tokens what the workbench relies on.

    1. The last decoder layer's states through final norm and head give the logits, up to a factor or a soft cap.
    2. Decoding token by token with a cache gives the logits of one full pass.
    3. The chat template keeps the user's words, its generation prompt only adds to the end, and tokens decode back.
    """
    length = min(tokens, model.context or tokens)
    ids = torch.tensor([_sample_ids(model, max(length, 2))], device=model.device)
    checks = (
        _guarded("last layer", lambda: _last_layer(model, ids)),
        _guarded("cached decoding", lambda: _cached_decoding(model, ids)),
        _guarded("chat template", lambda: _chat_template(model)),
    )
    return Verification(model.name, checks)


def _guarded(name: str, check: Callable[[], Check]) -> Check:
    """A check that cannot be carried out says so; the others go on."""
    try:
        return check()
    except (ModelError, PromptError, RuntimeError, TypeError, ValueError, AttributeError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        return Check(name, NOT_APPLICABLE, None, None, f"Could not be tried: {reason}")


def _sample_ids(model: LanguageModel, length: int) -> list[int]:
    if model.tokenizer is None:
        return [at % model.vocabulary for at in range(length)]
    ids = model.tokenizer(_SAMPLE, add_special_tokens=False)["input_ids"] or [0]
    return (ids * -(-length // len(ids)))[:length]


def _tolerance(logits: torch.Tensor, dtype: torch.dtype) -> float:
    """Rounding grows with the largest logit; half precision is given fewer units, or nothing would ever differ."""
    units = 256 if dtype in (torch.float32, torch.float64) else 8
    return units * torch.finfo(dtype).eps * max(1.0, float(logits.abs().max()))


def _last_layer(model: LanguageModel, ids: torch.Tensor) -> Check:
    found = structure(model.hf)
    with torch.inference_mode():
        with watch([found.layers[-1]]) as calls:
            logits = model.hf(input_ids=ids, use_cache=False).logits.float()
        states = calls[-1].made
        if states is None:
            raise ModelError("the last layer gives no tensor.")
        states = states.reshape(*ids.shape, -1)
        head = found.head(states if found.norm is None else found.norm(states)).float()
    tolerance = _tolerance(logits, model.precision)
    readout = fit_readout(head, logits, tolerance)
    norm = "no final norm" if found.norm is None else type(found.norm).__name__
    parts = f"{len(found.layers)} layers, {norm}, head {type(found.head).__name__}"
    if readout.kind == "unknown":
        off = f"{readout.difference:.2g}"
        words = f"The last layer's states through norm and head do not give the logits, by up to {off} ({parts})."
    else:
        words = f"The last layer's states through norm and head{readout.describe()} give the logits ({parts})."
    status = DIFFERS if readout.kind == "unknown" else OK
    return Check("last layer", status, readout.difference, tolerance, words)


def _cached_decoding(model: LanguageModel, ids: torch.Tensor) -> Check:
    with torch.inference_mode():
        full = model.hf(input_ids=ids, use_cache=False).logits[0].float()
    steps = _cached_logits(model, ids)
    if steps is None:
        return Check("cached decoding", NOT_APPLICABLE, None, None, "The model decodes without a cache.")
    difference, tolerance = float((steps - full).abs().max()), _tolerance(full, model.precision)
    same = difference <= tolerance  # False for NaN
    verb = "equals" if same else "differs from"
    words = f"{ids.shape[1]} tokens one by one: cached decoding {verb} a full pass, by {difference:.2g} at most."
    return Check("cached decoding", OK if same else DIFFERS, difference, tolerance, words)


def _cached_logits(model: LanguageModel, ids: torch.Tensor) -> torch.Tensor | None:
    """Logits (T, V) of feeding `ids` one at a time, as `generate` would, or None for a model without a cache."""
    rows: list[torch.Tensor] = []

    def forced(hf: Any, input_ids: torch.Tensor, generation_config: Any = None, **inputs: Any) -> torch.Tensor:  # noqa: ANN401
        if not inputs.get("use_cache"):
            return input_ids
        outputs = hf._prefill(input_ids, generation_config, inputs)  # noqa: SLF001  -- the documented building block
        for end in range(1, ids.shape[1] + 1):
            rows.append(outputs.logits[0, -1].float())
            inputs = hf._update_model_kwargs_for_generation(outputs, inputs)  # noqa: SLF001
            if end == ids.shape[1]:
                break
            prepared = hf.prepare_inputs_for_generation(ids[:, : end + 1], next_sequence_length=1, **inputs)
            outputs = hf(**prepared, return_dict=True)
        return ids

    first = ids[:, :1]
    with torch.inference_mode():
        model.hf.generate(
            input_ids=first,
            attention_mask=torch.ones_like(first),
            max_new_tokens=ids.shape[1],
            do_sample=False,
            pad_token_id=model.pad_id,
            custom_generate=forced,
        )
    return torch.stack(rows) if rows else None


def _chat_template(model: LanguageModel) -> Check:
    name = "chat template"
    if not model.has_chat_template:
        return Check(
            name, NOT_APPLICABLE, None, None, "The tokenizer has no chat template; prompts are taken verbatim."
        )
    text, ids = model.encode_prompt(_QUESTION)
    messages = [{"role": "user", "content": _QUESTION}]
    closed = model.tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=False)
    wrong = [
        words
        for fine, words in (
            (_QUESTION in text, "the user's words do not appear verbatim"),
            (text.startswith(closed), "the generation prompt changes what comes before it"),
            (decode(model.tokenizer, ids) == text, "its tokens do not decode to the same text"),
        )
        if not fine
    ]
    if wrong:
        return Check(name, DIFFERS, None, None, f"In the rendered prompt {' and '.join(wrong)}.")
    return Check(name, OK, None, None, "It keeps the user's words, only adds to the end, and its tokens decode back.")
