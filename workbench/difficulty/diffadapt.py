"""DiffAdapt from end to end: label problems by a sweep, train the probe on some, choose strategies for the others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from workbench.difficulty.comparison import Comparison, compare
from workbench.difficulty.features import prompt_states
from workbench.difficulty.labels import (
    Labels,
    Thresholds,
    collected,
    label_problems,
    problem_means,
    suggest_thresholds,
)
from workbench.difficulty.training import held_out_mask, train_probe
from workbench.errors import DifficultyError

if TYPE_CHECKING:
    from workbench.difficulty.probe import Choices, Probe
    from workbench.models import LanguageModel


@dataclass(frozen=True, eq=False, repr=False)
class Adaptation:
    """A probe for one model, and what it chose for the problems it was not trained on."""

    labels: Labels
    """Of all problems, training and held-out."""
    probe: Probe
    held_out: tuple[str, ...]
    """The held-out problems."""
    predictions: Choices
    """The probe's word on each held-out problem, in that order."""

    @property
    def choices(self) -> dict[str, str]:
        """Held-out problem -> strategy, by the probe; for `compare`."""
        return dict(zip(self.held_out, self.predictions.label.tolist(), strict=True))

    @property
    def label_choices(self) -> dict[str, str]:
        """Held-out problem -> strategy, by the label itself; for `compare`."""
        known = self.labels.of_problem
        return {problem: known[problem] for problem in self.held_out}

    def compare(self, results: pl.DataFrame | pl.LazyFrame, **options: Any) -> Comparison:  # noqa: ANN401
        """`compare` with these choices and labels on a sweep over the strategies; `options` are its own.

        Raises:
            DifficultyError: as `compare`.
        """
        return compare(results, self.choices, labels=self.label_choices, **options)

    def to_frame(self) -> pl.DataFrame:
        """A row a held-out problem: problem, true_label, then as `Choices.to_frame`."""
        named = pl.DataFrame({"problem": self.held_out, "true_label": list(self.label_choices.values())})
        return named.hstack(self.predictions.to_frame())

    def __repr__(self) -> str:
        return f"Adaptation({self.labels!r}, {self.probe!r}, {self.predictions!r})"


def adapt(
    model: LanguageModel,
    problems: pl.DataFrame,
    results: pl.DataFrame | pl.LazyFrame,
    thresholds: Thresholds | None = None,
    *,
    profile: str | None = None,
    holdout: float = 0.3,
    floor: float = 0.0,
    seed: int = 0,
    batch_size: int = 16,
    chat: bool | None = None,
    **training: Any,  # noqa: ANN401
) -> Adaptation:
    """Label, train and choose, as DiffAdapt (arXiv 2510.19669) does.

    Problems are split first; thresholds that are not given are suggested by the training problems alone. Labels come
    from the sweep `results`, states from the problems' own prompts, without any strategy's words around them.

    Args:
        model: the model that gave the results.
        problems: columns problem and prompt; those without results are left out.
        results: a profiling sweep of that model: columns problem, correct, entropy, a row a response.
        thresholds: of the labels.
        profile: the arm to label by, where `results` holds several; "normal" if there is one.
        holdout: share of the problems kept for judging.
        floor: least confidence below which a prompt is decoded as normal.
        seed: of the split and the training.
        batch_size: prompts in one pass of the model.
        chat: as for `wb.record`.
        training: hidden, lr, epochs, standardise, balanced, and batch_size under the name probe_batch_size.

    Raises:
        DifficultyError: columns missing, a problem twice, no problem with results, or as the steps themselves.
    """
    arms = collected(results, ("problem", "correct", "entropy"))
    if profile is None and "sampler" in arms.columns and "normal" in arms["sampler"]:
        profile = "normal"
    means = problem_means(arms, sampler=profile).drop_nulls("entropy")
    known = collected(problems, ("problem", "prompt"))
    if known["problem"].is_duplicated().any():
        raise DifficultyError("A problem comes twice among the problems; give each once.")
    joined = known.select("problem", "prompt").join(means, on="problem", maintain_order="left")
    if not len(joined):
        raise DifficultyError("None of the problems has results; do the sweep and the problem set belong together?")
    held_out = held_out_mask(joined["prompt"].to_list(), holdout, seed)  # the same words are never on both sides
    labels = label_problems(joined, thresholds or suggest_thresholds(joined.filter(~held_out)))
    states = prompt_states(model, joined["prompt"].to_list(), batch_size=batch_size, chat=chat)
    if "probe_batch_size" in training:
        training["batch_size"] = training.pop("probe_batch_size")
    probe = train_probe(states, labels.label, holdout=held_out, seed=seed, floor=floor, **training)
    names = tuple(joined.filter(held_out)["problem"].to_list())
    return Adaptation(labels, probe, names, probe.choose(states[held_out]))
