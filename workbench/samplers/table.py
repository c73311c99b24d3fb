"""Every sampler step there is, as a table: what it is called, its parameters, where it is from."""

from __future__ import annotations

import polars as pl

from workbench.samplers.step import STEPS

_ENGINES = ("transformers", "vllm", "llamacpp")


def catalogue() -> pl.DataFrame:
    """A row a parameter: step, title, parameter, default, range, unit, help, engines that have the step, source."""
    rows = [
        {
            "step": name,
            "title": kind.title,
            "parameter": parameter.name,
            "default": str(parameter.default),
            "range": parameter.range_text(),
            "unit": parameter.unit,
            "help": parameter.help,
            "engines": ", ".join(engine for engine in _ENGINES if engine in kind.engines),
            "source": kind.source,
        }
        for name, kind in STEPS.items()
        for parameter in kind.parameters()
    ]
    return pl.DataFrame(rows)


def markdown() -> str:
    """The steps as a Markdown table, a row a step."""
    lines = ["| step | parameters | also in | source |", "|---|---|---|---|"]
    for kind in STEPS.values():
        names = ", ".join(f"`{parameter.name}`" for parameter in kind.parameters())
        engines = ", ".join(engine for engine in _ENGINES if engine in kind.engines)
        lines.append(f"| {kind.title} (`{kind.__name__}`) | {names} | {engines} | {kind.source} |")
    return "\n".join(lines)
