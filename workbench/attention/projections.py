"""What an attention module makes of its inputs before they meet: the linear maps to queries and keys, found by trying.

Architectures keep these weights apart or fused, transposed, quantised or adapted, under names of their own. Here the
module itself is run on basis vectors, up to where it hands over its queries and keys.
"""

from __future__ import annotations

from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from workbench.attention.interface import observed
from workbench.attention.running import run_observed
from workbench.errors import AttentionError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from workbench.attention.interface import Call
    from workbench.models import LanguageModel

_AT_ONCE = 512
"""Basis vectors run together."""
_TOLERANCE = 1e-4
"""By how much, of the largest number, float32 may round what is otherwise the same."""


@dataclass(frozen=True, eq=False)
class Projection:
    """x -> W x + b, for every head."""

    weight: torch.Tensor
    """(H, d, D) float64."""
    bias: torch.Tensor
    """(H, d) float64."""

    def norms(self) -> tuple[torch.Tensor, torch.Tensor]:
        """(H,) spectral norms of W, and (H,) norms of b."""
        return torch.linalg.matrix_norm(self.weight, ord=2), self.bias.norm(dim=-1)

    def of(self, inputs: torch.Tensor, head: int) -> torch.Tensor:
        """(T, D) -> (T, d) of one head."""
        return inputs @ self.weight[head].T + self.bias[head]


class _Seen(Exception):  # noqa: N818  -- ends the module's run early; nothing went wrong
    """The queries and keys have been seen."""


