"""What people see: panels for JupyterLab, their figures and controls.

Names are imported when first used; `import widgets` alone loads neither torch nor plotly.
"""

from importlib import import_module

TYPE_CHECKING = False  # editors and type checkers take it for True; importing typing for it would cost time
if TYPE_CHECKING:
    from widgets.app import Workbench
    from widgets.figures import save_figure
    from widgets.panels import (
        DifficultyPanel,
        HeadPanel,
        ModelPanel,
        PhasePanel,
        ReflectivePanel,
        SamplerPanel,
        SwitchingPanel,
        TracePanel,
    )
    from widgets.session import Session
    from widgets.strip import TokenStrip

_HOME = {
    "DifficultyPanel": "widgets.panels",
    "HeadPanel": "widgets.panels",
    "ModelPanel": "widgets.panels",
    "PhasePanel": "widgets.panels",
    "ReflectivePanel": "widgets.panels",
    "SamplerPanel": "widgets.panels",
    "Session": "widgets.session",
    "SwitchingPanel": "widgets.panels",
    "TokenStrip": "widgets.strip",
    "TracePanel": "widgets.panels",
    "Workbench": "widgets.app",
    "save_figure": "widgets.figures",
}

__all__ = [
    "DifficultyPanel",
    "HeadPanel",
    "ModelPanel",
    "PhasePanel",
    "ReflectivePanel",
    "SamplerPanel",
    "Session",
    "SwitchingPanel",
    "TokenStrip",
    "TracePanel",
    "Workbench",
    "save_figure",
]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'widgets' has no attribute {name!r}")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
