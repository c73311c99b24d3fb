"""Is there a U? Both tests on problem-level data, with and without length, and the answer in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import polars as pl

from workbench.difficulty.curves import DifficultyCurve, curve
from workbench.difficulty.interrupted import TwoLines, two_lines
from workbench.difficulty.quadratic import LindMehlum, Shape, lind_mehlum
from workbench.errors import DifficultyError

if TYPE_CHECKING:
    from workbench.difficulty.regression import StandardError

Answer = Literal["supported", "not supported", "not identifiable"]
Unit = Literal["problem", "sequence"]
Se = Literal["hc3", "ols", "cluster"]

_SHAPES = {"u": "U-shape", "inverted": "inverted U-shape", "auto": "U-shape of either orientation"}


@dataclass(frozen=True)
class Verdict:
    """What the data say about a U, and why. The answer rests on the two tests without length."""

    answer: Answer
    reasons: tuple[str, ...]
    """A sentence each."""
    shape: Shape
    lind_mehlum: LindMehlum | None
    """None where the data cannot carry it."""
    two_lines: TwoLines | None
    lind_mehlum_given_length: LindMehlum | None
    """With ln tokens as a covariate; None where tokens are not known or the data cannot carry it."""
    two_lines_given_length: TwoLines | None
    n_problems: int
    """Problems that took part: those of bins with at least min_per_bin."""
    n_levels: int
    """Distinct x among them."""

    @property
    def headline(self) -> str:
        """The answer in a line: "U-shape not supported"."""
        return f"{_SHAPES[self.shape]} {self.answer}"

    def __str__(self) -> str:
        return f"{self.headline}. {' '.join(self.reasons)}"

    def to_frame(self) -> pl.DataFrame:
        """A row a test: test, given_length, p_low and p_high (or the one p of Lind and Mehlum), slopes, supported."""
        rows = []
        for given_length, parabola, lines in (
            (False, self.lind_mehlum, self.two_lines),
            (True, self.lind_mehlum_given_length, self.two_lines_given_length),
        ):
            if parabola is not None:
                rows.append(_row("Lind-Mehlum", given_length, parabola, parabola.p_value))
            if lines is not None:
                rows.append(_row("two lines", given_length, lines, max(lines.p_low, lines.p_high)))
        schema = {
            "test": pl.String, "given_length": pl.Boolean, "slope_low": pl.Float64, "slope_high": pl.Float64,
            "p_value": pl.Float64, "supported": pl.Boolean,
        }  # fmt: skip
        return pl.DataFrame(rows, schema=schema).with_columns(pl.col(pl.Float64).fill_nan(None))


def assess(
    data: DifficultyCurve | pl.DataFrame | pl.LazyFrame,
    *,
    shape: Shape = "u",
    unit: Unit = "problem",
    se: Se | None = None,
    trim: float = 0.1,
    level: float = 0.05,
    min_levels: int = 5,
    min_problems: int = 20,
) -> Verdict:
    """Test the entropies of problems (not the few means of levels) for a U over difficulty.

    Supported: Lind-Mehlum and two-lines both reject at `level`. Not supported: at least one that can be carried out
    does not. Not identifiable: too few levels or problems, or the one test that could still refuse cannot be carried
    out. Length is no part of the answer, because it may be how difficulty acts as well as a mere confounder; both
    tests with ln tokens as a covariate are reported beside it, and a change of answer is said.

    Args:
        data: a curve, or a frame from which `curve(frame)` makes one.
        shape: "u", "inverted", or "auto" for either.
        unit: "problem" takes a mean a problem; "sequence" every response, clustered by problem.
        se: of Lind-Mehlum; None for "hc3" with problems and "cluster" with sequences. Two-lines takes HC3 or
            clusters likewise.
        trim: of the two-lines test.
        level: of both tests.
        min_levels: distinct x below which nothing is tested; both lines need three, the break's among them.
        min_problems: problems below which nothing is tested.

    Raises:
        DifficultyError: a frame no curve can be made of, or arguments out of range.
    """
    if unit not in ("problem", "sequence"):
        raise DifficultyError(f"unit must be 'problem' or 'sequence', not {unit!r}.")
    if shape not in _SHAPES:
        raise DifficultyError(f"shape must be 'u', 'inverted' or 'auto', not {shape!r}.")
    if not 0 < level < 0.5:
        raise DifficultyError(f"level must lie between 0 and 0.5, not {level}.")
    if not isinstance(data, DifficultyCurve):
        data = curve(data)
    table = (data.problems if unit == "problem" else data.sequences).filter(~pl.col("sparse"))
    n_problems, n_levels = table["problem"].n_unique(), table["x"].n_unique()
    if short := _too_few(data, n_problems, n_levels, min_problems, min_levels):
        return Verdict("not identifiable", (short,), shape, None, None, None, None, n_problems, n_levels)
    tests = _Tests(table, unit, shape, se or ("hc3" if unit == "problem" else "cluster"), trim, level)
    parabola, lines, trouble = tests.run(None)
    answer: Answer = _answer(parabola, lines)
    reasons = [*trouble, *_words(parabola, lines, shape, level)]
    length = _log_tokens(table)
    controlled, controlled_lines = None, None
    if length is None:
        reasons.append("Length is not controlled for: tokens are not known.")
    else:
        controlled, controlled_lines, trouble = tests.run(length)
        reasons.append(_length_words(answer, _answer(controlled, controlled_lines), trouble))
    return Verdict(answer, tuple(reasons), shape, parabola, lines, controlled, controlled_lines, n_problems, n_levels)


@dataclass(frozen=True)
class _Tests:
    """Both tests on a table, to be run with and without a covariate."""

    table: pl.DataFrame
    unit: Unit
    shape: Shape
    se: StandardError
    trim: float
    level: float

    def run(self, covariate: np.ndarray | None) -> tuple[LindMehlum | None, TwoLines, list[str]]:
        """Results, and what kept the first from being carried out."""
        x, y = self.table["x"].to_numpy(), self.table["entropy"].to_numpy()
        clusters = self.table["problem"].to_numpy()
        parabola, trouble = None, []
        try:
            parabola = lind_mehlum(
                x, y, se=self.se, clusters=clusters, covariates=covariate, shape=self.shape, level=self.level
            )
        except DifficultyError as error:
            trouble.append(f"Lind-Mehlum cannot be carried out: {error}")
        by_problem = clusters if self.unit == "sequence" else None
        lines = two_lines(
            x, y, covariates=covariate, clusters=by_problem, shape=self.shape, trim=self.trim, level=self.level
        )
        return parabola, lines, trouble


def _too_few(data: DifficultyCurve, problems: int, levels: int, min_problems: int, min_levels: int) -> str | None:
    if problems >= min_problems and levels >= min_levels:
        return None
    dropped = len(data.problems) - problems
    of = f" in bins of at least {data.settings.min_per_bin} ({dropped} in smaller ones left out)" if dropped else ""
    return (
        f"{problems} problem(s){of} at {levels} distinct difficulties are too few to tell a U from anything else; "
        f"at least {min_problems} problems and {min_levels} difficulties are needed."
    )


def _answer(parabola: LindMehlum | None, lines: TwoLines) -> Answer:
    refused = (parabola is not None and not parabola.supported) or (lines.identifiable and not lines.supported)
    if refused:
        return "not supported"
    return "not identifiable" if parabola is None or not lines.identifiable else "supported"


def _words(parabola: LindMehlum | None, lines: TwoLines, shape: Shape, level: float) -> list[str]:
    said = []
    if parabola is not None:
        ends = " and ".join(
            f"{slope:+.3g} (t {t:.2f}) at {end:.3g}"
            for slope, t, end in (
                (parabola.slope_low, parabola.t_low, parabola.x_range[0]),
                (parabola.slope_high, parabola.t_high, parabola.x_range[1]),
            )
        )
        result = "rejects" if parabola.supported else "does not reject"
        said.append(f"Lind-Mehlum {result} at {level:g} (p {_p(parabola.p_value)}): end slopes {ends}.")
        said.append(_extremum_words(parabola))
    if lines.identifiable:
        slopes = (
            f"{lines.slope_low:+.3g} (p {_p(lines.p_low)}) below and {lines.slope_high:+.3g} "
            f"(p {_p(lines.p_high)}) above the break at {lines.break_at:.3g}"
        )
        said.append(f"Two lines: slopes {slopes} {_agreement(lines, shape)}.")
    else:
        said.append(f"Two lines is not identifiable: {lines.reason}")
    return said


def _agreement(lines: TwoLines, shape: Shape) -> str:
    low, high = lines.slope_low, lines.slope_high
    if lines.supported:
        return "are both significant and of the signs looked for"
    signs = {"u": low < 0 < high, "inverted": low > 0 > high, "auto": low * high < 0}[shape]
    return "have the signs looked for, but are not both significant" if signs else "do not have the signs looked for"


def _extremum_words(parabola: LindMehlum) -> str:
    share = f"{1 - 2 * parabola.level:.0%}"
    if parabola.fieller is None:
        return f"Where the parabola turns is not determined (its {share} Fieller interval is unbounded)."
    low, high = parabola.fieller
    return f"The parabola turns at {parabola.extremum:.3g} ({share} Fieller interval {low:.3g} to {high:.3g})."


def _length_words(plain: Answer, controlled: Answer, trouble: list[str]) -> str:
    if trouble:
        return f"With length (ln tokens) as a covariate: {' '.join(trouble)}"
    if plain == controlled:
        return f"With length (ln tokens) as a covariate the answer stays: {controlled}."
    return f"With length (ln tokens) as a covariate the answer becomes {controlled}: length and difficulty go together."


def _log_tokens(table: pl.DataFrame) -> np.ndarray | None:
    """Ln tokens (n,); None where they are not known, not positive, or all alike."""
    tokens = table["tokens"].cast(pl.Float64)
    if tokens.null_count() or (tokens <= 0).any() or tokens.n_unique() == 1:
        return None
    return np.log(tokens.to_numpy())


def _p(value: float) -> str:
    return f"{value:.3f}" if value >= 0.001 else "< 0.001"


def _row(test: str, given_length: bool, result: LindMehlum | TwoLines, p: float) -> dict[str, object]:  # noqa: FBT001  -- named at both calls above
    slopes = {"slope_low": result.slope_low, "slope_high": result.slope_high}
    return {"test": test, "given_length": given_length, **slopes, "p_value": p, "supported": result.supported}
