"""What the difficulty panel says of a curve, its tests, its labels and a trained probe."""

from __future__ import annotations

import re
from html import escape
from typing import TYPE_CHECKING

from widgets.figures.difficulty_chart import verdict_line
from widgets.panels.settings_panel import alert, explained, facts

if TYPE_CHECKING:
    from widgets.panels.difficulty_adapt import Outcome
    from workbench.difficulty import DifficultyCurve, Labels, Thresholds, Verdict

_SIGNS = {"supported": "✓", "not supported": "✗", "not identifiable": "?"}
_FALL = "1 − mean entropy of the medium levels / that of the easy ones, with the sign turned, and its 95 % interval"
RULE = (
    '<div style="opacity:.8;line-height:1.4">normal: accuracy ≥ α and entropy ≤ β<br>else hard: accuracy &lt; γ<br>'
    "else easy</div>"
)
"""DiffAdapt's labels, for below the sliders."""


def verdict_words(curve: DifficultyCurve, verdict: Verdict) -> str:
    """The answer, what it rests on, and the tests' numbers in a line."""
    reduction = curve.reduction
    fell = "" if reduction is None else (
        f"{explained('entropy easy → medium', _FALL)} <span style='white-space:nowrap'><b>{_signed(-reduction.value)}"
        f"</b> [{_signed(-reduction.high)}, {_signed(-reduction.low)}]</span>"
    )  # fmt: skip
    left_out = curve.without_difficulty + curve.without_entropy
    said = facts(
        f'<span style="font-size:1.3em;font-weight:600">{_SIGNS[verdict.answer]} {escape(verdict.headline)}</span>',
        f"{len(curve.problems):,} problems, {len(curve.sequences):,} responses",
        fell,
        f"{left_out:,} responses without difficulty or entropy left out" if left_out else "",
    )
    return f'<div>{said}</div><div style="opacity:.85">{escape(verdict_line(verdict))}</div>'


def reason_words(verdict: Verdict | None) -> str:
    """Why, a sentence a line."""
    lines = () if verdict is None else verdict.reasons
    return '<div style="line-height:1.4;opacity:.85">' + "<br>".join(map(escape, lines)) + "</div>"


def label_words(labels: Labels) -> str:
    """How many problems of each label, and what the thresholds do to each other."""
    counts = facts(*(f"<b>{count:,}</b> {name}" for name, count in labels.counts.items()))
    overlap = "α lies below γ: where both rules hold a problem is normal." if labels.thresholds.overlap else ""
    return f'<div style="line-height:2">{counts}</div>{RULE}<div style="line-height:1.4">{overlap}</div>'


def threshold_words(thresholds: Thresholds) -> str:
    """α, β and γ in a line."""
    return f"α = {thresholds.alpha:.3g}, β = {thresholds.beta:.4g} nats, γ = {thresholds.gamma:.3g}"


def outcome_words(outcome: Outcome) -> str:
    """What the probe does, what its choices come to, or how to find out."""
    found, made = outcome.adaptation, outcome.comparison
    said = [f"<b>The probe</b>: {_minus(found.probe.evaluation.verdict)}."]
    if found.probe.missing:
        said.append(f"It was never shown {escape(' or '.join(found.probe.missing))}.")
    if made is not None:
        left = len(found.held_out) - made.problems
        partly = f" ({left:,} more were held out, but not run by every strategy)" if left else ""
        said.append(f"<br><b>The strategies</b>: {_minus(made.verdict)}{partly}")
    else:
        said.append(alert(outcome.trouble) if outcome.trouble else "<br>No strategies to compare were given.")
        said.append(_how_to(outcome))
    return f'<div style="line-height:1.4">{" ".join(said)}</div>'


def _how_to(outcome: Outcome) -> str:
    model = dict(outcome.material.source).get("model", "demo")
    code = f"""held_out = sweep.problems.filter(pl.col("problem").is_in(panel.adapt.held_out))
held_out = wb.problems.Problems("held-out", held_out, sweep.settings["grader"])
arms = wb.difficulty.strategies({outcome.material.tokens or 640})
wb.sweeps.run({model!r}, held_out, samples=4, sampler=arms, out="strategies")
DifficultyPanel(sweep, strategies="strategies")"""
    return (
        f"Run DiffAdapt's strategies on the {len(outcome.adaptation.held_out):,} held-out problems, and give the "
        f'result as strategies:<pre style="margin:4px 0;line-height:1.35"><code>{escape(code)}</code></pre>'
    )


def _minus(text: str) -> str:
    """Escaped, with true minus signs, at which no line is broken."""
    return re.sub(r"-(?=\d)", "\u2212", escape(text))


def _signed(share: float) -> str:
    """A percentage with its sign, and a true minus."""
    return f"{100 * share + 0.0:+.1f} %".replace("-", "\u2212")
