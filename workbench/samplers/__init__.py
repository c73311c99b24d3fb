"""How the next token is chosen."""

from workbench.samplers.sampler import Sampler

__all__ = ["Sampler"]
