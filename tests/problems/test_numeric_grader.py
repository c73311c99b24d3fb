"""The numeric grader: what it takes for a number, and that nothing is rounded."""

import time
from fractions import Fraction
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.demo import arithmetic
from workbench.demo.evaluate import final_number
from workbench.errors import ParameterError, ProblemError
from workbench.problems import grade
from workbench.problems.number_text import last_number, whole_number_text

READINGS = {
    "42": 42,
    "The answer is 42.": 42,
    "It is -7.": -7,
    "−7": -7,
    "+7": 7,
    "1,234,567": 1234567,
    "1,234.50": Fraction("1234.5"),
    "1, 234": 234,
    "1,2,3": 3,
    "1,2345": 2345,
    r"1{,}234": 1234,
    r"12\,345": 12345,
    "12\u202f345": 12345,
    "0.1": Fraction(1, 10),
    ".5": Fraction(1, 2),
    "007": 7,
    "3/4": Fraction(3, 4),
    "-3/4": Fraction(-3, 4),
    "1.5/2": Fraction(3, 4),
    "2 3/4": Fraction(11, 4),
    "-2 3/4": Fraction(-11, 4),
    "step 2 7/4": Fraction(7, 4),
    "½": Fraction(1, 2),
    "2½": Fraction(5, 2),
    "-½": Fraction(-1, 2),
    r"\frac{22}{7}": Fraction(22, 7),
    r"-\dfrac{22}{7}": Fraction(-22, 7),
    r"\frac12": Fraction(1, 2),
    r"2\frac{3}{4}": Fraction(11, 4),
    "6.02e23": 602 * 10**21,
    "1E-3": Fraction(1, 1000),
    "6.02 × 10^23": 602 * 10**21,
    r"6.02 \times 10^{23}": 602 * 10**21,
    "6.02 x 10²³": 602 * 10**21,
    "10^-2": Fraction(1, 100),
    "2^10": 1024,
    "2**10": 1024,
    "$5": 5,
    r"\$5.25": Fraction("5.25"),
    "-$5": -5,
    "5 - 3": 3,
    "10-3": 3,
    "(1)-3": 3,
    "42kg": 42,
    "42 cm^2": 42,
    "5 m s^{-1}": 5,
    "take 3 of x2 and y_1": 3,
    r"5\text{ cm}^2": 5,
    "**42**": 42,
    "1.2.3": 3,
    "٤٢": 42,
    "3.": 3,
}


@pytest.mark.parametrize(("text", "value"), READINGS.items())
def test_numbers_are_read_exactly(text, value):
    assert last_number(text).value == value


@pytest.mark.parametrize("text", ["", "no number", "x2", "a^2", "-", ",", ".", "$"])
def test_what_is_no_number(text):
    assert last_number(text) is None


@pytest.mark.parametrize("text", ["x + 1", "2x", "1 2", "42 cm^2", "(1, 2)", r"\pi", "three", "5 or 6", ""])
def test_a_whole_text_that_is_no_number(text):
    assert whole_number_text(text) is None


@pytest.mark.parametrize("text", ["42 apples", "$42$", " 42. ", "42 square metres", "42%", "-42"])
def test_a_whole_text_that_is_a_number(text):
    assert abs(whole_number_text(text).value) == 42


