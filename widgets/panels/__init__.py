"""Panels: controls, figures, and what happens on a change."""

from widgets.panels.sampler_panel import SamplerPanel
from widgets.panels.trace_panel import TracePanel

__all__ = ["SamplerPanel", "TracePanel"]
