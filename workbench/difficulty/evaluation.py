"""How a probe does on problems it was not trained on, beside what always giving one label would do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import polars as pl

from workbench.difficulty.bootstrap import wilson_interval
from workbench.difficulty.labels import LABELS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

LEVEL = 0.95
"""Of the intervals, and 1 minus the level of the test."""
_ARRAYS = {"held_out": bool, "confusion": np.int64, "losses": np.float64, "held_out_losses": np.float64}


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Counts on the held-out examples, and the losses along the training."""

    held_out: NDArray[np.bool_]
    """(N,) which of the given examples the probe was not trained on."""
    confusion: NDArray[np.int64]
    """(3, 3) held-out examples by true label (row) and most probable label (column), easy, normal, hard."""
    majority: str
    """The most frequent label of the training examples, the first of `LABELS` where several are."""
    only_probe: int
    """Held-out examples that the probe has right and the majority label wrong."""
    only_majority: int
    """Held-out examples that the majority label has right and the probe wrong."""
    losses: NDArray[np.float64]
    """(epochs,) mean cross-entropy of the training examples during each epoch, nats, weighted as trained."""
    held_out_losses: NDArray[np.float64]
    """(epochs,) mean cross-entropy of the held-out examples after each epoch, nats, of those with a known label."""

    @property
    def n_train(self) -> int:
        """Examples trained on."""
        return int((~self.held_out).sum())

    @property
    def n_test(self) -> int:
        """Held-out examples."""
        return int(self.held_out.sum())

    @property
    def accuracy(self) -> float:
        """Share of the held-out examples whose most probable label is right."""
        return float(np.trace(self.confusion)) / self.n_test

    @property
    def baseline(self) -> float:
        """Share of the held-out examples that the majority label has right."""
        return float(self.confusion[LABELS.index(self.majority)].sum()) / self.n_test

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's interval of the accuracy; examples are taken as independent."""
        right = np.array(np.trace(self.confusion), dtype=np.float64)
        low, high = wilson_interval(right, np.array(self.n_test, dtype=np.float64), LEVEL)
        return float(low), float(high)

    @property
    def p_value(self) -> float:
        """McNemar's exact one-sided test that the probe is right more often than the majority; 1 if they agree."""
        from scipy.stats import binomtest  # noqa: PLC0415

        differing = self.only_probe + self.only_majority
        return float(binomtest(self.only_probe, differing, alternative="greater").pvalue) if differing else 1.0

    @property
    def verdict(self) -> str:
        """What came out, in words."""
        low, high = self.interval
        better = "better than" if self.p_value < 1 - LEVEL else "not shown to be better than"
        return (
            f"{self.accuracy:.0%} [{low:.0%}, {high:.0%}] of {self.n_test:,} held-out labels right, {better} always "
            f"saying {self.majority} ({self.baseline:.0%}; p = {self.p_value:.2g})"
        )

    def to_frame(self) -> pl.DataFrame:
        """The confusion matrix, a row a true label: label, easy, normal, hard."""
        columns = {name: self.confusion[:, k] for k, name in enumerate(LABELS)}
        return pl.DataFrame({"label": list(LABELS), **columns})

    def losses_frame(self) -> pl.DataFrame:
        """A row an epoch: epoch (from 1), loss, held_out_loss, nats."""
        epochs = np.arange(1, len(self.losses) + 1)
        return pl.DataFrame({"epoch": epochs, "loss": self.losses, "held_out_loss": self.held_out_losses})

    def to_dict(self) -> dict[str, Any]:
        """Everything, JSON-able."""
        arrays = {name: getattr(self, name).tolist() for name in _ARRAYS}
        return {"majority": self.majority, "only_probe": self.only_probe, "only_majority": self.only_majority, **arrays}

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> Self:
        """What `to_dict` gave.

        Raises:
            KeyError: something is missing.
        """
        arrays: dict[str, Any] = {name: np.array(given[name], dtype=kind) for name, kind in _ARRAYS.items()}
        others: dict[str, Any] = {name: given[name] for name in ("majority", "only_probe", "only_majority")}
        return cls(**others, **arrays)
