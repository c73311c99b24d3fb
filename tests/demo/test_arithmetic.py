"""The generated arithmetic: right answers, disjoint halves, and texts a model can learn from."""

import itertools
import re
from random import Random

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.demo.arithmetic import LEVELS, conclude, draw, reason, scale_of, tell
from workbench.demo.problems import FOLDER, PER_LEVEL, frame, problems
from workbench.demo.train import texts

EQUATION = re.compile(r"(\d+) ([-+*/]) (\d+) = (\d+)")

levels = st.sampled_from(LEVELS)
seeds = st.integers(0, 10**9)


@given(levels, seeds)
def test_every_value_stays_within_the_levels_scale(level, seed):
    problem = draw(Random(seed), level, held_out=False)
    assert problem.difficulty == level
    assert all(1 <= value <= scale_of(level).value for value in problem.values[1:])


@given(levels, seeds)
def test_the_equations_a_model_learns_from_are_true(level, seed):
    rng = Random(seed)
    problem = draw(rng, level, held_out=False)
    spans = list(reason(problem, rng))
    # A slip is followed by the equation done again, so dropping the slips' digits leaves no wrong result behind.
    learned = "".join(span.text if span.learn else "?" for span in spans)
    for a, sign, b, c in EQUATION.findall(learned):
        assert eval(f"{a} {sign} {b}") == int(c)


@given(levels, seeds)
def test_a_slip_is_wrong_and_is_corrected_at_once(level, seed):
    rng = Random(seed)
    problem = draw(rng, level, held_out=False)
    spans = list(reason(problem, rng))
    for slip, after in itertools.pairwise(spans):
        if not slip.learn:
            right = EQUATION.search(after.text)
            assert right is not None
            assert int(right[4]) in problem.values
            assert int(slip.text) != int(right[4])


@given(levels, seeds)
def test_the_conclusion_holds_the_answer_and_the_prompt_every_operand(level, seed):
    rng = Random(seed)
    problem = draw(rng, level, held_out=False)
    assert re.findall(r"\d+", conclude(problem, rng)) == [str(problem.answer)]
    told = [int(n) for n in re.findall(r"\d+", tell(problem, rng))]
    operands = [step.operand for step in problem.steps if step.kind != "halve"]
    assert [n for n in told if n != 2] == [n for n in (problem.start, *operands) if n != 2]


def test_the_bundled_problems_are_what_their_generator_makes():
    stored = pl.read_parquet(FOLDER / "arithmetic.parquet")
    assert stored.equals(frame())
    assert stored.group_by("difficulty").len()["len"].to_list() == [PER_LEVEL] * len(LEVELS)
    assert stored["prompt"].n_unique() == len(stored)


@pytest.mark.parametrize("level", LEVELS)
def test_training_draws_never_meet_a_bundled_problem(level):
    chains = set(pl.read_parquet(FOLDER / "arithmetic.parquet")["chain"])
    rng = Random(level)
    drawn = {draw(rng, level, held_out=False).key for _ in range(2_000)}
    assert not drawn & chains


def test_bundled_problems_are_held_out_by_their_hash():
    assert all(problem.held_out for _, problem, _ in problems())


def test_the_training_stream_is_seeded():
    first, second, other = texts(3), texts(3), texts(4)
    assert [next(first) for _ in range(5)] == [next(second) for _ in range(5)]
    assert next(first) != next(other)
