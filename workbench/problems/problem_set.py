"""A problem set: prompts, reference answers, difficulties, and the grader that belongs to them."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import polars as pl

from workbench.errors import ParameterError, ProblemError
from workbench.problems.grading import Grader, Verdict, check_grader, grade, is_number
from workbench.problems.spreading import spread
from workbench.problems.templates import fill

if TYPE_CHECKING:
    from collections.abc import Sequence

COLUMNS = {"problem": pl.String(), "prompt": pl.String(), "answer": pl.String(), "difficulty": pl.Float64()}
"""What every problem set has; null difficulty means unknown."""

_NAMED = 8


@dataclass(frozen=True, eq=False)
class Problems:
    """A problem set, complete and checked.

    Raises:
        ProblemError: no problem, a column missing or of another type, an empty id, prompt or answer, an id that comes
            twice, or an answer that is no number although the grader is numeric.
        ParameterError: an unknown grader.
    """

    name: str
    frame: pl.DataFrame
    """A row a problem: problem (unique id), prompt, answer (strings), difficulty (float, null where unknown); and
    whatever else the source had."""
    grader: Grader = "numeric"
    """The grader that suits the answers."""

    def __post_init__(self) -> None:
        check_grader(self.grader)
        _check_columns(self.frame)
        _check_values(self.frame)
        if self.grader == "numeric":
            _check_numbers(self.frame["answer"])

    def __len__(self) -> int:
        return self.frame.height

    def __repr__(self) -> str:
        known = self.frame["difficulty"].drop_nulls().to_list()
        levels = len(set(known))
        difficulty = (
            "difficulty unknown" if not levels
            else f"difficulty {min(known):g}" if levels == 1
            else f"{levels} difficulties from {min(known):g} to {max(known):g}"
        )  # fmt: skip
        missing = f", {len(self) - len(known)} unknown" if 0 < len(known) < len(self) else ""
        return f"Problems({self.name!r}: {len(self)} problems, {difficulty}{missing}, {self.grader} grader)"

    @cached_property
    def digest(self) -> str:
        """16 hexadecimal digits of the ids, prompts, answers, difficulties and grader; not of the name."""
        digest = hashlib.blake2b(self.grader.encode(), digest_size=8)
        for row in self.frame.select(*COLUMNS).iter_rows():
            digest.update(json.dumps(row).encode() + b"\n")
        return digest.hexdigest()

    def to_frame(self) -> pl.DataFrame:
        """The frame: a row a problem."""
        return self.frame

    def limit(self, n: int) -> Problems:
        """`n` problems, spread evenly over the difficulties, in their old order; all of them where there are no more.

        Every difficulty gets the same share as far as it has problems; what is left over goes to difficulties spread
        from the lowest to the highest. Which problem of a difficulty is taken depends on its id alone.

        Raises:
            ParameterError: n is no whole number of at least 1.
        """
        if isinstance(n, bool) or not isinstance(n, int) or n < 1:
            raise ParameterError(f"limit={n!r}: give a whole number of at least 1.")
        if n >= len(self):
            return self
        return replace(self, frame=self.frame[spread(self.frame["difficulty"], self.frame["problem"], n)])

    def prompts(self, template: str = "{prompt}") -> list[str]:
        r"""What to say to the model: the template with `{prompt}`, or any other column, put in; one a problem.

        A problem's own braces stay as they are, and so do braces in the template that hold no name (`\\boxed{}`).
        `{{name}}` gives `{name}` itself. The model's chat template comes later, in `LanguageModel.encode_prompt`.

        Raises:
            ProblemError: a field that is no column, no field at all, or a row without a value for one.
        """
        return fill(template, self.frame)

    def grade(
        self, text: str, answer: str, *, think_close: str | None = "</think>", unfinished: bool | None = None
    ) -> Verdict:
        """`workbench.problems.grade` with this set's grader."""
        return grade(text, answer, grader=self.grader, think_close=think_close, unfinished=unfinished)


def refuse_rows(rows: Sequence[int], what: str, remedy: str) -> None:
    """Name the rows of a source that cannot be used, if there are any.

    Raises:
        ProblemError: there are.
    """
    if rows:
        more = f" and {len(rows) - _NAMED:,} more" if len(rows) > _NAMED else ""
        listed = ", ".join(str(row) for row in rows[:_NAMED])
        raise ProblemError(f"Row{'s' * (len(rows) > 1)} {listed}{more} (counted from 0): {what}. {remedy}")


def _check_columns(frame: pl.DataFrame) -> None:
    if not isinstance(frame, pl.DataFrame):
        raise ProblemError(
            f"Problems take a polars frame, not {type(frame).__name__}; wb.problems.load(source) reads everything else."
        )
    wrong = [f"{name} ({kind})" for name, kind in COLUMNS.items() if frame.schema.get(name) != kind]
    if wrong:
        raise ProblemError(
            f"The frame lacks {', '.join(wrong)}; it has {', '.join(f'{n} ({k})' for n, k in frame.schema.items())}. "
            "wb.problems.load(frame, prompt=..., answer=...) makes these columns from others."
        )
    if frame.is_empty():
        raise ProblemError("There is no problem in this set: it has no rows.")


def _check_values(frame: pl.DataFrame) -> None:
    for name, what in (("problem", "id"), ("prompt", "prompt"), ("answer", "answer")):
        empty = frame[name].is_null() | (frame[name].str.strip_chars() == "")
        refuse_rows(empty.arg_true().to_list(), f"the {what} is empty", "Fill it in, or filter these rows out.")
    double = frame["problem"].is_duplicated()
    if double.any():
        first = frame["problem"].filter(double)[0]
        rows = (frame["problem"] == first).arg_true().to_list()
        refuse_rows(
            rows,
            f"they share the id {first!r} ({int(double.sum()):,} rows in all have an id that another has too)",
            'Name a column of unique ids with problem="...", or have ids made up with problem=False.',
        )


def _check_numbers(answers: pl.Series) -> None:
    rows = [row for row, answer in enumerate(answers) if not is_number(answer)]
    if rows:
        what = f"the answer is no number ({answers[rows[0]][:60]!r} in row {rows[0]})"
        refuse_rows(rows, what, 'Take grader="math" or grader="exact".')
