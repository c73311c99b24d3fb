"""Attention functions registered with transformers: the model's usual output, with someone looking on.

transformers' `AttentionInterface` and `AttentionMaskInterface` are given one pair of functions for each usual setting:
the masks are those of the usual setting, and the output is computed by the very function the model would have called,
so that logits stay equal to the last bit. What is observed is the call's own query, key and mask.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from workbench.errors import AttentionError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from torch import nn

_SETTING = "_attn_implementation_internal"
"""Where a configuration keeps its setting; assigned to directly, it is neither checked nor passed on to other parts."""
_PREFIX = "workbench_"
_CAN_SET = "_can_set_attn_implementation"
_USUAL = ("sdpa", "eager")
EAGER_ROWS = 128
"""Queries given to a model's own eager function at a time; the last share takes the rest, up to twice as many."""


class Call(NamedTuple):
    """One attention call of a model, as attention takes it."""

    module: nn.Module
    query: torch.Tensor
    """(B, Hq, Q, D), rotated."""
    key: torch.Tensor
    """(B, Hkv, K, D), rotated."""
    mask: torch.Tensor | None
    how: Mapping[str, Any]
    """The call's settings: scaling, softcap and what else there is."""

    @property
    def layer(self) -> int:
        """The number of its layer; an AttentionError where the module does not say."""
        return layer_of(self.module)


Observer = Callable[[Call], None]

_OBSERVER: ContextVar[Observer | None] = ContextVar("attention observer", default=None)
_LOCK = threading.RLock()  # a model's setting is one for all threads: two observations of it must not cross


@contextmanager
def observed(hf: nn.Module, observer: Observer) -> Iterator[None]:
    """Within the block every attention call of this thread shows `observer` what it is given.

    The setting of the model, and of every part of it, is afterwards what it was, whatever happens in between.

    Raises:
        AttentionError: the model does not call its attention through transformers' interface, or its setting is
            neither sdpa nor eager.
    """
    _register()
    with _LOCK:
        configs = _configs(hf)
        before = [getattr(config, _SETTING) for config in configs]
        _check(hf, before)
        token = _OBSERVER.set(observer)
        try:
            for config, usual in zip(configs, before, strict=True):
                if usual in _USUAL:
                    setattr(config, _SETTING, _PREFIX + usual)
            yield
        finally:
            for config, usual in zip(configs, before, strict=True):
                setattr(config, _SETTING, usual)
            _OBSERVER.reset(token)


def is_observing(observer: Observer) -> bool:
    """Whether attention calls of this thread are shown to this one now."""
    return _OBSERVER.get() is observer


def layer_of(module: nn.Module) -> int:
    """The number of the layer an attention module belongs to.

    Raises:
        AttentionError: it does not say.
    """
    layer: int | None = getattr(module, "layer_idx", None)
    if layer is None:
        raise AttentionError(f"{type(module).__name__} does not know which layer it belongs to (no layer_idx).")
    return int(layer)


def usual_setting(hf: Any) -> str:  # noqa: ANN401  -- transformers models answer to more than nn.Module
    """The model's own attention setting, also while it is observed."""
    return str(getattr(hf.config.get_text_config(), _SETTING)).removeprefix(_PREFIX)


def _check(hf: nn.Module, settings: list[str | None]) -> None:
    name = type(hf).__name__
    asks = [ask for module in hf.modules() if (ask := getattr(module, _CAN_SET, None)) is not None]
    if not asks or not all(ask() for ask in asks):
        raise AttentionError(
            f"{name} does not call its attention through transformers' AttentionInterface, so its heads cannot be "
            "observed. Take a model of an architecture that does (most of transformers' own do)."
        )
    strange = sorted({str(setting) for setting in settings if (setting or "").removeprefix(_PREFIX) not in _USUAL})
    if strange:
        raise AttentionError(
            f"{name} runs with the attention setting {', '.join(strange)}, beside which nothing can be observed. "
            "Call model.hf.set_attn_implementation('sdpa') (or 'eager') first."
        )


def _configs(hf: nn.Module) -> list[Any]:
    """Every configuration of the model and its parts that says how attention is computed, each once."""
    found: dict[int, Any] = {}
    waiting: list[Any] = [module.config for module in hf.modules() if hasattr(module, "config")]
    while waiting:
        config = waiting.pop()
        if id(config) in found or not hasattr(config, _SETTING):
            continue
        found[id(config)] = config
        waiting += [part for name in config.sub_configs if (part := getattr(config, name, None)) is not None]
    return list(found.values())


@cache
def _register() -> None:
    from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS, AttentionMaskInterface  # noqa: PLC0415
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS, AttentionInterface  # noqa: PLC0415

    sdpa = ALL_ATTENTION_FUNCTIONS["sdpa"]
    AttentionInterface.register(_PREFIX + "sdpa", _observing(sdpa))
    AttentionInterface.register(_PREFIX + "eager", _observing(_eager))
    for usual in _USUAL:
        AttentionMaskInterface.register(_PREFIX + usual, ALL_MASK_ATTENTION_FUNCTIONS[usual])


def _observing(usual: Callable[..., Any]) -> Callable[..., Any]:
    def attend(
        module: nn.Module,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        attention_mask: torch.Tensor | None,
        **how: Any,  # noqa: ANN401
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        observer = _OBSERVER.get()
        if observer is not None:
            observer(Call(module, query, key, attention_mask, how))
        result: tuple[torch.Tensor, torch.Tensor | None] = usual(module, query, key, value, attention_mask, **how)
        return result

    return attend


def _eager(
    module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    mask: torch.Tensor | None,
    **how: Any,  # noqa: ANN401
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """The model's own eager function, over shares of the queries where that gives the same bits.

    A row of a matrix product does not depend on how many others are computed with it, unless they are so few that
    another kernel is taken: hence shares of at least EAGER_ROWS. That holds on a CPU; elsewhere all rows go at once.
    """
    own = getattr(sys.modules.get(type(module).__module__), "eager_attention_forward", None)
    if own is None:
        raise AttentionError(
            f"{type(module).__name__} has no eager attention function of its own that could be called. "
            "Call model.hf.set_attn_implementation('sdpa') first, where the model supports it."
        )
    rows = query.shape[2]
    whole = rows < 2 * EAGER_ROWS or query.device.type != "cpu" or module.training or how.get("output_attentions")
    if whole or mask is None or mask.shape[-2] != rows:
        result: tuple[torch.Tensor, torch.Tensor | None] = own(module, query, key, value, mask, **how)
        return result
    edges = [*range(0, rows - rows % EAGER_ROWS, EAGER_ROWS), rows]
    parts = [own(module, query[:, :, a:b], key, value, mask[:, :, a:b], **how)[0] for a, b in pairwise(edges)]
    return torch.cat(parts, dim=1), None
