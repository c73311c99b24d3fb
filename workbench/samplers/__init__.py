"""How the next token is chosen: steps, chains of them, replay on a trace, and live decoding."""

from importlib import import_module

from workbench.samplers.sampler import Sampler
from workbench.samplers.step import STEPS, Reads, Signal, Step
from workbench.samplers.steps import (
    DRY,
    XTC,
    DynamicTemperature,
    EntropyQuadrants,
    Epsilon,
    Eta,
    LocallyTypical,
    MinP,
    Mirostat,
    RepetitionPenalty,
    Temperature,
    TopH,
    TopK,
    TopNSigma,
    TopP,
)
from workbench.samplers.table import catalogue

TYPE_CHECKING = False
if TYPE_CHECKING:
    from workbench.samplers import reflective, switching

_SUBPACKAGES = ("reflective", "switching")

__all__ = [
    "DRY",
    "STEPS",
    "XTC",
    "DynamicTemperature",
    "EntropyQuadrants",
    "Epsilon",
    "Eta",
    "LocallyTypical",
    "MinP",
    "Mirostat",
    "Reads",
    "RepetitionPenalty",
    "Sampler",
    "Signal",
    "Step",
    "Temperature",
    "TopH",
    "TopK",
    "TopNSigma",
    "TopP",
    "catalogue",
    "reflective",
    "switching",
]


def __getattr__(name: str) -> object:
    # They record, and recording needs the samplers above: imported when first used.
    if name not in _SUBPACKAGES:
        raise AttributeError(f"module 'workbench.samplers' has no attribute {name!r}")
    return import_module(f"workbench.samplers.{name}")
