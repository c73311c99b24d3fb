"""Panels: controls, figures, and what happens on a change."""

from widgets.panels.reflective_panel import ReflectivePanel
from widgets.panels.sampler_panel import SamplerPanel
from widgets.panels.switching_panel import SwitchingPanel
from widgets.panels.trace_panel import TracePanel

__all__ = ["ReflectivePanel", "SamplerPanel", "SwitchingPanel", "TracePanel"]
