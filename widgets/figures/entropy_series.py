"""What the entropy chart draws, as arrays by role: the chart is built from these, and updated with them in place."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from widgets.figures.series import Floats, Indices, Updates, Window, band, column, isolated, line, shown
from widgets.figures.text import Unit, per_unit, token_label
from workbench.traces.forking import Forking, HighWindowEntropy, Variant, forking_tokens, high_window_entropy
from workbench.traces.rolling import Rolling, rolling

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    import polars as pl


@dataclass(frozen=True)
class EntropyView:
    """The controls of an entropy chart."""

    window: int = 51
    """Tokens of the rolling mean."""
    percentile: float = 80
    """Forking tokens lie above this percentile of the raw entropies."""
    hwe_window: int = 4
    hwe_percentile: float = 95
    hwe_variant: Variant = "paper"
    unit: Unit = "nats"
    surprisal: bool = False
    """Whether the raw surprisal −ln p of the realised tokens is drawn too."""
    sampled: bool = False
    """Whether the entropy of the distribution really drawn from is drawn too."""
    visible: tuple[float, float] | None = None
    """Positions in sight; None for all."""
    points: int = 2000
    """Points a line may have."""


class EntropyData:
    """The series of one trace under one view, each computed when first asked for. All values are in the view's unit."""

    def __init__(self, tokens: pl.DataFrame, view: EntropyView) -> None:
        self.tokens = tokens
        self.view = view
        self.scale = per_unit(view.unit)
        self.x: Floats = column(tokens, "position")
        self.sight = Window.of(self.x, view.visible, view.points)
        self.entropy = column(tokens, "entropy") / self.scale
        self.lower = column(tokens, "entropy_lower") / self.scale
        self.upper = column(tokens, "entropy_upper") / self.scale
        self.surprisal = -column(tokens, "logprob") / self.scale + 0.0  # + 0 turns −0 into 0
        self.sampled = column(tokens, "sampled_entropy") / self.scale

    @cached_property
    def rolling(self) -> Rolling:
        """Rolling mean and deviation of the raw entropy."""
        return rolling(self.entropy, self.view.window)

    @cached_property
    def forking(self) -> Forking:
        """Forking tokens of the raw entropy."""
        return forking_tokens(self.entropy, self.view.percentile)

    @cached_property
    def high_window(self) -> HighWindowEntropy:
        """High-window-entropy tokens of the raw entropy."""
        view = self.view
        return high_window_entropy(
            self.entropy, window=view.hwe_window, percentile=view.hwe_percentile, variant=view.hwe_variant
        )

    @cached_property
    def hovered(self) -> Floats:
        """Where each token answers the pointer: at its entropy, or at the next best that is known of it."""
        first = np.zeros(len(self.x))
        for values in (self.surprisal, self.upper, self.entropy) if self.view.surprisal else (self.upper, self.entropy):
            first = np.where(np.isnan(values), first, values)
        return first

    def nothing(self) -> str | None:
        """Why there is nothing to draw, where there is nothing."""
        if not len(self.x):
            return "no tokens yet"
        view = self.view
        overlays = {"surprisal": (self.surprisal, view.surprisal), "sampled entropy": (self.sampled, view.sampled)}
        drawn = [self.entropy, self.upper, *(values for values, on in overlays.values() if on)]
        if any(not np.isnan(values).all() for values in drawn):
            return None
        others = [name for name, (values, _) in overlays.items() if not np.isnan(values).all()]
        hint = f"<br>switch on its {' or '.join(others)}, which it has" if others else ""
        return f"this trace has no raw entropies{hint}"


def entropy_series(tokens: pl.DataFrame, view: EntropyView, *, roles: Collection[str] | None = None) -> Updates:
    """Role -> properties to assign to that trace of an entropy chart of this token table; all roles, or those named.

    A slider of the forking percentile needs roles={"forking"} only, one of the window {"mean", "band"}, and so on.
    """
    data = EntropyData(tokens, view)
    return {role: build(data) for role, build in BUILDERS.items() if roles is None or role in roles}


def reduction_notes(data: EntropyData) -> list[str | None]:
    """What the figure has to say about tokens it leaves out."""
    rows, sight = np.arange(len(data.x)), data.sight
    tokens = len(sight.inside(rows))
    drawn = min(len(sight.chosen(data.hovered)), tokens)
    notes = [shown(drawn, tokens)]
    for indices, what in ((data.forking.indices, "forking"), (data.high_window.indices, "high-window")):
        inside = sight.inside(indices)
        notes.append(shown(len(sight.reduced(inside, data.hovered)), len(inside), what))
    return notes


