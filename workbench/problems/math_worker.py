"""The process in which math-verify runs: a line of JSON in, a line of JSON out, until the input ends.

Run as a script, it imports math-verify and nothing of the workbench.
"""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from importlib import import_module
from typing import Any

MEMORY = 2 * 2**30
"""Bytes of address space: 9^(9^9) is a short text."""


def compare(verifier: Any, given: str, reference: str) -> dict[str, Any]:  # noqa: ANN401  -- a module
    """Whether the two are equal, and what was read in `given`; no key "equal" where either cannot be read.

    math-verify's own time limits rest on signals and are off; the other process watches the clock.
    """
    wanted = verifier.parse(reference, parsing_timeout=None)
    if not wanted:
        return {"unread": "reference"}
    found = verifier.parse(given, parsing_timeout=None)
    if not found:
        return {"unread": "given"}
    texts = [item for item in found if isinstance(item, str)]
    equal = bool(verifier.verify(wanted, found, timeout_seconds=None))
    return {"equal": equal, "read": texts[0] if texts else None}


def main() -> None:
    """Answer requests [given, reference] until the input ends."""
    answers, sys.stdout = sys.stdout, sys.stderr  # whatever a library prints is no answer
    with suppress(ImportError, ValueError, OSError):  # not on every system
        import resource  # noqa: PLC0415

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    verifier = import_module("math_verify")  # the limit comes first

    print(json.dumps("ready"), file=answers, flush=True)
    for line in sys.stdin:
        given, reference = json.loads(line)
        try:
            result = compare(verifier, given, reference)
        except Exception:  # noqa: BLE001  -- no text may end the process
            result = {"unread": "given"}
        print(json.dumps(result), file=answers, flush=True)


if __name__ == "__main__":
    main()
