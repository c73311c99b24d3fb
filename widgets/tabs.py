"""The tabs of the workbench: what makes the panel of each, imported when a tab is first opened, or in the meantime."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import ipywidgets

    from widgets.session import Session

STRATEGIES = "strategies"
"""The bundled sweep that goes with the bundled problems: DiffAdapt's three strategies."""
_PANELS = (
    "trace_panel", "sampler_page", "sweep_page", "phase_panel", "difficulty_panel", "heads_panel", "gallery_panel",
)  # fmt: skip
_AFTER = 0.5
"""Seconds in which the first tab is shown."""


def prepare_meanwhile() -> None:
    """Once the first tab is shown, have the page load plotly and import all panels: the other tabs open faster."""
    with suppress(RuntimeError):  # no event loop, so nobody is looking
        asyncio.get_running_loop().call_later(_AFTER, _prepare)


def _prepare() -> None:
    from widgets.controls.plotly_bundle import plotly_bundle  # noqa: PLC0415

    plotly_bundle()
    threading.Thread(target=_import_panels, daemon=True).start()


def _import_panels() -> None:
    for name in _PANELS:
        import_module(f"widgets.panels.{name}")


def _model(session: Session, _folder: Path) -> ipywidgets.Widget:
    from widgets.panels.model_panel import ModelPanel  # noqa: PLC0415

    return ModelPanel(session)


def _trace(session: Session, _folder: Path) -> ipywidgets.Widget:
    from widgets.panels.trace_panel import TracePanel  # noqa: PLC0415

    return TracePanel(session=session)


def _sampler(session: Session, _folder: Path) -> ipywidgets.Widget:
    from widgets.panels.sampler_page import SamplerPage  # noqa: PLC0415

    return SamplerPage(session)


def _phases(session: Session, _folder: Path) -> ipywidgets.Widget:
    from widgets.panels.phase_panel import PhasePanel  # noqa: PLC0415
    from widgets.panels.sweep_page import SweepPage  # noqa: PLC0415

    return SweepPage(lambda sweep: PhasePanel(sweep=sweep, session=session))


def _difficulty(session: Session, _folder: Path) -> ipywidgets.Widget:
    from widgets.panels.difficulty_panel import DifficultyPanel  # noqa: PLC0415
    from widgets.panels.sweep_page import BUNDLED, SweepPage  # noqa: PLC0415
    from workbench.sweeps import Sweep, open_sweep  # noqa: PLC0415

    def build(sweep: Sweep) -> DifficultyPanel:
        strategies = open_sweep(STRATEGIES) if sweep.folder.name == BUNDLED else None
        return DifficultyPanel(sweep, strategies=strategies, session=session)

    return SweepPage(build)


def _heads(session: Session, _folder: Path) -> ipywidgets.Widget:
    from widgets.panels.heads_panel import HeadPanel  # noqa: PLC0415
    from workbench.attention import training_runs  # noqa: PLC0415

    return HeadPanel(session=session, history=training_runs())


def _figures(session: Session, folder: Path) -> ipywidgets.Widget:
    from widgets.panels.gallery_panel import GalleryPanel  # noqa: PLC0415

    return GalleryPanel(session, folder=folder / "exports")


TABS: dict[str, Callable[[Session, Path], ipywidgets.Widget]] = {
    "Model": _model,
    "Trace": _trace,
    "Sampler": _sampler,
    "Think/Answer": _phases,
    "Difficulty": _difficulty,
    "Heads": _heads,
    "Figures": _figures,
}
"""Title -> what makes the panel, of the session and the folder for files."""
