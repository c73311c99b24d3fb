"""What the phase panel says of a trace and of a sweep, and its numbers side by side."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from widgets.panels.phase_over import names
from widgets.panels.settings_panel import explained, facts
from workbench.phases import pear_kink, pear_penalty, pear_reward

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from widgets.panels.phase_settings import PhaseView
    from workbench.phases import PearRewards, PhaseEntropy

STYLE = """<style>
.workbench-phases .widget-tab-contents { padding: 2px 4px !important; }
.workbench-phases .lm-TabBar-tab { flex: 0 1 auto !important; min-width: 0 !important; padding: 0 12px; }
.workbench-phases .workbench-readout table {
  border-collapse: collapse; font-variant-numeric: tabular-nums; width: 100%; table-layout: fixed; }
.workbench-phases .workbench-readout :is(td, th) {
  border-bottom: 1px solid var(--jp-border-color2, #ddd); line-height: 1.3; padding: 3px 6px; text-align: right;
  color: var(--jp-ui-font-color1, inherit); font-weight: 400; }
.workbench-phases .workbench-readout :is(td, th):first-child { text-align: left; width: 38%; padding-left: 2px; }
.workbench-phases .workbench-readout thead th { font-size: .92em; font-weight: 600; white-space: nowrap; }
.workbench-phases .workbench-readout tr.chief td { font-size: 1.25em; font-weight: 700; }
</style>"""

_PENALTY = "P = max(0, H_think − α H_ans), nats"
_REWARD = "A correct answer earns min(1, s − P), a wrong one the format reward"
_KINK = "α* = H_think / H_ans: from there on a correct answer is not penalised"
_HEADS = {"raw": "raw entropy, nats", "sampled": "sampled entropy, nats"}


def trace_words(found: PhaseEntropy, view: PhaseView, row: Mapping[str, Any] | None) -> str:
    """Which trace, how its phases compare, and what is odd about it."""
    correct = None if row is None else row.get("correct")
    where = "This trace" if row is None else f"<b>{escape(str(row['problem']))}</b>, sample {row['sample']}"
    judged = {True: "correct", False: "wrong"}.get(correct, "no verdict: the reward takes it as correct")
    flags = _flags(found, correct=correct, reward=_reward(found, view, correct=correct), view=view)
    return f"<div>{where} ({judged}): {_compared(found)}{flags}</div>"


def sweep_words(frame: pl.DataFrame, view: PhaseView, rewards: PearRewards | None, *, clickable: bool) -> str:
    """How many sequences think less surely than they answer, and how many are odd."""
    think, answer = names(view.kind)
    if not len(frame) or not {think, answer} <= set(frame.columns):
        return "<div>The sweep's results know no entropies by phase.</div>"
    both = frame.select(
        pairs=(pl.col(think).is_not_null() & pl.col(answer).is_not_null()).sum(),
        less_sure=(pl.col(think) > pl.col(answer)).sum(),
    ).row(0, named=True)
    counted = [
        (_count(frame, "closings", pl.col("closings") == 0), "without a closing marker"),
        (_count(frame, "unfinished", pl.col("unfinished")), "with unfinished thinking"),
        (_count(frame, "answer_tokens", pl.col("answer_tokens") == 0), "with an empty answer"),
    ]
    if rewards is not None:
        counted += [(int(rewards.negative.sum()), "correct with a negative reward")]
        counted += [(int(rewards.below_format.sum() - rewards.negative.sum()), "correct below the format reward")]
    said = facts(
        f"The sweep: {both['less_sure']:,} of {both['pairs']:,} sequences think less surely than they answer",
        '<span style="opacity:.75">click a point to open its trace</span>' if clickable else "",
    )
    odd = facts(*(f"{count:,} {words}" for count, words in counted if count > 0))
    return f"<div>{said}{_warning(odd)}</div>"


def readout(
    found: PhaseEntropy | None, view: PhaseView, row: Mapping[str, Any] | None, over: Mapping[str, float] | None
) -> str:
    """Entropies, penalty and reward, of the trace and (as `sweep_means` has them) over the sweep, as a table."""
    columns: list[tuple[str, Sequence[str]]] = []
    if found is not None:
        correct = None if row is None else row.get("correct")
        numbers = [
            found.think, found.answer, pear_penalty(found.think, found.answer, alpha=view.alpha),
            _reward(found, view, correct=correct), float("nan") if correct is False else _kink(found),
        ]  # fmt: skip
        empty = (found.n_think == 0, found.n_answer == 0)
        said = ["no token" if at < len(empty) and empty[at] else _number(one) for at, one in enumerate(numbers)]
        columns.append(("this trace", said))
    if over is not None:
        # a sweep's results are by labels, whatever the boundary of the trace
        title = "sweep mean" if view.boundary == "labels" else "sweep, labels"
        columns.append((title, [_number(over[name]) for name in (*_OVER, "none")]))
    heads = [
        "thinking", "answer", explained("penalty P", _PENALTY), explained("reward", _REWARD),
        explained("flat from α", _KINK),
    ]  # fmt: skip
    titles = "".join(f"<th>{title}</th>" for title, _ in columns)
    rows = "".join(
        f"<tr{' class=chief' if head.endswith('reward</abbr>') else ''}><td>{head}</td>"
        f"{''.join(f'<td>{column[at]}</td>' for _, column in columns)}</tr>"
        for at, head in enumerate(heads)
    )
    return f"<table><thead><tr><th>{_HEADS[view.kind]}</th>{titles}</tr></thead><tbody>{rows}</tbody></table>"


_OVER = ("think", "answer", "penalty", "reward")


def sweep_means(frame: pl.DataFrame, view: PhaseView, rewards: PearRewards | None) -> dict[str, float]:
    """Means over the sequences that have the phase, or the verdict; NaN where none has."""
    values = {"none": float("nan"), "penalty": float("nan"), "reward": float("nan")}
    for phase, name in zip(("think", "answer"), names(view.kind), strict=True):
        mean = frame[name].mean() if name in frame.columns else None
        values[phase] = mean if isinstance(mean, float) else float("nan")
    if rewards is not None:
        values |= {"penalty": float(rewards.penalty.mean()), "reward": float(rewards.reward.mean())}
    return values


def _compared(found: PhaseEntropy) -> str:
    """In words; the numbers are in the readout."""
    if not found.n_think or not found.n_answer:
        return "only an answer" if found.n_answer else "only thinking" if found.n_think else "no token of either phase"
    if found.think == found.answer:
        return "thinking and answer are equally uncertain"
    if min(found.think, found.answer) <= 0:
        return f"only the {'thinking' if found.think > found.answer else 'answer'} is uncertain at all"
    if found.think > found.answer:
        return f"thinking is <b>{_times(found.think / found.answer)}</b> as uncertain as the answer"
    return f"the answer is <b>{_times(found.answer / found.think)}</b> as uncertain as the thinking"


def _times(ratio: float) -> str:
    return f"{ratio:.2f} times" if ratio < 100 else "over 100 times"


def _reward(found: PhaseEntropy, view: PhaseView, *, correct: bool | None) -> float:
    options = {"alpha": view.alpha, "s": view.s, "format_reward": view.format_reward}
    return pear_reward(found.think, found.answer, correct is not False, **options)


def _kink(found: PhaseEntropy) -> float:
    return pear_kink(found.think, found.answer)


def _flags(found: PhaseEntropy, *, correct: bool | None, reward: float, view: PhaseView) -> str:
    odd = [
        (found.no_marker, "no think marker"),
        (found.unfinished, "thinking unfinished"),
        (found.closings > 1, f"{found.closings} closing markers"),
        (found.empty_answer, "empty answer"),
        (correct is True and reward < 0, "correct, yet its reward is negative"),
        (correct is True and 0 <= reward < view.format_reward, "correct, yet below the format reward"),
        (found.unknown > 0, f"{found.unknown:,} tokens without a known entropy"),
    ]
    return _warning("; ".join(words for holds, words in odd if holds))


def _warning(said: str) -> str:
    return f' <span style="color:var(--jp-error-color1,#b71c1c)">⚠ {said}</span>' if said else ""


def _count(frame: pl.DataFrame, column: str, holds: pl.Expr) -> int:
    return int(frame.select(holds.sum()).item() or 0) if column in frame.columns else 0


def _number(value: float) -> str:
    if not np.isfinite(value):
        return "–"
    return f"{round(value, 4) + 0.0:.4f}".replace("-", "−") if abs(value) < 1e4 else "very large"
