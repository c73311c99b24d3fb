"""Fails when a notebook is stored with outputs or without a kernelspec: `python -m tests.notebooks_are_clean`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"


def faults(path: Path) -> list[str]:
    """What is wrong with one notebook, in words."""
    notebook = json.loads(path.read_text())
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    found = []
    if any(cell["outputs"] or cell["execution_count"] for cell in code):
        found.append("has outputs: clear them before committing")
    if notebook["metadata"].get("kernelspec", {}).get("name") != "python3":
        found.append("has no python3 kernelspec: JupyterLab would ask for a kernel")
    if "widgets" in notebook["metadata"]:
        found.append("carries widget state: clear it before committing")
    return [f"{path.name} {fault}" for fault in found]


if __name__ == "__main__":
    everything = [fault for path in sorted(NOTEBOOKS.glob("*.ipynb")) for fault in faults(path)]
    sys.exit("\n".join(everything) or 0)
