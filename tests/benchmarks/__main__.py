"""`make bench`: every budget of the design against its peer in the same run, as a table and as bench.json.

Nothing here fails: a benchmark is not a test. `python -m tests.benchmarks record kernels` runs those alone.
"""

from __future__ import annotations

import json
import platform
import sys
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

GROUPS = ("kernels", "record", "samplers", "sweeps", "heads", "cluster", "imports", "browser")


def main(names: list[str]) -> None:
    """Run the named groups, all by default, and print a line a row as it is measured."""
    rows = []
    print(f"{'what':<52} {'against':<44} {'ours':>10} {'peer':>10} {'ratio':>9} {'budget':>10}")
    for group in names or GROUPS:
        for row in import_module(f"tests.benchmarks.bench_{group}").rows():
            rows.append(row)
            print(line(row), flush=True)
    about = {name: version(name) for name in ("torch", "transformers", "numba", "numpy", "plotly")}
    about |= {"python": platform.python_version(), "machine": platform.machine()}
    Path("bench.json").write_text(json.dumps({"about": about, "rows": rows}, indent=1) + "\n")


def line(row: dict) -> str:
    """One row of the table."""
    mark = {True: "ok", False: "MISSED", None: ""}[row["passed"]]
    ours, peer = shown(row["ours_seconds"]), shown(row["peer_seconds"])
    note = f"  {row['note']}" if row.get("note") else ""
    what = f"{row['name']:<52} {row['peer']:<44}"
    return f"{what} {ours:>10} {peer:>10} {row['ratio']:>8.4g}x {row['budget']:>10} {mark}{note}"


def shown(seconds: float | None) -> str:
    """Seconds in a unit that fits."""
    if seconds is None:
        return ""
    return (
        f"{seconds * 1e6:.0f} us"
        if seconds < 1e-3
        else f"{seconds * 1e3:.1f} ms"
        if seconds < 1
        else f"{seconds:.2f} s"
    )


if __name__ == "__main__":
    main(sys.argv[1:])
