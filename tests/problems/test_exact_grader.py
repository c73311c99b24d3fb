"""The exact grader, and where an answer stands in a text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.problems import grade
from workbench.problems.answer_text import marked


@pytest.mark.parametrize(
    ("text", "content"),
    [
        (r"\boxed{a}", "a"),
        (r"\boxed {a}", "a"),
        (r"\boxed{\frac{a}{b^{2}}} done", r"\frac{a}{b^{2}}"),
        (r"\boxed{\left\{a, b\right\}}", r"\left\{a, b\right\}"),
        (r"$\boxed 2$", "2"),
        (r"\boxed{a} \boxed{b", "a"),
        (r"{\boxed{a}}}}", "a"),
        (r"\boxed{a \boxed{b} c}", "b"),
        ("x\n#### a b \n\n", "a b"),
        ("#### a\nb", None),
        (r"\boxed{}", ""),
        ("boxed{a}", None),
        ("", None),
    ],
)
def test_marked_answers(text, content):
    assert marked(text) == content


@pytest.mark.parametrize(
    ("text", "answer", "correct", "extracted"),
    [
        ("<think>blue</think>\n dark\t blue ", "dark blue", True, "dark blue"),
        ("Blue", "blue", False, "Blue"),
        (r"It is \boxed{\text{blue} }", r"\text{blue}", True, r"\text{blue}"),
        ("Thus:\n#### blue", "blue", True, "blue"),
        ("The answer is blue.", "blue", False, "The answer is blue."),
        ("blue", r"\boxed{blue}", True, "blue"),
    ],
)
def test_exact_verdicts(text, answer, correct, extracted):
    verdict = grade(text, answer, grader="exact")
    assert (verdict.correct, verdict.extracted, verdict.grader) == (correct, extracted, "exact")
    assert verdict.reason.endswith("is the answer" if correct else f"is not {answer}")


def test_unfinished_thinking_is_no_exact_answer():
    assert grade("<think>blue", "blue", grader="exact").extracted is None


def test_a_long_answer_is_cut_in_the_reason_alone():
    verdict = grade("a" * 5000, "b", grader="exact")
    assert len(verdict.extracted) == 5000
    assert len(verdict.reason) < 200


contents = st.recursive(
    st.text(alphabet="abc+= ", min_size=1, max_size=6), lambda inner: st.builds(r"\sqrt{{{}}}{}".format, inner, inner)
)


@given(contents, st.text(alphabet="abc $.\n", max_size=20), st.text(alphabet="abc $.\n", max_size=20))
def test_a_box_is_found_whatever_stands_in_and_around_it(content, before, after):
    assert marked(rf"{before}\boxed{{{content}}}{after}") == content.strip()


@given(st.text(min_size=1, max_size=60).filter(lambda text: text.strip() and marked(text) is None))
def test_every_text_is_its_own_exact_answer(text):
    assert grade(text, text, grader="exact", think_close=None).correct
