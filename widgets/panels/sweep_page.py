"""A panel over a sweep, and a line above it that says which sweep: a bundled one, or any folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import ipywidgets

from widgets.controls.problems import problem_words
from widgets.panels.chosen_panel import ChosenPanel
from widgets.panels.page import kept
from widgets.panels.settings_panel import alert
from workbench.errors import WorkbenchError
from workbench.locations import RUNS
from workbench.sweeps import Sweep, open_sweep

if TYPE_CHECKING:
    from collections.abc import Callable


BUNDLED = "arithmetic"
"""The sweep of the demo model that is shown first."""
_MARK = "sweep.json"


class SweepPage(ChosenPanel):
    """The panel of the sweep whose name or folder stands in the line; a folder that is none leaves the last on show.

    Args:
        build: makes the panel of a sweep.
    """

    def __init__(self, build: Callable[[Sweep], ipywidgets.Widget]) -> None:
        self._build = build
        self.source = ipywidgets.Combobox(
            value=BUNDLED, options=found_sweeps(), ensure_option=False, continuous_update=False, description="Sweep",
            tooltip="A bundled sweep, or the folder of one made by wb.sweeps.run or `workbench sweep`",
            style={"description_width": "initial"}, layout={"width": "340px"},
        )  # fmt: skip
        super().__init__(self.source)
        self.source.observe(lambda _: self.show(), "value")
        self.show()

    def kept(self) -> dict[str, ipywidgets.Widget]:
        """The source, then the panel's own; in this order they are put back."""
        controls: dict[str, ipywidgets.Widget] = {"source": self.source}
        return controls | kept(self.panel)

    def show(self) -> None:
        """Make the panel of the sweep named."""
        name = self.source.value.strip()
        if not name:
            return
        try:
            sweep = open_sweep(name)
            panel = self._build(sweep)
        except (WorkbenchError, OSError, ValueError) as problem:  # the last two of what is no name of a folder
            self.status.value = alert(problem_words(problem))
            return
        self.status.value = "" if sweep.complete else alert("Not complete yet; shown are the rows so far.")
        self.put(panel)


def found_sweeps(folder: Path | None = None) -> tuple[str, ...]:
    """The bundled sweeps, then the folders of sweeps at most two levels below `folder`."""
    bundled = sorted(path.parent.name for path in RUNS.glob(f"*/{_MARK}"))
    here = folder or Path.cwd()
    own = sorted(str(path.parent.relative_to(here)) for depth in ("*", "*/*") for path in here.glob(f"{depth}/{_MARK}"))
    return tuple(dict.fromkeys([*bundled, *own]))
