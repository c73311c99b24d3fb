"""A sweep's results in a panel: one model and sampler at a time, and the traces behind them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import ipywidgets
import polars as pl

from workbench.errors import ParameterError
from workbench.sweeps import Sweep, open_sweep

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from widgets.panels.phase_thoughts import Thought
    from workbench.traces import Trace

_ARMS = ("model", "sampler")
_KEY = ("model", "sampler", "problem", "sample")


class SweepRows:
    """The results with a menu for each of model and sampler that has several.

    Args:
        data: a sweep, its folder, results as a frame, or None for nothing at all.
        changed: called when another model or sampler is chosen.

    Raises:
        SweepError: the folder is no sweep.
        ParameterError: none of these.
    """

    def __init__(
        self, data: Sweep | str | Path | pl.DataFrame | pl.LazyFrame | None, changed: Callable[[], None]
    ) -> None:
        self.sweep, self._all = _opened(data)
        self.known = data is not None
        """Whether there are results at all."""
        self._menus = {name: self._menu(name) for name in _ARMS if name in self._all.columns}
        self._filtered: tuple[dict[str, str], pl.DataFrame] | None = None
        for menu in self._menus.values():
            menu.observe(lambda _: changed(), "value")

    @property
    def menus(self) -> tuple[ipywidgets.Dropdown, ...]:
        """For the panel to place."""
        return tuple(self._menus.values())

    def kept(self) -> dict[str, ipywidgets.Dropdown]:
        """The menus by what they choose."""
        return dict(self._menus)

    @property
    def frame(self) -> pl.DataFrame:
        """The rows of the model and sampler that are chosen; the same frame until another is chosen."""
        if self._filtered is None or self._filtered[0] != self.chosen:
            frame = self._all
            for name, value in self.chosen.items():
                frame = frame.filter(pl.col(name) == value)
            self._filtered = self.chosen, frame
        return self._filtered[1]

    @property
    def chosen(self) -> dict[str, str]:
        """Model and sampler, for exports."""
        return {name: menu.value for name, menu in self._menus.items()}

    @property
    def settings(self) -> dict[str, Any]:
        """The sweep's, with what is chosen."""
        return {**({} if self.sweep is None else self.sweep.settings), "chosen": self.chosen}

    @property
    def model(self) -> str | None:
        """Where the chosen model can be loaded from; None without a sweep."""
        if self.sweep is None:
            return None
        models = self.sweep.settings["models"]
        return str(models[self.chosen.get("model", next(iter(models)))])

    def trace(self, row: int) -> Trace | None:
        """The trace of one row of `frame`; None where only a frame was given."""
        if self.sweep is None:
            return None
        return self._read(self.frame.row(row, named=True))

    def row_of(self, trace: Trace) -> Mapping[str, Any] | None:
        """The row a trace of the sweep belongs to; None for any other trace."""
        key = {name: trace.meta.get(name) for name in _KEY}
        if self.sweep is None or key["problem"] is None:
            return None
        found = self._all.filter(pl.all_horizontal(pl.col(name) == value for name, value in key.items()))
        return found.row(0, named=True) if len(found) == 1 else None

    def grader(self, row: Mapping[str, Any]) -> Callable[[str], bool] | None:
        """What says whether a text answers the row's problem; None without a sweep."""
        if self.sweep is None:
            return None
        problems = self.sweep.task.problems
        return lambda text: problems.grade(text, row["answer"]).correct

    def thoughts(self, count: int) -> list[Thought]:
        """Name, trace and grader of the first `count` sequences that think, spread over the problems.

        Raises:
            ParameterError: there is no sweep, or no thinking in it.
        """
        frame = self.frame
        if self.sweep is not None and len(frame):
            frame = frame.filter(pl.col("think_tokens") > 0).sort("sample", "difficulty", "problem")
            rows = frame.gather_every(max(1, len(frame.filter(sample=0)) // count)).head(count)
            found = [(_name(row), self._read(row), self.grader(row)) for row in rows.iter_rows(named=True)]
            if found:
                return found
        raise ParameterError("There is no sweep with thinking to measure: PhasePanel(sweep='folder').")

    def _read(self, row: Mapping[str, Any]) -> Trace:
        sweep: Any = self.sweep
        return sweep.trace(row["problem"], row["sample"], sampler=row["sampler"], model=row["model"])

    def _menu(self, name: str) -> ipywidgets.Dropdown:
        """Out of sight where there is no choice."""
        found = self._all[name].unique(maintain_order=True).to_list()
        shown = "" if len(found) > 1 else "none"
        return ipywidgets.Dropdown(options=found, tooltip=f"Which {name}", layout={"width": "220px", "display": shown})


def _opened(data: Any) -> tuple[Sweep | None, pl.DataFrame]:  # noqa: ANN401  -- whatever was given
    if data is None:
        return None, pl.DataFrame()
    if isinstance(data, (str, Path)):
        data = open_sweep(data)
    if isinstance(data, Sweep):
        return data, data.to_frame()
    if isinstance(data, pl.LazyFrame):
        data = data.collect()
    if not isinstance(data, pl.DataFrame):
        raise ParameterError(
            f"A sweep, its folder, or a polars frame is needed, not a {type(data).__name__}; "
            "wb.sweeps.run(...) makes a sweep."
        )
    return None, data.with_columns(pl.col("problem").cast(pl.String)) if "problem" in data.columns else data


def _name(row: Mapping[str, Any]) -> str:
    return f"{row['problem']}, sample {row['sample']}"
