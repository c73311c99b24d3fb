"""Statistics of every head, step by step over one training or several."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from workbench.atomic import replacing
from workbench.errors import AttentionError, ParameterError
from workbench.locations import RUNS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

STATISTIC_COLUMNS = (
    "entropy", "entropy_by_support", "entropy_by_length", "collapsed", "max_weight", "distance", "sink",
    "previous_token", "same_token", "induction", "row_norm",
)  # fmt: skip
"""What a history has of every head at every step: the means of `HeadStats.to_frame`."""
SCHEMA = pl.Schema(
    {
        "run": pl.String(),
        "step": pl.Int32(),
        "loss": pl.Float64(),
        "layer": pl.Int32(),
        "head": pl.Int32(),
        **dict.fromkeys(STATISTIC_COLUMNS, pl.Float64()),
    }
)
_HEAD = ["run", "step", "layer", "head"]
_FORMAT, _KEY = "1", "workbench.head_history"


@dataclass(frozen=True, eq=False, repr=False)
class HeadHistory:
    """Means of every head's rows at steps of trainings. Made by `HeadLogger` and `head_history`.

    Raises:
        AttentionError: a frame that lacks a column, has one of another type, has a head twice at a step, or says two
            losses of one step.
    """

    frame: pl.DataFrame
    """A row a run, step, layer and head: `SCHEMA`. Entropies in nats where not normalised, `loss` in nats a token; what
    is not known is null. Runs are in the order in which they first appear; in them steps, layers, heads ascend."""
    meta: dict[str, Any] = field(default_factory=dict)
    """How it was made. JSON throughout."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "frame", _in_order(_of_schema(self.frame)))

    @classmethod
    def joined(cls, histories: Sequence[HeadHistory], meta: dict[str, Any] | None = None) -> HeadHistory:
        """Several histories as one, their runs in this order.

        Raises:
            AttentionError: none, or a run and step is in two of them.
        """
        if not histories:
            raise AttentionError("There is no history to join.")
        return cls(pl.concat([one.frame for one in histories]), meta or {})

    @property
    def runs(self) -> tuple[str, ...]:
        """The names of the runs, in the order in which they first appear."""
        return tuple(self.frame["run"].unique(maintain_order=True))

    def steps(self, run: str) -> tuple[int, ...]:
        """The steps of a run, ascending.

        Raises:
            AttentionError: no such run.
        """
        if run not in self.runs:
            raise AttentionError(f"There is no run {run!r}; there are {', '.join(map(repr, self.runs)) or 'none'}.")
        return tuple(self.frame.filter(pl.col("run") == run)["step"].unique(maintain_order=True))

    def at(self, run: str, step: int) -> pl.DataFrame:
        """The heads at one step: layer, head, and the statistics, as `HeadStats.to_frame` has them.

        Raises:
            AttentionError: no such run or step.
        """
        steps = self.steps(run)
        if step not in steps:
            near = min(steps, key=lambda known: abs(known - step))
            raise AttentionError(
                f"{run!r} was not measured at step {step}; its {len(steps)} steps go from {steps[0]} to {steps[-1]}, "
                f"the nearest is {near}."
            )
        return self.frame.filter((pl.col("run") == run) & (pl.col("step") == step)).drop("run", "step", "loss")

    def values(self, run: str, step: int, column: str = "entropy") -> NDArray[np.float64]:
        """(L, H) one statistic at one step, layers ascending; NaN for what is not known or not there.

        Raises:
            AttentionError: no such run or step.
            ParameterError: no such statistic.
        """
        self._check(column)
        heads = self.at(run, step)
        layers = heads["layer"].unique(maintain_order=True)
        found = np.full((len(layers), int(heads["head"].to_numpy().max()) + 1), np.nan)
        found[np.searchsorted(layers.to_numpy(), heads["layer"].to_numpy()), heads["head"].to_numpy()] = (
            heads[column].fill_null(float("nan")).to_numpy()
        )
        return found

    @property
    def losses(self) -> pl.DataFrame:
        """A row a run and step: run, step, loss (nats a token, of the training there; null where not known)."""
        return self.frame.select("run", "step", "loss").unique(["run", "step"], maintain_order=True)

    def by_layer(self, column: str = "entropy") -> pl.DataFrame:
        """A row a run, step and layer: run, step, layer, value, the mean of a statistic over the layer's heads.

        Raises:
            ParameterError: no such statistic.
        """
        self._check(column)
        return self.frame.group_by("run", "step", "layer", maintain_order=True).agg(value=pl.col(column).mean())

    def to_frame(self) -> pl.DataFrame:
        """A row a run, step, layer and head, as in `frame`."""
        return self.frame

    def save(self, path: str | Path) -> Path:
        """Write one Parquet file, whole or not at all.

        Raises:
            AttentionError: the folder is missing or not writable, the disk is full, or `meta` is not JSON.
        """
        path = Path(path).expanduser()
        try:
            about = json.dumps(self.meta)
        except (TypeError, ValueError) as problem:
            raise AttentionError(f"{path} was not written: meta must be JSON throughout ({problem}).") from problem
        with replacing(path, AttentionError) as part:
            self.frame.write_parquet(part, compression="zstd", metadata={_KEY: _FORMAT, "about": about})
        return path

    @classmethod
    def load(cls, path: str | Path) -> HeadHistory:
        """Read a file written by `save`.

        Raises:
            AttentionError: no such file, truncated, another kind of file, of another version, or a column missing.
        """
        path = Path(path).expanduser()
        if not path.is_file():
            raise AttentionError(f"{path}: there is no such file. HeadHistory.save writes one.")
        try:
            found = pl.read_parquet_metadata(path)
            frame = pl.read_parquet(path)
        except (pl.exceptions.PolarsError, OSError) as problem:
            raise AttentionError(
                f"{path} is not a Parquet file, or it is truncated ({problem}). Copy or make it again."
            ) from problem
        version = found.get(_KEY)
        if version is None:
            raise AttentionError(f"{path} holds no head history. HeadHistory.save writes such files.")
        if version != _FORMAT:
            raise AttentionError(
                f"{path} has format {version}; this version reads {_FORMAT}. Upgrade entropy-workbench."
            )
        try:
            return cls(frame, dict(json.loads(found["about"])))
        except (AttentionError, KeyError, TypeError, ValueError) as problem:
            raise AttentionError(f"{path} was changed after it was saved ({problem}). Make it again.") from problem

    def _check(self, column: str) -> None:
        if column not in STATISTIC_COLUMNS:
            raise ParameterError(f"There is no statistic {column!r}; there are {', '.join(STATISTIC_COLUMNS)}.")

    def __repr__(self) -> str:
        steps = sum(len(self.steps(run)) for run in self.runs)
        heads = self.frame.select("layer", "head").n_unique()
        names = ", ".join(map(repr, self.runs))
        return f"HeadHistory({names or 'nothing yet'}: {steps} steps, {heads} heads)"


