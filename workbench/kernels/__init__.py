"""Compiled loops over rows of logits. They know numba and numpy only."""

from workbench.kernels.entropy import entropy_rows
from workbench.kernels.exp import exp_nonpositive, exp_nonpositive64
from workbench.kernels.parallel import over_rows
from workbench.kernels.sketch import sketch_rows
from workbench.kernels.temper import temper_rows
from workbench.kernels.warming import warm

__all__ = [
    "entropy_rows",
    "exp_nonpositive",
    "exp_nonpositive64",
    "over_rows",
    "sketch_rows",
    "temper_rows",
    "warm",
]
