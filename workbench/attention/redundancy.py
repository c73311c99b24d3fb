"""Heads that do the same: distances between their patterns, and how many different heads there really are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import torch

from workbench.attention.memory import estimate_memory
from workbench.attention.running import read_padding, read_tokens, run_observed
from workbench.attention.scores import ScoreReader
from workbench.errors import AttentionError, ParameterError
from workbench.models.memory import available_memory

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    from workbench.attention.interface import Call
    from workbench.models import LanguageModel
    from workbench.traces import Trace

ROWS = 32
_LEAST_EIGENVALUE = 1e-12


@dataclass(frozen=True, eq=False, repr=False)
class HeadRedundancy:
    """How alike the patterns of N heads are, over R rows of a text."""

    heads: NDArray[np.int32]
    """(N, 2): layer and head."""
    rows: NDArray[np.int64]
    """(R,): the positions of the rows that were compared."""
    drop_sink: bool
    """Whether the first token's column was left out, and the rest of each row made to sum to 1 again."""
    js: NDArray[np.float64]
    """(N, N): mean over rows of the Jensen-Shannon divergence in nats, 0 to ln 2; its square root is a metric."""
    similarity: NDArray[np.float64]
    """(N, N): mean over rows of the Bhattacharyya coefficient; positive semi-definite, 1 on the diagonal."""

    @property
    def effective_heads(self) -> float:
        """Vendi score of all heads: 1 where all do the same, N where no two share a key."""
        return vendi_score(self.similarity)

    @property
    def effective_by_layer(self) -> dict[int, float]:
        """The Vendi score within each layer, by its number."""
        layers = self.heads[:, 0]
        return {
            int(layer): vendi_score(self.similarity[np.ix_(layers == layer, layers == layer)])
            for layer in np.unique(layers)
        }

    def pairs(self, cut: float = 0.05) -> pl.DataFrame:
        """The pairs of heads whose Jensen-Shannon divergence is below `cut`, the most alike first; as `to_frame`."""
        return self.to_frame().filter(pl.col("js") < cut).sort("js")

    def places(self) -> NDArray[np.float64]:
        """(N, 2): a map on which distances come near sqrt(JS), by classical scaling (its two largest axes)."""
        centred = self.js - self.js.mean(axis=0) - self.js.mean(axis=1, keepdims=True) + self.js.mean()
        values, vectors = np.linalg.eigh(-0.5 * centred)
        found = np.zeros((len(self.js), 2))
        axes = vectors[:, ::-1][:, :2] * np.sqrt(np.maximum(values[::-1][:2], 0.0))
        found[:, : axes.shape[1]] = axes
        return found

    def __repr__(self) -> str:
        return f"HeadRedundancy({len(self.heads)} heads like {self.effective_heads:.1f} different ones)"

    def to_frame(self) -> pl.DataFrame:
        """A row a pair of heads: layer, head, other_layer, other_head, js (nats), similarity."""
        one, other = np.triu_indices(len(self.heads), 1)
        named = {"layer": (one, 0), "head": (one, 1), "other_layer": (other, 0), "other_head": (other, 1)}
        places = {name: self.heads[at, column] for name, (at, column) in named.items()}
        return pl.DataFrame({**places, "js": self.js[one, other], "similarity": self.similarity[one, other]})


def vendi_score(kernel: ArrayLike, order: float = 1.0) -> float:
    """VS_q = exp(H_q(lambda)), lambda the eigenvalues of K / n: the effective number of different things.

    H_1 = -Σ lambda ln lambda, H_q = ln(Σ lambda^q) / (1 - q), VS_inf = 1 / max lambda (arXiv 2210.02410,
    vertaix/Vendi-Score). Between 1 (all alike) and n (nothing shared), and never rising with q.

    Args:
        kernel: (n, n), symmetric, positive semi-definite, 1 on its diagonal.
        order: q > 0.

    Raises:
        ParameterError: not such a kernel, or q <= 0.
    """
    K = np.asarray(kernel, dtype=np.float64)
    if K.ndim != 2 or len(K) == 0 or not np.allclose(K, K.T) or not np.allclose(np.diag(K), 1.0, atol=1e-4):
        raise ParameterError("A kernel is a symmetric square matrix with 1 on its diagonal.")
    if not order > 0:
        raise ParameterError(f"order={order}: it must be above 0.")
    values = np.linalg.eigvalsh(K / len(K))
    values = values[values > _LEAST_EIGENVALUE]
    values /= values.sum()
    if np.isinf(order):
        return float(1 / values.max())
    if order == 1:
        return float(np.exp(-(values * np.log(values)).sum()))
    return float((values**order).sum() ** (1 / (1 - order)))


