"""Tokens at which a decode could have gone another way: forking tokens and high-window-entropy tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np
import polars as pl
from numpy.typing import NDArray

from workbench.errors import ParameterError
from workbench.traces.rolling import Floats, SeriesLike, as_floats, whole

if TYPE_CHECKING:
    from collections.abc import Sequence

Indices: TypeAlias = NDArray[np.int64]
Variant: TypeAlias = Literal["paper", "reference"]

FALLBACK_THRESHOLD = 1.5
"""What the reference uses, in nats, before any batch has given it a percentile."""


@dataclass(frozen=True)
class Forking:
    """Tokens of high entropy."""

    indices: Indices
    """(n,) ascending positions whose entropy lies strictly above the threshold."""
    entropy: Floats
    """(n,) their entropies."""
    threshold: float
    """The percentile of the known entropies; NaN if none is known."""
    percentile: float
    """0 to 100."""

    def to_frame(self) -> pl.DataFrame:
        """A row a forking token: position, entropy."""
        return pl.DataFrame({"position": self.indices, "entropy": self.entropy})


def forking_tokens(values: SeriesLike, percentile: float = 80) -> Forking:
    """Tokens whose entropy exceeds the trace's own percentile: H_t > Quantile_{percentile/100}({H}).

    Strictly greater, so a constant series has none. The quantile interpolates linearly between order statistics
    (Hyndman and Fan's type 7, numpy's default) over the known values; unknown ones never fork. After "Beyond the
    80/20 rule" (arXiv 2506.01939), which takes the top 20 % of a training batch's tokens; here the batch is one trace.

    Raises:
        ParameterError: a percentile outside 0 to 100, or values that are not one number a token.
    """
    x = as_floats(values)
    threshold = _quantile(x, percentile)
    indices = np.flatnonzero(x > threshold)  # NaN compares false
    return Forking(indices=indices, entropy=x[indices], threshold=threshold, percentile=float(percentile))


@dataclass(frozen=True)
class HighWindowEntropy:
    """Tokens at which a stretch of high entropy begins (ARES, arXiv 2510.08457)."""

    indices: Indices
    """(n,) ascending positions of the triggers."""
    means: Floats
    """(T,) mean entropy of each token's window; NaN where the window is cut off by the end or holds an unknown."""
    threshold: float
    """What the means are compared with; NaN if nothing is known."""
    window: int
    percentile: float
    variant: Variant

    def to_frame(self) -> pl.DataFrame:
        """A row a token: position, window_mean, high; unknown is null."""
        high = np.zeros(len(self.means), dtype=bool)
        high[self.indices] = True
        frame = pl.DataFrame({"position": np.arange(len(self.means)), "window_mean": self.means, "high": high})
        return frame.with_columns(pl.col("window_mean").fill_nan(None))


def high_window_entropy(
    values: SeriesLike,
    *,
    window: int = 4,
    percentile: float = 95,
    variant: Variant = "paper",
    threshold: float | None = None,
) -> HighWindowEntropy:
    """High-window-entropy tokens of one trace of entropies H (T,).

    - `paper` (arXiv 2510.08457): the window runs forward and includes the token, H̄_t = (1/w) Σ_{τ=t}^{t+w−1} H_τ; the
      threshold is the percentile of the **token** entropies; high if H̄_t > threshold.
    - `reference` (shawn0728/ARES): the window is the w tokens **after** the trigger, t+1 … t+w; the threshold is
      the percentile of the **window means**; high if mean ≥ threshold.

    Only full windows count: the last w − 1 (paper) or w (reference) tokens have none. `threshold` replaces the
    trace's own, for instance by `batch_threshold` of several traces. The reference also counts only tokens on a list
    of "crucial" words that its repository does not contain; that filter is not applied here, so it marks fewer tokens.

    Raises:
        ParameterError: an unknown variant, a window below 1, a percentile outside 0 to 100, values that are no series.
    """
    x, w = as_floats(values), whole(window, "window")
    means = _window_means(x, w, variant)
    limit = _own_threshold(x, means, percentile, variant) if threshold is None else float(threshold)
    high = means > limit if variant == "paper" else means >= limit
    return HighWindowEntropy(np.flatnonzero(high), means, limit, w, float(percentile), variant)


def batch_threshold(
    series: Sequence[SeriesLike],
    *,
    window: int = 4,
    percentile: float = 95,
    variant: Variant = "paper",
    previous: float | None = None,
    decay: float = 0.99,
) -> float:
    """One threshold for several traces, from each trace's own.

    - `paper`: the mean over traces of the percentile of their token entropies; `previous` and `decay` play no part.
    - `reference`: the median over traces of the percentile of their window means, smoothed over calls by
      decay·previous + (1 − decay)·median where a `previous` is given. Traces shorter than a window are passed over;
      if none is left the previous value stands, or else FALLBACK_THRESHOLD.

    Raises:
        ParameterError: as `high_window_entropy`; a decay outside 0 to 1; for `paper`, no known entropy in any trace.
    """
    if not 0 <= decay <= 1:
        raise ParameterError(f"decay must lie between 0 and 1, not {decay!r}.")
    rows, w = [as_floats(values) for values in series], whole(window, "window")
    own = np.asarray([_own_threshold(x, _window_means(x, w, variant), percentile, variant) for x in rows])
    own = own[~np.isnan(own)]
    if variant == "paper":
        if not len(own):
            raise ParameterError("None of the traces has a known entropy, so there is no threshold to take from them.")
        return float(own.mean())
    if not len(own):
        return FALLBACK_THRESHOLD if previous is None else float(previous)
    median = float(np.median(own))
    return median if previous is None else decay * previous + (1 - decay) * median


def _window_means(x: Floats, w: int, variant: Variant) -> Floats:
    if variant not in ("paper", "reference"):
        raise ParameterError(f"variant must be 'paper' or 'reference', not {variant!r}.")
    shift = 0 if variant == "paper" else 1
    means = np.full(len(x), np.nan)
    if len(x) >= w + shift:
        windows = np.lib.stride_tricks.sliding_window_view(x[shift:], w)  # (T − shift − w + 1, w), a view
        means[: len(windows)] = windows.mean(axis=1)
    return means


def _own_threshold(x: Floats, means: Floats, percentile: float, variant: Variant) -> float:
    return _quantile(x if variant == "paper" else means, percentile)


def _quantile(x: Floats, percentile: float) -> float:
    if not 0 <= percentile <= 100:
        raise ParameterError(f"percentile must lie between 0 and 100, not {percentile!r}.")
    known = x[~np.isnan(x)]
    return float(np.quantile(known, percentile / 100)) if len(known) else float("nan")
