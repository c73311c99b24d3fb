"""Graders: is the answer in a text the right one, and which answer was that?"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, get_args

from workbench.errors import ParameterError, ProblemError
from workbench.problems.answer_text import after_thinking, marked, never_closed, same_spacing, shown
from workbench.problems.number_text import Number, last_number, whole_number_text

Grader = Literal["exact", "numeric", "math"]
GRADERS: tuple[Grader, ...] = get_args(Grader)


@dataclass(frozen=True)
class Verdict:
    """What a grader says of one text."""

    correct: bool
    extracted: str | None
    """The answer found in the text, as it was compared; None where none was found."""
    grader: str
    reason: str
    """Why, in words: "41 is not 42", "no number after the thinking"."""


def grade(
    text: str,
    answer: str,
    *,
    grader: Grader = "numeric",
    think_close: str | None = "</think>",
    unfinished: bool | None = None,
    tolerance: float = 0.0,
) -> Verdict:
    r"""Judge the answer in `text` against the reference `answer`.

    Only what follows the last closing think marker counts; unfinished thinking is no answer. A `\boxed{}`, or a last
    line that starts with `####`, is the answer where there is one.

    - exact: that answer, or all of the text, equals the reference but for blanks.
    - numeric: the last number of it equals the reference as a fraction; signs, thousands commas, decimals, fractions,
      percent and powers of ten are read. 50% equals both 50 and 0.5.
    - math: math-verify finds the two equal as mathematics (github.com/huggingface/Math-Verify). It runs in a process of
      its own with a limit on time and memory, so that it works in any thread and no text can stop the caller.

    Args:
        text: what the model generated, whatever it is.
        answer: the reference; may itself stand in a box or behind `####`.
        grader: "exact", "numeric" or "math".
        think_close: the model's closing think marker; None for a model that has none.
        unfinished: whether the model was still thinking at the end, where the caller knows it (the phases of a trace).
            None judges by the text, which fails where the prompt opened the thinking.
        tolerance: for numeric: the largest absolute difference that still counts as equal.

    Raises:
        ProblemError: the reference is empty, or no number although the grader is numeric; a text that is no string.
        ParameterError: an unknown grader, a tolerance below 0 or not finite, or one with another grader.
        MissingPackageError: the math grader without math-verify.
    """
    check_grader(grader)
    allowed = _tolerance(tolerance, grader)
    for what, value in (("text", text), ("answer", answer)):
        if not isinstance(value, str):
            raise ProblemError(f"The {what} to grade must be a string, not {type(value).__name__}.")
    if not answer.strip():
        raise ProblemError("The reference answer is empty: nothing can be graded against it.")
    reference = reference_answer(answer)
    number = _reference_number(reference) if grader == "numeric" else None
    part = after_thinking(text, think_close, unfinished=unfinished)
    if part.text is None:
        return Verdict(correct=False, extracted=None, grader=grader, reason=part.missing)
    if number is not None:
        return _numeric(part.text, number, allowed, thought=bool(think_close and think_close in text))
    if grader == "exact":
        return _exact(part.text, reference)
    from workbench.problems.math_grader import grade_math  # noqa: PLC0415  -- starts a process where it is wanted

    correct, extracted, reason = grade_math(part.text, reference)
    return Verdict(correct, extracted, "math", reason)


def check_grader(grader: str) -> None:
    """Whether there is such a grader.

    Raises:
        ParameterError: there is not.
    """
    if grader not in GRADERS:
        raise ParameterError(f"grader={grader!r}: choose one of {', '.join(GRADERS)}.")


def reference_answer(answer: str) -> str:
    """The reference without its box or hashes."""
    inside = marked(answer)
    return answer.strip() if inside is None or not inside else inside


def is_number(answer: str) -> bool:
    """Whether the numeric grader can take this reference."""
    number = whole_number_text(reference_answer(answer))
    return number is not None and number.value is not None


def _reference_number(reference: str) -> Number:
    number = whole_number_text(reference)
    if number is None or number.value is None:
        raise ProblemError(
            f'The reference answer {shown(reference)!r} is no number: grade it with grader="math" or grader="exact".'
        )
    return number


def _tolerance(tolerance: float, grader: Grader) -> Fraction:
    if not 0 <= tolerance < float("inf"):
        raise ParameterError(f"tolerance={tolerance}: give a finite number of at least 0.")
    if tolerance and grader != "numeric":
        raise ParameterError(f"tolerance goes with the numeric grader, not with {grader!r}.")
    return Fraction(repr(float(tolerance)))  # 0.1 means a tenth, not the float nearest to it


def _numeric(text: str, reference: Number, tolerance: Fraction, *, thought: bool) -> Verdict:
    inside = marked(text)
    if inside is None and never_closed(text):
        return Verdict(correct=False, extracted=None, grader="numeric", reason="the box is never closed")
    number = _number_in_box(inside) if inside is not None else last_number(text)
    if number is None:
        where = "in the marked answer" if inside is not None else "after the thinking" if thought else "in the text"
        return Verdict(correct=False, extracted=inside or None, grader="numeric", reason=f"no number {where}")
    if number.value is None:
        reason = f"{shown(number.text)} has no value: {number.problem}"
        return Verdict(correct=False, extracted=number.text, grader="numeric", reason=reason)
    correct = number.matches(reference, tolerance)
    says = f"is within {float(tolerance):g} of" if correct and tolerance else "equals" if correct else "is not"
    return Verdict(correct, number.text, "numeric", f"{shown(number.text)} {says} {shown(reference.text)}")


def _number_in_box(inside: str) -> Number | None:
    return whole_number_text(inside) or last_number(inside)


def _exact(text: str, reference: str) -> Verdict:
    inside = marked(text)
    given, wanted = same_spacing(text if inside is None else inside), same_spacing(reference)
    correct = given == wanted
    says = "is the answer" if correct else f"is not {shown(wanted)}"
    return Verdict(correct, given, "exact", f"{shown(given) or 'an empty box'} {says}")
