"""What a sampler does to a whole trace: one line while sliders move, and a table before, A and B."""

from __future__ import annotations

import math
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from widgets.figures.text import Unit, per_unit

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from workbench.samplers.replaying import Replay


@dataclass(frozen=True)
class Row:
    """One line of the summary: what it is called, its help, and how a replay's summary gives it in a unit."""

    label: str
    help: str
    value: Callable[[Mapping[str, float], Unit], str]


def number(value: float, digits: int = 3) -> str:
    """A number for reading: thousands apart, ∞ and − as signs, a dash where it is not known."""
    if math.isnan(value):
        return "–"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    return f"{round(value, digits) + 0.0:,.{digits}f}".replace("-", "−")  # + 0 turns −0 into 0


def _share(value: float) -> str:
    return "–" if math.isnan(value) else f"{100 * value:.1f} %"


def _entropy(name: str) -> Callable[[Mapping[str, float], Unit], str]:
    return lambda summary, unit: number(summary[name] / per_unit(unit))


def _dropped(summary: Mapping[str, float], _: Unit) -> str:
    if math.isnan(summary["dropped"]):
        return "–"
    return f"{summary['dropped']:,.0f} ({_share(summary['dropped_share'])})"


ROWS = (
    Row("tokens kept, mean", "How many tokens are left to draw from", lambda s, _: number(s["mean_support"], 1)),
    Row("forced tokens", "Share of tokens with a single choice", lambda s, _: _share(s["forced_share"])),
    Row("kept mass, mean", "Raw probability of what is kept", lambda s, _: number(s["mean_kept_mass"])),
    Row("entropy, mean", "Of the distribution that is left; before: raw", _entropy("mean_entropy")),
    Row("KL from raw, mean", "KL(left ‖ raw)", _entropy("mean_divergence")),
    Row("would not survive", "Realised tokens that are not kept", _dropped),
    Row("log-prob of the text", "Of all realised tokens; −∞ as soon as one is dropped", _entropy("logprob")),
    Row("… its change", "Against the raw distribution", _entropy("logprob_change")),
    Row("… of the survivors", "Of the realised tokens that are kept", _entropy("logprob_survivors")),
    Row("perplexity", "exp of the mean surprisal of the realised tokens", lambda s, _: number(s["perplexity"])),
    Row(
        "exact", "Share of tokens whose numbers are exact: the cut lies among the tokens the sketch holds singly",
        lambda s, _: _share(s["exact_share"]),
    ),
)  # fmt: skip
_IN_UNITS = ("entropy, mean", "KL from raw, mean", "log-prob of the text", "… its change", "… of the survivors")

_STYLE = (
    "border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums;line-height:1.5;"
    "color:var(--jp-ui-font-color1,inherit)"
)
_CELL = "padding:2px 8px;border-bottom:1px solid var(--jp-border-color2,#ddd)"


def summary_table(columns: Mapping[str, Replay | None], titles: Mapping[str, str], unit: Unit) -> str:
    """HTML: a row a number, a column a replay, in the order given; `titles` explains each column."""
    present = {name: replay.summary for name, replay in columns.items() if replay is not None}
    if not present:
        return ""
    head = "".join(
        f'<th scope="col" style="{_CELL};text-align:right" title="{escape(titles.get(name, ""))}">{escape(name)}</th>'
        for name in present
    )
    body = []
    for row in ROWS:
        label = f"{row.label} ({unit})" if row.label in _IN_UNITS else row.label
        cells = "".join(f'<td style="{_CELL};text-align:right">{row.value(s, unit)}</td>' for s in present.values())
        named = (
            f'<th scope="row" style="{_CELL};text-align:left;font-weight:400" title="{escape(row.help)}">{label}</th>'
        )
        body.append(f"<tr>{named}{cells}</tr>")
    corner = f'<th scope="col" style="{_CELL};text-align:left">whole trace</th>'
    notes = "".join(
        f"<div><b>{escape(name)}</b>: {escape(title)}</div>" for name, title in titles.items() if name in present
    )
    return (
        f'<table style="{_STYLE}"><thead><tr>{corner}{head}</tr></thead><tbody>{"".join(body)}</tbody></table>'
        f'<div style="line-height:1.4;padding:6px 8px">{notes}</div>'
    )


def headline(replay: Replay, unit: Unit) -> str:
    """HTML: what A does, in one line."""
    s = replay.summary
    if not len(replay):
        return ""
    scale = per_unit(unit)
    raw, after = number(s["mean_entropy_raw"] / scale), number(s["mean_entropy"] / scale)
    facts = [
        f"keeps <b>{number(s['mean_support'], 1)}</b> tokens on average, mass <b>{number(s['mean_kept_mass'])}</b>",
        f"mean entropy {raw} raw, <b>{after}</b> sampled {unit}",
        f"<b>{s['dropped']:,.0f}</b> of {len(replay):,} would not survive",
    ]
    if s["exact_share"] < 1:
        facts.append(f"exact for {_share(s['exact_share'])}")
    return ' <span style="opacity:.5">·</span> '.join(facts)
