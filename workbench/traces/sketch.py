"""The logit sketch: the K largest logits of a row and a histogram of the rest stand for a whole vocabulary."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import polars as pl

from workbench.errors import ParameterError
from workbench.kernels import temper
from workbench.kernels.parallel import over_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

TEMPER_COST = 4  # an atom takes about as long as four logits of a plain pass
TAIL = ("tail_count", "tail_mean", "tail_mean_square")


@dataclass(frozen=True)
class Tempered:
    """Statistics of softmax(z / T), (T,) each, in nats. The true log Z lies in [log_z, log_z + log_z_bound].

    Where the sketch has no tail (K >= V) all of them are exact.
    """

    log_z: NDArray[np.float64]
    """With every tail logit at its bin's mean: by Jensen's inequality never too large."""
    entropy: NDArray[np.float64]
    """An estimate that takes the variance within each bin into account, as does the varentropy."""
    varentropy: NDArray[np.float64]
    log_z_bound: NDArray[np.float64]
    """By how much log_z may fall short at most."""
    log_z_corrected: NDArray[np.float64]
    """log Z with the variance within each bin taken into account: closer than log_z, but no bound."""

    def to_frame(self) -> pl.DataFrame:
        """A row a token."""
        return pl.DataFrame({field.name: getattr(self, field.name) for field in fields(self)})


@dataclass(frozen=True, eq=False, repr=False)
class LogitSketch:
    """Raw logits of T tokens over V entries as K + B weighted atoms each. Nats; all statistics at temperature 1.

    B bins of width `bin_width` d are measured down from the row's maximum; bin b holds the finite logits outside the
    top K whose depth (maximum - logit) lies in [b d, (b + 1) d), the last of 256 bins all below it. By Hoeffding's
    lemma the tail's share of Z at temperature T, taken at the bins' means, is within [1, exp(d² / 8T²)] of the truth.
    """

    token_ids: NDArray[np.int32]
    """(T,) the realised tokens, -1 where none was given."""
    top_ids: NDArray[np.int32]
    """(T, K), by falling logit, ties by token id."""
    top_logits: NDArray[np.float32]
    """(T, K) falling; -inf beyond the finite logits."""
    log_z: NDArray[np.float64]
    entropy: NDArray[np.float64]
    varentropy: NDArray[np.float64]
    mean: NDArray[np.float64]
    """(T,) of the finite logits."""
    std: NDArray[np.float64]
    """(T,) population standard deviation of the finite logits."""
    low: NDArray[np.float32]
    """(T,) the smallest finite logit."""
    count: NDArray[np.int32]
    """(T,) number of finite logits."""
    token_logit: NDArray[np.float32]
    """(T,) logit of the realised token, NaN where none was given."""
    token_rank: NDArray[np.int32]
    """(T,) how many logits are strictly larger than the realised token's, -1 where none was given."""
    tail_count: NDArray[np.int32]
    """(T, B) logits in the bin."""
    tail_mean: NDArray[np.float32]
    """(T, B) mean of u = depth - b d: measured from the bin's own edge, so that float32 keeps the variance within."""
    tail_mean_square: NDArray[np.float32]
    """(T, B) mean of u²."""
    vocabulary: int
    bin_width: float = 0.25

    def __len__(self) -> int:
        return len(self.token_ids)

    def __repr__(self) -> str:
        tokens, top, bins = len(self), self.top_ids.shape[1], self.tail_count.shape[1]
        return f"LogitSketch({tokens} tokens, top {top} of {self.vocabulary:,}, {bins} bins, {self.nbytes:,} bytes)"

    @property
    def nbytes(self) -> int:
        """Bytes held in memory."""
        return sum(getattr(self, name).nbytes for name in ARRAYS)

    def __getitem__(self, rows: slice | NDArray[Any] | Sequence[int] | int) -> Self:
        """The sketch of some of the tokens, of one token for an integer."""
        chosen = rows if isinstance(rows, slice) else np.atleast_1d(rows)
        # Contiguous, as the kernels are compiled for no other layout.
        arrays: dict[str, Any] = {name: np.ascontiguousarray(getattr(self, name)[chosen]) for name in ARRAYS}
        return replace(self, **arrays)

    def tempered(self, temperature: float) -> Tempered:
        """Log Z, entropy and varentropy of softmax(z / T) for every token, from K + B atoms.

        With m and v the mean and variance of the depths in a bin of n logits, log Z takes n exp(-m/T); entropy,
        varentropy and the corrected log Z take n exp(-m/T) (1 + v / 2T²) and its moments. The bound is what convexity
        gives for a bin of known mean and width, at most Hoeffding's factor exp(d² / 8T²) on every bin but the open one.

        Raises:
            ParameterError: a temperature that is not positive and finite.
        """
        if not (temperature > 0 and np.isfinite(temperature)):
            raise ParameterError(f"temperature={temperature}: a sketch can be taken at temperatures above 0 only.")
        atoms = self.top_ids.shape[1] + self.tail_count.shape[1]
        out = np.empty((len(self), temper.COLUMNS))
        over_rows(
            temper.temper_rows, len(self), TEMPER_COST * atoms, float(temperature),
            self.top_logits, self.tail_count, self.tail_mean, self.tail_mean_square, self.low,
            float(self.bin_width), out,
        )  # fmt: skip
        log_z, entropy, varentropy, bound, correction = out.T.copy()
        return Tempered(log_z, entropy, varentropy, bound, log_z + correction)

    @classmethod
    def concatenate(cls, parts: Sequence[LogitSketch]) -> LogitSketch:
        """Sketches of consecutive tokens as one.

        Raises:
            ParameterError: nothing to join, or sketches of different vocabularies, bin widths or K.
        """
        if not parts:
            raise ParameterError("There is no sketch to concatenate.")
        kinds = {(part.vocabulary, part.bin_width, part.top_ids.shape[1]) for part in parts}
        if len(kinds) > 1:
            raise ParameterError(f"Sketches of different (vocabulary, bin width, K) cannot be joined: {sorted(kinds)}.")
        bins = max(part.tail_count.shape[1] for part in parts)
        arrays: dict[str, Any] = {
            name: np.concatenate([getattr(part, name) for part in parts]) for name in ARRAYS if name not in TAIL
        }
        for name in TAIL:
            arrays[name] = np.concatenate([_padded(getattr(part, name), bins) for part in parts])
        return replace(parts[0], **arrays)

    def to_frame(self) -> pl.DataFrame:
        """A row a token; the two-dimensional fields are list columns."""
        return pl.DataFrame([_series(name, getattr(self, name)) for name in ARRAYS])

    @classmethod
    def from_frame(cls, frame: pl.DataFrame, *, vocabulary: int, bin_width: float) -> LogitSketch:
        """The sketch `to_frame` gave.

        Raises:
            KeyError: a column is missing.
        """
        missing = [name for name in ARRAYS if name not in frame.columns]
        if missing:
            raise KeyError(f"no column {missing}")
        arrays = {name: _array(frame[name]) for name in ARRAYS}
        return cls(**arrays, vocabulary=vocabulary, bin_width=bin_width)


ARRAYS = tuple(field.name for field in fields(LogitSketch) if field.name not in ("vocabulary", "bin_width"))


def _padded(tail: NDArray[Any], bins: int) -> NDArray[Any]:
    return np.pad(tail, ((0, 0), (0, bins - tail.shape[1])))


def _series(name: str, values: NDArray[Any]) -> pl.Series:
    if values.ndim == 1:
        return pl.Series(name, values)
    flat = pl.Series(name, np.ascontiguousarray(values).reshape(-1))
    if not values.size:
        return pl.Series(name, [[]] * len(values), dtype=pl.List(flat.dtype))
    return flat.reshape(values.shape).arr.to_list()


def _array(series: pl.Series) -> NDArray[Any]:
    if not series.dtype.is_nested():
        return series.to_numpy(writable=True)  # the kernels are compiled for arrays that are
    widths = series.list.len().unique().to_list()
    if len(widths) > 1:
        raise ValueError(f"column {series.name} has rows of different lengths")
    inner: Any = series.dtype
    empty = pl.Series([], dtype=inner.inner).to_numpy()
    if widths in ([], [0]):
        return empty.reshape(len(series), 0)
    return series.explode().to_numpy(writable=True).reshape(len(series), -1)
