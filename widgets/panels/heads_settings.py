"""What the heads panel's sliders say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from workbench.attention.bins import EDGES
from workbench.attention.head_stats import COLLAPSE_CUT
from workbench.errors import ParameterError
from workbench.samplers.parameters import Settings, choice, number, switch

_SHARE: dict[str, Any] = {"low": 0.0, "high": 1.0, "slider": (0.0, 1.0), "open_low": True, "open_high": True}
OF_ROWS = ("collapse_cut", "skip_rows", "twins_below", "drop_sink")
"""Settings that need a text's rows; a history has only their means, as they were recorded."""


@dataclass(frozen=True)
class HeadView(Settings):
    """Which heads count as collapsed, overloaded, sinks and twins; the bins are those of arXiv 2501.03489."""

    collapsed_below: float = number(EDGES[0], "A head is collapsed below this share of the largest entropy.", **_SHARE)
    middle_edge: float = number(EDGES[1], "Where the second bin ends and the third begins.", **_SHARE)
    overloaded_from: float = number(
        EDGES[2], "A head is overloaded from this share of the largest entropy on.", **_SHARE
    )
    collapse_cut: float = number(
        COLLAPSE_CUT,
        "A row is collapsed below this entropy; its unit is the normaliser's.",
        low=0.0,
        slider=(0.0, 0.5),
        step=0.005,
    )
    sink_above: float = number(
        0.3, "ε: a head is a sink when its mean weight on the first token is above (arXiv 2410.10781).",
        low=0.0, high=1.0, slider=(0.05, 0.9),
    )  # fmt: skip
    twins_below: float = number(
        0.05, "Two heads are twins below this Jensen-Shannon divergence.",
        low=0.0, high=0.7, slider=(0.0, 0.3), step=0.005, unit="nats",
    )  # fmt: skip
    normalizer: str = choice(
        ("support", "length", "none"),
        "Entropies over ln of the keys a row sees, over ln T (which no causal head reaches), or in nats.",
    )
    skip_rows: int = number(1, "First rows left out of every mean.", low=0, slider=(0, 8), step=1)
    drop_sink: bool = switch(True, "Leave the first token out when heads are compared: sinks would all look alike.")

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.collapsed_below < self.middle_edge < self.overloaded_from:
            raise ParameterError(
                f"The bins' edges are {self.collapsed_below:.2f}, {self.middle_edge:.2f} and "
                f"{self.overloaded_from:.2f}: they must rise. Move the others first."
            )

    @property
    def edges(self) -> tuple[float, float, float]:
        """The inner edges of the four bins."""
        return self.collapsed_below, self.middle_edge, self.overloaded_from

    @property
    def bin_normalizer(self) -> str:
        """What bins are shares of: entropies in nats have no largest, so that the support's is taken for them."""
        return "support" if self.normalizer == "none" else self.normalizer