@dataclass(frozen=True, eq=False)
class OneToken:
    """An attention module, and what a model called it with for a text of one token."""

    hf: nn.Module
    module: nn.Module
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]

    @property
    def inputs(self) -> torch.Tensor:
        """(1, D) the hidden state it was given."""
        return hidden_state(self.args, self.kwargs)[0]

    def read(self, inputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(N, D) -> queries (H, N, d) and keys (Hkv, N, d) float64 of N texts of that one state each."""
        found: list[torch.Tensor] = []

        def observe(call: Call) -> None:
            found.extend(side[:, :, 0].transpose(0, 1).cpu().double() for side in (call.query, call.key))
            raise _Seen

        usual = hidden_state(self.args, self.kwargs)
        new = inputs[:, None].to(usual)
        args = tuple(new if value is usual else value for value in self.args)
        kwargs = {name: new if value is usual else value for name, value in self.kwargs.items()}
        with torch.inference_mode(), observed(self.hf, observe), suppress(_Seen):
            self.module(*args, **kwargs)
        query, key = found
        return query, key

    def projections(self, scale: float) -> tuple[Projection, Projection]:
        """The maps of queries and of keys, from basis vectors of length `scale`, as far as they are linear.

        `scale` is best the inputs' own, for a sum of a large bias and a small product would be rounded.
        """
        width = self.inputs.shape[-1]
        bias = [side[:, 0] for side in self.read(torch.zeros(1, width))]
        columns = [self.read(scale * part) for part in torch.split(torch.eye(width), _AT_ONCE)]
        weights = [
            (torch.cat([part[side] for part in columns], dim=1) - b[:, None]).mT / scale for side, b in enumerate(bias)
        ]
        query, key = (Projection(weight, b) for weight, b in zip(weights, bias, strict=True))
        return query, key

    def norm_limit(self, side: int) -> float | None:
        """The largest norm that a normalisation within the module lets a head's queries (side 0) or keys (1) have.

        That is max |g| √d + ‖b‖ of an RMS or layer norm over d numbers with gain g and shift b. It is known by three
        things, tried out: its output does not change with the scale of what it is given; doubling its output doubles
        the queries and leaves the keys, or the other way round; and the output's norm is theirs. None where nothing in
        the module is so.
        """
        usual, tolerance = self.read(self.inputs), rounding(self.inputs)
        for part in self.module.modules():
            if part is self.module or next(part.children(), None) is not None:
                continue
            given, made = self._watched(part)
            if given is None or made is None or not bool(made.any()) or not _scale_free(part, given):
                continue
            with _changed(part, lambda output: 2 * output):
                doubled = self.read(self.inputs)
            factors = [2 if at == side else 1 for at in range(2)]
            if not all(close(b, f * a, tolerance) for a, b, f in zip(usual, doubled, factors, strict=True)):
                continue
            if close(made.double().norm().cpu(), usual[side].norm(), tolerance):
                return _gain_limit(part, given)
        return None

    def _watched(self, part: nn.Module) -> tuple[torch.Tensor | None, torch.Tensor | None]:
        """What a part of the module takes and gives, where both are tensors of one shape."""
        calls: list[tuple[Any, Any]] = []
        handle = part.register_forward_hook(lambda _, given, made: calls.append((given[0] if given else None, made)))
        try:
            self.read(self.inputs)
        finally:
            handle.remove()
        given, made = calls[0] if len(calls) == 1 else (None, None)
        if not isinstance(given, torch.Tensor) or not isinstance(made, torch.Tensor) or given.shape != made.shape:
            return None, None
        return given, made


def hidden_state(args: Sequence[Any], kwargs: Mapping[str, Any]) -> torch.Tensor:
    """(B, T, D) what an attention module attends within: the first tensor of that kind among what it is given.

    Raises:
        AttentionError: there is none.
    """
    for value in (*args, *kwargs.values()):
        if isinstance(value, torch.Tensor) and value.ndim == 3:
            return value
    raise AttentionError("An attention module of this model is not given its hidden states as one tensor.")


def one_token_calls(model: LanguageModel, token: int) -> dict[nn.Module, OneToken]:
    """Every attention module of a model with what it is called with for a text of one token."""
    found: dict[nn.Module, OneToken] = {}
    modules = [module for module in model.hf.modules() if getattr(module, "layer_idx", None) is not None]

    def observe(call: Call) -> None:
        found[call.module] = OneToken(model.hf, call.module, *given[call.module])

    with watched_inputs(modules) as given:
        run_observed(model, [token], np.ones(1, np.bool_), observe)
    return found


@contextmanager
def watched_inputs(modules: Sequence[nn.Module]) -> Iterator[dict[nn.Module, tuple[tuple[Any, ...], dict[str, Any]]]]:
    """Within the block, what each of these modules was last called with."""
    given: dict[nn.Module, tuple[tuple[Any, ...], dict[str, Any]]] = {}

    def look(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        given[module] = args, kwargs

    handles = [module.register_forward_pre_hook(look, with_kwargs=True) for module in modules]
    try:
        yield given
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def _changed(part: nn.Module, change: Callable[[torch.Tensor], torch.Tensor]) -> Iterator[None]:
    handle = part.register_forward_hook(lambda _module, _given, made: change(made))
    try:
        yield
    finally:
        handle.remove()


def _scale_free(part: nn.Module, given: torch.Tensor) -> bool:
    """Whether only the direction of its input counts, once the input is large."""
    with torch.inference_mode():
        return close(part(64.0 * given), part(256.0 * given), rounding(given))


def _gain_limit(part: nn.Module, given: torch.Tensor) -> float:
    """Max |g| √d + ‖b‖, from what is made of long basis vectors: g_i √d there, or g_i √(d - 1) after centring."""
    width = given.shape[-1]
    basis = torch.eye(width).view(width, *[1] * (given.ndim - 2), width).expand(width, *given.shape[1:])
    with torch.inference_mode():
        shift = part(torch.zeros_like(given)).double().cpu()
        made = (part(1e3 * basis.to(given)).double().cpu() - shift).abs()
    own = made.diagonal(dim1=0, dim2=-1)
    centred = bool(made.sum() > (1 + 1e-6) * own.sum())
    factor = (width / (width - 1)) ** 0.5 if centred else 1.0
    return float(own.max() * factor + shift.norm(dim=-1).max())


def rounding(made: torch.Tensor) -> float:
    """By how much, of the largest number, what a model of this dtype makes may be rounded."""
    return max(_TOLERANCE, 8 * torch.finfo(made.dtype).eps)


def close(a: torch.Tensor, b: torch.Tensor, tolerance: float) -> bool:
    """Whether two tensors are the same but for rounding, measured by the largest number among them."""
    return bool((a - b).abs().max() <= tolerance * torch.maximum(a.abs().max(), b.abs().max()))
