"""What every head of a model does with a text: statistics of all its rows of attention, and their means."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import numpy as np
import polars as pl

from workbench.attention.pattern import Pattern, head_pattern
from workbench.attention.rows import STATISTICS
from workbench.errors import AttentionError, ParameterError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from workbench.models import LanguageModel

Normalizer = Literal["support", "length", "none"]
"""What an entropy is divided by: ln of the keys its row sees, ln of the text's length, or nothing (nats)."""
COLLAPSE_CUT = 0.05
"""A row whose entropy is below this share of ln of its support counts as collapsed; the workbench's own choice."""


@dataclass(frozen=True, eq=False, repr=False)
class HeadStats:
    """Statistics of every head over one text. L layers with attention, H heads, T tokens; entropies in nats.

    Means are over the rows of tokens that are no padding, the first `skip_rows` of them left out. A head that a layer
    does not have is NaN throughout.
    """

    rows: NDArray[np.float32]
    """(S, L, H, T): `STATISTICS` of every row; NaN for padding."""
    support: NDArray[np.int32]
    """(L, T): how many keys each row sees; under a sliding window fewer than its position."""
    layers: tuple[int, ...]
    """The layers' numbers in the model; those without attention are missing."""
    token_ids: tuple[int, ...]
    texts: tuple[str, ...]
    """What each token adds to the text."""
    attended: NDArray[np.bool_]
    """(T,): false for padding."""
    model: str
    skip_rows: int = 0

    def __post_init__(self) -> None:
        most = int(self.attended.sum()) - 1
        if not 0 <= self.skip_rows <= most:
            raise ParameterError(f"skip_rows={self.skip_rows}: this text has rows to skip from 0 to {most}.")

    def __repr__(self) -> str:
        _, layers, heads, tokens = self.rows.shape
        return f"HeadStats({self.model}: {layers} layers x {heads} heads, {tokens} tokens, skip_rows={self.skip_rows})"

    def skipping(self, rows: int) -> HeadStats:
        """The same with the first `rows` rows left out of every mean."""
        return replace(self, skip_rows=rows)

    @cached_property
    def used(self) -> NDArray[np.bool_]:
        """(T,): the rows that means are over."""
        return self.attended & (np.cumsum(self.attended) > self.skip_rows)

    @property
    def length(self) -> int:
        """Tokens that are no padding."""
        return int(self.attended.sum())

    @cached_property
    def entropy(self) -> NDArray[np.float64]:
        """(L, H) mean of -Σ_j A_ij ln A_ij, in nats."""
        return self.mean("entropy")

    @cached_property
    def normalized_entropy(self) -> NDArray[np.float64]:
        """(L, H) mean of the row entropy over ln of the row's support, rows that see one key left out: uniform is 1."""
        return self.entropy_over("support")

    @cached_property
    def entropy_over_log_length(self) -> NDArray[np.float64]:
        """(L, H) mean row entropy over ln T: a uniform causal head has ln(T!) / (T ln T), 0.80 at T = 128."""
        return self.entropy_over("length")

    @cached_property
    def max_weight(self) -> NDArray[np.float64]:
        """(L, H) mean largest weight of a row (confidence; Voita et al. 2019, with the end token included)."""
        return self.mean("max_weight")

    @cached_property
    def distance(self) -> NDArray[np.float64]:
        """(L, H) mean of Σ_j A_ij (i - j), in tokens."""
        return self.mean("distance")

    @cached_property
    def sink(self) -> NDArray[np.float64]:
        """(L, H) alpha_1: mean weight on the first token over the rows that see it (arXiv 2410.10781)."""
        return self.mean("sink")

    @cached_property
    def previous_token(self) -> NDArray[np.float64]:
        """(L, H) mean weight on the token before."""
        return self.mean("previous_token")

    @cached_property
    def same_token(self) -> NDArray[np.float64]:
        """(L, H) mean weight on earlier occurrences of a row's token, over the rows whose token occurred before."""
        return _mean(self.values("same_token"), self.used & self._occurred(1))

    @cached_property
    def induction(self) -> NDArray[np.float64]:
        """(L, H) mean weight on earlier tokens that follow an occurrence of the row's token, over rows that have one.

        Key j < i counts for query i where token j - 1 equals token i.
        """
        return _mean(self.values("induction"), self.used & self._occurred(2))

    @cached_property
    def head_varentropy(self) -> NDArray[np.float64]:
        """(L,) mean over rows of the variance of the row entropy across a layer's heads, in nats²."""
        entropy = self.values("entropy").astype(np.float64)
        there = ~np.isnan(self.entropy)
        return np.array([entropy[at, there[at]][:, self.used].var(axis=0).mean() for at in range(len(self.layers))])

    def entropy_over(self, normalizer: Normalizer) -> NDArray[np.float64]:
        """(L, H) mean entropy by "support", by "length", or in nats ("none")."""
        if normalizer == "support":
            return _mean(self._row_share(normalizer), self.used)
        return self.entropy / self._unit(normalizer)

    def collapsed(self, cut: float = COLLAPSE_CUT, *, normalizer: Normalizer = "support") -> NDArray[np.float64]:
        """(L, H) share of rows whose entropy is below `cut` by that normaliser; rows that see one key do not count."""
        share = self._row_share(normalizer)
        return _mean(np.where(np.isnan(share), np.nan, share < cut), self.used)

    def sink_share(self, epsilon: float = 0.3) -> NDArray[np.float64]:
        """(L,) share of a layer's heads with alpha_1 > epsilon (arXiv 2410.10781, where epsilon is 0.3)."""
        there = ~np.isnan(self.sink)
        return np.asarray((there & (self.sink > epsilon)).sum(axis=1) / np.maximum(there.sum(axis=1), 1))

    def values(self, name: str) -> NDArray[np.float32]:
        """(L, H, T) one of `STATISTICS` of every row.

        Raises:
            ParameterError: no such statistic.
        """
        if name not in STATISTICS:
            raise ParameterError(f"There is no row statistic {name!r}; there are {', '.join(STATISTICS)}.")
        return np.asarray(self.rows[STATISTICS.index(name)])

    def mean(self, name: str) -> NDArray[np.float64]:
        """(L, H) mean over rows of one of `STATISTICS`, rows where it has no value left out."""
        return _mean(self.values(name), self.used)

    def row_entropy(self, layer: int, head: int) -> NDArray[np.float32]:
        """(T,) the entropy of every row of one head in nats; NaN for padding.

        Raises:
            AttentionError: no such layer or head.
        """
        return self.row_values("entropy", layer, head)

    def row_values(self, name: str, layer: int, head: int) -> NDArray[np.float32]:
        """(T,) one of `STATISTICS` of every row of one head.

        Raises:
            AttentionError: no such layer or head.
        """
        at, head = self._place(layer, head)
        values: NDArray[np.float32] = self.values(name)[at, head]
        return values

    def pattern(self, model: LanguageModel, layer: int, head: int, start: int = 0, size: int = 64) -> Pattern:
        """The attention of one head among tokens start to start + size, computed again for that head alone.

        The model runs up to that layer, and the weights of these rows only are made.

        Raises:
            AttentionError: no such layer, head or window, or more than 256 tokens.
        """
        self._place(layer, head)
        return head_pattern(
            model, self.token_ids, self.attended, layer=layer, head=head, start=start, size=size, texts=self.texts
        )

    def to_frame(self, *, collapse_cut: float = COLLAPSE_CUT) -> pl.DataFrame:
        """A row a head: layer, head, and every mean above by its name; entropies in nats where not normalised."""
        layers, heads = self.entropy.shape
        columns = {
            "entropy": self.entropy,
            "entropy_by_support": self.normalized_entropy,
            "entropy_by_length": self.entropy_over_log_length,
            "collapsed": self.collapsed(collapse_cut),
            **{name: getattr(self, name) for name in STATISTICS[1:-1]},
            "row_norm": self.mean("row_norm"),
        }
        frame = pl.DataFrame(
            {
                "layer": np.repeat(np.array(self.layers, np.int32), heads),
                "head": np.tile(np.arange(heads, dtype=np.int32), layers),
                **{name: values.ravel() for name, values in columns.items()},
            }
        )
        return frame.filter(pl.col("entropy").is_not_nan()).fill_nan(None)

    def layer_frame(self, *, epsilon: float = 0.3) -> pl.DataFrame:
        """A row a layer: layer, mean entropy of its heads, head_varentropy, sink_share at `epsilon`."""
        entropy = np.nanmean(self.entropy, axis=1)
        columns = {"entropy": entropy, "head_varentropy": self.head_varentropy, "sink_share": self.sink_share(epsilon)}
        return pl.DataFrame({"layer": np.array(self.layers, np.int32), **columns})

    def row_frame(self, layer: int, head: int) -> pl.DataFrame:
        """A row a token of one head: position, token_id, text, support, and STATISTICS by name."""
        at, head = self._place(layer, head)
        named = {name: self.rows[s, at, head] for s, name in enumerate(STATISTICS)}
        about = {"position": np.arange(len(self.token_ids)), "token_id": self.token_ids, "text": self.texts}
        return pl.DataFrame({**about, "support": self.support[at], **named}).fill_nan(None)

    def _place(self, layer: int, head: int) -> tuple[int, int]:
        if layer not in self.layers:
            raise AttentionError(f"There is no attention in layer {layer}; it is in {_list(self.layers)}.")
        at = self.layers.index(layer)
        heads = int((~np.isnan(self.entropy[at])).sum())
        if not 0 <= head < heads:
            raise AttentionError(f"Layer {layer} has no head {head}; its heads are 0 to {heads - 1}.")
        return at, head

    def _unit(self, normalizer: Normalizer) -> float:
        if normalizer not in {"support", "length", "none"}:
            raise ParameterError(f"normalizer={normalizer!r}: take support, length or none.")
        return float(np.log(self.length)) if normalizer == "length" else 1.0

    def _row_share(self, normalizer: Normalizer) -> NDArray[np.float64]:
        """(L, H, T) row entropies by a normaliser; NaN where a row sees one key only."""
        unit = np.full(self.support.shape, self._unit(normalizer))
        if normalizer == "support":
            unit = np.log(np.maximum(self.support, 2))
        return np.asarray(self.values("entropy") / np.where(self.support < 2, np.nan, unit)[:, None])

    def _occurred(self, before: int) -> NDArray[np.bool_]:
        """(T,): whether the same token stands at least `before` places earlier."""
        first: dict[int, int] = {}
        found = np.zeros(len(self.token_ids), np.bool_)
        for at, token in enumerate(self.token_ids):
            if self.attended[at]:
                found[at] = at - first.setdefault(token, at) >= before
        return found


def _mean(values: NDArray[np.floating], used: NDArray[np.bool_]) -> NDArray[np.float64]:
    """(L, H) means over the used rows (L, H, T) that have a value; NaN where none has."""
    kept = values[..., used].astype(np.float64)
    known = ~np.isnan(kept)
    count = known.sum(axis=-1)
    total = np.where(known, kept, 0.0).sum(axis=-1)
    return np.asarray(np.divide(total, count, out=np.full(count.shape, np.nan), where=count > 0))


def _list(layers: tuple[int, ...]) -> str:
    return f"{layers[0]} to {layers[-1]}" if len(layers) == layers[-1] - layers[0] + 1 else ", ".join(map(str, layers))