def head_redundancy(
    model: LanguageModel,
    text: str | Sequence[int] | Trace,
    *,
    attention_mask: ArrayLike | None = None,
    layers: Sequence[int] | None = None,
    rows: int = ROWS,
    skip_rows: int = 1,
    drop_sink: bool = True,
) -> HeadRedundancy:
    """Compare all heads, of all layers or of some, on rows spread evenly over a text.

    JS = H((A + A') / 2) - (H(A) + H(A')) / 2 of two heads' rows, and Σ_j sqrt(A_j A'_j); each the mean over rows.
    The reference (Clark et al. 2019, clarkkev/attention-analysis) smooths and sums instead. Only the rows that are
    compared are held, so that memory grows with the length of the text; time grows with the square of the heads.

    Args:
        model: from `wb.load` or `wb.wrap`.
        text: As for `head_stats`.
        attention_mask: As for `head_stats`.
        layers: The layers to compare; None for all with attention.
        rows: How many rows; fewer where the text has fewer.
        skip_rows: First rows never taken, at least 1: a row that sees one key tells nothing.
        drop_sink: Leave the first token out: heads that rest on it would all look alike.

    Raises:
        AttentionError: a model whose attention cannot be observed, no such layer, or not enough memory.
        PromptError: fewer than two tokens, a token outside the vocabulary, or longer than the context.
        ParameterError: rows or skip_rows out of range.
    """
    ids = read_tokens(model, text)
    attended = read_padding(attention_mask, len(ids))
    there = np.flatnonzero(attended)
    most = len(there) - 1
    if rows < 1 or not 1 <= skip_rows <= most:
        raise ParameterError(
            f"rows={rows}, skip_rows={skip_rows}: take 1 or more rows, and skip 1 to {len(there) - 1}."
        )
    there = there[skip_rows:]
    chosen = there[np.unique(np.linspace(0, len(there) - 1, min(rows, len(there))).round().astype(int))]
    sampled = _Sampled(chosen, sink=int(attended.argmax()) if drop_sink else None, layers=layers)
    _check_memory(model, len(ids), len(chosen), layers)
    run_observed(model, ids, attended, sampled)
    missing = set(layers or ()) - set(sampled.weights)
    if missing or not sampled.weights:
        raise AttentionError(f"There is no attention in layers {sorted(missing)}; leave layers out to compare all.")
    order = sorted(sampled.weights)
    heads = np.array([(layer, h) for layer in order for h in range(len(sampled.weights[layer]))], np.int32)
    weights = torch.cat([sampled.weights[layer] for layer in order]).flatten(1)  # (N, R T)
    js, similarity = _divergences(weights, len(chosen)), _overlaps(weights, len(chosen))
    return HeadRedundancy(heads, chosen, drop_sink, js, similarity)


class _Sampled:
    """The weights of chosen rows of every head."""

    def __init__(self, rows: NDArray[np.int64], *, sink: int | None, layers: Sequence[int] | None) -> None:
        self._rows, self._sink, self._layers = torch.as_tensor(rows), sink, layers
        self._read = ScoreReader().read
        self.weights: dict[int, torch.Tensor] = {}
        """(H, R, T) on the CPU, by layer."""

    def __call__(self, call: Call) -> None:
        if self._layers is not None and call.layer not in self._layers:
            return
        scores = self._read(call)[0]
        made = scores.of_queries(self._rows)
        positions = scores.seen.positions.to(made.device)
        if self._sink is not None:
            made = made.masked_fill(positions == self._sink, -torch.inf)
        whole = made.new_zeros(*made.shape[:2], call.query.shape[2])
        whole[..., positions] = made.softmax(dim=-1).nan_to_num(0.0)
        self.weights[call.layer] = whole.cpu()


def _divergences(weights: torch.Tensor, rows: int) -> NDArray[np.float64]:
    own = torch.special.entr(weights).sum(dim=-1, dtype=torch.float64)
    found = torch.zeros(len(weights), len(weights), dtype=torch.float64)
    for at in range(len(weights) - 1):
        for other in range(at + 1, len(weights)):
            middle = torch.special.entr(torch.lerp(weights[at], weights[other], 0.5)).sum(dtype=torch.float64)
            found[at, other] = found[other, at] = middle - 0.5 * (own[at] + own[other])
    return np.asarray((found / rows).clamp_(0.0, float(np.log(2.0))).numpy())


def _overlaps(weights: torch.Tensor, rows: int) -> NDArray[np.float64]:
    roots = weights.sqrt()
    found = (roots @ roots.T).double().numpy() / rows
    np.fill_diagonal(found, 1.0)
    return np.asarray(np.minimum(found, 1.0))


def _check_memory(model: LanguageModel, tokens: int, rows: int, layers: Sequence[int] | None) -> None:
    whole = estimate_memory(model, tokens, block=rows)
    count = whole.layers if layers is None else len(layers)
    each = 4 * 3 * count * whole.heads * tokens  # the parts, the whole and its square root
    free = available_memory(torch.device("cpu"))
    if free is not None and each * rows > free:
        remedy = f"rows={free // each}, some of the layers, or a shorter text" if free >= each else "a shorter text"
        raise AttentionError(
            f"{rows} rows of {tokens:,} tokens need {each * rows / 1e9:.2f} GB, and {free / 1e9:.2f} GB are free. "
            f"Take {remedy}."
        )
