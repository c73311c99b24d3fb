"""plotly's FigureWidget, without the seconds that importing it takes.

plotly has nbformat imported, that jsonschema, and jsonschema, where the package is installed (JupyterLab brings it),
reads the grammar of international addresses, which took 4.4 of the 9.4 seconds until the workbench was imported.
Nothing here checks such an address. Whoever does gets the real check, and waits for the grammar then.
"""

from __future__ import annotations

import sys
from contextlib import contextmanager
from importlib.util import find_spec
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_GRAMMAR = "rfc3987_syntax"


def _is_valid_syntax(term: str, value: str) -> bool:
    """As the function of that name, which is imported now."""
    from rfc3987_syntax import is_valid_syntax  # noqa: PLC0415

    return bool(is_valid_syntax(term, value))


@contextmanager
def _grammar_on_demand() -> Iterator[None]:
    """Within the block an import of the grammar gives a stand-in that loads it when it is first used."""
    if _GRAMMAR in sys.modules or find_spec(_GRAMMAR) is None:
        yield
        return
    stand_in = ModuleType(_GRAMMAR)
    vars(stand_in)["is_valid_syntax"] = _is_valid_syntax
    sys.modules[_GRAMMAR] = stand_in
    try:
        yield
    finally:
        del sys.modules[_GRAMMAR]


with _grammar_on_demand():
    from plotly.graph_objects import FigureWidget

__all__ = ["FigureWidget"]
