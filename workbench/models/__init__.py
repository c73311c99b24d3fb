"""Causal language models: load or wrap one, give it prompts, find its think markers, check it."""

from workbench.models.language_model import LanguageModel
from workbench.models.loading import estimate, load
from workbench.models.memory import MemoryEstimate
from workbench.models.sources import bundled_names
from workbench.models.think_markers import Labeller, ThinkMarkers
from workbench.models.token_text import TextStream
from workbench.models.verification import Check, Verification
from workbench.models.wrapping import wrap

__all__ = [
    "Check",
    "Labeller",
    "LanguageModel",
    "MemoryEstimate",
    "TextStream",
    "ThinkMarkers",
    "Verification",
    "bundled_names",
    "estimate",
    "load",
    "wrap",
]