def training_runs() -> HeadHistory:
    """The bundled trainings of one small model: as usual, without warm-up, and the same with sigma-Reparam.

    Made by `python -m workbench.demo.collapse`, which says how; its settings are in `meta`.
    """
    return HeadHistory.load(RUNS / "attention_training.parquet")


def _of_schema(frame: pl.DataFrame) -> pl.DataFrame:
    """The columns of a history in their order and types."""
    missing = [name for name in SCHEMA if name not in frame.columns]
    if missing:
        raise AttentionError(f"The history lacks the columns {', '.join(missing)}.")
    try:
        made = frame.select(SCHEMA.names()).cast(SCHEMA)
    except pl.exceptions.PolarsError as problem:
        raise AttentionError(f"The history has a column of another type ({problem}).") from problem
    if sum(made.select(_HEAD).null_count().row(0)):
        raise AttentionError("The history has rows without a run, step, layer or head.")
    return made.with_columns(pl.col(STATISTIC_COLUMNS).fill_nan(None))


def _in_order(frame: pl.DataFrame) -> pl.DataFrame:
    if frame.select(_HEAD).is_duplicated().any():
        raise AttentionError(
            "The history has the same head of the same run and step twice. Give each run its own name."
        )
    if frame.select("run", "step", "loss").n_unique() != frame.select("run", "step").n_unique():
        raise AttentionError("The history gives different losses for the same run and step.")
    runs = pl.Enum(frame["run"].unique(maintain_order=True))  # sorts as its categories are listed
    return frame.sort(pl.col("run").cast(runs), "step", "layer", "head")
