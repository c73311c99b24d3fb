"""What the phase panel says of a trace and of a sweep."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

import polars as pl

from widgets.panels.settings_panel import explained, facts
from workbench.phases import pear_kink, pear_penalty, pear_reward, pear_rewards

if TYPE_CHECKING:
    from collections.abc import Mapping

    from widgets.panels.phase_settings import PhaseView
    from workbench.phases import PhaseEntropy

_PENALTY = "P = max(0, H_think − α H_ans), nats; a correct answer earns min(1, s − P), a wrong one the format reward"


def trace_words(found: PhaseEntropy, view: PhaseView, row: Mapping[str, Any] | None) -> str:
    """Both means, the reward, and what is odd about this trace."""
    correct = None if row is None else row.get("correct")
    penalty = pear_penalty(found.think, found.answer, alpha=view.alpha)
    options = {"alpha": view.alpha, "s": view.s, "format_reward": view.format_reward}
    reward = pear_reward(found.think, found.answer, correct is not False, **options)
    kink = pear_kink(found.think, found.answer)
    where = "" if row is None else f"<b>{escape(str(row['problem']))}</b> sample {row['sample']}"
    judged = {True: "correct", False: "wrong"}.get(correct, "taken as correct")
    said = facts(
        where,
        f"{view.kind} entropy: thinking <b>{found.think:.4f}</b> nats ({found.n_think:,} tokens)",
        f"answer <b>{found.answer:.4f}</b> nats ({found.n_answer:,} tokens)",
        f"{explained('penalty', _PENALTY)} {penalty:.4f}",
        f"reward <b>{reward:.4f}</b> ({judged})".replace("-", "−"),
        f"flat from α = {kink:.2f}" if kink == kink and abs(kink) < 1e3 else "",  # noqa: PLR0124  -- NaN
    )
    flags = _flags(found, correct=correct, reward=reward, view=view)
    return f"<div>{said}{flags}</div>"


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
    said = "; ".join(words for holds, words in odd if holds)
    return f' <span style="color:var(--jp-error-color1,#b71c1c)">⚠ {escape(said)}</span>' if said else ""


def sweep_words(frame: pl.DataFrame, view: PhaseView) -> str:
    """Means over the sweep's sequences, and how many of them are odd."""
    names = [f"{'sampled_' if view.kind == 'sampled' else ''}{phase}_entropy" for phase in ("think", "answer")]
    if not len(frame) or not set(names) <= set(frame.columns):
        return "<div>The sweep's results know no entropies by phase.</div>"
    think, answer = (frame[name].mean() for name in names)
    counted = [
        (_count(frame, "closings", pl.col("closings") == 0), "without a closing marker"),
        (_count(frame, "unfinished", pl.col("unfinished")), "with unfinished thinking"),
        (_count(frame, "answer_tokens", pl.col("answer_tokens") == 0), "with an empty answer"),
    ]
    rewards, graded = None, graded_rows(frame, names)
    if len(graded):
        rewards = pear_rewards(
            *(graded[name].to_numpy() for name in (*names, "correct")),
            alpha=view.alpha, s=view.s, format_reward=view.format_reward,
        )  # fmt: skip
        counted += [(int(rewards.negative.sum()), "correct with a negative reward")]
        counted += [(int(rewards.below_format.sum() - rewards.negative.sum()), "correct below the format reward")]
    said = facts(
        f"{len(frame):,} sequences",
        f"thinking <b>{_number(think)}</b>, answer <b>{_number(answer)}</b> nats on average, {view.kind}",
        "" if rewards is None else f"mean reward <b>{rewards.reward.mean():.4f}</b>".replace("-", "−"),
        *(f"{count:,} {words}" for count, words in counted if count > 0),
    )
    return f"<div>{said}</div>"


def graded_rows(frame: pl.DataFrame, names: list[str]) -> pl.DataFrame:
    """Both entropies (0 for an empty phase, as the paper has it) and the verdict of the sequences that have one."""
    if not {*names, "correct"} <= set(frame.columns):
        return pl.DataFrame()
    return frame.filter(pl.col("correct").is_not_null()).select(
        *(pl.col(name).fill_null(0.0) for name in names), "correct"
    )


def _count(frame: pl.DataFrame, column: str, holds: pl.Expr) -> int:
    return int(frame.select(holds.sum()).item() or 0) if column in frame.columns else 0


def _number(value: object) -> str:
    return f"{value:.4f}" if isinstance(value, float) else "–"
