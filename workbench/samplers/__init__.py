"""How the next token is chosen: steps, chains of them, replay on a trace, and live decoding."""

from workbench.samplers.sampler import Sampler
from workbench.samplers.step import STEPS, Signal, Step
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
    "RepetitionPenalty",
    "Sampler",
    "Signal",
    "Step",
    "Temperature",
    "TopH",
    "TopK",
    "TopNSigma",
    "TopP",
]
