"""The least entropy that a model's weights allow its rows (sigma-Reparam, arXiv 2303.06296, Theorem 3.1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from workbench.attention.bounds import EntropyBounds, entropy_bound
from workbench.attention.interface import layer_of
from workbench.attention.memory import estimate_memory
from workbench.attention.projections import Projection, close, hidden_state, one_token_calls, rounding, watched_inputs
from workbench.attention.running import run_observed
from workbench.attention.scores import ScoreReader
from workbench.errors import AttentionError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from workbench.attention.head_stats import HeadStats
    from workbench.attention.interface import Call
    from workbench.attention.projections import OneToken
    from workbench.attention.scores import Scores
    from workbench.models import LanguageModel

_ROUNDING = 1e-3
"""By how much a float32 norm of scores may exceed the limit that weights set it."""


@dataclass(frozen=True, eq=False)
class _Side:
    """The queries or the keys of a layer: how long they may be, and their projection where nothing else is done."""

    limits: torch.Tensor
    """(H, T): limits of their norms."""
    plain: Projection | None


def spectral_bounds(model: LanguageModel, stats: HeadStats) -> EntropyBounds:
    """The bound of every row that means are over, from the spectral norms of the weights.

    With row i's inputs x_i (D,) to the attention module, X_i those of the n_i keys it sees, s the scale of the scores,
    and q_i = W_Q x_i + b_Q, k_j = W_K x_j + b_K of a head (its group's W_K where heads share keys), `sigma` is

    - without rotation  s (‖W_Qᵀ W_K‖₂ ‖x_i‖ + ‖W_Kᵀ b_Q‖) ‖X_i‖₂, the theorem's ‖W_K W_Qᵀ‖₂ ‖X Xᵀ‖₂ for one row, as
      ‖x_i‖ ‖X_i‖₂ <= ‖X‖₂² = ‖X Xᵀ‖₂. The bias of the keys adds q_i · b_K to the whole row, which softmax ignores.
      ‖X_i‖₂ is taken as min(‖X‖₂, ‖X_i‖_F);
    - with rotation  s (‖W_Q‖₂ ‖x_i‖ + ‖b_Q‖) (Σ_j (‖W_K‖₂ ‖x_j‖ + ‖b_K‖)²)^½. Rotary embeddings keep the norm of each
      query and key, but turn every key differently, so that neither W_Qᵀ W_K nor ‖X_i‖₂ is left over, and
      ‖u_i‖ <= s ‖q_i‖ (Σ_j ‖k_j‖²)^½ is what holds;
    - a norm on queries or keys  replaces that side's ‖W‖₂ ‖x‖ + ‖b‖ by max |g| √d + ‖b‖, g and b being the norm's gain
      and shift over its d numbers: whatever the weights before it are, no query is longer.

    Soft-capping c tanh(u / c) is 1-Lipschitz, so that a capped row lies no further around its mean, and in [-c, c]:
    min(sigma, c √n_i). Windows and padding only choose the keys that are summed over.

    Which of these a layer is, is not read off its name: its maps are found by running the module on basis vectors, and
    every query and key of the text is held against what they give.

    Args:
        model: What `stats` are of.
        stats: Whose text is run once more, and whose rows are bounded.

    Raises:
        AttentionError: queries or keys that are something else than this (compressed and expanded again around a norm,
            say), statistics of another model, too little memory, or attention that cannot be observed.
    """
    tokens = len(stats.token_ids)
    estimate_memory(model, tokens, block=1, padded=not stats.attended.all()).check()
    calls = one_token_calls(model, stats.token_ids[int(stats.attended.argmax())])
    read = ScoreReader().read
    found: dict[int, NDArray[np.float64]] = {}

    def observe(call: Call) -> None:
        inputs, sides = hidden_state(*given.pop(call.module))[0].cpu().double(), (call.query[0], call.key[0])
        found[call.layer] = _layer_sigma(calls[call.module], inputs, sides, read(call)[0]).numpy()

    with watched_inputs(list(calls)) as given:
        run_observed(model, stats.token_ids, stats.attended, observe)
    return _bounds(model, stats, found)


def _bounds(model: LanguageModel, stats: HeadStats, found: Mapping[int, NDArray[np.float64]]) -> EntropyBounds:
    own = stats.values("row_norm")
    sigma = np.full(own.shape, np.nan)
    if tuple(sorted(found)) == stats.layers and max(map(len, found.values())) == own.shape[1]:
        for at, layer in enumerate(stats.layers):
            sigma[at, : len(found[layer])] = found[layer]
    sigma[..., ~stats.used] = np.nan
    known = ~np.isnan(own) & stats.used
    if not (own <= sigma * (1 + _ROUNDING) + _ROUNDING)[known].all():
        raise AttentionError(f"These statistics are not {model.name}'s as it is now: measure again with head_stats.")
    bound = entropy_bound(np.nan_to_num(sigma), np.maximum(stats.support, 1)[:, None])
    entropy = np.where(np.isnan(sigma), np.float32(np.nan), stats.values("entropy"))
    bound = np.where(np.isnan(sigma), np.nan, bound)
    return EntropyBounds(stats.layers, sigma.astype(np.float32), entropy, bound, "spectral norms")


def _layer_sigma(
    call: OneToken, inputs: torch.Tensor, made: tuple[torch.Tensor, torch.Tensor], scores: Scores
) -> torch.Tensor:
    """(H, T) limits of the norms of one layer's rows of scores around their mean."""
    size = inputs.norm(dim=-1)
    maps = call.projections(float(size.max()))
    query, key = (_side(call, at, maps[at], inputs, side.cpu()) for at, side in enumerate(made))
    start, stop = scores.seen.start, scores.seen.stop
    columns = scores.seen.positions
    group = scores.query.shape[1]

    def over_keys(values: torch.Tensor) -> torch.Tensor:
        """(..., T) of all positions -> sums over the keys each row sees."""
        sums = torch.nn.functional.pad(values[..., columns].cumsum(dim=-1), (1, 0))
        return sums[..., stop] - sums[..., start]

    if query.plain is not None and key.plain is not None:
        products = _products(query.plain, key.plain.weight.repeat_interleave(group, dim=0))
        whole = torch.linalg.matrix_norm(inputs[columns], ord=2)
        of_keys = over_keys(size.square()).sqrt().clamp(max=whole)
        sigma = (products[0][:, None] * size + products[1][:, None]) * of_keys
    else:
        sigma = query.limits * over_keys(key.limits.square()).sqrt().repeat_interleave(group, dim=0)
    sigma = sigma * abs(scores.scaling) * (1 + rounding(made[0]))  # what the check on queries and keys lets pass
    return sigma if scores.softcap is None else sigma.minimum(scores.softcap * scores.seen.support.sqrt())


def _side(call: OneToken, at: int, projection: Projection, inputs: torch.Tensor, made: torch.Tensor) -> _Side:
    """Hold the queries or keys (H, T, d) that a text made against their projection, or the norm they went through."""
    norms = made.double().norm(dim=-1)
    tolerance = rounding(made)
    predicted = [projection.of(inputs, head) for head in range(len(made))]
    weight, bias = projection.norms()
    limits = weight[:, None] * inputs.norm(dim=-1) + bias[:, None]
    if all(close(a, b.double(), tolerance) for a, b in zip(predicted, made, strict=True)):
        return _Side(limits, projection)
    if close(torch.stack([head.norm(dim=-1) for head in predicted]), norms, tolerance):
        return _Side(limits, None)
    limit = call.norm_limit(at)
    if limit is None or bool((norms > limit * (1 + tolerance)).any()):
        side = ("queries", "keys")[at]
        raise AttentionError(
            f"The {side} of layer {layer_of(call.module)} ({type(call.module).__name__}) are neither a linear map of "
            "its inputs, rotated or not, nor normalised after one, so that no spectral norm limits them. "
            "entropy_bounds(stats) gives the bound from the rows' own norms."
        )
    return _Side(torch.full_like(norms, limit), None)


def _products(query: Projection, key: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """(H,) ‖W_Qᵀ W_K‖₂ and (H,) ‖W_Kᵀ b_Q‖, with W_K (H, d, D)."""
    left, right = (torch.linalg.qr(weight.mT, mode="r").R for weight in (query.weight, key))  # (H, r, d)
    spectral = torch.linalg.matrix_norm(left @ right.mT, ord=2)
    return spectral, torch.einsum("hde,hd->he", key, query.bias).norm(dim=-1)
