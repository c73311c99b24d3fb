"""A sampler's settings in other engines' words."""

from workbench.samplers.engines.export import Export
from workbench.samplers.engines.llamacpp import to_llamacpp
from workbench.samplers.engines.transformers import to_transformers
from workbench.samplers.engines.vllm import to_vllm

__all__ = ["Export", "to_llamacpp", "to_transformers", "to_vllm"]