@pytest.mark.parametrize(
    ("text", "answer", "correct", "extracted"),
    [
        ("<think>1 + 41 = 42.</think>The answer is 42.", "42", True, "42"),
        ("<think>\nso 42\n</think>\n\nIt is 41.", "42", False, "41"),
        ("The answer is 1,234.0.", "1234", True, "1,234.0"),
        (r"5 and then \boxed{42} after 6 steps", "42", True, "42"),
        (r"\boxed{41} no, \boxed{42}", "42", True, "42"),
        (r"\boxed{\text{It is }\boxed{42}}", "42", True, "42"),
        (r"\boxed{\frac{1}{2}}", "0.5", True, "1/2"),
        (r"\fbox 42 is it, of 7", "42", True, "42"),
        (r"\boxed{x = 42}", "42", True, "42"),
        (r"\\boxed{42}", "42", True, "42"),
        (r"\boxed{\{1, 42\}}", "42", True, "42"),
        ("6 * 7 is it\n#### 42", "42", True, "42"),
        ("#### 1,042", "1042", True, "1,042"),
        ("#### Step 1\n6 * 7\n#### Step 2\nIt is 42.", "42", True, "42"),
        (r"\boxed{41} #### 42", "42", True, "42"),
        ("50%", "50", True, "50%"),
        ("50%", "0.5", True, "50%"),
        ("0.5", "50%", True, "0.5"),
        ("50%", "5000%", False, "50%"),
        ("50 percent", "50%", True, "50 percent"),
        ("0.3333", "1/3", False, "0.3333"),
        ("0.30000000000000004", "0.3", False, "0.30000000000000004"),
        ("42", r"the whole way \boxed{42}", True, "42"),
        ("42", "so it is\n#### 42", True, "42"),
    ],
)
def test_verdicts(text, answer, correct, extracted):
    verdict = grade(text, answer)
    assert (verdict.correct, verdict.extracted, verdict.grader) == (correct, extracted, "numeric")
    assert verdict.reason.startswith(f"{extracted} {'equals' if correct else 'is not'} ")


@pytest.mark.parametrize(
    ("text", "extracted", "reason"),
    [
        ("<think>so 42", None, "the thinking is unfinished"),
        ("<think>a</think>42<think>wait", None, "the thinking is unfinished"),
        ("<think>42</think>", None, "nothing after the thinking"),
        ("<think>42</think> I do not know.", None, "no number after the thinking"),
        ("I do not know.", None, "no number in the text"),
        (" \n", None, "the text is empty"),
        (r"42, that is \boxed{\text{forty-two}}", r"\text{forty-two}", "no number in the marked answer"),
        (r"\boxed{}42", None, "no number in the marked answer"),
        (r"so \boxed{4", None, "the box is never closed"),
        ("42 / 0", "42 / 0", "42 / 0 has no value: a division by zero"),
        ("1e99999999", "1e99999999", "1e99999999 has no value: more than 4,000 digits"),
        ("9^99999999", "9^99999999", "9^99999999 has no value: more than 4,000 digits"),
        ("0^-1", "0^-1", "0^-1 has no value: a division by zero"),
    ],
)
def test_why_there_is_no_answer(text, extracted, reason):
    verdict = grade(text, "42")
    assert (verdict.correct, verdict.extracted, verdict.reason) == (False, extracted, reason)


def test_the_caller_names_the_marker_and_whether_the_thinking_ended():
    assert grade("so 41[/THINK]42", "42", think_close="[/THINK]").correct
    assert grade("[THINK]so 42", "42", think_close="[/THINK]").reason == "the thinking is unfinished"
    assert grade("<think>so 42", "42", think_close=None).correct
    assert grade("41</think>42</think>43", "43").correct
    assert grade("so 42", "42", unfinished=True).extracted is None
    assert grade("An answer with <think> in it: 42", "42", unfinished=False).correct


def test_tolerance_is_absolute_and_decimal():
    assert not grade("3.14", "3.14159").correct
    verdict = grade("3.14", "3.14159", tolerance=0.01)
    assert verdict.correct
    assert verdict.reason == "3.14 is within 0.01 of 3.14159"
    assert grade("0.3", "0.2", tolerance=0.1).correct
    assert not grade("0.30000000001", "0.2", tolerance=0.1).correct
    for tolerance in (-1, float("nan"), float("inf")):
        with pytest.raises(ParameterError, match="at least 0"):
            grade("1", "1", tolerance=tolerance)
    with pytest.raises(ParameterError, match="numeric grader"):
        grade("1", "1", grader="math", tolerance=0.1)


