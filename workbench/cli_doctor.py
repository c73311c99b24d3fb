"""`workbench doctor`: what works on this machine, and what to do about the rest."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from workbench.cli_text import neutral

if TYPE_CHECKING:
    from workbench.doctor import Check

_NAME = 22
_WORDS = {"ok": "ok  ", "warn": "warn", "fail": "FAIL"}


def doctor(
    *, as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON, at the end.")] = False
) -> None:
    """Look at versions, accelerator, browser, compiled kernels and JupyterLab's extensions, and try a small run.

    Nothing is asked of the network. The exit code is 1 where something fails; warnings do not count.
    """
    from workbench.doctor import FAIL, WARN, examine  # noqa: PLC0415  -- --help should not wait for it

    checks = []
    for check in examine():
        checks.append(check)
        if not as_json:
            typer.echo(line(check))
    failed, warned = (sum(check.status == status for check in checks) for status in (FAIL, WARN))
    if as_json:
        typer.echo(json.dumps({"ok": not failed, "checks": [check.to_dict() for check in checks]}, indent=2))
    else:
        typer.echo(f"\n{len(checks)} checks, {warned} to look at, {failed} failed.")
    if failed:
        raise typer.Exit(1)


def line(check: Check) -> str:
    """The check in a line, its remedy in another below what was found."""
    first = f"{_WORDS[check.status]}  {check.name:<{_NAME}}  {check.found}"
    return neutral(first + (f"\n{'':{_NAME + 8}}→ {check.remedy}" if check.remedy else ""))
