"""Training DiffAdapt's probe, and keeping some problems out of it."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from workbench.difficulty.evaluation import Evaluation
from workbench.difficulty.labels import LABELS
from workbench.difficulty.probe import Probe, as_states, check_share, outputs
from workbench.errors import DifficultyError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

_UNKNOWN = -100
"""cross_entropy leaves these out: labels the training examples never show."""


@torch.inference_mode(mode=False)  # a notebook may be in it
def train_probe(
    states: ArrayLike,
    labels: Sequence[str] | NDArray[np.str_],
    *,
    hidden: int = 256,
    lr: float = 1e-3,
    epochs: int = 100,
    batch_size: int = 32,
    seed: int = 0,
    holdout: float | NDArray[np.bool_] = 0.3,
    groups: Sequence[object] | None = None,
    standardise: bool = True,
    balanced: bool = False,
    floor: float = 0.0,
) -> Probe:
    """Train a probe on a part of the examples and judge it on the others.

    Cross-entropy, AdamW with learning rate 1e-3 and 100 epochs are DiffAdapt's (arXiv 2510.19669); hidden units, batch
    size and standardisation are not published and ours. The last epoch's weights are kept: nothing is chosen by the
    held-out examples. Same seed, same machine, same numbers.

    Args:
        states: (N, d) as `prompt_states` gives them.
        labels: (N,) easy, normal or hard.
        hidden: units of the hidden layer; 0 for a linear probe.
        lr: learning rate.
        epochs: passes over the training examples.
        batch_size: examples a step.
        seed: of the split, the first weights and the order of the examples.
        holdout: share of the groups that is held out, or (N,) which examples are.
        groups: (N,) examples of one group stay together, such as several prompts of one problem; each its own if None.
        standardise: bring each input to mean 0 and deviation 1 over the training examples.
        balanced: weigh each class by the inverse of its frequency, so that rare labels count as much.
        floor: least confidence below which a prompt is decoded as normal; 0 never falls back.

    Raises:
        DifficultyError: lengths differ, an unknown label, one label only among the training examples, nothing left to
            train on or to hold out, or a setting out of range.
    """
    h, y = as_states(states), _classes(labels)
    if len(h) != len(y):
        raise DifficultyError(f"{len(h):,} states and {len(y):,} labels: give one label a state.")
    if hidden < 0 or epochs < 1 or batch_size < 1 or not lr > 0:
        raise DifficultyError(
            f"hidden is at least 0, epochs and batch_size at least 1 and lr above 0, not {hidden=}, {epochs=}, "
            f"{batch_size=}, {lr=}."
        )
    held_out = _held_out(holdout, groups, y, seed)
    present = np.unique(y[~held_out])
    if len(present) < 2:
        raise DifficultyError(
            f"All {int((~held_out).sum()):,} training problems are {LABELS[present[0]]}: there is nothing to tell "
            "apart. Move the thresholds, or take problems that differ more."
        )
    mean, scale = _standards(h[~held_out], standardise=standardise)
    x = (h - mean) / scale
    target = torch.full((len(LABELS),), _UNKNOWN)
    target[present] = torch.arange(len(present))
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        torch.manual_seed(seed)
        weights = _first_weights(h.shape[1], hidden, len(present))
        losses = _fit(weights, x, target[y], held_out, lr=lr, epochs=epochs, batch_size=batch_size, balanced=balanced)
    fixed = {name: weight.detach() for name, weight in weights.items()}
    with torch.inference_mode():
        found = present[outputs(fixed, x[held_out]).argmax(dim=1).numpy()]
    settings = {
        "hidden": hidden, "lr": lr, "epochs": epochs, "batch_size": batch_size, "seed": seed,
        "standardise": standardise, "balanced": balanced,
    }  # fmt: skip
    evaluation = _evaluate(y, found, held_out, losses)
    classes = tuple(LABELS[k] for k in present)
    return Probe(fixed, mean, scale, classes, check_share(floor, "floor"), settings, evaluation)


def held_out_mask(groups: Sequence[object], share: float, seed: int = 0) -> NDArray[np.bool_]:
    """(N,) which examples belong to the held-out groups: `share` of the distinct groups, rounded, at least one.

    Chosen by a hash of `seed` and the group, so that the same problems are held out in whatever order they come.

    Raises:
        DifficultyError: fewer than two groups, a share out of range, or one that leaves nothing to train on.
    """
    distinct = sorted(set(groups), key=lambda group: blake2b(f"{seed}\0{group}".encode(), digest_size=8).digest())
    count = max(1, round(check_share(share, "holdout") * len(distinct)))
    if count >= len(distinct):
        raise DifficultyError(
            f"Holding out {share:g} of {len(distinct):,} problems leaves none to train on; give more problems or a "
            "smaller share."
        )
    chosen = set(distinct[:count])
    return np.array([group in chosen for group in groups], dtype=bool)


def _classes(labels: Sequence[str] | NDArray[np.str_]) -> NDArray[np.int64]:
    unknown = sorted({str(name) for name in labels} - set(LABELS))
    if unknown:
        raise DifficultyError(f"Labels are {', '.join(LABELS)}; these are not: {', '.join(unknown)}.")
    return np.array([LABELS.index(str(name)) for name in labels], dtype=np.int64)


def _held_out(
    holdout: float | NDArray[np.bool_], groups: Sequence[object] | None, y: NDArray[np.int64], seed: int
) -> NDArray[np.bool_]:
    if isinstance(holdout, (int, float)):
        members = range(len(y)) if groups is None else groups
        if len(members) != len(y):
            raise DifficultyError(f"{len(members):,} groups for {len(y):,} examples: give one group an example.")
        return held_out_mask(members, holdout, seed)
    mask = np.asarray(holdout)
    if mask.dtype != bool or mask.shape != y.shape or not mask.any() or mask.all():
        raise DifficultyError(
            "holdout is a share such as 0.3, or one bool a label, some of them True and some False; this one has "
            f"dtype {mask.dtype} and shape {mask.shape}."
        )
    return mask


def _standards(h: torch.Tensor, *, standardise: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and deviation (d,) of the training states; an input that never changes keeps its scale."""
    if not standardise:
        return torch.zeros(h.shape[1]), torch.ones(h.shape[1])
    scale = h.double().std(dim=0, correction=0).float()
    return h.double().mean(dim=0).float(), torch.where(scale > 0, scale, 1.0)


