"""SRGen: at tokens of sudden uncertainty a vector, trained on the text so far, corrects the next distribution."""

from workbench.samplers.reflective.decoding import decode
from workbench.samplers.reflective.replaying import ReflectiveReplay, replay
from workbench.samplers.reflective.run import Correction, ReflectiveCost, ReflectiveRun
from workbench.samplers.reflective.settings import Reflective
from workbench.samplers.reflective.triggers import Triggers, triggers

__all__ = [
    "Correction",
    "Reflective",
    "ReflectiveCost",
    "ReflectiveReplay",
    "ReflectiveRun",
    "Triggers",
    "decode",
    "replay",
    "triggers",
]
