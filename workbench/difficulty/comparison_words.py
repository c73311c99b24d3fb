"""What a comparison of strategies found, in words: gains, losses and what the data cannot tell."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workbench.difficulty.comparison import Comparison, Estimate, Outcome


_FEW = 0.05
"""Share of correct responses below which a comparison says little."""


def verdict(found: Comparison) -> str:
    """The adaptive choice against the reference, against the other fixed arms, and the room the oracle shows."""
    adaptive = found["adaptive"]
    parts = [
        f"On {found.problems:,} held-out problem{'s' if found.problems > 1 else ''} the adaptive choice",
        f"{tokens_words(adaptive.tokens_saved)} against always {found.reference},",
        f"and {accuracy_words(adaptive.accuracy_difference)}.",
        _judgement(found, adaptive),
        *_hopeless(found),
        *_constant(adaptive),
        *_dominated(found, adaptive),
        _room(found),
    ]
    return " ".join(parts)


def tokens_words(saved: Estimate) -> str:
    """The tokens saved, or taken more."""
    if saved.value < 0:
        return f"takes {-saved.value:.1f} % more tokens [{-saved.high:.1f}, {-saved.low:.1f}]"
    return f"saves {saved.value:.1f} % of the tokens [{saved.low:.1f}, {saved.high:.1f}]"


def accuracy_words(difference: Estimate) -> str:
    """The difference in accuracy, in percentage points."""
    value, low, high = (100 * x for x in (difference.value, difference.low, difference.high))
    return f"its accuracy differs by {value:+.1f} points [{low:+.1f}, {high:+.1f}]"


def _judgement(found: Comparison, adaptive: Outcome) -> str:
    saved, gained = adaptive.tokens_saved.sign, adaptive.accuracy_difference.sign
    tokens = {1: "It saves tokens", 0: "It is not shown to save tokens", -1: "It costs tokens"}[saved]
    if gained:
        joined = "and" if gained == saved else "but"
        return f"{tokens}, {joined} it is {'more' if gained > 0 else 'less'} accurate."
    low, high = 100 * adaptive.accuracy_difference.low, 100 * adaptive.accuracy_difference.high
    if low == high == 0:
        # nothing to resample: the share of problems that may differ though none of n does, "rule of three" at 95 %
        unseen = 1 - (1 - found.level) ** (1 / found.problems)
        return f"{tokens}; no problem's accuracy changed, which does not exclude changes in up to {unseen:.0%} of them."
    doubt = f"a loss of up to {-low:.1f}" if low < 0 else f"a gain of up to {high:.1f}"
    return f"{tokens}; no change of accuracy is shown, and {doubt} points is not excluded."


def _hopeless(found: Comparison) -> list[str]:
    """Where nothing is solved there is nothing to lose, and every short answer looks like a saving."""
    best = max(outcome.accuracy.value for outcome in found.outcomes if outcome.kind == "fixed")
    if best >= _FEW:
        return []
    return [f"No fixed strategy is right more often than {best:.1%}: with so little to lose, tokens saved mean little."]


def _constant(adaptive: Outcome) -> list[str]:
    always = [arm for arm, share in adaptive.shares.items() if share == 1]
    return [f"The probe chose {always[0]} for every problem, so that nothing was adapted."] if always else []


def _dominated(found: Comparison, adaptive: Outcome) -> list[str]:
    """Fixed arms at least as good on both counts and better on one, by the numbers as they stand."""
    score = (adaptive.accuracy.value, -adaptive.tokens.value)
    better = []
    for outcome in found.outcomes:
        own = (outcome.accuracy.value, -outcome.tokens.value)
        if outcome.kind == "fixed" and own[0] >= score[0] and own[1] >= score[1] and own != score:
            better.append(f"always {outcome.strategy}")
    if not better:
        return []
    verb = "does" if len(better) == 1 else "do"
    return [f"Without any probe, {' and '.join(better)} {verb} at least as well on both counts."]


def _room(found: Comparison) -> str:
    oracle = found["oracle"]
    said = f"The oracle in hindsight {_both(oracle)}"
    split = [outcome for outcome in found.outcomes if outcome.kind == "oracle_split"]
    return (
        f"{said}; chosen on half of the responses and judged on the other, it {_both(split[0])}."
        if split
        else (f"{said}, which is optimistic; with two responses a problem and arm it could be judged honestly.")
    )


def _both(outcome: Outcome) -> str:
    points = 100 * outcome.accuracy_difference.value
    saved = outcome.tokens_saved.value
    return f"changes accuracy by {points:+.1f} points and tokens by {-saved:+.1f} %"
