"""What the heads panel says in words."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

import ipywidgets

from widgets.panels.heads_grid import STATISTICS
from widgets.panels.settings_panel import alert, explained, facts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from widgets.panels.heads_grid import HeadGrid
    from widgets.panels.heads_settings import HeadView
    from workbench.attention import HeadRedundancy

STYLE = """<style>
.workbench-heads .widget-tab-contents { padding: 2px 4px !important; }
.workbench-heads .lm-TabBar-tab { flex: 0 1 auto !important; min-width: 0 !important; padding: 0 12px; }
.workbench-heads .workbench-summary { line-height: 1.45; }
</style>"""

_MAXIMUM = {"support": "ln of the row's support", "length": "ln T"}


class Readout(ipywidgets.VBox):
    """All heads in a line, the chosen one in another beside the menus that choose it.

    Args:
        menus: of the layer and the head.
    """

    def __init__(self, menus: ipywidgets.Widget) -> None:
        self.words = ipywidgets.HTML(layout={"min_height": "22px"})
        self.head = ipywidgets.HTML(layout={"flex": "1 1 auto", "min_width": "0"})
        self._line = ipywidgets.HBox([menus, self.head], layout={"align_items": "center"})
        super().__init__([self.words, self._line])

    def say(self, problems: Sequence[str], words: str, of_head: str = "") -> None:
        """Say what is wrong, then the words; without any of a head its line is empty, and stays."""
        said = "".join(map(alert, problems)) + words
        self.words.value = f'{STYLE}<div class="workbench-summary">{said}</div>'
        self.head.value = f'<div class="workbench-summary">{of_head}</div>'
        self._line.layout.visibility = "visible" if of_head else "hidden"

    def close(self) -> None:
        """Close the lines."""
        for part in (self.head, *self.children):
            part.close()
        super().close()


def grid_words(grid: HeadGrid, view: HeadView, twins: HeadRedundancy | None, pending: str) -> str:
    """How many heads are collapsed, overloaded, sinks and twins, and how many different ones there are.

    Args:
        grid: the heads on show.
        view: the thresholds.
        twins: the comparison of the heads, where it is known.
        pending: what to say in its place.
    """
    collapsed, overloaded = (int(mark.sum()) for mark in grid.marks(view))
    maximum, heads = _MAXIMUM[view.bin_normalizer], len(grid.frame)
    parts = [
        f"<b>{heads}</b> heads {escape(grid.of)}",
        explained(f"▼ <b>{collapsed}</b> collapsed", f"mean entropy below {view.collapsed_below:g} of {maximum}"),
        explained(f"▲ <b>{overloaded}</b> overloaded", f"mean entropy at least {view.overloaded_from:g} of {maximum}"),
        explained(_counted(grid.sinks(view), "sink"), f"mean weight on the first token above {view.sink_above:g}"),
    ]
    if twins is not None:
        dropped = ", first token left out" if twins.drop_sink else ""
        parts += [
            explained(
                _counted(len(twins.pairs(view.twins_below)), "pair", " of twins"),
                f"Jensen-Shannon divergence below {view.twins_below:g} nats over {len(twins.rows)} rows{dropped}",
            ),
            explained(
                f"like <b>{twins.effective_heads:.1f}</b> different heads",
                "effective number of heads: the Vendi score of the Bhattacharyya kernel (arXiv 2210.02410)",
            ),
        ]
    elif pending:
        parts.append(f'<span style="opacity:.8">{escape(pending)}</span>')
    return facts(*parts)


def head_words(grid: HeadGrid, chosen: tuple[int, int], column: str, view: HeadView) -> str:
    """The chosen head's numbers."""
    number = {name: grid.number(*chosen, name) for name in STATISTICS if name in grid.frame.columns}
    entropy, share, rows = (number.get(name) for name in ("entropy", "entropy_by_support", "collapsed"))
    collapsed, overloaded = (mark[grid.layers.index(chosen[0]), chosen[1]] for mark in grid.marks(view))
    kind = "▼ collapsed" if collapsed else "▲ overloaded" if overloaded else ""
    shown = number.get(column)
    extra = column not in ("entropy", "entropy_by_support", "collapsed") and shown is not None
    return facts(
        kind,
        "" if entropy is None else f"entropy {entropy:.3f} nats",
        "" if share is None else f"{share:.2f} of ln support",
        "" if rows is None else f"{rows:.1%} of its rows collapsed",
        f"{escape(STATISTICS.get(column, column))} {shown:.3f}" if extra else "",
    )


def _counted(number: int, word: str, after: str = "") -> str:
    return f"<b>{number:,}</b> {word}{'' if number == 1 else 's'}{after}"