def _first_weights(width: int, hidden: int, classes: int) -> dict[str, torch.Tensor]:
    """As torch's own linear layers begin."""
    weights: dict[str, torch.Tensor] = {}
    if hidden:
        first = nn.Linear(width, hidden)
        weights |= {"W1": first.weight, "b1": first.bias}
    last = nn.Linear(hidden or width, classes)
    return {**weights, "W2": last.weight, "b2": last.bias}


def _fit(
    weights: dict[str, torch.Tensor],
    x: torch.Tensor,
    target: torch.Tensor,
    held_out: NDArray[np.bool_],
    *,
    lr: float,
    epochs: int,
    batch_size: int,
    balanced: bool,
) -> NDArray[np.float64]:
    """Train in place; (2, epochs) losses of training and held-out examples, NaN where no held-out label is known."""
    train, test = torch.from_numpy(~held_out), torch.from_numpy(held_out)
    inputs, targets = x[train], target[train]
    counts = torch.bincount(targets).float()
    cost = nn.CrossEntropyLoss(len(targets) / (len(counts) * counts) if balanced else None)
    optimiser = torch.optim.AdamW(weights.values(), lr=lr)
    losses = np.empty((2, epochs))
    for epoch in range(epochs):
        total = 0.0
        for rows in torch.split(torch.randperm(len(inputs)), batch_size):
            loss = cost(outputs(weights, inputs[rows]), targets[rows])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            total += float(loss.detach()) * len(rows)
        with torch.no_grad():
            held = nn.functional.cross_entropy(outputs(weights, x[test]), target[test], ignore_index=_UNKNOWN)
        losses[:, epoch] = total / len(inputs), float(held)
    return losses


def _evaluate(
    y: NDArray[np.int64], found: NDArray[np.int64], held_out: NDArray[np.bool_], losses: NDArray[np.float64]
) -> Evaluation:
    """`found` are the labels given to the held-out examples."""
    truth = y[held_out]
    confusion = np.zeros((len(LABELS), len(LABELS)), dtype=np.int64)
    np.add.at(confusion, (truth, found), 1)
    majority = int(np.bincount(y[~held_out], minlength=len(LABELS)).argmax())
    right, by_majority = found == truth, truth == majority
    return Evaluation(
        held_out=held_out,
        confusion=confusion,
        majority=LABELS[majority],
        only_probe=int((right & ~by_majority).sum()),
        only_majority=int((by_majority & ~right).sum()),
        losses=losses[0],
        held_out_losses=losses[1],
    )
