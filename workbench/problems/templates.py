"""Prompts made from a template and the columns of a problem set."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from workbench.errors import ProblemError

if TYPE_CHECKING:
    import polars as pl

_FIELD = re.compile(r"\{\{(?P<literal>[^{}]*)\}\}|\{(?P<field>[^{}]*)\}")


def fill(template: str, frame: pl.DataFrame) -> list[str]:
    r"""One prompt a row: `{name}` stands for that column's text, put in as it is, braces and all.

    Braces that hold no name (`\boxed{}`, `x^{2}`) stay as they are; `{{name}}` is written to get `{name}` itself.

    Raises:
        ProblemError: a field that is no column, no field at all, or a row without a value for one.
    """
    if not isinstance(template, str):
        raise ProblemError(f"A prompt template is a string such as '{{prompt}}', not {type(template).__name__}.")
    fields = _fields(template, frame.columns)
    if not fields:
        raise ProblemError(
            f"The prompt template {template!r} names no column, so every prompt would be the same. "
            "Put {prompt} where the problem belongs."
        )
    for field in fields:
        empty = frame[field].is_null()
        if empty.any():
            raise ProblemError(
                f"The prompt template asks for {{{field}}}, which problem {frame['problem'].filter(empty)[0]!r} has "
                f"no value for ({int(empty.sum())} in all). Filter these rows, or leave the field out."
            )
    rows = zip(*(frame[field].to_list() for field in fields), strict=True)
    return [_filled(template, dict(zip(fields, row, strict=True))) for row in rows]


def _fields(template: str, columns: list[str]) -> list[str]:
    found: dict[str, None] = {}
    for match in _FIELD.finditer(template):
        field = match["field"]
        if field in columns:
            found[field] = None
        elif field is not None and field.isidentifier():
            raise ProblemError(
                f"The prompt template asks for {{{field}}}; the columns are {', '.join(columns)}. "
                f"Write {{{{{field}}}}} to have the braces in the prompt."
            )
    return list(found)


def _filled(template: str, values: dict[str, object]) -> str:
    def put(match: re.Match[str]) -> str:
        if match["literal"] is not None:
            plain = match["literal"] in values or match["literal"].isidentifier()
            return f"{{{match['literal']}}}" if plain else match[0]
        return str(values.get(match["field"], match[0]))

    return _FIELD.sub(put, template)
