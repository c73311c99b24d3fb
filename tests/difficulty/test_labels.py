"""The three labels: the paper's rule in its order, thresholds that act one way only, words for what is missing."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.difficulty.labels import (
    LABELS,
    Thresholds,
    label,
    label_problems,
    problem_means,
    suggest_thresholds,
)
from workbench.errors import DifficultyError, ParameterError

SHARES = st.integers(0, 10).map(lambda k: k / 10)
PROBLEMS = st.lists(st.tuples(SHARES, st.floats(0, 3)), min_size=1, max_size=40)
THRESHOLDS = st.builds(Thresholds, SHARES, st.floats(0, 3), SHARES)


def by_hand(acc, H, at):
    """The rule one problem at a time."""
    if acc >= at.alpha and at.beta >= H:
        return "normal"
    if acc < at.gamma:
        return "hard"
    return "easy"


def frame_of(pairs):
    accuracy, entropy = zip(*pairs, strict=True)
    return pl.DataFrame({"problem": [f"p{i}" for i in range(len(pairs))], "accuracy": accuracy, "entropy": entropy})


def test_the_rule_on_a_grid_of_its_borders():
    at = Thresholds(alpha=0.8, beta=1.0, gamma=0.4)
    accuracy = [0.8, 0.8, 0.79, 0.4, 0.39, 1.0, 0.0]
    entropy = [1.0, 1.01, 0.1, 0.1, 0.1, 0.0, 2.0]
    expected = ["normal", "easy", "easy", "easy", "hard", "normal", "hard"]
    assert label(accuracy, entropy, at).tolist() == expected


def test_where_both_rules_hold_normal_wins():
    at = Thresholds(alpha=0.3, beta=1.0, gamma=0.6)
    assert at.overlap
    assert not Thresholds(alpha=0.6, beta=1.0, gamma=0.6).overlap
    assert label([0.4, 0.4, 0.2], [0.5, 1.5, 0.5], at).tolist() == ["normal", "hard", "hard"]


@given(PROBLEMS, THRESHOLDS)
def test_labels_partition_the_problems_as_the_rule_says(pairs, at):
    found = label_problems(frame_of(pairs), at)
    assert found.label.tolist() == [by_hand(acc, H, at) for acc, H in pairs]
    assert sum(found.counts.values()) == len(pairs)
    assert tuple(found.counts) == LABELS
    assert found.to_frame()["label"].to_list() == found.label.tolist()
    assert list(found.of_problem.values()) == found.label.tolist()


@given(PROBLEMS, THRESHOLDS, st.floats(0, 1), st.floats(0, 3))
def test_thresholds_act_one_way_only(pairs, at, more, wider):
    accuracy, entropy = zip(*pairs, strict=True)
    now = label(accuracy, entropy, at)
    stricter = label(accuracy, entropy, Thresholds(min(1.0, at.alpha + more), at.beta, at.gamma))
    assert set(np.flatnonzero(stricter == "normal")) <= set(np.flatnonzero(now == "normal"))
    looser = label(accuracy, entropy, Thresholds(at.alpha, at.beta + wider, at.gamma))
    assert set(np.flatnonzero(now == "normal")) <= set(np.flatnonzero(looser == "normal"))
    harder = label(accuracy, entropy, Thresholds(at.alpha, at.beta, min(1.0, at.gamma + more)))
    assert set(np.flatnonzero(now == "hard")) <= set(np.flatnonzero(harder == "hard"))
    assert np.array_equal(now == "normal", harder == "normal")


@given(PROBLEMS)
def test_suggested_thresholds_never_call_hard_what_is_solved_more_often_than_not_and_always_what_never_is(pairs):
    frame = frame_of(pairs)
    found = label_problems(frame, suggest_thresholds(frame))
    assert (found.accuracy[found.label == "hard"] < 0.5).all()
    assert (found.label[found.accuracy == 0] == "hard").all()
    not_hard = (found.label != "hard").sum()
    assert (found.label == "normal").sum() >= not_hard / 2  # the half of lower entropy, ties included


def test_suggested_thresholds_make_thirds_where_the_data_can():
    spread = [(k / 30, (7 * k % 30) / 10) for k in range(30)]
    found = label_problems(frame_of(spread), suggest_thresholds(frame_of(spread)))
    assert found.counts == {"easy": 10, "normal": 10, "hard": 10}


def test_suggested_thresholds_without_any_difference_leave_everything_normal_or_all_hard():
    same = [(1.0, 0.2)] * 5
    assert label_problems(frame_of(same), suggest_thresholds(frame_of(same))).counts["normal"] == 5
    hopeless = [(0.0, 0.1 * k) for k in range(5)]
    assert label_problems(frame_of(hopeless), suggest_thresholds(frame_of(hopeless))).counts["hard"] == 5


def test_problem_means_are_nested_and_leave_empty_responses_out_of_the_entropy():
    results = pl.DataFrame(
        {
            "problem": ["b", "a", "a", "a"],
            "correct": [True, True, False, False],
            "entropy": [0.5, 0.2, 0.4, None],
            "sampled_entropy": [0.1, 0.1, 0.2, None],
        }
    )
    found = problem_means(results.lazy())
    assert found["problem"].to_list() == ["a", "b"]
    assert found["accuracy"].to_list() == pytest.approx([1 / 3, 1.0])
    assert found["entropy"].to_list() == pytest.approx([0.3, 0.5])
    assert found["samples"].to_list() == [3, 1]
    assert problem_means(results, entropy="sampled_entropy")["entropy"].to_list() == pytest.approx([0.15, 0.1])


def test_one_arm_must_be_named_among_several():
    results = pl.DataFrame(
        {"problem": ["a", "a"], "correct": [True, False], "entropy": [0.1, 0.3], "sampler": ["x", "y"]}
    )
    with pytest.raises(DifficultyError, match="several in the column sampler: x, y"):
        problem_means(results)
    assert problem_means(results, sampler="y")["entropy"].to_list() == [0.3]
    with pytest.raises(DifficultyError, match="no sampler 'z'"):
        problem_means(results, sampler="z")
    with pytest.raises(DifficultyError, match="no column sampler"):
        problem_means(results.drop("sampler"), sampler="y")


@pytest.mark.parametrize(
    ("accuracy", "entropy", "says"),
    [
        ([0.5], [0.1, 0.2], "one value a problem"),
        ([0.5, np.nan], [0.1, 0.2], "1 of 2 problems have no accuracy or no entropy, the first at row 1"),
        ([0.5, 1.2], [0.1, 0.2], "between 0 and 1"),
        ([0.5], [-0.1], "at least 0 nats"),
    ],
)
def test_values_that_cannot_be_labelled(accuracy, entropy, says):
    with pytest.raises(DifficultyError, match=says):
        label(accuracy, entropy, Thresholds())


def test_frames_that_cannot_be_labelled():
    with pytest.raises(DifficultyError, match="no column entropy; it has problem, accuracy"):
        label_problems(pl.DataFrame({"problem": ["a"], "accuracy": [1.0]}), Thresholds())
    with pytest.raises(DifficultyError, match="comes twice"):
        label_problems(pl.DataFrame({"problem": ["a", "a"], "accuracy": [1, 1], "entropy": [0, 0]}), Thresholds())
    with pytest.raises(DifficultyError, match="not graded"):
        problem_means(pl.DataFrame({"problem": ["a"], "correct": [None], "entropy": [0.1]}))
    with pytest.raises(DifficultyError, match="polars frame is needed"):
        problem_means([1, 2])
    with pytest.raises(DifficultyError, match="no problems"):
        suggest_thresholds(pl.DataFrame({"accuracy": [], "entropy": []}))


@pytest.mark.parametrize("wrong", [{"alpha": 1.1}, {"beta": -0.1}, {"gamma": float("nan")}, {"alpha": "high"}])
def test_thresholds_out_of_range(wrong):
    with pytest.raises(ParameterError, match=next(iter(wrong))):
        Thresholds(**wrong)


def test_thresholds_say_what_a_slider_needs():
    assert [one.name for one in Thresholds.parameters()] == ["alpha", "beta", "gamma"]
    assert all(one.help and one.slider[0] < one.slider[1] for one in Thresholds.parameters())
    assert Thresholds.from_dict(Thresholds(0.9, 0.2, 0.1).to_dict()) == Thresholds(0.9, 0.2, 0.1)
