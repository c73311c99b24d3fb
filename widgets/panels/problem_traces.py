"""One problem of a sweep: its samples, what was extracted of each, and the tokens of the one on show."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

import ipywidgets
import polars as pl

from widgets.panels.settings_panel import alert, facts
from widgets.panels.trace_layers import alternatives, strip_layers, strip_phases
from widgets.strip import TokenStrip
from workbench.errors import WorkbenchError
from workbench.traces.columns import SCHEMA

if TYPE_CHECKING:
    from collections.abc import Mapping

    from widgets.session import Session
    from workbench.sweeps import Sweep
    from workbench.traces import Trace

_PROMPT = 600
"""Characters of a prompt on show."""


class ProblemTraces(ipywidgets.VBox):
    """Samples as buttons, right ones ticked; the one chosen becomes the session's trace.

    Args:
        session: shares trace and cursor.
        sweep: where traces are read from; None shows the numbers alone.
    """

    _connected = False

    def __init__(self, session: Session, sweep: Sweep | None) -> None:
        self.session, self._sweep = session, sweep
        self.rows = pl.DataFrame()
        self.trace: Trace | None = None
        self.about = ipywidgets.HTML(f'<span style="opacity:.8">{_HINT}</span>', layout={"min_height": "24px"})
        self.samples = ipywidgets.ToggleButtons(
            options=[], style={"button_width": "auto"}, tooltips=[], layout={"display": "none"}
        )
        self.verdict = ipywidgets.HTML()
        empty = pl.DataFrame(schema=SCHEMA)
        self.strip = TokenStrip(
            layers=strip_layers(empty), on_alternatives=self._alternatives, max_height=87, layout={"display": "none"}
        )
        super().__init__([self.about, ipywidgets.HBox([self.samples, self.verdict]), self.strip])
        self.add_class("workbench-problem")
        self.samples.observe(lambda change: self._chosen(change["new"]), "value")
        self.strip.observe(self._strip_moved, ["cursor", "hover"])
        self.session.observe(self._cursor_moved, ["cursor", "hover"])
        self._connected = True

    @property
    def problem(self) -> str | None:
        """The one on show."""
        return None if self.rows.is_empty() else str(self.rows["problem"][0])

    def show(self, rows: pl.DataFrame, sample: int | None = None) -> None:
        """Open a problem.

        Args:
            rows: the results of one problem under one model and sampler.
            sample: which one to begin with; the first where None.
        """
        if not len(rows):
            return
        self.rows = rows.sort("sample") if "sample" in rows.columns else rows.with_row_index("sample")
        self.about.value = _about(self.rows.row(0, named=True))
        options = [(_button(row), row["sample"]) for row in self.rows.iter_rows(named=True)]
        with self.samples.hold_trait_notifications():
            self.samples.options = options
            self.samples.value = None
        self.samples.layout.display = ""
        self.samples.value = options[0][1] if sample is None else sample

    def _chosen(self, sample: int | None) -> None:
        if sample is None:
            return
        row = self.rows.filter(pl.col("sample") == sample).row(0, named=True)
        self.verdict.value = _verdict(row)
        if self._sweep is None:
            return
        arm = {name: row[name] for name in ("sampler", "model") if name in row}
        try:
            self.trace = self._sweep.trace(row["problem"], sample=sample, **arm)
        except WorkbenchError as problem:
            self.verdict.value += alert(str(problem))
            return
        tokens = self.trace.tokens
        self.strip.layout.display = ""
        self.strip.replace(tokens["text"].to_list(), strip_phases(tokens), strip_layers(tokens))
        self.session.trace = self.trace

    def _strip_moved(self, change: Mapping[str, Any]) -> None:
        if self.trace is not None and self.session.trace is self.trace:
            self.session.set_trait(change["name"], change["new"])

    def _cursor_moved(self, change: Mapping[str, Any]) -> None:
        if self.trace is not None and self.session.trace is self.trace:
            self.strip.set_trait(change["name"], change["new"])

    def _alternatives(self, position: int) -> list[tuple[str, float]]:
        return [] if self.trace is None else alternatives(self.trace, position)

    def close(self) -> None:
        """Let go of the session."""
        if self._connected:
            self._connected = False
            self.session.unobserve(self._cursor_moved, ["cursor", "hover"])
            for part in (self.samples, self.verdict, *self.children):
                part.close()
        super().close()


_HINT = "Click a point to see its problem, the samples drawn for it, and their tokens."


def _about(row: Mapping[str, Any]) -> str:
    """The problem's name, its prompt and its right answer, as far as they are known."""
    prompt = str(row.get("prompt") or "")
    shortened = escape(prompt[:_PROMPT]) + (" …" if len(prompt) > _PROMPT else "")
    known = facts(
        f"<b>{escape(str(row['problem']))}</b>",
        "" if row.get("difficulty") is None else f"difficulty {row['difficulty']:g}",
        "" if row.get("answer") is None else f"right answer <code>{escape(str(row['answer']))}</code>",
    )
    style = "white-space:pre-wrap;max-height:54px;overflow:auto"
    return f'<div style="line-height:1.4">{known}<div style="{style}">{shortened}</div></div>'


def _button(row: Mapping[str, Any]) -> str:
    mark = {True: "✓ ", False: "✗ "}.get(row.get("correct"), "")
    return f"{mark}sample {row['sample']}"


def _verdict(row: Mapping[str, Any]) -> str:
    """What was extracted, and the numbers of one response."""
    extracted = row.get("extracted")
    given = f"extracted <code>{escape(str(extracted))}</code>" if extracted is not None else "no answer extracted"
    return '<div style="line-height:2;padding-left:8px">' + facts(
        given if "extracted" in row else "",
        {True: "correct", False: "wrong"}.get(row.get("correct"), ""),
        "" if row.get("tokens") is None else f"{row['tokens']:,} tokens",
        "" if row.get("entropy") is None else f"mean raw entropy {row['entropy']:.3f} nats",
        "cut at the token limit" if row.get("finish") == "length" else "",
        "thinking unfinished" if row.get("unfinished") else "",
    ) + "</div>"  # fmt: skip
