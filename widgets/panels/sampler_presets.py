"""Samplers worth starting from, with where their values come from."""

from __future__ import annotations

from dataclasses import dataclass

from workbench.samplers import (
    EntropyQuadrants,
    LocallyTypical,
    MinP,
    Mirostat,
    Sampler,
    Step,
    Temperature,
    TopH,
    TopK,
    TopNSigma,
    TopP,
)


@dataclass(frozen=True)
class Preset:
    """A named sampler."""

    name: str
    steps: tuple[Step, ...]
    source: str
    """Paper and section, or repository and path, of the values."""

    @property
    def sampler(self) -> Sampler:
        """The chain."""
        return Sampler.chain(self.steps)


PRESETS = (
    Preset("raw", (), "The model's own distribution: temperature 1, nothing filtered."),
    Preset("greedy", (Temperature(0.0),), "The most likely token always."),
    Preset("nucleus .95", (TopP(0.95),), "Holtzman et al., arXiv 1904.09751, section 3.1."),
    Preset(
        "min-p .1, T 1.5", (Temperature(1.5), MinP(0.1)),
        "Nguyen et al., arXiv 2407.01082: min-p 0.1 at temperatures above 1.",
    ),
    Preset("typical .9", (LocallyTypical(0.9),), "Meister et al., arXiv 2202.00666, section 4."),
    Preset(
        "top-nσ 1, T 1.5", (Temperature(1.5), TopNSigma(1.0)),
        "Tang et al., arXiv 2411.07641: n = 1; what is kept does not depend on the temperature.",
    ),
    Preset("top-H .4", (TopH(0.4),), "arXiv 2509.02510: α = 0.4."),
    Preset(
        "mirostat 3 bits", (Mirostat(3.0),), "Basu et al., arXiv 2007.14966, algorithm 2, with llama.cpp's rate of 0.1."
    ),
    Preset("entropix", (EntropyQuadrants(),), "xjdr-alt/entropix, entropix/sampler.py: its own thresholds."),
    Preset(
        "llama.cpp", (TopK(40, variant="llama.cpp"), TopP(0.95), MinP(0.05), Temperature(0.8)),
        "ggml-org/llama.cpp, common/common.h: its defaults in its order, the temperature last.",
    ),
    Preset("transformers", (TopK(50),), "transformers, GenerationConfig: a top-k of 50 is what do_sample alone does."),
)  # fmt: skip
