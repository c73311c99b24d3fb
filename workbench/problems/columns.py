r"""Which column of a source is which, and its values as a problem set wants them.

Recognised by the names in use: the workbench's own (id or problem, prompt, answer, difficulty), GSM8K (question, answer
with a closing `#### 42`; openai/grade-school-math), MATH (problem, solution with `\boxed{}`, level "Level 3";
hendrycks/math), DeepMath (question, final_answer, difficulty with -1 for none; zwhe99/DeepMath-103K), and their kin.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any, Literal

import polars as pl

from workbench.errors import ProblemError
from workbench.problems.answer_text import marked
from workbench.problems.problem_set import COLUMNS, refuse_rows

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Named = str | Literal[False] | None
"""A column's name, None to recognise it, False for "there is none"."""

ROLES: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "prompt": (("prompt", "question", "problem", "input", "instruction", "query"),),
    "answer": (("final_answer", "expected_answer", "ground_truth"), ("answer", "target"), ("solution",)),
    "difficulty": (("difficulty", "level", "rating"),),
    "problem": (("id",), ("problem_id", "question_id", "unique_id", "task_id", "uuid")),
}
"""Names by role, lower case, the plainest first: two columns of one tier are one too many, a later tier is only looked
at when the earlier ones are not there."""

_THOUSANDS = re.compile(r"-?\$?\d{1,3}(,\d{3})+(\.\d+)?")
_FIRST_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_MISSING_LEVEL = -1.0


def arrange(source: pl.DataFrame, named: Mapping[str, Named], name: str) -> pl.DataFrame:
    """The columns of a problem set from those of `source`, which come after them where they hold something else.

    Raises:
        ProblemError: a column is not there, not recognised or one of several, or its values cannot be used.
    """
    if set(COLUMNS) <= set(source.columns):  # a problem set's own frame
        named = {role: role if named.get(role) is None else named[role] for role in COLUMNS}
    chosen = {role: _choose(role, named.get(role), source.columns) for role in ("prompt", "answer", "difficulty")}
    chosen["problem"] = _choose_id(named.get("problem"), source.columns, chosen["prompt"])
    columns = {column: source[column] for column in chosen.values() if column is not None}
    answers, altered = _answers(columns[str(chosen["answer"])])
    made: dict[str, list[str | None] | list[float | None]] = {
        "problem": _ids(columns.get(chosen["problem"] or ""), source.height, name),
        "prompt": _texts(columns[str(chosen["prompt"])]),
        "answer": answers,
        "difficulty": _difficulties(columns.get(chosen["difficulty"] or ""), source.height),
    }
    used = {chosen["problem"], chosen["prompt"]} | (set() if altered else {chosen["answer"]})
    if chosen["difficulty"] and source.schema[chosen["difficulty"]].is_numeric():
        used.add(chosen["difficulty"])
    extras = {_extra_name(c, chosen, source.columns): source[c] for c in source.columns if c not in used}
    return pl.DataFrame([pl.Series(role, made[role], dtype=COLUMNS[role]) for role in COLUMNS]).with_columns(**extras)


def _choose(role: str, named: Named, columns: Sequence[str]) -> str | None:
    if named is False or (named is None and role in ("difficulty", "problem") and not _tier(role, columns)):
        return None
    if named is not None:
        if named not in columns:
            raise ProblemError(f"There is no column {named!r} for the {role}. {_what_there_is(role, columns)}")
        return named
    found = _tier(role, columns)
    if len(found) != 1:
        what = f"{' and '.join(found)} could each be the {role}" if found else f"No column is known to be the {role}"
        raise ProblemError(f"{what}. {_what_there_is(role, columns)}")
    return found[0]


def _choose_id(named: Named, columns: Sequence[str], prompt: str | None) -> str | None:
    # In our own frames `problem` is the id; in MATH it is the text.
    if named is None and "problem" in columns and prompt == "prompt":
        return "problem"
    return _choose("problem", named, columns)


