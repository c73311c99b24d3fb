"""Let go of widgets altogether."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ipywidgets

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any


def close_tree(widget: ipywidgets.Widget) -> None:
    """Close a widget, all that is in it, and their layouts and styles.

    ipywidgets keeps every widget that is not closed in a list of its own, a closed one's children, layout and style
    among them, and with these whatever their callbacks hold: a panel, its trace, its model.
    """
    below = list(_below(widget))
    widget.close()
    for part in below:
        part.close()


def lay_out(widget: ipywidgets.Widget, **settings: Any) -> None:  # noqa: ANN401  -- CSS, as `ipywidgets.Layout`
    """Change a widget's layout in place: one that took its place would leave it behind, never to be closed."""
    with widget.layout.hold_sync():
        for name, value in settings.items():
            setattr(widget.layout, name, value)


def _below(widget: ipywidgets.Widget) -> Iterator[ipywidgets.Widget]:
    for child in getattr(widget, "children", ()):
        yield child
        yield from _below(child)
    for name in ("layout", "style"):
        part = getattr(widget, name, None)
        if isinstance(part, ipywidgets.Widget):
            yield part
