"""Panels: controls, figures, and what happens on a change."""

from widgets.panels.difficulty_panel import DifficultyPanel
from widgets.panels.heads_panel import HeadPanel
from widgets.panels.model_panel import ModelPanel
from widgets.panels.phase_panel import PhasePanel
from widgets.panels.reflective_panel import ReflectivePanel
from widgets.panels.sampler_panel import SamplerPanel
from widgets.panels.switching_panel import SwitchingPanel
from widgets.panels.trace_panel import TracePanel

__all__ = [
    "DifficultyPanel",
    "HeadPanel",
    "ModelPanel",
    "PhasePanel",
    "ReflectivePanel",
    "SamplerPanel",
    "SwitchingPanel",
    "TracePanel",
]
