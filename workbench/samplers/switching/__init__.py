"""Entropy Adaptive Decoding: a small model decodes, and a large one where a rolling entropy is high."""

from workbench.samplers.switching.cost import Cost
from workbench.samplers.switching.decoding import decode
from workbench.samplers.switching.replaying import SwitchingReplay, replay
from workbench.samplers.switching.routing import Route, Router, route
from workbench.samplers.switching.run import SwitchingRun
from workbench.samplers.switching.settings import Switching

__all__ = ["Cost", "Route", "Router", "Switching", "SwitchingReplay", "SwitchingRun", "decode", "replay", "route"]
