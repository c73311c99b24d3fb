"""What people see: panels for JupyterLab, their figures and controls.

Names are imported when first used; `import widgets` alone loads neither torch nor plotly.
"""

from importlib import import_module

TYPE_CHECKING = False  # editors and type checkers take it for True; importing typing for it would cost time
if TYPE_CHECKING:
    from widgets.app import Workbench
    from widgets.figures import save_figure
    from widgets.panels.difficulty_panel import DifficultyPanel
    from widgets.panels.heads_panel import HeadPanel
    from widgets.panels.model_panel import ModelPanel
    from widgets.panels.phase_panel import PhasePanel
    from widgets.panels.reflective_panel import ReflectivePanel
    from widgets.panels.sampler_panel import SamplerPanel
    from widgets.panels.switching_panel import SwitchingPanel
    from widgets.panels.trace_panel import TracePanel
    from widgets.session import Session
    from widgets.strip import TokenStrip

_HOME = {
    "DifficultyPanel": "widgets.panels.difficulty_panel",
    "HeadPanel": "widgets.panels.heads_panel",
    "ModelPanel": "widgets.panels.model_panel",
    "PhasePanel": "widgets.panels.phase_panel",
    "ReflectivePanel": "widgets.panels.reflective_panel",
    "SamplerPanel": "widgets.panels.sampler_panel",
    "Session": "widgets.session",
    "SwitchingPanel": "widgets.panels.switching_panel",
    "TokenStrip": "widgets.strip",
    "TracePanel": "widgets.panels.trace_panel",
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
