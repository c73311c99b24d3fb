"""Read a problem set from wherever it is."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from workbench.errors import ProblemError
from workbench.problems.columns import arrange
from workbench.problems.grading import is_number
from workbench.problems.problem_set import Problems
from workbench.problems.sources import read

if TYPE_CHECKING:
    from workbench.problems.columns import Named
    from workbench.problems.grading import Grader


def load(
    source: object = "arithmetic",
    *,
    prompt: str | None = None,
    answer: str | None = None,
    difficulty: Named = None,
    problem: Named = None,
    split: str | None = None,
    name: str | None = None,
    grader: Grader | None = None,
    limit: int | None = None,
) -> Problems:
    r"""Read a problem set.

    Args:
        source: the name of a bundled set; a Parquet, CSV, TSV, JSONL or JSON file; a folder of Parquet files; a polars
            or pandas frame, a list of rows, a datasets.Dataset; or a dataset of the hub as "owner/name" or
            "owner/name/configuration" (needs the package datasets).
        prompt: the column of the problem's text. Where a column is not named it is recognised: the layouts of the
            workbench, GSM8K, MATH and DeepMath, and the usual names.
        answer: the column of the reference answer; where it stands in the last `\boxed{}` or on a last line behind
            `####`, the rest is kept in the column `solution`.
        difficulty: the column of the difficulty: numbers, or texts with one ("Level 3"). -1, where nothing else is
            negative, and texts without a number mean unknown. False: there is none.
        problem: the column of the ids. False, or no such column: they are made up (name-00001).
        split: the split of a folder or dataset that has several ("test").
        name: what to call the set; by default, its source's name.
        grader: "exact", "numeric" or "math"; by default numeric where every answer is a number, else math.
        limit: take this many problems, spread evenly over the difficulties.

    Raises:
        ProblemError: an unknown source or one that cannot be read; a column that is missing or ambiguous; an empty
            prompt or answer; an id that comes twice; an answer that the grader cannot take.
        ParameterError: an unknown grader, a limit below 1.
        MissingPackageError: a dataset of the hub without the package datasets.
    """
    table = read(source, split)
    if table.frame.is_empty():
        raise ProblemError(f"{name or table.name}: there is no problem in this source, it has no rows.")
    called = name or re.sub(r"\s+", "-", table.name.strip()) or "problems"
    named = {"prompt": prompt, "answer": answer, "difficulty": difficulty, "problem": problem}
    frame = arrange(table.frame, named, called)
    if grader is None:
        filled = frame["answer"].drop_nulls()
        grader = "numeric" if all(is_number(text) for text in filled if text.strip()) else "math"
    problems = Problems(called, frame, grader)
    return problems if limit is None else problems.limit(limit)