def test_a_reference_that_cannot_be_graded_against_is_the_callers_mistake():
    with pytest.raises(ProblemError, match='grader="math"'):
        grade("42", "x + 1")
    with pytest.raises(ProblemError, match="empty"):
        grade("42", "  ")
    with pytest.raises(ProblemError, match="text to grade must be a string, not NoneType"):
        grade(None, "42")
    with pytest.raises(ProblemError, match="answer to grade must be a string, not int"):
        grade("42", 42)
    with pytest.raises(ParameterError, match="exact, numeric, math"):
        grade("42", "42", grader="judge")


@pytest.mark.parametrize(
    "text",
    [
        "9" * 10**6,
        "1 " * 3 * 10**5,
        "1," * 3 * 10**5,
        "1/" * 3 * 10**5,
        " " * 10**6 + "x",
        "{" * 10**6,
        "}" * 10**6,
        "#" * 10**6,
        "-" * 10**6,
        r"\boxed{" * 10**5 + "8" + "}" * 10**5,
        r"\boxed " * 10**5,
        r"\frac{1}{" * 10**5,
        r"\frac12" * 10**5,
        r"\text{" * 10**5,
        "½" * 10**5,
        "<think>" * 10**5,
    ],
)
def test_hostile_texts_are_judged_in_linear_time(text):
    began = time.perf_counter()
    assert not grade(text, "7").correct
    assert time.perf_counter() - began < 10


def test_it_agrees_with_the_demo_evaluation_on_texts_as_the_demo_models_write_them():
    rng = Random(3)
    for level in (1, 4, 8, 12):
        problem = arithmetic.draw(rng, level, held_out=True)
        thinking = "".join(span.text for span in arithmetic.reason(problem, rng))
        text = f"<think>\n{thinking}\n</think>\n\n{arithmetic.conclude(problem, rng)}"
        verdict = grade(text, str(problem.answer))
        assert verdict.correct
        assert verdict.extracted == final_number(text)
        assert not grade(text, str(problem.answer + 1)).correct
        assert grade(text.partition("</think>")[0], str(problem.answer)).extracted is None


fractions = st.fractions(min_value=-(10**12), max_value=10**12, max_denominator=10**6)
decimals = st.decimals(min_value=-(10**15), max_value=10**15, allow_nan=False, allow_infinity=False, places=4)
NOTATIONS = {
    "plain": lambda number: f"{number:f}",
    "commas": lambda number: f"{number:,f}",
    "scientific": lambda number: f"{number:e}",
    "typographic": lambda number: f"{number:f}".replace("-", "−"),
    "boxed": lambda number: rf"\boxed{{{number:f}}}",
}


@given(decimals, st.sampled_from(sorted(NOTATIONS)), st.sampled_from(sorted(NOTATIONS)))
def test_a_number_equals_itself_however_it_is_written(number, one, other):
    assert grade(NOTATIONS[one](number), NOTATIONS[other](number)).correct


@given(fractions)
def test_fractions_equal_themselves_and_nothing_near(number):
    text = f"{number.numerator}/{number.denominator}"
    assert last_number(f"It is {text}.").value == number
    sign = "-" if number < 0 else ""
    assert last_number(rf"{sign}\frac{{{abs(number.numerator)}}}{{{number.denominator}}}").value == number
    assert not grade(text, f"{number.numerator + 1}/{number.denominator}").correct


words = st.text(alphabet="abcdefghij ,.!?\n", max_size=40)


@given(decimals, decimals, words, words, st.text(max_size=40))
def test_the_verdict_does_not_depend_on_the_words_around(number, answer, before, after, thought):
    bare = grade(f"{number:f}", f"{answer:f}")
    told = grade(f"<think>{thought.replace('think>', '')}</think>{before} {number:f} {after}", f"{answer:f}")
    assert (told.correct, told.extracted, told.reason) == (bare.correct, bare.extracted, bare.reason)


@given(st.text(max_size=200), st.integers())
def test_no_text_makes_it_fail(text, answer):
    verdict = grade(text, str(answer))
    assert verdict.reason
    assert verdict.correct <= (verdict.extracted is not None)
