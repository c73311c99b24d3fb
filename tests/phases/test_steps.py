"""Where a thought can be cut."""

import pytest

from tests.phases.phase_cases import trace_of
from workbench.errors import ParameterError, TraceError
from workbench.phases import step_ends


def thought(*pieces, letters=None):
    letters = letters or "o" + "t" * len(pieces) + "ca"
    return trace_of(letters, texts=["<think>", *pieces, "</think>", "4"][: len(letters)])


@pytest.mark.parametrize(
    ("pieces", "every", "cuts"),
    [
        (["a", "\n\n", "b", "\n\n", "c"], "paragraph", [3, 5, 6]),
        (["a", ".\n", "\nb", "\n\n", "c"], "paragraph", [4, 5, 6]),  # after the token that completes it
        (["\n\n", "a", "\n\n", "b", "\n\n"], "paragraph", [4, 6]),  # nothing thought yet; nothing left to think
        (["a", "\n", "b", "\n\n", "c"], "line", [3, 5, 6]),
        (["1", ".", "5", " is", ".", " So", "?", "\n"], "sentence", [6, 9]),
        (["a", " wait", " b"], " wait", [3, 4]),
        (["a", "b"], "paragraph", [3]),
    ],
)
def test_cuts(pieces, every, cuts):
    found = step_ends(thought(*pieces), every=every)
    assert found.cuts.tolist() == cuts
    assert found.start == 1


@pytest.mark.parametrize(
    ("pieces", "every"),
    [
        (["a.", " b", "\n", "c", "\n\n", "d"], "paragraph"),
        (["a.", " b", "\n", "c", "\n\n"], "line"),
        (["a.", " b", "\n\n"], "sentence"),
        (["a", "b"], "sentence"),
    ],
)
def test_auto_takes_the_coarsest_step_that_divides(pieces, every):
    assert step_ends(thought(*pieces)).every == every


def test_the_first_of_several_blocks():
    trace = trace_of("ottcaottca")
    assert step_ends(trace, every="line").cuts.tolist() == [3]


def test_an_end_token_is_no_part_of_unfinished_thinking():
    trace = thought("a", "b", "<end>", letters="ottt")
    assert step_ends(trace, end_ids={3}).cuts.tolist() == [3]
    assert step_ends(trace).cuts.tolist() == [4]
    with pytest.raises(TraceError, match="end token alone"):
        step_ends(thought("<end>", letters="ot"), end_ids={1})


def test_what_has_no_steps():
    with pytest.raises(TraceError, match="no thinking"):
        step_ends(trace_of("aaa"))
    with pytest.raises(ParameterError, match="every is empty"):
        step_ends(trace_of("ottca"), every="")
    with pytest.raises(TraceError, match="no text"):
        step_ends(trace_of("ottca", texts=["<think>", "a", "b", "</think>", "4"], text=[None] * 5))
