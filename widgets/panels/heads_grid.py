"""What the heatmap shows: a number for every head, from a text or from a step of a training."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from workbench.attention import entropy_bins

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from widgets.panels.heads_settings import HeadView
    from workbench.attention import EntropyBins, HeadStats

STATISTICS = {
    "entropy": "entropy, nats",
    "entropy_by_support": "entropy / ln of support",
    "entropy_by_length": "entropy / ln T",
    "collapsed": "share of rows collapsed",
    "max_weight": "largest weight of a row",
    "distance": "distance, tokens",
    "sink": "weight on the first token",
    "previous_token": "weight on the token before",
    "same_token": "weight on the same token earlier",
    "induction": "weight on what followed the same token",
    "row_norm": "norm of a row's scores",
}
"""Column of `HeadStats.to_frame()` -> what it is and its unit."""

_SHARES = frozenset(STATISTICS) - {"entropy", "distance", "row_norm"}


@dataclass(frozen=True, eq=False)
class HeadGrid:
    """Every head's means, a row a head as in `HeadStats.to_frame()`."""

    frame: pl.DataFrame
    of: str
    """Whose heads these are, as it follows on "heads"."""

    @classmethod
    def of_stats(cls, stats: HeadStats, view: HeadView, of: str) -> HeadGrid:
        """Of one text; `stats` leaves out the view's rows already."""
        share = stats.collapsed(view.collapse_cut, normalizer=view.normalizer)
        there = ~np.isnan(stats.entropy)
        column = pl.Series("collapsed", share[there]).fill_nan(None)
        return cls(stats.to_frame().with_columns(column), of)

    @cached_property
    def layers(self) -> tuple[int, ...]:
        """The layers' numbers."""
        return tuple(self.frame["layer"].unique().sort().to_list())

    @cached_property
    def heads(self) -> dict[int, list[int]]:
        """Layer -> its heads."""
        return {layer: self.frame.filter(layer=layer)["head"].sort().to_list() for layer in self.layers}

    def values(self, column: str) -> NDArray[np.float64]:
        """(L, H) one column; NaN where there is no such head or no value."""
        at = np.searchsorted(self.layers, self.frame["layer"].to_numpy())
        found = np.full((len(self.layers), max(map(max, self.heads.values()), default=0) + 1), np.nan)
        found[at, self.frame["head"].to_numpy()] = self.frame[column].cast(pl.Float64).fill_null(np.nan).to_numpy()
        return found

    def entropy_over(self, normalizer: str) -> NDArray[np.float64]:
        """(L, H) as `HeadStats.entropy_over`."""
        return self.values("entropy" if normalizer == "none" else f"entropy_by_{normalizer}")

    def bins(self, view: HeadView) -> EntropyBins:
        """The heads by share of the largest entropy."""
        of_heads: Any = self  # of statistics it takes the layers and this entropy, which is here as well
        return entropy_bins(of_heads, normalizer=view.bin_normalizer, edges=view.edges)

    def marks(self, view: HeadView) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """(L, H) which heads are collapsed, and which overloaded."""
        of_head = self.bins(view).of_head
        return of_head == 0, of_head == len(view.edges)

    def sinks(self, view: HeadView) -> int:
        """How many heads rest on the first token."""
        return int((self.values("sink") > view.sink_above).sum())

    def number(self, layer: int, head: int, column: str) -> float | None:
        """One head's number; None where it is not known."""
        found = self.frame.filter(layer=layer, head=head)[column]
        return None if found.is_empty() or found[0] is None else float(found[0])

    def near(self, chosen: tuple[int, int] | None) -> tuple[int, int]:
        """The head that was chosen where it is one of these, else the first."""
        if chosen is not None and chosen[1] in self.heads.get(chosen[0], ()):
            return chosen
        layer = self.layers[0]
        return layer, self.heads[layer][0]

    def to_frame(self, view: HeadView) -> pl.DataFrame:
        """A row a head: its numbers, and the words collapsed, overloaded or sink where they hold."""
        of_head = self.bins(view).of_head
        at = np.searchsorted(self.layers, self.frame["layer"].to_numpy())
        mine = of_head[at, self.frame["head"].to_numpy()]
        return self.frame.with_columns(
            bin=pl.Series(mine, dtype=pl.Int8),
            is_collapsed=pl.Series(mine == 0),
            is_overloaded=pl.Series(mine == len(view.edges)),
            is_sink=(pl.col("sink") > view.sink_above).fill_null(value=False),
        )


def colour_range(column: str, values: NDArray[np.float64]) -> tuple[float, float] | None:
    """The colours' ends that hold while a slider moves: shares from 0 to 1, others from 0 to the largest there is."""
    if column in _SHARES:
        return 0.0, 1.0
    largest = float(np.nanmax(values)) if np.isfinite(values).any() else 0.0
    return (0.0, largest) if largest > 0 else None
