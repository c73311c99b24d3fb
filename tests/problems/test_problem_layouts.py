"""Columns recognised by the layouts in use, named by the caller, missing, or one too many."""

import polars as pl
import pytest

from workbench.errors import ProblemError
from workbench.problems import load

GSM8K = pl.DataFrame(
    {
        "question": ["How many clips?", "How many cars?"],
        "answer": ["In May 48/2 = <<48/2=24>>24 clips.\n48+24 = 72\n#### 72", "It is <<2*617=1234>>\n#### 1,234"],
    }
)
MATH = pl.DataFrame(
    {
        "problem": [r"What is $\frac{1}{2}+\{0\}$?", "Solve $x^2=2$, $x>0$.", "How many?"],
        "level": ["Level 3", "Level ?", "Level 5"],
        "type": ["Algebra", "Algebra", "Counting & Probability"],
        "solution": [
            r"It is $\boxed{\frac{1}{2}}$.",
            r"Not $\boxed{2}$ but $\boxed{\sqrt{2}}$.",
            r"Therefore \boxed{1,024} ways.",
        ],
    }
)
DEEPMATH = pl.DataFrame(
    {
        "question": ["Is it?", "Which limit?"],
        "final_answer": ["Yes", r"\dfrac{\pi}{2}"],
        "difficulty": [-1.0, 6.5],
        "topic": ["Logic", "Calculus"],
        "r1_solution_1": ["...", "..."],
    }
)


def columns(problems, *names):
    return [problems.frame[name].to_list() for name in names]


def test_gsm8k():
    problems = load(GSM8K, name="gsm8k")
    ids, prompts, answers, difficulties = columns(problems, "problem", "prompt", "answer", "difficulty")
    assert ids == ["gsm8k-00001", "gsm8k-00002"]
    assert prompts == GSM8K["question"].to_list()
    assert answers == ["72", "1234"]
    assert difficulties == [None, None]
    assert problems.frame["solution"].to_list() == GSM8K["answer"].to_list()
    assert problems.grader == "numeric"
    assert problems.grade("<think>48</think>It is 1,234.", answers[1]).correct


def test_math():
    problems = load(MATH)
    assert columns(problems, "prompt", "answer", "difficulty") == [
        MATH["problem"].to_list(),
        [r"\frac{1}{2}", r"\sqrt{2}", "1024"],
        [3.0, None, 5.0],
    ]
    assert problems.grader == "math"
    assert problems.frame.columns[4:] == ["level", "type", "solution"]
    assert problems.frame["solution"].to_list() == MATH["solution"].to_list()


def test_math_with_a_column_of_bare_answers_and_ids():
    more = MATH.with_columns(answer=pl.Series(["1/2", "2**0.5", "1024"]), unique_id=pl.Series(["a", "b", "c"]))
    assert columns(load(more), "problem", "answer") == [["a", "b", "c"], ["1/2", "2**0.5", "1024"]]


def test_deepmath():
    problems = load(DEEPMATH)
    assert columns(problems, "answer", "difficulty") == [["Yes", r"\dfrac{\pi}{2}"], [None, 6.5]]
    assert problems.frame.columns[4:] == ["topic", "r1_solution_1"]


def test_the_own_layout_comes_back_as_it_was():
    problems = load(MATH)
    again = load(problems.frame)
    assert again.frame.equals(problems.frame)
    assert again.digest == problems.digest


def test_names_in_capitals_and_spare_columns():
    frame = pl.DataFrame({"ID": [7, 8], "Question": ["a", "b"], "Target": [1, 2], "Tags": [["x"], []]})
    problems = load(frame)
    assert columns(problems, "problem", "answer", "Tags") == [["7", "8"], ["1", "2"], [["x"], []]]


