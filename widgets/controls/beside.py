"""Controls on the left, charts on the right, in wide pages and in narrow ones."""

from __future__ import annotations

import ipywidgets

from widgets.controls.closing import lay_out

_MAIN, _LEAST = 470, 0.8


def beside(side: ipywidgets.Widget, main: ipywidgets.Widget, *, width: int) -> ipywidgets.HBox:
    """Both in one row; what a page lacks for `main` to have its 470 pixels, `side` gives from its own first.

    Args:
        side: `width` pixels wide, no less than 80 % of that.
        main: takes what is left.
        width: pixels.
    """
    lay_out(side, flex=f"0 4 {width}px", width="auto", min_width=f"{round(_LEAST * width)}px", margin="0 8px 0 0")
    lay_out(main, flex=f"1 1 {_MAIN}px", width="auto", min_width="0")
    return ipywidgets.HBox([side, main])
