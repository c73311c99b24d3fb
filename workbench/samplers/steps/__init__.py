"""Every step there is, one a file; importing them registers them, in the order in which they are offered."""

from workbench.samplers.steps.repetition_penalty import RepetitionPenalty

from workbench.samplers.steps.dry import DRY  # isort: skip
from workbench.samplers.steps.temperature import Temperature  # isort: skip
from workbench.samplers.steps.dynamic_temperature import DynamicTemperature  # isort: skip
from workbench.samplers.steps.top_k import TopK  # isort: skip
from workbench.samplers.steps.top_p import TopP  # isort: skip
from workbench.samplers.steps.min_p import MinP  # isort: skip
from workbench.samplers.steps.typical import LocallyTypical  # isort: skip
from workbench.samplers.steps.epsilon import Epsilon  # isort: skip
from workbench.samplers.steps.eta import Eta  # isort: skip
from workbench.samplers.steps.top_nsigma import TopNSigma  # isort: skip
from workbench.samplers.steps.top_h import TopH  # isort: skip
from workbench.samplers.steps.xtc import XTC  # isort: skip
from workbench.samplers.steps.mirostat import Mirostat  # isort: skip
from workbench.samplers.steps.entropy_quadrants import EntropyQuadrants  # isort: skip

__all__ = [
    "DRY",
    "XTC",
    "DynamicTemperature",
    "EntropyQuadrants",
    "Epsilon",
    "Eta",
    "LocallyTypical",
    "MinP",
    "Mirostat",
    "RepetitionPenalty",
    "Temperature",
    "TopH",
    "TopK",
    "TopNSigma",
    "TopP",
]
