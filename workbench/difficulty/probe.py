"""DiffAdapt's probe: from a prompt's last hidden state to easy, normal or hard."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import torch

from workbench.atomic import replacing
from workbench.difficulty.evaluation import Evaluation
from workbench.difficulty.labels import LABELS
from workbench.errors import DifficultyError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import ArrayLike, NDArray

FORMAT = "1"
"""Version of the file layout; a reader refuses what it does not know."""
_KEY = "workbench.probe"


@dataclass(frozen=True, eq=False, repr=False)
class Choices:
    """What a probe says of N prompts."""

    probability: NDArray[np.float64]
    """(N, 3) of easy, normal and hard; 0 for a label the probe was never shown."""
    label: NDArray[np.str_]
    """(N,) the most probable label, or normal where that is not probable enough."""
    fell_back: NDArray[np.bool_]
    """(N,) whether the most probable label was below the floor."""

    @property
    def confidence(self) -> NDArray[np.float64]:
        """(N,) probability of the most probable label."""
        top: NDArray[np.float64] = self.probability.max(axis=1)
        return top

    def to_frame(self) -> pl.DataFrame:
        """A row a prompt: label, confidence, fell_back, p_easy, p_normal, p_hard."""
        columns = {"label": self.label.tolist(), "confidence": self.confidence, "fell_back": self.fell_back}
        return pl.DataFrame(columns | {f"p_{name}": self.probability[:, k] for k, name in enumerate(LABELS)})

    def __repr__(self) -> str:
        counts = ", ".join(f"{int((self.label == name).sum()):,} {name}" for name in LABELS)
        return f"Choices({counts}; {int(self.fell_back.sum()):,} fell back to normal)"


@dataclass(frozen=True, eq=False, repr=False)
class Probe:
    """d = softmax(W2 ReLU(W1 h + b1) + b2), or softmax(W h + b) where hidden is 0. Made by `train_probe`.

    Source: DiffAdapt (arXiv 2510.19669); h is the prompt's last hidden state.
    """

    weights: Mapping[str, torch.Tensor]
    """W1 (hidden, d), b1 (hidden,), W2 (classes, hidden), b2 (classes,); without a hidden layer W2 (classes, d), b2."""
    mean: torch.Tensor
    """(d,) taken off every state; zeros where inputs are not standardised."""
    scale: torch.Tensor
    """(d,) every state is divided by it; ones where inputs are not standardised."""
    classes: tuple[str, ...]
    """The labels there were examples of, in the order of the outputs."""
    floor: float
    """Least confidence; below it a prompt is decoded as normal."""
    settings: Mapping[str, Any]
    """How it was trained."""
    evaluation: Evaluation
    """How it does on held-out problems."""

    @property
    def missing(self) -> tuple[str, ...]:
        """The labels it was never shown and so never gives."""
        return tuple(name for name in LABELS if name not in self.classes)

    def choose(self, states: ArrayLike, *, floor: float | None = None) -> Choices:
        """The label of each prompt; normal where the most probable label is below `floor` (its own where None).

        Args:
            states: (N, d) as `prompt_states` gives them.
            floor: least confidence, between 0 and 1.

        Raises:
            DifficultyError: another width than the probe's, missing values, or a floor out of range.
        """
        least = check_share(self.floor if floor is None else floor, "floor")
        h = as_states(states)
        if h.shape[1] != len(self.mean):
            raise DifficultyError(
                f"The probe reads states of width {len(self.mean)}, these have {h.shape[1]}; are they another model's?"
            )
        with torch.inference_mode():
            p = torch.softmax(outputs(self.weights, (h - self.mean) / self.scale), dim=1).double().numpy()
        probability = np.zeros((len(h), len(LABELS)))
        probability[:, [LABELS.index(name) for name in self.classes]] = p
        fell_back = probability.max(axis=1, initial=0.0) < least
        best = np.asarray(LABELS)[probability.argmax(axis=1)]
        return Choices(probability, np.where(fell_back, "normal", best), fell_back)

    def save(self, path: str | Path) -> Path:
        """Write everything to one safetensors file, settings and evaluation as JSON in its metadata.

        Raises:
            DifficultyError: the folder is missing or not writable, or the disk is full; no partial file is left.
        """
        from safetensors.torch import save_file  # noqa: PLC0415

        about = {
            "format": FORMAT, "classes": self.classes, "floor": self.floor, "settings": dict(self.settings),
            "evaluation": self.evaluation.to_dict(),
        }  # fmt: skip
        tensors = {**self.weights, "mean": self.mean, "scale": self.scale}
        target = Path(path)
        with replacing(target, DifficultyError) as part:
            save_file({name: t.contiguous() for name, t in tensors.items()}, part, metadata={_KEY: json.dumps(about)})
        return target

    @classmethod
    def load(cls, path: str | Path) -> Probe:
        """The probe that `save` wrote.

        Raises:
            DifficultyError: no such file, not a probe's, damaged, or of another version.
        """
        from safetensors import SafetensorError, safe_open  # noqa: PLC0415

        try:
            with safe_open(str(path), framework="pt") as file:
                metadata = file.metadata() or {}
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  -- no mapping
            about = json.loads(metadata[_KEY])
            if about["format"] != FORMAT:
                raise DifficultyError(
                    f"{path} has format {about['format']}, this version reads {FORMAT}; train the probe again."
                )
            classes = tuple(about["classes"])
            mean, scale = tensors.pop("mean"), tensors.pop("scale")
            _check_parts(tensors, mean, classes)
            evaluation = Evaluation.from_dict(about["evaluation"])
        except (OSError, SafetensorError, KeyError, TypeError, ValueError) as problem:
            raise DifficultyError(
                f"{path} is no probe this version can read ({problem}); give a file that `probe.save` wrote."
            ) from problem
        return cls(tensors, mean, scale, classes, about["floor"], about["settings"], evaluation)

    def __repr__(self) -> str:
        hidden = self.weights["W2"].shape[1] if "W1" in self.weights else 0
        kind = f"{hidden} hidden units" if hidden else "linear"
        return f"Probe({len(self.mean)} inputs, {kind}, {', '.join(self.classes)}; {self.evaluation.verdict})"


def outputs(weights: Mapping[str, torch.Tensor], h: torch.Tensor) -> torch.Tensor:
    """(N, classes) logits of standardised states (N, d)."""
    if "W1" in weights:
        h = torch.relu(h @ weights["W1"].T + weights["b1"])
    return h @ weights["W2"].T + weights["b2"]


def as_states(states: ArrayLike) -> torch.Tensor:
    """(N, d) float32 in memory, of its own.

    Raises:
        DifficultyError: not two-dimensional, or a value that is not finite.
    """
    if isinstance(states, torch.Tensor):
        states = states.detach().float().cpu().numpy()
    h = np.array(states, dtype=np.float32)
    if h.ndim != 2 or h.shape[1] == 0:
        raise DifficultyError(f"States are one row a prompt, (N, d); these have shape {h.shape}.")
    bad = ~np.isfinite(h).all(axis=1)
    if bad.any():
        raise DifficultyError(f"The states of {int(bad.sum()):,} prompts are not finite, first in row {bad.argmax()}.")
    return torch.from_numpy(h)


def _check_parts(weights: Mapping[str, torch.Tensor], mean: torch.Tensor, classes: tuple[str, ...]) -> None:
    first, last = weights.get("W1", weights["W2"]), weights["W2"]
    if first.shape[1] != len(mean) or len(last) != len(classes) or not set(classes) <= set(LABELS):
        raise ValueError("its parts do not belong together")


def check_share(value: float, name: str) -> float:
    """`value`, once it is known to lie between 0 and 1.

    Raises:
        DifficultyError: it does not.
    """
    if not 0 <= value <= 1:
        raise DifficultyError(f"{name} is between 0 and 1, not {value}.")
    return float(value)
