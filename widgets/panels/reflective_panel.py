"""The reflective panel: at which tokens of a trace Self-Reflective Generation would step in."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from widgets.controls.settings_sliders import check_settings
from widgets.figures.trigger_chart import POINTS, trigger_chart, trigger_cursor, trigger_layout, trigger_series
from widgets.panels.replay_tabs import ReplayView
from widgets.panels.settings_panel import SettingsPanel, explained, facts
from workbench.errors import ParameterError
from workbench.samplers.reflective import Reflective, ReflectiveReplay, replay, triggers
from workbench.traces import Trace

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from widgets.session import Session

_LEAST_VALUES = ("minimal_std", "minimal_threshold", "warm_up_threshold")
_LOOSEST = {"k": 0.0, **dict.fromkeys(_LEAST_VALUES, 0.0)}
_HALVINGS = 14  # to the three digits that are shown
_ESTIMATE = (
    "Up to the first trigger this is what decoding with these settings does. A corrected token would have changed "
    "the text after it, so that later ones say what this text would trigger."
)


class ReflectivePanel(SettingsPanel[Reflective, ReflectiveReplay]):
    """SRGen's triggers replayed on a trace at every move of a slider.

    The chart shows each token's entropy in nats, its dynamic threshold and the triggers, which the strip marks too;
    where nothing triggers, the summary says which setting holds it back. Another trace in the session is followed.

    Args:
        trace: with known entropies; with a sketch for `entropy_of="tempered"`. What is missing is said in the panel.
        settings: to begin with, the published ones where none are given.
        session: share trace and cursor with other panels.
        temperature: T of tempered entropies; that of the trace's own sampler where none is given.

    Raises:
        ParameterError: `trace` is not a Trace, or settings of another kind.
    """

    STEM = "reflective"
    MARKED = "triggers"
    UNIT = "nats"
    PRESETS = {  # noqa: RUF012
        "Paper": (Reflective(), "The rules of arXiv 2510.02919, with the values of its experiments"),
        "Reference code": (Reflective.reference(), "The rules of 2020-qqtcg/SRGen, with its published scripts' values"),
    }
    LIVE_ONLY = ("steps", "rate", "weight", "cross_entropy", "optimizer")
    VIEW = ReplayView[ReflectiveReplay](
        trigger_chart, trigger_series, trigger_layout, trigger_cursor, POINTS,
        table=lambda result: result.to_frame(),
        details=lambda result: result.to_frame().filter(pl.col("triggered")).drop("triggered"),
        details_title="Triggers",
    )  # fmt: skip

    def __init__(
        self,
        trace: Trace,
        *,
        settings: Reflective | None = None,
        session: Session | None = None,
        temperature: float | None = None,
    ) -> None:
        if not isinstance(trace, Trace):
            raise ParameterError(f"ReflectivePanel shows a Trace, not a {type(trace).__name__}; wb.record makes one.")
        settings = Reflective() if settings is None else settings
        check_settings(settings, Reflective)
        self._temperature = temperature
        super().__init__(trace, settings, session)

    def _replay(self, settings: Reflective) -> ReflectiveReplay:
        return replay(self.trace, settings, temperature=self._temperature)

    def _words(self, result: ReflectiveReplay) -> str:
        s = result.summary
        if not s["triggers"]:
            return f"<div><b>Nothing triggers</b> in {s['tokens']:,} tokens.</div><div>{held_by(result)}</div>"
        return facts(
            f"<b>{s['triggers']:,}</b> {explained('trigger' + 's' * (s['triggers'] != 1), _ESTIMATE)} "
            f"in {s['tokens']:,} tokens",
            f"rate <b>{s['rate']:.1%}</b>",
            f"first at token <b>{s['first']:,}</b>",
            _limit(result),
        )

    def _marks(self, result: ReflectiveReplay) -> npt.ArrayLike:
        return result.triggers.positions

    def _about(self, result: ReflectiveReplay) -> dict[str, Any]:
        return {
            **self.trace.meta,
            "prompt": self.trace.prompt,
            "temperature": self._temperature,
            "replay": result.summary,
        }

    def _unused(self, settings: Reflective) -> frozenset[str]:
        return frozenset() if settings.threshold_rule == "reference" else frozenset(_LEAST_VALUES)

    def _trace_changed(self, change: Mapping[str, Any]) -> None:
        trace = change["new"]
        if trace is not None and trace is not self.trace:
            self.trace, self.tabs.visible = trace, None
            self.strip.replace(*self._columns())
            self._recompute()


def held_by(result: ReflectiveReplay) -> str:
    """Which setting keeps a replay without triggers from having any, and from what value on it would not."""
    settings, entropy = result.settings, result.triggers.entropy
    room = result.triggers.threshold - entropy
    known = np.isfinite(room)
    if settings.max_corrections == 0:
        return "<b>max corrections</b> is 0, so that nothing may."
    if not known.any():
        return (
            f"No token has a threshold: the first N = {settings.window} tokens have none. A smaller <b>window</b> has."
        )
    least = int(np.where(known, room, np.inf).argmin())
    nearest = f"The closest is token {least:,}, {room[least]:.3g} nats below its threshold."
    names = ("k", *_LEAST_VALUES) if settings.threshold_rule == "reference" else ("k",)
    found = {name: _turning_point(entropy, settings, name) for name in names}
    holding = [
        f"<b>{name.replace('_', ' ')}</b> {getattr(settings, name):.3g} (below {value:.3g} something would trigger)"
        for name, value in found.items()
        if value is not None
    ]
    if not holding:
        return f"No one setting alone holds it back. {nearest}"
    return f"Held back by {' or '.join(holding)}. {nearest}"


def _turning_point(entropy: npt.NDArray[np.float64], settings: Reflective, name: str) -> float | None:
    """The value of a setting below which something triggers, the others as they are; None where nothing ever does.

    Thresholds never fall as one of these settings rises, so that halving finds it.
    """

    def any_at(value: float) -> bool:
        return bool(triggers(entropy, replace(settings, **{name: value})).triggered.any())

    low, high = _LOOSEST[name], float(getattr(settings, name))
    if not np.isfinite(high) or not any_at(low):
        return None
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if any_at(middle) else (low, middle)
    return low


def _limit(result: ReflectiveReplay) -> str:
    """Whether the allowed number of corrections is spent."""
    limit = result.settings.max_corrections
    spent = result.summary["triggers"] == limit
    return f"no more than <b>{limit:,}</b> are corrected (max corrections)" if spent else ""
