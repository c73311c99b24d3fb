"""Splitting by think markers and the means by phase, for one trace and for a table of many."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

import workbench as wb
from tests.phases.phase_cases import trace_of
from workbench.errors import ParameterError, TraceError
from workbench.phases import phase_entropy, phase_table, split

PROBLEM = "Think of 9. Multiply it by 2. Then add 7. What is the result?"


@pytest.fixture(scope="module")
def demo():
    return wb.load("demo")


@pytest.fixture(scope="module")
def recorded(demo):
    return wb.record(demo, PROBLEM, max_new_tokens=160, seed=1, top=8)


@pytest.mark.parametrize(
    ("letters", "closings", "openings", "begins", "unfinished"),
    [
        ("", [], 0, False, False),
        ("aaa", [], 0, False, False),
        ("ottcaa", [(3, 4)], 1, False, False),
        ("ttcaa", [(2, 3)], 0, True, False),  # the prompt had opened the block
        ("ott", [], 1, False, True),
        ("ttt", [], 0, True, True),
        ("ocaa", [(1, 2)], 1, False, False),
        ("caa", [(0, 1)], 0, False, False),  # opened by the prompt, closed at once
        ("ottcaottcaa", [(3, 4), (8, 9)], 2, False, False),
        ("ottcaacaa", [(3, 4), (6, 7)], 1, False, False),
        ("ottc", [(3, 4)], 1, False, False),
        ("ottcao", [(3, 4)], 2, False, True),
    ],
)
def test_markers_of_all_kinds(letters, closings, openings, begins, unfinished):
    found = split(trace_of(letters))
    assert found.closings == tuple(closings)
    assert (found.openings, found.begins_thinking, found.unfinished) == (openings, begins, unfinished)
    entropy = phase_entropy(trace_of(letters))
    assert (entropy.closings, entropy.unfinished) == (len(closings), unfinished)
    assert (entropy.n_think, entropy.n_answer) == (letters.count("t"), letters.count("a"))


@pytest.mark.parametrize("letters", ["ottcaa", "ttcaa", "ott", "ttt", "caa", "ottcaottcaa", "ottc", "ottcao"])
def test_without_the_markers_texts_their_neighbours_tell(letters):
    known, unknown = split(trace_of(letters)), split(trace_of(letters, meta={}))
    assert known.closings == unknown.closings
    assert known.unfinished == unknown.unfinished


def test_a_server_that_hands_over_the_parts_without_markers_still_has_a_boundary():
    assert split(trace_of("ttaa", meta={})).closings == ((2, 2),)


def test_markers_of_several_tokens():
    pieces = ["<", "think", ">", "so ", "</", "think", ">", "4"]
    trace = trace_of("oootccca", texts=pieces)
    found = split(trace)
    assert found.closings == ((4, 7),)
    assert (found.openings, phase_entropy(trace).think) == (1, pytest.approx(0.4))


def test_two_markers_side_by_side_are_two():
    trace = trace_of("ootcca", texts=["<think>", "</think><th", "ink>x", "y", "</think>", "a"])
    assert split(trace).closings[0] == (1, 2)
    assert len(split(trace_of("ottccaa")).closings) == 2


def test_means_over_the_phases_of_a_decoded_text(recorded):
    phases, H = recorded.tokens["phase"].to_numpy(), recorded.tokens["entropy"].to_numpy()
    k = recorded.tokens["text"].to_list().index("</think>")
    found = phase_entropy(recorded)
    assert recorded.text.startswith("<think>")
    assert phases[k] == "marker"
    assert found.think == pytest.approx(H[1:k].mean())
    assert found.answer == pytest.approx(H[k + 1 :].mean())
    assert (found.n_think, found.n_answer) == (k - 1, len(H) - k - 1)
    sampled = phase_entropy(recorded, kind="sampled")
    assert sampled.think == pytest.approx(recorded.tokens["sampled_entropy"].to_numpy()[1:k].mean())
    assert sampled.think < found.think  # temperature 0.6 and truncation sharpen


def test_a_prompt_that_opens_the_block_begins_in_thought(demo):
    _, ids = demo.encode_prompt(PROBLEM)
    opened = wb.record(demo, [*ids, *demo.think_markers.open_ids], max_new_tokens=160, seed=1, top=8)
    found = phase_entropy(opened)
    assert found.begins_thinking
    assert not found.no_marker
    assert (found.openings, found.closings) == (0, 1)


def test_thinking_cut_off_is_unfinished_and_has_no_answer(demo):
    found = phase_entropy(wb.record(demo, PROBLEM, max_new_tokens=12, seed=1, top=8))
    assert found.unfinished
    assert found.empty_answer
    assert (found.answer, found.n_answer, found.closings) == (0.0, 0, 0)


def test_single_boundaries_of_the_paper():
    twice = trace_of("ottcaottcaa", entropy=np.arange(11.0))
    first, last = (phase_entropy(twice, boundary=name) for name in ("first", "last"))
    assert (first.n_think, first.n_answer) == (2, 5)
    assert (last.n_think, last.n_answer) == (5, 2)
    assert first.think == 1.5
    assert last.answer == 9.5
    plain = trace_of("aaa", entropy=[1.0, 2.0, 3.0])
    assert phase_entropy(plain).think == 0.0
    assert phase_entropy(plain).no_marker
    assert phase_entropy(plain, boundary="first").think == 2.0  # k = T


@given(st.text("taoc", max_size=30))
def test_every_token_is_in_one_phase_and_one_closing_divides_alike(letters):
    trace = trace_of(letters)
    for name in ("labels", "first", "last"):
        parts = split(trace, boundary=name)
        rows = np.concatenate([parts.rows(phase) for phase in ("think", "answer", "marker")])
        assert sorted(rows.tolist()) == list(range(len(letters)))
        assert sum(stop - start for _, start, stop, _ in parts.to_frame().rows()) == len(letters)
    assert split(trace, boundary="first").rows("think").size <= split(trace, boundary="last").rows("think").size


def test_unknown_entropies_are_in_no_mean():
    found = phase_entropy(trace_of("ottcaa", entropy=[9.0, None, 0.4, 9.0, 0.2, None]))
    assert (found.think, found.answer, found.unknown) == (0.4, 0.2, 2)


def test_what_is_missing_is_said():
    with pytest.raises(TraceError, match="no sampled entropy"):
        phase_entropy(trace_of("ottca"), kind="sampled")
    with pytest.raises(ParameterError, match="raw or sampled"):
        phase_entropy(trace_of("a"), kind="processed")
    with pytest.raises(ParameterError, match="first"):
        split(trace_of("a"), boundary="middle")
    with pytest.raises(TraceError, match="no phase"):
        split(trace_of("aa", phase=["answer", None]))


CASES = ["ottcaa", "ttcaa", "aaa", "ott", "ottcaottca", "ottcao", "ttt", "ocaa"]


def stacked():
    random = np.random.default_rng(0)
    frames = []
    for at, letters in enumerate(CASES):
        values = random.gamma(1, 1, len(letters))
        trace = trace_of(letters, entropy=values, sampled_entropy=values / 2)
        frames.append(trace.tokens.with_columns(problem=pl.lit(f"p{at // 2}"), sample=pl.lit(at % 2)))
    return pl.concat(frames)


def test_the_table_says_of_each_sequence_what_the_single_trace_says():
    table = phase_table(stacked(), ["problem", "sample"])
    assert len(table) == len(CASES)
    for row in table.iter_rows(named=True):
        part = stacked().filter(problem=row["problem"], sample=row["sample"])
        trace = wb.Trace(part.drop("problem", "sample"), meta={"think_markers": ["<think>", "</think>"]})
        for kind, prefix in (("raw", ""), ("sampled", "sampled_")):
            found = phase_entropy(trace, kind=kind)
            think, answer = row[f"{prefix}think_entropy"], row[f"{prefix}answer_entropy"]
            assert think == (pytest.approx(found.think) if found.n_think else None)
            assert answer == (pytest.approx(found.answer) if found.n_answer else None)
        assert (row["think_tokens"], row["answer_tokens"]) == (found.n_think, found.n_answer)
        assert (row["closings"], row["unfinished"]) == (found.closings, found.unfinished)
        assert row["tokens"] == len(part)


def test_the_table_of_a_lazy_frame_is_lazy_and_the_same(tmp_path):
    shuffled = stacked().sample(fraction=1, shuffle=True, seed=3).with_columns(pl.col("entropy").cast(pl.Float32))
    shuffled.write_parquet(tmp_path / "traces.parquet")
    lazy = phase_table(pl.scan_parquet(tmp_path / "*.parquet"), ["problem", "sample"])
    assert isinstance(lazy, pl.LazyFrame)
    found, whole = lazy.collect(engine="streaming"), phase_table(stacked(), ["problem", "sample"])
    assert_frame_equal(found, whole, rel_tol=1e-6)


def test_a_table_that_lacks_columns_says_which():
    with pytest.raises(TraceError, match="problem"):
        phase_table(stacked().drop("problem"), ["problem", "sample"])
    with pytest.raises(ParameterError, match="by is empty"):
        phase_table(stacked(), [])
