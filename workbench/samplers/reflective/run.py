"""What a decode with corrections leaves behind."""

from __future__ import annotations

from dataclasses import asdict, astuple, dataclass, fields
from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from workbench.samplers.reflective.settings import Reflective
    from workbench.samplers.reflective.triggers import Triggers
    from workbench.traces.trace import Trace


@dataclass(frozen=True)
class Correction:
    """One token's correction. Nats; the losses are those of `Reflective`."""

    position: int
    corrected_entropy: float
    """H after the correction, before the sampler; at the temperature of the trigger's own entropy."""
    delta_norm: float
    """|δ|, Euclidean."""
    loss_before: float
    loss_after: float
    head_rows: int
    """States put through the head for it."""
    seconds: float


@dataclass(frozen=True)
class ReflectiveCost:
    """What the corrections of one decode took beyond plain decoding, which puts one state a token through the head."""

    corrections: int
    tokens: int
    head_rows: int
    """States put through the head, products with δ and gradients counted as one each."""
    seconds: float
    """Of all corrections."""
    share: float
    """Of the decode's time, 0 to 1."""

    def to_frame(self) -> pl.DataFrame:
        """One row."""
        return pl.DataFrame([asdict(self)])


@dataclass(frozen=True, eq=False, repr=False)
class ReflectiveRun:
    """A decoded sequence, where it was uncertain, and what was done about it."""

    trace: Trace
    """Its raw columns and sketch are the model's own, before any correction; the sampled ones what was drawn from."""
    settings: Reflective
    triggers: Triggers
    """Of every token. `replay(run.trace, run.settings)` gives the same."""
    corrections: tuple[Correction, ...]
    """One a trigger; none with zero steps."""

    def __len__(self) -> int:
        return len(self.trace)

    def __repr__(self) -> str:
        made, found = len(self.corrections), len(self.triggers.positions)
        return f"ReflectiveRun({len(self)} tokens, {found} triggers, {made} corrected, text {self.trace.text!r:.60})"

    def to_frame(self) -> pl.DataFrame:
        """A row a token: position, token_id, text, entropy, threshold, triggered, and a correction's own columns.

        Those are corrected_entropy, delta_norm, loss_before, loss_after, head_rows, seconds; null where nothing was
        corrected.
        """
        tokens = self.trace.tokens.select("position", "token_id", "text")
        schema = {one.name: pl.Int32 if one.type == "int" else pl.Float64 for one in fields(Correction)}
        made = pl.DataFrame([astuple(one) for one in self.corrections], schema=schema, orient="row")
        known = tokens.hstack(self.triggers.to_frame().drop("position"))
        return known.join(made, on="position", how="left", maintain_order="left")

    @property
    def cost(self) -> ReflectiveCost:
        """What the corrections took."""
        seconds = sum(one.seconds for one in self.corrections)
        whole = max(float(self.trace.meta.get("seconds", 0.0)), seconds)
        rows = sum(one.head_rows for one in self.corrections)
        return ReflectiveCost(len(self.corrections), len(self), rows, seconds, seconds / whole if whole else 0.0)
