"""Problem sets: what they hold to, limits that keep the difficulties, digests, prompts."""

import dataclasses

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.errors import ParameterError, ProblemError
from workbench.problems import Problems, load
from workbench.problems.spreading import shares


def made(difficulties, **columns):
    rows = range(len(difficulties))
    return Problems(
        "made",
        pl.DataFrame(
            {
                "problem": [f"p{row}" for row in rows],
                "prompt": [f"What is {row}?" for row in rows],
                "answer": [str(row) for row in rows],
                "difficulty": pl.Series(difficulties, dtype=pl.Float64),
                **columns,
            }
        ),
    )


def test_a_problem_set_is_frozen_and_says_what_it_is():
    problems = made([1, 2, 2, None])
    assert repr(problems) == "Problems('made': 4 problems, 2 difficulties from 1 to 2, 1 unknown, numeric grader)"
    assert "difficulty unknown" in repr(made([None, None]))
    assert "difficulty 3," in repr(made([3, 3]))
    assert problems.to_frame() is problems.frame
    with pytest.raises(dataclasses.FrozenInstanceError):
        problems.name = "other"


def test_a_frame_that_is_no_problem_set():
    frame = made([1]).frame
    for bad, message in (
        (frame.drop("answer"), r"lacks answer \(String\)"),
        (frame.with_columns(pl.col("difficulty").cast(pl.Int32)), r"lacks difficulty \(Float64\); it has .*Int32"),
        (frame.clear(), "no rows"),
        (frame.with_columns(answer=pl.lit("x")), "no number"),
        (pl.concat([frame, frame]), "share the id 'p0'"),
        (frame.lazy(), "not LazyFrame"),
    ):
        with pytest.raises(ProblemError, match=message):
            Problems("bad", bad)
    with pytest.raises(ParameterError, match="grader='judge'"):
        Problems("bad", frame, "judge")


def test_the_digest_is_that_of_the_content():
    problems = made([1, 2, None])
    # Stored in sweeps: a change of this value would keep every old sweep from being continued.
    assert load().digest == "1cb95961c331aa6d"
    assert dataclasses.replace(problems, name="other").digest == problems.digest
    assert made([1, 2, None], more=[1, 2, 3]).digest == problems.digest
    assert len({problems.digest, made([1, 2, 3]).digest, made([1, 2]).digest,
                dataclasses.replace(problems, grader="exact").digest}) == 4  # fmt: skip


def test_a_limit_takes_the_same_from_every_level():
    problems = load()
    for n in (12, 24, 60, 599):
        counts = problems.limit(n).frame["difficulty"].value_counts()["count"]
        assert counts.sum() == n
        assert counts.max() - counts.min() <= 1
    assert problems.limit(3).frame["difficulty"].to_list()[::2] == [1.0, 12.0]
    assert problems.limit(600) is problems
    assert problems.limit(1000) is problems
    assert problems.limit(50).frame.equals(load().limit(50).frame)
    few = made([1] * 2 + [2] * 50 + [None] * 8).limit(30).frame["difficulty"].to_list()
    assert [few.count(1.0), few.count(2.0), few.count(None)] == [2, 20, 8]


def test_a_larger_limit_takes_the_same_problems_of_a_level_and_more():
    smaller, larger = (set(load().limit(n).frame["problem"]) for n in (24, 60))
    assert smaller < larger


@given(st.lists(st.integers(1, 20), min_size=1, max_size=15), st.data())
def test_shares_are_as_equal_as_the_levels_allow(sizes, data):
    n = data.draw(st.integers(1, sum(sizes)))
    taken = shares(sizes, n)
    assert sum(taken) == n
    assert all(0 <= share <= size for share, size in zip(taken, sizes, strict=True))
    # A level gets less than another only where it has no more to give, or by the one left over.
    assert all(share == size or share >= max(taken) - 1 for share, size in zip(taken, sizes, strict=True))


def test_prompts_keep_every_brace_of_the_problem():
    frame = pl.DataFrame({"prompt": [r"Simplify $\frac{x}{{y}}$ {prompt} {answer}", "%s {} {0}"], "answer": ["1", "2"]})
    problems = load(frame)
    assert problems.prompts() == frame["prompt"].to_list()
    template = r"{prompt}" + "\nThink in $x^{2}$ steps; write \\boxed{}, {{prompt}}, \\sqrt{{2}}, \\frac{1}{\\sqrt{2}}."
    assert problems.prompts(template) == [
        text + "\nThink in $x^{2}$ steps; write \\boxed{}, {prompt}, \\sqrt{{2}}, \\frac{1}{\\sqrt{2}}."
        for text in frame["prompt"]
    ]


def test_any_column_can_stand_in_a_prompt():
    problems = made([1, 2], **{"the unit": ["cm", "m"]})
    assert problems.prompts("{prompt} (level {difficulty}, in {the unit}) {prompt}") == [
        "What is 0? (level 1.0, in cm) What is 0?",
        "What is 1? (level 2.0, in m) What is 1?",
    ]


def test_templates_that_cannot_be_filled():
    problems = made([1, None])
    with pytest.raises(ProblemError, match=r"asks for \{question\}; the columns are problem, .*Write \{\{question\}\}"):
        problems.prompts("{prompt} {question}")
    with pytest.raises(ProblemError, match="names no column"):
        problems.prompts("Solve it in {{prompt}}")
    with pytest.raises(ProblemError, match=r"\{difficulty\}, which problem 'p1' has no value for \(1 in all\)"):
        problems.prompts("{prompt} {difficulty}")
    with pytest.raises(ProblemError, match="is a string"):
        problems.prompts(None)


@given(st.text(min_size=1, max_size=50).filter(str.strip), st.text(alphabet="ab {}$\\^2\n", max_size=20))
def test_the_text_of_a_problem_is_never_read_as_a_template(text, around):
    problems = load([{"prompt": text, "answer": "1"}])
    if "{" not in around and "}" not in around:
        assert problems.prompts(around + "{prompt}" + around) == [around + text + around]
    assert problems.prompts() == [text]
