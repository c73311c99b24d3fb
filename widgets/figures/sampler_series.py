"""What the chart of a sampler draws along the trace: entropies and numbers of kept tokens, as arrays by role."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from widgets.figures.series import Floats, Indices, Updates, Window, band, column, line, shown
from widgets.figures.text import Unit, per_unit, thousands, token_label

if TYPE_CHECKING:
    import polars as pl

    from workbench.samplers.replaying import Replay

FEWEST = 0.8
"""Where the axis of kept tokens begins, so that one token is above it."""
TICK = 0.07
"""How far the tick of a dropped token reaches up, as a share of the upper axis."""
_VISIBLE_BOUND = 0.01  # nats; a narrower band would be hidden behind its line


@dataclass(frozen=True)
class SamplerView:
    """The controls of a sampler chart."""

    unit: Unit = "nats"
    visible: tuple[float, float] | None = None
    """Positions in sight; None for all."""
    points: int = 800
    """Points a line may have."""


class SamplerData:
    """The series of one trace under sampler A and, where there is one, B; entropies in the view's unit."""

    def __init__(self, tokens: pl.DataFrame, a: Replay | None, b: Replay | None, view: SamplerView) -> None:
        self.tokens, self.view = tokens, view
        self._replays = {"a": a, "b": b}
        self.scale = per_unit(view.unit)
        self.x: Floats = column(tokens, "position")
        self.sight = Window.of(self.x, view.visible, view.points)
        self.raw = column(tokens, "entropy") / self.scale

    def of(self, which: str, name: str) -> Floats:
        """A column of one replay, (T,); all NaN without it."""
        replay = self._replays[which]
        return np.full(len(self.x), np.nan) if replay is None else replay[name]

    @cached_property
    def dropped(self) -> Indices:
        """Realised tokens that would not have survived A."""
        replay = self._replays["a"]
        return np.empty(0, np.int64) if replay is None else replay.dropped

    @cached_property
    def pointer_rows(self) -> Indices:
        """The tokens that answer the pointer."""
        return self.sight.chosen(np.nan_to_num(self.raw))

    def entropy(self, which: str) -> Floats:
        """Entropy of what is left, in the view's unit."""
        return self.of(which, "entropy") / self.scale

    def kept(self, which: str, name: str = "kept") -> Floats:
        """How many tokens are left, or a bound of that; never below what a logarithmic axis can show."""
        return np.maximum(self.of(which, name), FEWEST)

    def nothing(self) -> str | None:
        """Why there is nothing to draw, where there is nothing."""
        if not len(self.x):
            return "no tokens yet"
        if np.isnan(self.raw).all() and self._replays["a"] is None:
            return "this trace has neither raw entropies nor a logit sketch"
        return None


def sampler_series(
    tokens: pl.DataFrame, a: Replay | None, b: Replay | None = None, view: SamplerView | None = None
) -> Updates:
    """Role -> properties to assign to that trace of a sampler chart."""
    data = SamplerData(tokens, a, b, view or SamplerView())
    return {role: build(data) for role, build in BUILDERS.items()}


def moved_series(tokens: pl.DataFrame, a: Replay | None, view: SamplerView | None = None) -> Updates:
    """What of `sampler_series` follows sampler A: enough while its sliders move, and much less to send."""
    data = SamplerData(tokens, a, None, view or SamplerView())
    return {role: build(data) for role, build in FOLLOW_A.items()}


def reduction_notes(data: SamplerData) -> list[str | None]:
    """What the figure has to say about tokens it leaves out."""
    tokens = len(data.sight.inside(np.arange(len(data.x))))
    return [shown(min(len(data.pointer_rows), tokens), tokens)]


def _line(data: SamplerData, y: Floats) -> dict[str, Any]:
    return dict(line(data.x, y, data.sight.chosen(y)))


def _raw(data: SamplerData) -> dict[str, Any]:
    return _line(data, data.raw)


def _a(data: SamplerData) -> dict[str, Any]:
    return _line(data, data.entropy("a"))


def _b(data: SamplerData) -> dict[str, Any]:
    drawn = _line(data, data.entropy("b"))
    return {**drawn, "visible": bool(len(drawn["x"]))}


