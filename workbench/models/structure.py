"""Find a model's decoder layers, final norm and head by what flows through them, whatever they are called.

One short forward pass is watched: the head is the module that makes the vocabulary, the final norm the innermost one
whose very output the head takes, the decoder layers the outermost list of modules that were all called and hold most of
the parameters. `LanguageModel.verify` then proves on the model's own logits that the three belong together.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import torch
from torch import nn

from workbench.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


@dataclass(frozen=True, eq=False)
class Structure:
    """The parts of a decoder."""

    layers: nn.ModuleList
    """The decoder layers, first to last."""
    norm: nn.Module | None
    """What stands between the last layer and the head; None where nothing does."""
    head: nn.Module
    """Hidden states (..., D) to logits (..., V)."""


@dataclass(frozen=True, eq=False)
class Call:
    """One module's call: the tensor it took first and the tensor it gave first (kept, so that no memory is reused)."""

    module: nn.Module
    given: torch.Tensor | None
    made: torch.Tensor | None


def decoder_layers(model: nn.Module) -> nn.ModuleList:
    """The decoder layers, first to last.

    Raises:
        ModelError: the model shows no such list.
    """
    return structure(model).layers


def final_norm(model: nn.Module) -> nn.Module | None:
    """The norm between the last decoder layer and the head, or None where a model has none.

    Raises:
        ModelError: the model's structure cannot be made out.
    """
    return structure(model).norm


def head(model: nn.Module) -> nn.Module:
    """The module that turns hidden states into logits.

    Raises:
        ModelError: the model's structure cannot be made out.
    """
    return structure(model).head


_FOUND: WeakKeyDictionary[nn.Module, Structure] = WeakKeyDictionary()


def structure(model: nn.Module) -> Structure:
    """Decoder layers, final norm and head of a transformers model; found once, then remembered.

    Raises:
        ModelError: the model's structure cannot be made out.
    """
    if model not in _FOUND:
        _FOUND[model] = _find(model)
    return _FOUND[model]


@contextmanager
def watch(modules: Sequence[nn.Module]) -> Iterator[list[Call]]:
    """Record every call of `modules` in the order they finish."""
    calls: list[Call] = []

    def hook(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:  # noqa: ANN401
        calls.append(Call(module, _first_tensor([*args, *kwargs.values()]), _first_tensor(output)))

    handles = [module.register_forward_hook(hook, with_kwargs=True) for module in modules]
    try:
        yield calls
    finally:
        for handle in handles:
            handle.remove()


def _find(model: nn.Module) -> Structure:
    ids = torch.tensor([[0, 1]], device=next(model.parameters()).device)
    with torch.inference_mode(), watch(list(model.modules())) as calls:
        model(input_ids=ids, use_cache=False)
    layers = _layers(model, calls)
    made_vocabulary = _head_call(model, calls, layers)
    return Structure(layers, _norm(made_vocabulary, calls, layers), made_vocabulary.module)


def _layers(model: nn.Module, calls: Sequence[Call]) -> nn.ModuleList:
    called = {call.module for call in calls}
    outermost: list[tuple[str, nn.ModuleList]] = []
    for name, module in model.named_modules():
        if (
            not isinstance(module, nn.ModuleList)
            or len(module) == 0
            or any(name.startswith(o + ".") for o, _ in outermost)
        ):
            continue
        if all(item in called for item in module):
            outermost.append((name, module))
    if not outermost:
        raise ModelError(f"No list of decoder layers can be made out in {type(model).__name__}.")
    return max((layers for _, layers in outermost), key=lambda found: sum(p.numel() for p in found.parameters()))


def _head_call(model: nn.Module, calls: Sequence[Call], layers: nn.ModuleList) -> Call:
    getter: Any = getattr(model, "get_output_embeddings", None)
    declared = None if getter is None else getter()
    inside = set(layers.modules())
    for call in reversed(calls):
        guessed = declared is None and isinstance(call.module, nn.Linear) and call.module not in inside
        if call.module is declared or guessed:
            return call
    raise ModelError(
        f"No head that makes logits can be made out in {type(model).__name__}: is it a causal language model?"
    )


def _norm(head_call: Call, calls: Sequence[Call], layers: nn.ModuleList) -> nn.Module | None:
    inside = set(layers.modules())
    before = calls[: calls.index(head_call)]
    same = [call for call in before if _same_memory(call.made, head_call.given)]
    if same:  # the innermost finishes first
        return None if same[0].module in inside else same[0].module
    # The head takes a changed copy: the last plain module outside the layers is the best guess, for verify() to judge.
    last_layer = max(at for at, call in enumerate(before) if call.module is layers[-1])
    after = [call.module for call in before[last_layer + 1 :] if not list(call.module.children())]
    return after[-1] if after else None


def _same_memory(made: torch.Tensor | None, given: torch.Tensor | None) -> bool:
    if made is None or given is None:
        return False
    return made.data_ptr() == given.data_ptr() and made.numel() == given.numel()


def _first_tensor(value: Any) -> torch.Tensor | None:  # noqa: ANN401  -- modules take and give whatever they like
    if isinstance(value, torch.Tensor):
        return value if value.is_floating_point() else None
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        return next((found for item in value if (found := _first_tensor(item)) is not None), None)
    return None
