"""What the difficulty panel's sliders say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workbench.difficulty import Regions, assess, curve
from workbench.errors import ParameterError
from workbench.samplers.parameters import Settings, choice, number

if TYPE_CHECKING:
    import polars as pl

    from workbench.difficulty import DifficultyCurve, Verdict


_THIRDS = (1 / 3, 2 / 3)
"""Where `wb.difficulty.curve` puts the borders by itself."""


@dataclass(frozen=True)
class CurveView(Settings):
    """How a curve is made and tested; the defaults are those of `wb.difficulty.curve` and `assess`."""

    bins: str = choice(("level", "quantile", "accuracy"), "Difficulty as given, in equal numbers, or 1 − accuracy.")
    n_bins: int = number(10, "How many, for quantile and accuracy.", low=2, slider=(3, 20), step=1)
    aggregate: str = choice(
        ("nested", "pooled"), "Nested: mean a response, a problem, a level. Pooled: over a level's tokens."
    )
    interval: str = choice(("bootstrap", "sd"), "95 % over problems drawn anew, or one standard deviation.")
    min_per_bin: int = number(5, "Problems that a level needs to be tested.", low=1, slider=(1, 50), step=1)
    medium: float = number(
        _THIRDS[0], "Where the easy levels end, as a share of the range.", low=0.0, high=1.0, slider=(0.0, 1.0)
    )
    hard: float = number(
        _THIRDS[1], "Where the hard levels begin, as a share of the range.", low=0.0, high=1.0, slider=(0.0, 1.0)
    )
    shape: str = choice(("u", "inverted", "auto"), "What is tested for: a U, an inverted U, or either.")
    unit: str = choice(("problem", "sequence"), "A mean a problem, or every response clustered by problem.")
    se: str = choice(("hc3", "ols", "cluster"), "Standard errors of the parabola.")
    trim: float = number(
        0.1, "Share of problems at either end where no break is looked for.", low=0.0, high=0.45, slider=(0.05, 0.2)
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.medium > self.hard:
            raise ParameterError(
                f"Easy ends at {self.medium:.2f} and hard begins at {self.hard:.2f}: put them in order."
            )

    def curve(self, frame: pl.DataFrame, entropy: str) -> DifficultyCurve:
        """The curve of these responses.

        Raises:
            DifficultyError: as `wb.difficulty.curve`.
        """
        options: dict[str, Any] = {
            "bins": self.bins, "n_bins": self.n_bins, "aggregate": self.aggregate, "interval": self.interval,
            "min_per_bin": self.min_per_bin, "entropy": entropy,
        }  # fmt: skip
        if (self.medium, self.hard) == _THIRDS:
            return curve(frame, **options)
        levels = curve(frame, draws=1, **options).levels["level"].to_numpy()  # only to see where they are
        low, high = float(levels.min()), float(levels.max())
        return curve(
            frame, regions=Regions(low + self.medium * (high - low), low + self.hard * (high - low)), **options
        )

    def assess(self, made: DifficultyCurve) -> Verdict:
        """Whether it has the shape.

        Raises:
            DifficultyError: as `wb.difficulty.assess`.
        """
        return assess(made, shape=self.shape, unit=self.unit, se=self.se, trim=self.trim)
