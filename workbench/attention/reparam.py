"""sigma-Reparam: weights whose spectral norm is a number of its own (arXiv 2303.06296, section 3)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import nn
from torch.nn.functional import normalize
from torch.nn.utils import parametrize

from workbench.errors import AttentionError, ParameterError
from workbench.models import LanguageModel

if TYPE_CHECKING:
    from collections.abc import Iterator

GammaInit = Literal["one", "sigma"]
"""What gamma is at first: "one", as in the paper and in speech/layers.py of apple/ml-sigma-reparam; or "sigma", the
weight's own spectral norm, as in its vision/layers.py, so that the model computes at first what it did before."""


class SigmaReparam(nn.Module):
    """W -> (gamma / sigma(W)) W with sigma(W) = u · W v, a module for `torch.nn.utils.parametrize`.

    u (n,) and v (m,) are W's leading singular vectors: exact at first, and brought nearer by one power iteration in
    every forward pass in training mode, none in evaluation. They are buffers, kept in the state_dict, and no gradient
    passes through them; through u · W v it does, so that the gradient in W is orthogonal to W. gamma (scalar) is
    learnable. No random numbers are drawn.

        parametrize.register_parametrization(linear, "weight", SigmaReparam(linear.weight))

    Args:
        weight: (n, m) what it will be registered on.
        init: what gamma is at first; the paper and its code differ, see `GammaInit`.

    Raises:
        AttentionError: a weight that is no matrix, is not of floating point, is zero, or is not finite.
        ParameterError: another `init`.
    """

    gamma: nn.Parameter
    u: torch.Tensor
    v: torch.Tensor

    def __init__(self, weight: torch.Tensor, *, init: GammaInit = "one") -> None:
        super().__init__()
        if init not in {"one", "sigma"}:
            raise ParameterError(f'init={init!r}: gamma begins as "one" or as "sigma", the spectral norm.')
        if weight.ndim != 2 or not weight.is_floating_point():
            raise AttentionError(
                f"sigma-Reparam is for matrices of floating point, not for {str(weight.dtype).removeprefix('torch.')} "
                f"{tuple(weight.shape)}. Load the model without quantization, and choose its nn.Linear weights."
            )
        if not bool(weight.isfinite().all()) or not bool(weight.any()):
            raise AttentionError("A weight that is zero or not finite has no direction for sigma-Reparam to keep.")
        with torch.no_grad():
            full = weight.detach().to(torch.promote_types(weight.dtype, torch.float32))
            left, singular, right = torch.linalg.svd(full, full_matrices=False)
        self.register_buffer("u", left[:, 0].to(weight.dtype).contiguous())
        self.register_buffer("v", right[0].to(weight.dtype).contiguous())
        first = singular[0].to(weight.dtype) if init == "sigma" else torch.ones_like(singular[0], dtype=weight.dtype)
        self.gamma = nn.Parameter(first.clone())

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        """(n, m) -> (n, m) of spectral norm |gamma|, as far as u and v have converged."""
        with torch.autocast(weight.device.type, enabled=False):
            if self.training:
                self._iterate(weight.detach())
            # Copies: a later pass changes the buffers, and this one's backward may still need what they are now.
            sigma = torch.dot(self.u.clone(), weight @ self.v.clone())
            return (self.gamma / sigma) * weight

    @torch.no_grad()
    def _iterate(self, weight: torch.Tensor) -> None:
        self.v.copy_(normalize(weight.mT @ self.u, dim=0))
        self.u.copy_(normalize(weight @ self.v, dim=0))


def sigma_reparam(module: nn.Module | LanguageModel, *, mlp: bool = False, init: GammaInit = "one") -> tuple[str, ...]:
    """Register `SigmaReparam` on the weight of every nn.Linear of every attention of a model, and name them.

    The optimizer must be made afterwards: a weight `w` becomes the parameters `parametrizations.w.original` and
    `parametrizations.w.0.gamma`. `bake_sigma_reparam` makes plain weights of them again; do so on a copy before
    `save_pretrained`, which otherwise saves names that `from_pretrained` does not know.

    Args:
        module: a model of transformers, or one from `wb.load` or `wb.wrap`.
        mlp: the other nn.Linear of the same decoder layers as well; the paper takes every linear layer of a model.
        init: what gamma is at first.

    Raises:
        AttentionError: no attention with an nn.Linear, one that has it already, or a weight it cannot be used on.
        ParameterError: another `init`.
    """
    module = _module(module)
    linear = dict(_linear(module, mlp=mlp))
    if not linear:
        raise AttentionError(
            f"{type(module).__name__} has no attention module with an nn.Linear in it (GPT-2 has Conv1D, whose weights "
            "are not taken). Register wb.attention.SigmaReparam(linear.weight) on what you choose with "
            "torch.nn.utils.parametrize.register_parametrization."
        )
    taken = [name for name, part in linear.items() if parametrize.is_parametrized(part, "weight")]
    if taken:
        raise AttentionError(f"{taken[0]}.weight has a parametrization already. Call bake_sigma_reparam first.")
    made = {name: SigmaReparam(part.weight, init=init) for name, part in linear.items()}  # all, before any is changed
    for name, part in linear.items():
        parametrize.register_parametrization(part, "weight", made[name].train(part.training))
    return tuple(f"{name}.weight" for name in linear)


def bake_sigma_reparam(module: nn.Module | LanguageModel) -> tuple[str, ...]:
    """Make plain weights of all that `SigmaReparam` is registered on, with the values they have now, and name them."""
    module = _module(module)
    found = [(name, part) for name, part in module.named_modules() if _has_sigma_reparam(part)]
    for _, part in found:
        parametrize.remove_parametrizations(part, "weight", leave_parametrized=True)
    return tuple(f"{name}.weight" for name, _ in found)


def _module(model: nn.Module | LanguageModel) -> nn.Module:
    module = model.hf if isinstance(model, LanguageModel) else model
    if not isinstance(module, nn.Module):
        raise AttentionError(f"Expected a model of transformers, or one from wb.load, not {type(model).__name__}.")
    return module


def _has_sigma_reparam(part: nn.Module) -> bool:
    changes: Any = getattr(part, "parametrizations", {})
    return "weight" in changes and any(isinstance(one, SigmaReparam) for one in changes["weight"])


def _linear(module: nn.Module, *, mlp: bool) -> Iterator[tuple[str, nn.Linear]]:
    """The nn.Linear of every attention module, the innermost that know their layer; with `mlp`, of all around it."""
    knowing = [name for name, part in module.named_modules() if getattr(part, "layer_idx", None) is not None]
    attention = [name for name in knowing if not any(other.startswith(f"{name}.") for other in knowing)]
    roots = [name.rpartition(".")[0] for name in attention] if mlp else attention
    for name, part in module.named_modules():
        if isinstance(part, nn.Linear) and any(name.startswith(f"{root}.") for root in roots):
            yield name, part
