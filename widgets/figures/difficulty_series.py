"""What the difficulty figure draws of a curve and its verdict: levels, problems, the fitted shapes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from widgets.figures.series import Floats, Indices, Updates, column, thinned
from widgets.figures.text import Unit, per_unit, thousands, token_label

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import polars as pl

    from workbench.difficulty import DifficultyCurve, Verdict

POINTS = 2000
"""Problems drawn at most."""
_GOLDEN = (5**0.5 - 1) / 2  # multiples of it spread evenly over [0, 1) however many there are
_FEW = 40  # distinct x up to which points would lie on top of each other
_FIELLER_HEIGHT = 0.035  # share of the plot's height


@dataclass(frozen=True)
class DifficultyData:
    """The series of one curve."""

    curve: DifficultyCurve
    verdict: Verdict | None
    unit: Unit
    points: int

    @cached_property
    def scale(self) -> float:
        """What to divide nats by."""
        return per_unit(self.unit)

    @cached_property
    def x(self) -> Floats:
        """(P,) where each problem stands: beside its level, so that equals do not hide each other."""
        return spread_out(column(self.curve.problems, "x"))

    @cached_property
    def drawn(self) -> Indices:
        """Rows of the problems that are drawn."""
        rows = np.arange(len(self.curve.problems))
        return thinned(self.x, column(self.curve.problems, "entropy"), rows, self.points)


def spread_out(values: Floats, *, most: float = np.inf) -> Floats:
    """`values` moved aside by at most a quarter of the least step between two, and `most`; the same every time.

    Where there are many different values nothing moves.
    """
    distinct, codes = np.unique(values, return_inverse=True)
    if not 1 < len(distinct) <= _FEW:
        return values
    order = np.argsort(codes, kind="stable")
    starts = np.searchsorted(codes[order], np.arange(len(distinct)))
    turn = np.empty(len(values))
    turn[order] = np.arange(len(values)) - starts[codes[order]]
    width = min(float(np.diff(distinct).min()) / 4, most)
    return values + ((turn * _GOLDEN + 0.5) % 1 - 0.5) * 2 * width


def difficulty_series(
    curve: DifficultyCurve | None, verdict: Verdict | None = None, *, unit: Unit = "nats", points: int = POINTS
) -> Updates:
    """Role -> properties to assign to that trace of a difficulty figure; all empty without a curve."""
    if curve is None:
        return {role: {"x": [], "y": []} for role in _BUILDERS}
    data = DifficultyData(curve, verdict, unit, points)
    return {role: build(data) for role, build in _BUILDERS.items()}


def difficulty_cursor(curve: DifficultyCurve | None, problem: str | None, *, unit: Unit = "nats") -> Updates:
    """The ring around a problem's point; nowhere without one."""
    place: dict[str, Any] = {"x": [], "y": []}
    if curve is not None and problem is not None:
        data = DifficultyData(curve, None, unit, POINTS)
        row = np.flatnonzero((curve.problems["problem"] == problem).to_numpy())
        place = {"x": data.x[row], "y": column(curve.problems, "entropy")[row] / data.scale}
    return {"cursor_point": place}


def _problems(data: DifficultyData) -> dict[str, Any]:
    rows = data.curve.problems[data.drawn]
    return {
        "x": data.x[data.drawn],
        "y": column(rows, "entropy") / data.scale,
        "customdata": rows["problem"].to_list(),
        "text": [_problem_text(row, data) for row in rows.iter_rows(named=True)],
    }


def _problem_text(row: dict[str, Any], data: DifficultyData) -> str:
    told = [f"<b>problem {token_label(row['problem'])}</b>", f"entropy {row['entropy'] / data.scale:.3f} {data.unit}"]
    told += [] if row["difficulty"] is None else [f"difficulty {row['difficulty']:.4g}"]
    told += [] if row["accuracy"] is None else [f"accuracy {row['accuracy']:.0%}"]
    told += [] if row["tokens"] is None else [f"{row['tokens']:.0f} tokens on average"]
    return "<br>".join([*told, f"{thousands(row['n_sequences'])} responses"])


def _level_entropy(data: DifficultyData) -> dict[str, Any]:
    levels = data.curve.levels
    return {
        **_points(levels, "entropy", data.scale, "circle"),
        "text": _level_texts(data),
        "name": _interval_name(data),
    }


