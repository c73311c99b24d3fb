"""The code of plotly's widget, which all charts of a kernel share."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import anywidget
import plotly
import traitlets

_CODE = Path(plotly.__file__).parent / "package_data" / "widgetbundle.js"
LOAD = (
    Path(__file__)
    .with_name("plotly_bundle.js")
    .read_text(encoding="utf-8")
    .replace("PLOTLY_VERSION", plotly.__version__)
)
"""JavaScript: `plotly(owner)` gives the module of plotly's widget, from the model of a PlotlyBundle."""


class PlotlyBundle(anywidget.AnyWidget):
    """Holds the code of plotly's widget for all charts of a kernel, and has the page load it; shows nothing."""

    _esm = LOAD + "export default { initialize({ model }) { plotly(model); } };"
    code = traitlets.Bytes().tag(sync=True)


@cache
def _made() -> PlotlyBundle:
    return PlotlyBundle(code=_CODE.read_bytes())


def plotly_bundle() -> PlotlyBundle:
    """The one of this kernel; asking before there is a chart has the page load it early."""
    if _made().comm is None:  # somebody closed all widgets
        _made.cache_clear()
    return _made()
