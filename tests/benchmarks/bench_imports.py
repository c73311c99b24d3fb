"""`import workbench` against `import numpy`, each in a fresh interpreter."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

BUDGET = 3.0


def seconds(statement: str) -> float:
    """Best of seven fresh interpreters, the bare interpreter's own start taken off."""
    best = {}
    for code in ("pass", statement):
        runs = []
        for _ in range(7):
            began = time.perf_counter()
            subprocess.run([sys.executable, "-c", code], check=True)
            runs.append(time.perf_counter() - began)
        best[code] = min(runs)
    return best[statement] - best["pass"]


def rows() -> Iterator[dict]:
    """One row."""
    ours, peer = seconds("import workbench"), seconds("import numpy")
    yield {
        "name": "import workbench", "peer": "import numpy", "ours_seconds": ours, "peer_seconds": peer,
        "ratio": ours / peer, "budget": f"<= {BUDGET:g}x", "passed": ours / peer <= BUDGET, "note": "",
    }  # fmt: skip
