"""Entropy against difficulty: curves by level, tests for a U and what they say in words, DiffAdapt's strategies.

What needs torch (the probe, and DiffAdapt from end to end) is imported when first used.
"""

from importlib import import_module

from workbench.difficulty.comparison import Comparison, compare
from workbench.difficulty.curves import CurveSettings, DifficultyCurve, curve
from workbench.difficulty.interrupted import TwoLines, two_lines
from workbench.difficulty.labels import Labels, Thresholds, label, label_problems, problem_means, suggest_thresholds
from workbench.difficulty.presets import INSTRUCTED, PRESETS, Preset, strategies
from workbench.difficulty.quadratic import LindMehlum, lind_mehlum
from workbench.difficulty.regions import REGIONS, Reduction, Regions
from workbench.difficulty.variance import PartialCorrelation, VarianceSplit, partial_correlation, variance_split
from workbench.difficulty.verdicts import Verdict, assess

TYPE_CHECKING = False
if TYPE_CHECKING:
    from workbench.difficulty.diffadapt import Adaptation, adapt
    from workbench.difficulty.features import prompt_states
    from workbench.difficulty.probe import Choices, Probe
    from workbench.difficulty.training import held_out_mask, train_probe

_HOME = {
    "Adaptation": "diffadapt",
    "Choices": "probe",
    "Probe": "probe",
    "adapt": "diffadapt",
    "held_out_mask": "training",
    "prompt_states": "features",
    "train_probe": "training",
}

__all__ = [
    "INSTRUCTED",
    "PRESETS",
    "REGIONS",
    "Adaptation",
    "Choices",
    "Comparison",
    "CurveSettings",
    "DifficultyCurve",
    "Labels",
    "LindMehlum",
    "PartialCorrelation",
    "Preset",
    "Probe",
    "Reduction",
    "Regions",
    "Thresholds",
    "TwoLines",
    "VarianceSplit",
    "Verdict",
    "adapt",
    "assess",
    "compare",
    "curve",
    "held_out_mask",
    "label",
    "label_problems",
    "lind_mehlum",
    "partial_correlation",
    "problem_means",
    "prompt_states",
    "strategies",
    "suggest_thresholds",
    "train_probe",
    "two_lines",
    "variance_split",
]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'workbench.difficulty' has no attribute {name!r}")
    value = getattr(import_module(f"workbench.difficulty.{_HOME[name]}"), name)
    globals()[name] = value
    return value
