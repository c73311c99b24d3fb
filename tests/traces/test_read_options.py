"""What the caller of read_trace can say, and which ranks a list proves."""

import json
import math
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.traces.documents import HALF, chat, column
from workbench.errors import ParameterError, TraceError
from workbench.traces.imports import read_trace, read_traces
from workbench.traces.imports.phases import phases


def test_several_choices_need_read_traces():
    document = chat(("a", -0.5, []))
    document["choices"] *= 2
    assert len(read_traces(document)) == 2
    with pytest.raises(TraceError, match=r"2 sequences.*read_traces"):
        read_trace(document)


def test_logprobs_can_be_declared_sampled():
    trace = read_trace(chat(("a", -0.5, [])), logprobs="sampled")
    assert column(trace, "sampled_logprob") == [-0.5]
    assert column(trace, "logprob") == [None]
    assert trace.meta["logprobs"]["certainty"] == "asked for"


def test_naming_the_engine_decides_how_its_chat_format_is_read():
    trace = read_trace(chat(("a", -0.5, [])), format="sglang")
    assert column(trace, "sampled_logprob") == [-0.5]
    assert read_trace(chat(("a", -0.5, [])), format="vllm").meta["engine"] == "vllm"


def test_batch_results_and_response_objects_are_unwrapped():
    document = chat(("a", -0.5, []))
    line = {"custom_id": "1", "response": {"status_code": 200, "body": document}}
    assert read_trace(line).text == "a"
    assert read_trace(SimpleNamespace(model_dump=lambda: document)).text == "a"


def test_a_file_of_one_response_a_line(tmp_path):
    path = tmp_path / "responses.jsonl"
    path.write_text("\n".join(json.dumps(chat((text, -0.5, []))) for text in "ab") + "\n")
    assert [trace.text for trace in read_traces(path)] == ["a", "b"]


def test_entropy_is_filled_for_all_tokens_or_none():
    certain = ("a", 0.0, [("a", 0.0)])
    open_ended = ("b", HALF, [("b", HALF)])
    assert column(read_trace(chat(certain, certain)), "entropy") == [0.0, 0.0]
    assert column(read_trace(chat(certain, open_ended), vocabulary=100), "entropy") == [None, None]


def test_think_markers_can_be_given_or_denied():
    text = [("[[", -1.0, []), ("a", -1.0, []), ("]]", -1.0, []), ("b", -1.0, [])]
    assert column(read_trace(chat(*text)), "phase") == ["answer"] * 4
    given = read_trace(chat(*text), think_markers=("[[", "]]"))
    assert column(given, "phase") == ["marker", "think", "marker", "answer"]
    assert given.meta["think_markers"] == ["[[", "]]"]
    thought = chat(("<think>", -1.0, []), ("a", -1.0, []))
    assert column(read_trace(thought, think_markers=False), "phase") == ["answer", "answer"]
    with pytest.raises(ParameterError, match="think_markers"):
        read_trace(thought, think_markers=("<think>", ""))


@pytest.mark.parametrize(
    ("texts", "prompt", "expected"),
    [
        (["a", "</think>", "b"], "", ["think", "marker", "answer"]),
        (["a", "</think>", "b"], "…<think>\n", ["think", "marker", "answer"]),
        (["a", "b"], "…<think>\n", ["think", "think"]),
        (["use <think> here"], "", ["answer"]),
        (["\n", "<think>", "a"], "", ["answer", "marker", "think"]),
        (["<think>a", "b</thi", "nk>c", "", "d"], "", ["marker", "marker", "marker", "answer", "answer"]),
        (["<|channel|>analysis<|message|>", "a", "<|end|>", "b"], "", ["marker", "think", "marker", "answer"]),
        ([], "", []),
    ],
)
def test_phases_by_text(texts, prompt, expected):
    assert phases(texts, prompt) == expected


@pytest.mark.parametrize(
    ("own", "top", "rank"),
    [
        (-1.0, [("x", -0.9), ("a", -1.0), ("z", -3.0)], 1),  # a less likely one is listed after it
        (-3.0, [("a", -3.0), ("x", -0.5), ("y", -2.0)], None),  # named first, least likely: may stand for any rank
        (-3.0, [("x", -0.5), ("y", -2.0), ("a", -3.0)], 2),  # the last of a plain top 3
        (-0.6, [("a", -0.6)], 0),  # more than half of the mass
        (-0.8, [("a", -0.8)], None),  # a single line proves nothing
        (-2.0, [("x", -0.5)], None),  # not listed, and the rest could hold a likelier one
        (-1.2, [("x", -0.5)], 1),  # not listed, but the rest is too small for a likelier one
        (-0.9, [("a", -0.3)], None),  # spelled like a listed token, which it cannot be
        (-2.0, [("x", -3.0), ("a", -2.0), ("y", -2.1)], None),  # out of order: asked for by name
    ],
)
def test_a_rank_is_given_where_the_list_proves_it(own, top, rank):
    assert column(read_trace(chat(("a", own, top))), "rank") == [rank]


@given(st.data())
def test_rank_and_interval_hold_for_every_way_servers_list_the_realised_token(data):
    size = data.draw(st.integers(3, 20))
    weights = data.draw(st.lists(st.integers(-60, 60), min_size=size, max_size=size, unique=True))
    total = math.fsum(math.exp(w / 10) for w in weights)
    logs = sorted((w / 10 - math.log(total) for w in weights), reverse=True)
    k = data.draw(st.integers(1, size - 1))
    rank = data.draw(st.integers(0, size - 1))
    named = [(f"t{i}", logs[i]) for i in range(k)]
    own = (f"t{rank}", logs[rank])
    vllm = list(dict([own, *named]).items())[: data.draw(st.sampled_from([k, k + 1]))]
    truth = -math.fsum(p * math.exp(p) for p in logs)
    for top in (named, vllm):
        trace = read_trace(chat((*own, top)), vocabulary=size)
        assert column(trace, "rank")[0] in (rank, None)
        assert column(trace, "entropy_lower")[0] <= truth + 1e-9
        assert truth <= column(trace, "entropy_upper")[0] + 1e-9
        if rank < k - 1 and top is named:
            assert column(trace, "rank") == [rank]
