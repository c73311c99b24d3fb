"""The switching panel: where a small and a large model would take turns over one text, and what that costs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from widgets.controls.settings_sliders import check_settings
from widgets.figures.switching_chart import (
    POINTS,
    switching_chart,
    switching_cursor,
    switching_layout,
    switching_series,
)
from widgets.panels.replay_tabs import ReplayView
from widgets.panels.settings_panel import SettingsPanel, alert, explained, facts
from workbench.errors import ParameterError
from workbench.samplers.switching import Switching, SwitchingReplay, replay
from workbench.traces import Trace

if TYPE_CHECKING:
    import numpy.typing as npt

    from widgets.session import Session

_PAPER = "f_L + (1 − f_L) P_S / P_L: a switch costs nothing, and the prompt does not count."
_TRUE = (
    "All positions that either model computes, weighted by its parameters, over those of the large model alone. "
    "A model that takes over must first catch up: it reads what the other drew, and at its first turn the prompt."
)
_ESTIMATE = (
    "Of this text. In live decoding another model would have drawn other tokens from the first switch on, "
    "so that costs and probabilities are estimates."
)


class SwitchingPanel(SettingsPanel[Switching, SwitchingReplay]):
    """Entropy Adaptive Decoding replayed from two traces of one text, at every move of a slider.

    The chart shows the monitored raw entropy in bits, its mean, the thresholds, and which model draws each token; the
    strip marks the large model's tokens; the summary gives the paper's relative cost and the true one with catch-up.

    Args:
        small_trace: of the small model; its entropies and log-probabilities known throughout.
        large_trace: of the large model, of the same token ids after the same prompt: `wb.score(model, token_ids,
            prompt=trace.prompt_ids)`. What does not fit together is said in the panel.
        settings: to begin with.
        session: share the cursor with other panels while they show the same tokens; the small model's trace becomes
            the session's unless it has these tokens on show already.
        parameters: (P_S, P_L), numbers of parameters for the costs; from the traces' meta where not given.

    Raises:
        ParameterError: not two traces, or settings of another kind.
    """

    STEM = "switching"
    MARKED = "drawn by the large model"
    WHOSE = "small model's "
    UNIT = "bits"
    PRESETS = {"Defaults": (Switching(), "Threshold and dwell have no published values; a place to begin")}  # noqa: RUF012
    VIEW = ReplayView[SwitchingReplay](
        switching_chart, switching_series, switching_layout, switching_cursor, POINTS,
        table=lambda result: result.to_frame(),
        details=lambda result: result.cost.to_frame(),
        details_title="Costs",
    )  # fmt: skip

    def __init__(
        self,
        small_trace: Trace,
        large_trace: Trace,
        *,
        settings: Switching | None = None,
        session: Session | None = None,
        parameters: tuple[int, int] | None = None,
    ) -> None:
        for trace in (small_trace, large_trace):
            if not isinstance(trace, Trace):
                raise ParameterError(
                    f"SwitchingPanel shows two Traces of one text, not a {type(trace).__name__}; "
                    "wb.score(model, token_ids, prompt=...) makes one."
                )
        settings = Switching() if settings is None else settings
        check_settings(settings, Switching)
        self.small, self.large, self._parameters = small_trace, large_trace, parameters
        super().__init__(small_trace, settings, session)

    def _replay(self, settings: Switching) -> SwitchingReplay:
        return replay(self.small, self.large, settings, parameters=self._parameters)

    def _words(self, result: SwitchingReplay) -> str:
        cost, s = result.cost, result.summary
        turns = facts(
            f"The large model draws <b>{cost.large_share:.1%}</b> of {cost.tokens:,} tokens ({cost.tokens_large:,})",
            f"<b>{cost.switches:,}</b> switch{'' if cost.switches == 1 else 'es'}",
            f"{explained('estimated raw log-probability', _ESTIMATE)} <b>{_signed(s['logprob'])}</b> nats "
            f"(small model alone {_signed(s['logprob_small'])}, large {_signed(s['logprob_large'])})",
        )
        return f"<div>{turns}</div>{_costs(s)}"

    def _marks(self, result: SwitchingReplay) -> npt.ArrayLike:
        return result.route.large.nonzero()[0]

    def _about(self, result: SwitchingReplay) -> dict[str, Any]:
        names = {name: str(trace.meta.get("model")) for name, trace in (("small", self.small), ("large", self.large))}
        return {
            **self.small.meta,
            "model": f"{names['small']} ⇄ {names['large']}",
            "models": {"small": self.small.meta, "large": self.large.meta},
            "prompt": self.small.prompt,
            "replay": result.summary,
        }


def _costs(summary: dict[str, Any]) -> str:
    """Both relative costs; a true one above 1 is said plainly."""
    paper, true = summary["paper_cost"], summary["true_cost"]
    if true is None:
        return "<div>costs not known: give parameters=(small model's, large model's number of parameters)</div>"
    words = facts(
        f"relative cost by {explained('the paper’s count', _PAPER)} <b>{paper:.3f}</b>",
        f"{explained('true cost with catch-up', _TRUE)} <b>{true:.3f}</b>",
        "1 is the large model alone",
    )
    if true > 1:
        return f"<div>{words}</div>" + alert(
            f"This saves nothing: it costs {true - 1:.1%} more than the large model decoding everything."
        )
    return f"<div>{words}</div>"


def _signed(value: float) -> str:
    return f"{value:.2f}".replace("-", "−")