def test_named_columns_win_and_what_stood_in_their_place_is_kept():
    frame = pl.DataFrame({"prompt": ["system"], "text": ["1+1"], "answer": ["no"], "gold": ["2"], "difficulty": ["x"],
                          "steps": [1], "problem": ["long text"]})  # fmt: skip
    problems = load(frame, prompt="text", answer="gold", difficulty="steps", problem=False, name="sums")
    assert problems.frame.row(0, named=True) == {
        "problem": "sums-00001", "prompt": "1+1", "answer": "2", "difficulty": 1.0, "source_prompt": "system",
        "source_answer": "no", "source_difficulty": "x", "source_problem": "long text",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("frame", "options", "message"),
    [
        ({"text": ["a"], "answer": ["1"]}, {}, r"No column is known to be the prompt.*text, answer.*prompt=\"\.\.\.\""),
        ({"question": ["a"], "key": ["1"]}, {}, r"No column is known to be the answer.*question, key.*answer="),
        (
            {"question": ["a"], "instruction": ["b"], "answer": ["1"]},
            {},
            r"question and instruction could each be the prompt.*prompt=\"question\"",
        ),
        (
            {"question": ["a"], "answer": ["1"], "target": ["2"]},
            {},
            r"answer and target could each be the answer.*answer=\"answer\"",
        ),
        (
            {"question": ["a"], "answer": ["1"], "level": [1], "difficulty": [2]},
            {},
            r"level and difficulty could each be the difficulty.*difficulty=False does without",
        ),
        ({"a": ["a"], "b": ["1"]}, {"prompt": "a", "answer": "c"}, r"no column 'c' for the answer.*are a, b"),
        ({"a": ["a"], "b": ["1"]}, {"prompt": "a", "answer": "b", "difficulty": "d"}, "no column 'd' for the diff"),
        ({"a": ["a"], "b": ["1"]}, {"prompt": "a", "answer": "b", "problem": "d"}, "no column 'd' for the problem"),
        ({"prompt": [["a"]], "answer": ["1"]}, {}, r"'prompt' holds List\(String\) and no text"),
        ({"prompt": ["a"], "answer": ["1"], "level": ["easy"]}, {}, r"no numbers.*'easy'.*difficulty=False"),
        (
            {"prompt": ["a", "b", "c"], "answer": ["#### 1", "2", "#### "]},
            {},
            r"Rows 1, 2 \(counted from 0\): the text in 'answer' marks no answer",
        ),
    ],
)
def test_columns_that_cannot_be_told(frame, options, message):
    with pytest.raises(ProblemError, match=message):
        load(pl.DataFrame(frame), **options)


def test_ambiguity_is_settled_by_naming():
    frame = pl.DataFrame({"question": ["a"], "input": ["b"], "answer": ["1"], "target": ["2"], "level": [1],
                          "rating": [1500]})  # fmt: skip
    problems = load(frame, prompt="input", answer="target", difficulty=False)
    assert columns(problems, "prompt", "answer", "difficulty", "level") == [["b"], ["2"], [None], [1]]


@pytest.mark.parametrize(
    ("values", "levels"),
    [
        ([1, 2, None], [1.0, 2.0, None]),
        ([-1, 0, 3], [None, 0.0, 3.0]),
        ([-1.0, -2.0, 3.0], [-1.0, -2.0, 3.0]),
        ([float("nan"), float("inf"), 3.5], [None, None, 3.5]),
        (["Level 3", "Level ?", "-1"], [3.0, None, None]),
        (["2.5", "grade 10", ""], [2.5, 10.0, None]),
        ([None, None, None], [None, None, None]),
    ],
)
def test_difficulties(values, levels):
    frame = pl.DataFrame({"prompt": ["a", "b", "c"], "answer": ["1", "2", "3"], "difficulty": values}, strict=False)
    assert load(frame).frame["difficulty"].to_list() == levels


def test_numbers_as_answers_lose_nothing_and_gain_no_point():
    frame = pl.DataFrame({"prompt": ["a", "b", "c"], "answer": [42.0, 0.1, 1e20]})
    assert load(frame).frame["answer"].to_list() == ["42", "0.1", "100000000000000000000"]


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        ({"prompt": ["a", "", None], "answer": ["1", "2", "3"]}, r"Rows 1, 2 \(counted from 0\): the prompt is empty"),
        ({"prompt": ["a", "b"], "answer": ["1", " "]}, r"Row 1 \(counted from 0\): the answer is empty.*filter"),
        ({"prompt": ["a", "b"], "answer": [1.0, float("nan")]}, r"Row 1 .*the answer is empty"),
        ({"prompt": ["a"] * 20, "answer": [None] * 20}, r"Rows 0, 1, .*, 7 and 12 more .*the answer is empty"),
        ({"id": ["a", None], "prompt": ["a", "b"], "answer": ["1", "2"]}, "Row 1 .*the id is empty"),
        (
            {"id": ["a", "b", "a"], "prompt": ["a", "b", "c"], "answer": ["1", "2", "3"]},
            r"Rows 0, 2 .*share the id 'a' \(2 rows.*problem=False",
        ),
        ({"prompt": [], "answer": []}, "no problem in this source"),
    ],
)
def test_problems_that_lack_something(frame, message):
    with pytest.raises(ProblemError, match=message):
        load(pl.DataFrame(frame))


def test_a_grader_that_the_answers_do_not_suit():
    frame = pl.DataFrame({"prompt": ["a", "b"], "answer": ["1", "x + 1"]})
    assert load(frame).grader == "math"
    assert load(frame, grader="exact").grader == "exact"
    with pytest.raises(ProblemError, match=r"Row 1 .*no number \('x \+ 1' in row 1\)\. Take grader=\"math\""):
        load(frame, grader="numeric")
