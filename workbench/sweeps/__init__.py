"""Problems x samples x samplers x models, decoded in batches, graded, resumable, here or on a cluster."""

from workbench.sweeps.estimating import Estimate
from workbench.sweeps.progress import Progress
from workbench.sweeps.running import estimate, run
from workbench.sweeps.strategy import Strategy
from workbench.sweeps.sweep import Sweep, open_sweep

__all__ = ["Estimate", "Progress", "Strategy", "Sweep", "estimate", "open_sweep", "run"]