def _line(values: str) -> Callable[[EntropyData], dict[str, Any]]:
    def build(data: EntropyData) -> dict[str, Any]:
        y = getattr(data, values)
        return dict(line(data.x, y, data.sight.chosen(y)))

    return build


def _overlay(values: str) -> Callable[[EntropyData], dict[str, Any]]:
    def build(data: EntropyData) -> dict[str, Any]:
        if not getattr(data.view, values):
            return {"x": np.empty(0), "y": np.empty(0), "visible": False}
        return {**_line(values)(data), "visible": True}

    return build


def _isolated(data: EntropyData) -> dict[str, Any]:
    rows = data.sight.reduced(isolated(data.entropy), data.entropy)
    return {"x": data.x[rows], "y": data.entropy[rows]}


def _mean(data: EntropyData) -> dict[str, Any]:
    mean = data.rolling.mean
    name = f"mean of {data.view.window} ± 1 sd"
    return {**line(data.x, mean, data.sight.chosen(mean)), "name": name}


def _band(data: EntropyData) -> dict[str, Any]:
    mean, sd = data.rolling.mean, data.rolling.sd
    # entropies are never negative, so the band ends at 0
    return dict(band(data.x, np.maximum(mean - sd, 0), mean + sd, data.sight.chosen(mean)))


def _interval(data: EntropyData) -> dict[str, Any]:
    area = band(data.x, data.lower, data.upper, data.sight.chosen(data.upper))
    return {**area, "visible": bool(len(area["x"]))}


def _forking(data: EntropyData) -> dict[str, Any]:
    found = data.forking
    name = "forking" if np.isnan(found.threshold) else f"forking > {found.threshold:.3g} (p{found.percentile:g})"
    return {**_points(data, found.indices, size=8, outline=0.8), "name": name}


def _high_window(data: EntropyData) -> dict[str, Any]:
    found = data.high_window
    sign = ">" if found.variant == "paper" else "≥"
    level = "" if np.isnan(found.threshold) else f" {sign} {found.threshold:.3g}"
    name = f"high window of {found.window}{level} ({found.variant})"
    return {**_points(data, found.indices, size=12, outline=1.6), "name": name}


def _points(data: EntropyData, indices: Indices, size: float, outline: float) -> dict[str, Any]:
    """Markers of the tokens `indices` at the height where the pointer finds them; smaller where they are many."""
    rows = data.sight.reduced(indices, data.hovered)
    shrink = float(np.interp(len(rows), [200, 1500], [1, 0.6]))
    # the outline parts markers that overlap, but covers small ones
    marker = {"size": size * shrink, "line": {"width": outline if shrink > 0.8 else np.floor(outline)}}
    return {"x": data.x[rows], "y": data.hovered[rows], "marker": marker}


def _tokens(data: EntropyData) -> dict[str, Any]:
    rows = data.sight.chosen(data.hovered)
    return {"x": data.x[rows], "y": data.hovered[rows], "text": hover_texts(data.tokens[rows], data.view.unit)}


BUILDERS: Mapping[str, Callable[[EntropyData], dict[str, Any]]] = {
    "interval": _interval,
    "band": _band,
    "raw": _line("entropy"),
    "isolated": _isolated,
    "sampled": _overlay("sampled"),
    "surprisal": _overlay("surprisal"),
    "high_window": _high_window,
    "forking": _forking,
    "mean": _mean,
    "tokens": _tokens,
}


def hover_texts(tokens: pl.DataFrame, unit: Unit) -> list[str]:
    """One hover label a token: text made harmless, position, phase, and what is known of its distribution."""
    scale = per_unit(unit)
    columns = [name for name in _WORDS if name in tokens.columns]
    labels = []
    for row in tokens.select("text", "position", "phase", "rank", *columns).iter_rows(named=True):
        rows = [f"<b>{token_label(row['text'])}</b>", f"token {row['position']}, {row['phase'] or 'phase unknown'}"]
        for name in columns:
            if row[name] is not None:
                words, sign, power = _WORDS[name]
                value = sign * row[name] / scale**power + 0.0
                rows.append(f"{words} {value:.3f} {unit}{'²' if power == 2 else ''}")
        if row["rank"] is not None:
            rows.append(f"rank {row['rank']}")
        labels.append("<br>".join(rows))
    return labels


# column -> words, sign, power of the unit
_WORDS: dict[str, tuple[str, int, int]] = {
    "entropy": ("raw entropy", 1, 1),
    "entropy_lower": ("raw entropy at least", 1, 1),
    "entropy_upper": ("raw entropy at most", 1, 1),
    "varentropy": ("raw varentropy", 1, 2),
    "logprob": ("raw surprisal", -1, 1),
    "sampled_entropy": ("sampled entropy", 1, 1),
}
