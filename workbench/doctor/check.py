"""What one look at the machine found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

OK, WARN, FAIL = "ok", "warn", "fail"


@dataclass(frozen=True)
class Check:
    """One finding. A warning is something that works less well than it could, a failure something that does not work.

    Everything but `ok` has a remedy.
    """

    name: str
    status: str
    """ok, warn or fail."""
    found: str
    remedy: str = ""

    def to_dict(self) -> dict[str, str]:
        """JSON-able."""
        return {"name": self.name, "status": self.status, "found": self.found, "remedy": self.remedy}


def guarded(name: str, look: Callable[[], Iterable[Check]]) -> Iterator[Check]:
    """The checks of `look`; when it breaks, that is a failed check of this name, and the other looks go on."""
    try:
        yield from look()
    except Exception as problem:  # noqa: BLE001  -- a broken installation breaks in any way
        lines = (str(problem).strip() or type(problem).__name__).splitlines()
        remedy = "Install the workbench anew into a fresh environment: pip install entropy-workbench."
        yield Check(name, FAIL, f"{type(problem).__name__}: {lines[0]}", remedy)