def _kept_a(data: SamplerData) -> dict[str, Any]:
    return _line(data, data.kept("a"))


def _kept_b(data: SamplerData) -> dict[str, Any]:
    drawn = _line(data, data.kept("b"))
    return {**drawn, "visible": bool(len(drawn["x"]))}


def _entropy_band(data: SamplerData) -> dict[str, Any]:
    H, bound = data.of("a", "entropy"), data.of("a", "entropy_bound")
    wide = np.where(bound > _VISIBLE_BOUND, bound, np.nan)
    return _band(data, np.maximum(H - wide, 0) / data.scale, (H + wide) / data.scale)


def _kept_band(data: SamplerData) -> dict[str, Any]:
    low, high = data.of("a", "kept_low"), data.of("a", "kept_high")
    low, high = np.floor(low), np.ceil(high)
    open_ = high > low
    return _band(data, np.where(open_, np.maximum(low, FEWEST), np.nan), np.where(open_, high, np.nan))


def _band(data: SamplerData, low: Floats, high: Floats) -> dict[str, Any]:
    area = band(data.x, low, high, data.sight.chosen(high))
    return {**area, "visible": bool(len(area["x"]))}


def _dropped(data: SamplerData) -> dict[str, Any]:
    """A tick at the foot for each token; one line of all of them, since thousands of markers would be slow to draw."""
    rows = data.sight.reduced(data.dropped, np.nan_to_num(data.raw))
    total, at = len(data.dropped), data.x[rows]
    x = np.column_stack([at, at, np.full(len(rows), np.nan)]).ravel()
    y = np.tile([0.0, TICK, np.nan], len(rows))
    return {"x": x, "y": y, "name": f"dropped ({thousands(total)})", "visible": total > 0}


def _tokens(data: SamplerData) -> dict[str, Any]:
    rows = data.pointer_rows
    return {"x": data.x[rows], "y": np.nan_to_num(data.raw[rows]), "text": _texts(data, rows), **_numbers(data)}


def _kept_tokens(data: SamplerData) -> dict[str, Any]:
    rows = data.pointer_rows
    return {"x": data.x[rows], "text": _texts(data, rows), **_kept_numbers(data)}


def _kept_numbers(data: SamplerData) -> dict[str, Any]:
    return {"y": np.nan_to_num(data.kept("a")[data.pointer_rows], nan=1.0), **_numbers(data)}


def _texts(data: SamplerData, rows: Indices) -> list[str]:
    """The part of the hover labels that stays while sliders move."""
    names, unit = data.tokens["text"].to_list(), data.view.unit
    return [
        f"<b>{token_label(names[row])}</b><br>token {row}<br>raw entropy {data.raw[row]:.3f} {unit}"
        for row in rows.tolist()
    ]


def _numbers(data: SamplerData) -> dict[str, Any]:
    """The part that follows sampler A."""
    rows = data.pointer_rows
    numbers = np.column_stack([np.round(data.entropy("a")[rows], 4), np.round(data.of("a", "kept")[rows])])
    if np.isnan(numbers).all():
        return {"customdata": None, "hovertemplate": "%{text}<extra></extra>"}
    words = f"A: sampled entropy %{{customdata[0]:.3f}} {data.view.unit}, %{{customdata[1]:,.0f}} kept"
    return {"customdata": numbers, "hovertemplate": f"%{{text}}<br>{words}<extra></extra>"}


_Builder = Callable[[SamplerData], dict[str, Any]]
BUILDERS: Mapping[str, _Builder] = {
    "raw": _raw,
    "entropy_band": _entropy_band,
    "sampler_b": _b,
    "sampler_a": _a,
    "dropped": _dropped,
    "tokens": _tokens,
    "kept_band": _kept_band,
    "kept_b": _kept_b,
    "kept_a": _kept_a,
    "kept_tokens": _kept_tokens,
}
FOLLOW_A: Mapping[str, _Builder] = {
    "entropy_band": _entropy_band,
    "sampler_a": _a,
    "dropped": _dropped,
    "tokens": _numbers,
    "kept_band": _kept_band,
    "kept_a": _kept_a,
    "kept_tokens": _kept_numbers,
}
