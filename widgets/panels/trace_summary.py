"""A trace in one line of numbers."""

from __future__ import annotations

import math
from html import escape
from typing import TYPE_CHECKING

import polars as pl

from widgets.figures.text import Unit, per_unit

if TYPE_CHECKING:
    from workbench.traces import Trace


_ENDED = {"end": "ended by itself", "length": "cut at the limit of tokens", "stopped": "stopped"}


def summary_html(trace: Trace, unit: Unit) -> str:
    """Tokens by phase, mean raw entropy and its exponential, perplexity, model, how it ended; "" without tokens."""
    tokens, meta = trace.tokens, trace.meta
    if not len(tokens):
        return ""
    facts = [f"<b>{len(tokens):,}</b> tokens", *_phases(tokens, unit)]
    surprisal = tokens["logprob"].mean()
    if isinstance(surprisal, float):
        facts.append(f"perplexity <b>{math.exp(-surprisal):.3f}</b>")
    if meta.get("model"):
        facts.append(escape(str(meta["model"])))
    if meta.get("finish") in _ENDED:
        facts.append(_ENDED[meta["finish"]])
    if meta.get("missing"):
        facts.append(f"not known: {escape(', '.join(meta['missing']))}")
    separator = ' <span style="opacity:.5">·</span> '
    return f'<div class="workbench-summary" style="line-height:1.6">{separator.join(facts)}</div>'


def _phases(tokens: pl.DataFrame, unit: Unit) -> list[str]:
    """Mean raw entropy of all tokens, and of each phase where there is more than one."""
    scale = per_unit(unit)
    known = tokens.filter(pl.col("entropy").is_not_null())
    if not len(known):
        return []
    mean = float(known["entropy"].mean())
    facts = [f"mean raw entropy <b>{mean / scale:.3f}</b> {unit} (exp H = {math.exp(mean):.2f} effective choices)"]
    by_phase = {name: frame["entropy"] for (name,), frame in known.group_by("phase")}
    if "think" in by_phase:
        facts += [
            f"{name} <b>{float(by_phase[name].mean()) / scale:.3f}</b> ({len(by_phase[name]):,})"
            for name in ("think", "answer")
            if name in by_phase
        ]
    return facts