def _tier(role: str, columns: Sequence[str]) -> list[str]:
    for tier in ROLES[role]:
        found = [column for column in columns if column.lower() in tier]
        if role == "prompt" and {"prompt", "problem"} == {column.lower() for column in found}:
            found = [column for column in found if column.lower() == "prompt"]
        if found:
            return found
    return []


def _what_there_is(role: str, columns: Sequence[str]) -> str:
    example = next((column for column in columns if column.lower() in sum(ROLES[role], ())), None) or "..."
    none = f" {role}=False does without." if role in ("difficulty", "problem") else ""
    return f'The columns are {", ".join(columns) or "none"}: name the right one with {role}="{example}".{none}'


def _extra_name(column: str, chosen: Mapping[str, str | None], columns: Sequence[str]) -> str:
    """Its own name, unless a column of the problem set has it now."""
    if column not in COLUMNS:
        return column
    wanted = "solution" if column == chosen["answer"] else f"source_{column}"
    return wanted if wanted not in columns else f"source_{column}"


def _texts(column: pl.Series) -> list[str | None]:
    """Strings as they are, numbers without a needless point, null for what is not there."""
    if column.dtype.is_nested() or column.dtype in (pl.Binary, pl.Object):
        raise ProblemError(
            f"Column {column.name!r} holds {column.dtype} and no text. Turn it into text first, or name another column."
        )
    return [None if value is None else _text(value) for value in column.to_list()]


def _text(value: object) -> str:
    if isinstance(value, float):
        if math.isnan(value):
            return ""
        return str(int(value)) if value.is_integer() else repr(value)
    return str(value)


def _answers(column: pl.Series) -> tuple[list[str | None], bool]:
    """The reference answers, and whether they are only a part of what the column holds."""
    texts = _texts(column)
    inside = [None if text is None else marked(text) for text in texts]
    altered = any(part is not None for part in inside)
    if altered:
        rows = [row for row, (text, part) in enumerate(zip(texts, inside, strict=True)) if text and not part]
        what = f"the text in {column.name!r} marks no answer with \\boxed{{}} or ####, as other rows do"
        refuse_rows(rows, what, 'Filter these rows out, or name a column of bare answers with answer="...".')
        texts = inside
    return [None if text is None else _without_thousands(text.strip()) for text in texts], altered


def _without_thousands(text: str) -> str:
    return text.replace(",", "") if _THOUSANDS.fullmatch(text) else text


def _ids(column: pl.Series | None, rows: int, name: str) -> list[str | None]:
    if column is not None:
        return _texts(column)
    return [f"{name}-{row:05d}" for row in range(1, rows + 1)]


def _difficulties(column: pl.Series | None, rows: int) -> list[float | None]:
    """Numbers, or the first number of each text; null for none, and for -1 where nothing else is negative.

    Raises:
        ProblemError: there are values, and none of them has a number.
    """
    if column is None:
        return [None] * rows
    values = [_level(value) for value in column.to_list()]
    if column.null_count() < rows and all(value is None for value in values):
        shown = ", ".join(repr(value) for value in column.drop_nulls().unique(maintain_order=True).head(4))
        raise ProblemError(
            f"Column {column.name!r} holds no numbers to take for difficulty ({shown[:200]}). Replace them by numbers, "
            'name another column with difficulty="...", or do without with difficulty=False.'
        )
    negative = {value for value in values if value is not None and value < 0}
    return [None if value == _MISSING_LEVEL and negative == {_MISSING_LEVEL} else value for value in values]


def _level(value: Any) -> float | None:  # noqa: ANN401  -- whatever the source holds
    if isinstance(value, str):
        found = _FIRST_NUMBER.search(value)
        return float(found[0]) if found else None
    if value is None or not isinstance(value, (int, float)) or not math.isfinite(value):
        return None
    return float(value)