def _level_accuracy(data: DifficultyData) -> dict[str, Any]:
    if not data.curve.graded:
        return {"x": [], "y": [], "error_y.array": [], "error_y.arrayminus": [], "text": [], "visible": False}
    points = _points(data.curve.levels, "accuracy", 1.0, "diamond")
    return {**points, "text": _level_texts(data), "visible": True}


def _points(levels: pl.DataFrame, name: str, scale: float, symbol: str) -> dict[str, Any]:
    """Means with their intervals; open symbols where there are too few problems."""
    mean, low, high = (column(levels, part) / scale for part in (name, f"{name}_low", f"{name}_high"))
    return {
        "x": column(levels, "level"),
        "y": mean,
        "error_y.array": high - mean,
        "error_y.arrayminus": mean - low,
        "marker.symbol": [f"{symbol}-open" if sparse else symbol for sparse in levels["sparse"]],
    }


def _level_texts(data: DifficultyData) -> list[str]:
    said = []
    for row in data.curve.levels.iter_rows(named=True):
        words = [f"<b>level {row['level']:.4g}</b> ({row['region']})"]
        words.append(f"entropy {_with_interval(row, 'entropy', data.scale)} {data.unit}")
        if row["accuracy"] is not None:
            words.append(f"accuracy {_with_interval(row, 'accuracy', 1.0)}")
        counts = f"{thousands(row['n_problems'])} problems, {thousands(row['n_sequences'])} responses"
        said.append("<br>".join([*words, counts + (" (too few for an interval)" if row["sparse"] else "")]))
    return said


def _with_interval(row: dict[str, Any], name: str, scale: float) -> str:
    mean, low, high = row[name], row[f"{name}_low"], row[f"{name}_high"]
    return f"{mean / scale:.3f}" + ("" if low is None else f" [{low / scale:.3f}, {high / scale:.3f}]")


def _interval_name(data: DifficultyData) -> str:
    settings = data.curve.settings
    return "entropy ± sd" if settings.interval == "sd" else f"entropy, {settings.level:.0%} interval"


def _parabola(data: DifficultyData) -> dict[str, Any]:
    test = data.verdict.lind_mehlum if data.verdict else None
    if test is None:
        return _nothing()
    x = np.linspace(*test.x_range, 101)
    return {"x": x, "y": test.predict(x) / data.scale, "visible": True}


def _line_low(data: DifficultyData) -> dict[str, Any]:
    test = data.verdict.two_lines if data.verdict else None
    if test is None or not test.identifiable:
        return _nothing()
    x = np.array([_range(data)[0], test.break_at])
    y = (test.value_low + test.slope_low * (x - test.break_at)) / data.scale
    return {"x": x, "y": y, "name": f"two lines, break at {test.break_at:.3g}", "visible": True}


def _line_high(data: DifficultyData) -> dict[str, Any]:
    test = data.verdict.two_lines if data.verdict else None
    if test is None or not test.identifiable:
        return _nothing()
    x = np.array([test.break_at, _range(data)[1]])
    return {"x": x, "y": (test.value_high + test.slope_high * (x - test.break_at)) / data.scale, "visible": True}


def _break(data: DifficultyData) -> dict[str, Any]:
    test = data.verdict.two_lines if data.verdict else None
    if test is None or not test.identifiable:
        return _nothing()
    return {"x": [test.break_at, test.break_at], "y": [0, 1], "visible": True}


def _fieller(data: DifficultyData) -> dict[str, Any]:
    test = data.verdict.lind_mehlum if data.verdict else None
    if test is None or test.fieller is None:
        return _nothing()
    x, share = [test.fieller[0], test.extremum, test.fieller[1]], f"{1 - 2 * test.level:.0%}"
    name = f"extremum, {share} Fieller"
    return {"x": x, "y": [_FIELLER_HEIGHT] * 3, "name": name, "visible": True}


def _nothing() -> dict[str, Any]:
    return {"x": [], "y": [], "visible": False}


def _range(data: DifficultyData) -> tuple[float, float]:
    """Extent of the x that take part in the tests."""
    x = column(data.curve.problems.filter(~data.curve.problems["sparse"]), "x")
    return float(x.min()), float(x.max())


_BUILDERS: Mapping[str, Callable[[DifficultyData], dict[str, Any]]] = {
    "problem": _problems,
    "level_entropy": _level_entropy,
    "level_accuracy": _level_accuracy,
    "parabola": _parabola,
    "line_low": _line_low,
    "line_high": _line_high,
    "break": _break,
    "fieller": _fieller,
}
