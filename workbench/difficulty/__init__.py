"""Entropy against difficulty: curves by level, tests for a U, and what they say in words."""

from workbench.difficulty.curves import CurveSettings, DifficultyCurve, curve
from workbench.difficulty.interrupted import TwoLines, two_lines
from workbench.difficulty.quadratic import LindMehlum, lind_mehlum
from workbench.difficulty.regions import REGIONS, Reduction, Regions
from workbench.difficulty.variance import PartialCorrelation, VarianceSplit, partial_correlation, variance_split
from workbench.difficulty.verdicts import Verdict, assess

__all__ = [
    "REGIONS",
    "CurveSettings",
    "DifficultyCurve",
    "LindMehlum",
    "PartialCorrelation",
    "Reduction",
    "Regions",
    "TwoLines",
    "VarianceSplit",
    "Verdict",
    "assess",
    "curve",
    "lind_mehlum",
    "partial_correlation",
    "two_lines",
    "variance_split",
]
