"""Whether longer responses are more uncertain: correlation of length and mean entropy, with intervals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from workbench.errors import ParameterError

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike, NDArray

RESAMPLES = 999
_FEWEST = 4  # Fisher's z has a standard error from here on


@dataclass(frozen=True)
class Correlation:
    """One coefficient. `r`, `low` and `high` are NaN where it is not defined, and `reason` says why."""

    method: str
    """pearson, spearman, or partial (Pearson's of what is left after a linear fit on difficulty)."""
    r: float
    low: float
    """Lower end of the interval."""
    high: float
    """Upper end of the interval."""
    n: int
    """Responses."""
    interval: str
    """fisher z (responses independent) or bootstrap over problems."""
    reason: str = ""
    """Why there is no coefficient, or no interval; empty where there are both."""

    def describe(self) -> str:
        """In words: "Pearson r = 0.31 [0.22, 0.40], n = 600"."""
        name = {"pearson": "Pearson r", "spearman": "Spearman ρ", "partial": "r given difficulty"}[self.method]
        if np.isnan(self.r):
            return f"{name}: not defined, {self.reason}"
        ends = f"[{self.low:.2f}, {self.high:.2f}]" if np.isfinite(self.low) else f"(no interval: {self.reason})"
        return f"{name} = {self.r:.2f} {ends}, n = {self.n}"


@dataclass(frozen=True)
class LengthCorrelation:
    """Length against mean entropy, in up to three ways."""

    pearson: Correlation
    spearman: Correlation
    partial: Correlation | None
    """Given difficulty; None where difficulty was not given."""
    confidence: float

    def __iter__(self):  # type: ignore[no-untyped-def]  # noqa: ANN204
        return iter([found for found in (self.pearson, self.spearman, self.partial) if found is not None])

    def to_frame(self) -> pl.DataFrame:
        """A row a coefficient: method, r, low, high, n, interval, reason."""
        return pl.DataFrame([vars(found) for found in self]).with_columns(pl.col("r", "low", "high").fill_nan(None))


def length_correlation(
    length: ArrayLike,
    entropy: ArrayLike,
    *,
    difficulty: ArrayLike | None = None,
    problem: ArrayLike | None = None,
    confidence: float = 0.95,
    seed: int = 0,
) -> LengthCorrelation:
    """Pearson's r and Spearman's ρ of length and mean entropy over responses, and r given difficulty.

    Without `problem` the intervals are Fisher's, tanh(atanh r ± z se), se² = 1 / (n − 3) for Pearson,
    (1 + ρ² / 2) / (n − 3) for Spearman (Bonett and Wright 2000) and 1 / (n − 4) given difficulty: responses are taken
    to be independent. Several responses to one problem are not; with `problem` the intervals are percentiles of
    RESAMPLES bootstrap samples of whole problems. Responses with an unknown value are left out.

    Args:
        length: (n,) tokens of each response.
        entropy: (n,) its mean entropy, nats; raw or sampled, as the caller labels it.
        difficulty: (n,) to hold constant.
        problem: (n,) which problem each response answers.
        confidence: of the intervals.
        seed: of the bootstrap.

    Raises:
        ParameterError: lengths that disagree, or a confidence outside (0, 1).
    """
    if not 0 < confidence < 1:
        raise ParameterError(f"confidence={confidence}: give a number between 0 and 1, such as 0.95.")
    data = _data(length, entropy, difficulty)
    kept = np.isfinite(data).all(axis=0)
    clusters = None if problem is None else np.asarray(problem)
    if clusters is not None and clusters.shape != kept.shape:
        raise ParameterError(f"problem {clusters.shape} and length {kept.shape}: give one problem a response.")
    resamples = None if clusters is None else _resamples(clusters[kept], seed)
    methods = ("pearson", "spearman", *(["partial"] if difficulty is not None else []))
    found = {name: _correlate(name, data[:, kept], resamples, confidence) for name in methods}
    return LengthCorrelation(found["pearson"], found["spearman"], found.get("partial"), confidence)


def _data(length: ArrayLike, entropy: ArrayLike, difficulty: ArrayLike | None) -> NDArray[np.float64]:
    """(2 or 3, n) as float64."""
    given = [length, entropy, *([] if difficulty is None else [difficulty])]
    columns = [np.asarray(values, dtype=np.float64) for values in given]
    shapes = [values.shape for values in columns]
    if len(set(shapes)) > 1 or columns[0].ndim != 1:
        raise ParameterError(f"length, entropy and difficulty have shapes {shapes}: give one number a response each.")
    return np.stack(columns)


def _correlate(
    method: str, data: NDArray[np.float64], resamples: list[NDArray[np.int64]] | None, confidence: float
) -> Correlation:
    n = data.shape[1]
    interval = "fisher z" if resamples is None else "bootstrap over problems"
    nan = float("nan")
    if (reason := _undefined(method, data)) is not None:
        return Correlation(method, nan, nan, nan, n, interval, reason)
    r = _COEFFICIENTS[method](data)
    if np.isnan(r):
        return Correlation(method, nan, nan, nan, n, interval, "difficulty leaves nothing of length or of entropy")
    if resamples is None:
        low, high, reason = _fisher(method, r, n, confidence)
    else:
        low, high, reason = _bootstrap(method, data, resamples, confidence)
    return Correlation(method, r, low, high, n, interval, reason)


def _undefined(method: str, data: NDArray[np.float64]) -> str | None:
    fewest = 3 if method == "partial" else 2
    if data.shape[1] < fewest:
        return f"it takes at least {fewest} responses and there are {data.shape[1]}"
    for values, what in zip(data[:2], ("lengths", "entropies"), strict=True):
        if np.ptp(values) == 0:
            return f"all {what} are equal"
    return None


def _fisher(method: str, r: float, n: int, confidence: float) -> tuple[float, float, str]:
    from scipy.special import ndtri  # noqa: PLC0415  -- scipy takes a while to import

    held = 1 if method == "partial" else 0
    if n - held < _FEWEST:
        return float("nan"), float("nan"), f"it takes {_FEWEST + held} responses"
    variance = (1 + r * r / 2 if method == "spearman" else 1) / (n - held - 3)
    with np.errstate(divide="ignore"):
        ends = np.tanh(np.arctanh(r) + np.array([-1, 1]) * float(ndtri(0.5 + confidence / 2)) * np.sqrt(variance))
    return float(ends[0]), float(ends[1]), ""


def _bootstrap(
    method: str, data: NDArray[np.float64], resamples: list[NDArray[np.int64]], confidence: float
) -> tuple[float, float, str]:
    drawn = np.array(
        [_COEFFICIENTS[method](data[:, rows]) for rows in resamples if _undefined(method, data[:, rows]) is None]
    )
    drawn = drawn[~np.isnan(drawn)]
    if len(drawn) < RESAMPLES // 2:
        return float("nan"), float("nan"), "too few problems to resample"
    low, high = np.quantile(drawn, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high), ""


def _resamples(clusters: NDArray[np.generic], seed: int) -> list[NDArray[np.int64]]:
    """Rows of RESAMPLES samples of whole problems; none where there is one problem only."""
    codes = np.unique(clusters, return_inverse=True)[1]
    order = np.argsort(codes, kind="stable")
    members = np.split(order, np.cumsum(np.bincount(codes))[:-1]) if len(codes) else []
    if len(members) < 2:
        return []
    drawn = np.random.default_rng(seed).integers(len(members), size=(RESAMPLES, len(members)))
    return [np.concatenate([members[i] for i in row]) for row in drawn]


def _pearson(data: NDArray[np.float64]) -> float:
    x, y = (values - values.mean() for values in data[:2])
    return float(np.clip((x @ y) / np.sqrt((x @ x) * (y @ y)), -1, 1))


def _spearman(data: NDArray[np.float64]) -> float:
    from scipy.stats import rankdata  # noqa: PLC0415  -- scipy takes a while to import

    return _pearson(rankdata(data[:2], axis=1))


def _partial(data: NDArray[np.float64]) -> float:
    """Pearson's r of the residuals; NaN where nothing but rounding is left of either."""
    centred = data - data.mean(axis=1, keepdims=True)
    z = centred[2]
    if (z @ z) == 0:
        return _pearson(data)
    left = centred[:2] - np.outer(centred[:2] @ z / (z @ z), z)
    explained = (left**2).sum(axis=1) <= 1e-24 * (centred[:2] ** 2).sum(axis=1)
    return float("nan") if explained.any() else _pearson(left)


_COEFFICIENTS: dict[str, Callable[[NDArray[np.float64]], float]] = {
    "pearson": _pearson,
    "spearman": _spearman,
    "partial": _partial,
}
