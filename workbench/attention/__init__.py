"""Attention heads: statistics of every row, without ever holding an attention matrix."""

from workbench.attention.bins import EntropyBins, EntropyPenalty, entropy_bins, entropy_penalty
from workbench.attention.bounds import EntropyBounds, entropy_bound, entropy_bounds
from workbench.attention.capture import AttentionCapture, capture
from workbench.attention.checkpoints import head_history
from workbench.attention.decoding import HeadEntropies
from workbench.attention.head_stats import HeadStats
from workbench.attention.history import HeadHistory, training_runs
from workbench.attention.measuring import head_stats
from workbench.attention.memory import AttentionMemory, estimate_memory
from workbench.attention.pattern import Pattern
from workbench.attention.redundancy import HeadRedundancy, head_redundancy, vendi_score
from workbench.attention.reparam import SigmaReparam, bake_sigma_reparam, sigma_reparam
from workbench.attention.rows import STATISTICS
from workbench.attention.spectral import spectral_bounds
from workbench.attention.training import HeadLogger
from workbench.errors import AttentionError

__all__ = [
    "STATISTICS",
    "AttentionCapture",
    "AttentionError",
    "AttentionMemory",
    "EntropyBins",
    "EntropyBounds",
    "EntropyPenalty",
    "HeadEntropies",
    "HeadHistory",
    "HeadLogger",
    "HeadRedundancy",
    "HeadStats",
    "Pattern",
    "SigmaReparam",
    "bake_sigma_reparam",
    "capture",
    "entropy_bins",
    "entropy_bound",
    "entropy_bounds",
    "entropy_penalty",
    "estimate_memory",
    "head_history",
    "head_redundancy",
    "head_stats",
    "sigma_reparam",
    "spectral_bounds",
    "training_runs",
    "vendi_score",
]
