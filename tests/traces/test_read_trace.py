import json
import math
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.errors import ParameterError, TraceError
from workbench.traces.columns import INTERVAL, SCHEMA
from workbench.traces.imports import read_trace, read_traces, write_jsonl
from workbench.traces.imports.phases import phases
from workbench.traces.imports.texts import align, utf8_texts
from workbench.traces.trace import Trace

FIXTURES = Path(__file__).parent / "fixtures"
HALF, QUARTER, TENTH = math.log(0.5), math.log(0.25), math.log(0.1)


def fixture(name):
    return json.loads((FIXTURES / name).read_text())


def column(trace, name):
    return trace.tokens[name].to_list()


def chat(*tokens, **message):
    """A chat completion of (token, logprob, [(token, logprob), ...]) triples."""
    content = [
        {"token": t, "logprob": p, "bytes": None, "top_logprobs": [{"token": a, "logprob": q} for a, q in top]}
        for t, p, top in tokens
    ]
    return {"choices": [{"message": {"content": None, **message}, "logprobs": {"content": content}}]}


def entropy(*probabilities):
    return -sum(p * math.log(p) for p in probabilities)


# --- one test a format ----------------------------------------------------------------------------


def test_openai_chat():
    trace = read_trace(FIXTURES / "openai_chat.json", vocabulary=1000)
    assert trace.tokens.columns == [*SCHEMA, *INTERVAL, "alternatives"]
    assert {name: trace.tokens.schema[name] for name in SCHEMA} == dict(SCHEMA)
    assert trace.text == "<think>so</think>Hi 🙂"
    assert column(trace, "position") == list(range(7))
    assert column(trace, "text") == ["<th", "ink>", "so", "</think>", "Hi", " ", "🙂"]
    assert column(trace, "phase") == ["marker", "marker", "think", "marker", "answer", "answer", "answer"]
    assert column(trace, "logprob") == pytest.approx([HALF, 0.0, TENTH, None, QUARTER, math.log(0.8), HALF])
    # so: outside the list, so how many were likelier is not known. </think>: no value. Hi: last of a list in order.
    assert column(trace, "rank") == [0, 0, None, None, 1, 0, 0]
    assert trace.tokens["token_id"].null_count() == 7
    lower, upper = column(trace, "entropy_lower"), column(trace, "entropy_upper")
    assert lower[0] == pytest.approx(entropy(0.5, 0.25, 0.25))
    assert upper[0] == pytest.approx(entropy(0.5, 0.25) + 0.25 * math.log(998 / 0.25))
    assert (lower[1], upper[1]) == (0.0, 0.0)
    assert lower[2] == pytest.approx(entropy(0.5, 0.2, 0.1, 0.2))
    assert upper[6] == pytest.approx(math.log(2))
    assert trace.tokens["alternatives"][2].to_list() == [
        {"token_id": None, "text": "ok", "logprob": HALF},
        {"token_id": None, "text": "we", "logprob": pytest.approx(math.log(0.2))},
    ]
    assert trace.meta["kind"] == "imported"
    assert trace.meta["format"] == "openai-chat"
    assert trace.meta["model"] == "gpt-4o-mini"
    assert trace.meta["source"] == "openai_chat.json"
    assert trace.meta["logprobs"] == {"kind": "raw", "certainty": "assumed"}
    assert trace.meta["top_k"] == 2
    assert trace.meta["missing"] == [
        "token_id", "entropy", "varentropy", "sampled_logprob", "sampled_entropy", "kept", "kept_mass",
    ]  # fmt: skip
    assert any("stand-in" in note for note in trace.meta["notes"])
    assert json.loads(json.dumps(trace.meta)) == trace.meta


def test_openai_refusal():
    trace = read_trace(fixture("openai_refusal.json"))
    assert trace.text == "No."
    assert column(trace, "logprob") == [-0.1, -0.2]
    assert any("refused" in note for note in trace.meta["notes"])


def test_openai_completions_with_echo():
    trace = read_trace(FIXTURES / "openai_completions_echo.json")
    assert trace.prompt == "One two"
    assert trace.text == " 🙂!"
    assert column(trace, "text") == [" ", "🙂", "!"]
    assert column(trace, "logprob") == [HALF, -0.01, TENTH]
    assert column(trace, "rank") == [0, 0, None]
    assert trace.tokens["entropy_upper"].null_count() == 3
    assert column(trace, "entropy_lower")[2] == pytest.approx(entropy(0.1, 0.7, 0.2))
    assert any("spelled alike" in note for note in trace.meta["notes"])


def test_echoed_prompt_tokens_can_be_read_as_scored_ones():
    trace = read_trace(FIXTURES / "openai_completions_echo.json", part="prompt")
    assert (trace.prompt, trace.text) == ("One", " two")
    assert column(trace, "logprob") == [-1.5]
    everything = read_trace(FIXTURES / "openai_completions_echo.json", part="all")
    assert (everything.prompt, everything.text) == ("One", " two 🙂!")
    assert len(everything) == 4


def test_an_echo_of_unknown_length_says_so():
    document = fixture("openai_completions_echo.json")
    del document["usage"]
    trace = read_trace(document)
    assert column(trace, "logprob")[:2] == [None, -1.5]
    assert column(trace, "entropy_lower")[0] is None
    assert any("where it ends is not told" in note for note in trace.meta["notes"])


def test_several_choices_of_one_echoed_prompt_keep_its_length():
    document = fixture("openai_completions_echo.json")
    document["choices"] *= 2
    document["usage"]["completion_tokens"] = 6
    assert [trace.text for trace in read_traces(document)] == [" 🙂!", " 🙂!"]


def test_vllm_offline():
    trace = read_trace(FIXTURES / "vllm_offline.json", vocabulary=151_936)
    assert trace.prompt == "Say hi"
    assert trace.prompt_ids == (45764, 15960)
    assert trace.text == "<think>\nok</think>é"
    assert column(trace, "token_id") == [151667, 198, 562, 151668, 127, 102]
    assert column(trace, "text") == ["<think>", "\n", "ok", "</think>", "", "é"]
    assert column(trace, "phase") == ["marker", "think", "think", "marker", "answer", "answer"]
    assert column(trace, "rank") == [0, 0, 57, 1, 0, 0]
    assert column(trace, "logprob") == [-0.1, 0.0, -6.0, -1.25, -0.25, -0.5]
    assert trace.meta["logprobs"] == {"kind": "raw", "certainty": "engine default"}
    # "ok" is listed beside the top two, so no unlisted token is likelier than the second of them.
    p = [math.exp(v) for v in (-0.5, -1.5, -6.0)]
    rest = 1 - sum(p)
    assert column(trace, "entropy_lower")[2] == pytest.approx(entropy(*p, rest))
    assert trace.tokens["alternatives"][1].to_list()[1]["logprob"] == -math.inf


def test_vllm_offline_prompt():
    trace = read_trace(FIXTURES / "vllm_offline.json", part="prompt")
    assert column(trace, "token_id") == [15960]
    assert column(trace, "rank") == [22]
    assert column(trace, "logprob") == [-4.5]
    assert trace.prompt_ids == (45764, 15960)


def test_vllm_chat_with_token_ids_and_the_realised_token_named_first():
    trace = read_trace(FIXTURES / "vllm_chat.json")
    assert trace.meta["engine"] == "vllm"
    assert trace.text == "Hi 🙂"
    assert column(trace, "token_id") == [13048, 26525, 224]
    assert column(trace, "text") == ["Hi", " ", "🙂"]
    assert trace.prompt_ids == (151644, 872, 198)
    # The first token heads its list without being the likeliest: any number of others may have come before it.
    assert column(trace, "rank") == [None, 0, 0]
    assert trace.tokens["alternatives"][0].to_list()[0] == {"token_id": 9707, "text": "⟨9707⟩", "logprob": -0.5}
    scored = read_trace(FIXTURES / "vllm_chat.json", part="prompt")
    assert column(scored, "text") == ["user", "\n"]
    assert column(scored, "rank") == [399, 0]


def test_vllm_objects_are_read_through_their_fields():
    @dataclass
    class Value:
        logprob: float
        rank: int
        decoded_token: str

    output = SimpleNamespace(
        index=0, text="a", token_ids=(5,), logprobs=[{5: Value(-0.5, 1, "a")}], finish_reason="stop"
    )
    request = SimpleNamespace(prompt="p", prompt_token_ids=[1], prompt_logprobs=None, outputs=[output])
    trace = read_trace([request])
    assert (trace.prompt, trace.text, column(trace, "rank")) == ("p", "a", [0])


def test_llamacpp():
    trace = read_trace(FIXTURES / "llamacpp.json")
    assert trace.prompt == "Say hi:"
    assert trace.text == "Hi 🙂"
    assert column(trace, "text") == ["Hi", " ", "🙂"]
    assert column(trace, "token_id") == [13048, 26525, 224]
    assert column(trace, "logprob") == [-1.25, -7.5, None]
    assert column(trace, "rank") == [1, None, None]
    assert trace.meta["logprobs"] == {"kind": "raw", "certainty": "documented"}
    assert trace.meta["model"] == "qwen3-0.6b-q4_k_m.gguf"
    assert trace.meta["finish"] == "limit"


def test_llamacpp_post_sampling():
    trace = read_trace(FIXTURES / "llamacpp_post_sampling.json")
    assert trace.tokens["logprob"].null_count() == 2
    assert column(trace, "sampled_logprob") == pytest.approx([QUARTER, 0.0])
    # The list holds all that the sampler left, so the sampled entropy is known.
    assert column(trace, "sampled_entropy") == pytest.approx([entropy(0.75, 0.25), 0.0], abs=1e-12)
    assert trace.tokens["entropy_lower"].null_count() == 2
    assert column(trace, "sampled_entropy_upper")[0] == pytest.approx(entropy(0.75, 0.25))
    assert column(trace, "rank") == [1, 0]
    assert "logprob" in trace.meta["missing"]


def test_llamacpp_older_spelling():
    trace = read_trace(FIXTURES / "llamacpp_old.json")
    assert trace.text == "Hi é"
    assert column(trace, "text") == ["Hi", " ", "", "é"]
    assert column(trace, "sampled_logprob") == pytest.approx([QUARTER, None, 0.0, HALF])
    assert trace.meta["logprobs"]["kind"] == "sampled"


def test_llamacpp_chat_is_told_by_its_ids():
    token = {"id": 5, "token": "a", "bytes": [97], "logprob": -0.5, "top_logprobs": []}
    document = {"choices": [{"message": {"content": "a"}, "logprobs": {"content": [token]}}]}
    assert read_trace(document).meta["engine"] == "llama.cpp"
    assert column(read_trace(document), "token_id") == [5]


def test_sglang():
    trace = read_trace(FIXTURES / "sglang.json")
    assert trace.text == "Hi 🙂"
    assert column(trace, "text") == ["Hi", " ", "🙂"]
    assert column(trace, "token_id") == [13048, 26525, 224]
    assert column(trace, "sampled_logprob") == [-1.25, -0.25, -4.5]
    assert trace.tokens["logprob"].null_count() == 3
    assert column(trace, "rank") == [1, 0, None]
    assert trace.prompt == "<|im_start|>user\n"
    assert trace.prompt_ids == (151644, 872, 198)
    assert trace.meta["finish"] == "length"


def test_sglang_prompt_log_probabilities_are_raw():
    trace = read_trace(FIXTURES / "sglang.json", part="all")
    assert column(trace, "logprob") == [-8.0, -0.125, None, None, None]
    assert column(trace, "sampled_logprob") == [None, None, -1.25, -0.25, -4.5]
    assert trace.prompt == "<|im_start|>"


def test_sglang_without_text_shows_ids_until_told_how_to_spell_them():
    document = fixture("sglang.json")
    info = document["meta_info"]
    info["output_token_logprobs"] = [[p, i, None] for p, i, _ in info["output_token_logprobs"]]
    del info["input_token_logprobs"], info["input_top_logprobs"]
    trace = read_trace(document)
    assert column(trace, "text") == ["⟨13048⟩", "⟨26525⟩", "⟨224⟩"]
    assert trace.text == "Hi 🙂"
    assert column(trace, "phase") == [None, None, None]
    assert "phase" in trace.meta["missing"]
    spelled = read_trace(document, token_texts=lambda ids: ["Hi", " ", "🙂"][: len(ids)])
    assert column(spelled, "text") == ["Hi", " ", "🙂"]
    with pytest.raises(TraceError, match="2 texts for 3 tokens"):
        read_trace(document, token_texts=lambda ids: ["a", "b"])


def test_own_sequences():
    first, second = read_traces(FIXTURES / "own_sequences.jsonl")
    assert (first.prompt, first.text) == ("Say hi", "Hi!")
    assert column(first, "sampled_logprob") == [-0.5, None]
    assert column(first, "token_id") == [7, None]
    assert first.meta["logprobs"] == {"kind": "sampled", "certainty": "documented"}
    assert column(second, "logprob") == [-1.5]


def test_own_tokens():
    first, second = read_traces(FIXTURES / "own_tokens.jsonl")
    assert column(first, "text") == ["caf", "", "é"]
    assert (first.text, second.text) == ("café", "tea")


# --- what the caller can say ----------------------------------------------------------------------


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


# --- ranks ----------------------------------------------------------------------------------------


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


# --- bytes ----------------------------------------------------------------------------------------


@given(st.text(max_size=30), st.data())
def test_text_split_anywhere_in_its_bytes_joins_again(text, data):
    raw = text.encode()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(raw)), max_size=12)))
    pieces = [raw[a:b] for a, b in zip([0, *cuts], [*cuts, len(raw)], strict=True)]
    texts = utf8_texts(pieces)
    assert "".join(texts) == text
    done = 0
    for index, piece in enumerate(texts):  # a character stands with the piece that holds its last byte
        done += len(piece.encode())
        assert done <= sum(map(len, pieces[: index + 1]))


@given(st.lists(st.binary(max_size=4), max_size=8))
def test_bytes_that_are_no_text_join_to_what_python_shows_for_them(pieces):
    assert "".join(utf8_texts(pieces)) == b"".join(pieces).decode("utf-8", "replace")


@given(st.text(min_size=1, max_size=12), st.data())
def test_chat_tokens_with_bytes_join_to_the_message(text, data):
    raw = text.encode()
    cut = data.draw(st.integers(0, len(raw)))
    content = [
        {"token": "?", "bytes": list(part), "logprob": -1.0, "top_logprobs": []} for part in (raw[:cut], raw[cut:])
    ]
    document = {"choices": [{"message": {"content": text}, "logprobs": {"content": content}}]}
    trace = read_trace(document)
    assert trace.text == text == "".join(column(trace, "text"))


@pytest.mark.parametrize(
    ("pieces", "full", "expected"),
    [
        (["Hi", " �", "�", "!"], "Hi 🙂!", ["Hi", " ", "🙂", "!"]),
        (["�", "�"], "é", ["", "é"]),
        (["Hello", "world"], "Hello world", ["Hello", " world"]),
        (["a", "", "b"], "ab", ["a", "", "b"]),
        (["a"], "b", None),
        (["a"], "ab", None),
    ],
)
def test_lossy_spelling_is_put_right_by_the_whole_text(pieces, full, expected):
    assert align(pieces, full) == expected


def test_tokens_that_do_not_make_the_message_win_and_the_trace_says_so():
    trace = read_trace(chat(("think", -0.5, []), ("ing", -0.5, []), content="only the answer"))
    assert trace.text == "thinking"
    assert any("do not join" in note for note in trace.meta["notes"])


def test_a_closing_special_token_left_out_of_the_message_is_no_disagreement():
    trace = read_trace(chat(("Hi", -0.5, []), ("<|im_end|>", -0.5, []), content="Hi"))
    assert trace.text == "Hi<|im_end|>"
    assert not any("do not join" in note for note in trace.meta["notes"])


def test_lone_surrogates_become_replacement_marks():
    assert read_trace(chat(("a\ud83d", -0.5, []))).text == "a\ufffd"


# --- JSONL of our own -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["openai_chat.json", "vllm_offline.json", "llamacpp_post_sampling.json", "sglang.json"]
)
def test_jsonl_round_trip(name, tmp_path):
    trace = read_trace(FIXTURES / name, vocabulary=151_936)
    path = write_jsonl(trace, tmp_path / "trace.jsonl")
    again = read_trace(path)
    assert again.tokens.equals(trace.tokens)
    assert again.tokens.schema == trace.tokens.schema
    assert (again.prompt, again.prompt_ids, again.text, again.meta) == (
        trace.prompt, trace.prompt_ids, trace.text, trace.meta,
    )  # fmt: skip


def test_jsonl_holds_several_traces_and_empty_ones(tmp_path):
    empty = Trace(pl.DataFrame(schema=SCHEMA), meta={"model": "m"})
    one = read_trace(chat(("\u2028<b>\n", -0.5, [])))
    first, second, third = read_traces(write_jsonl([one, empty, one], tmp_path / "traces.jsonl"))
    assert first.text == third.text == "\u2028<b>\n"
    assert len(second) == 0
    assert second.tokens.schema == SCHEMA


def test_jsonl_of_another_version_or_with_a_column_missing_is_refused(tmp_path):
    path = write_jsonl(read_trace(chat(("a", -0.5, []))), tmp_path / "trace.jsonl")
    document = json.loads(path.read_text())
    with pytest.raises(TraceError, match="version 2"):
        read_trace({**document, "workbench_trace": 2})
    del document["tokens"][0]["rank"]
    with pytest.raises(TraceError, match=r"lacks the columns \['rank'\]"):
        read_trace(document)


def test_jsonl_into_a_missing_folder_is_refused(tmp_path):
    with pytest.raises(TraceError, match="does not exist"):
        write_jsonl(read_trace(chat(("a", -0.5, []))), tmp_path / "no" / "trace.jsonl")


def test_a_meta_that_is_no_json_is_refused(tmp_path):
    with pytest.raises(TraceError, match="plain JSON"):
        write_jsonl(Trace(pl.DataFrame(schema=SCHEMA), meta={"when": object()}), tmp_path / "trace.jsonl")
    assert list(tmp_path.iterdir()) == []


# --- bad input ------------------------------------------------------------------------------------


def test_files_that_cannot_be_read_say_why(tmp_path):
    with pytest.raises(TraceError, match="no such file"):
        read_trace(tmp_path / "none.json")
    with pytest.raises(TraceError, match=r"json\.loads"):
        read_trace(json.dumps(chat(("a" * 5000, -0.5, []))))
    with pytest.raises(TraceError, match="open_traces"):
        read_trace(tmp_path)
    with pytest.raises(TraceError, match=r"Trace\.load"):
        read_trace("trace.parquet")
    cases = {
        "": "is empty",
        "hello": "is not JSON: it begins with 'hello'",
        'data: {"choices": []}': "stream=false",
        '{"choices": [{"mess': "truncated",
        '{"choices": [': "truncated",
        '{"choices": }': "not valid JSON: .* line 1, column 13",
        "[]": "nothing to read",
        "[1, 2]": "Expected JSON objects",
    }
    for text, message in cases.items():
        path = tmp_path / "document.json"
        path.write_text(text)
        with pytest.raises(TraceError, match=message):
            read_trace(path)
    path.write_bytes(b"\xff\xfe{}")
    with pytest.raises(TraceError, match="not UTF-8"):
        read_trace(path)


def test_a_truncated_line_is_named(tmp_path):
    path = tmp_path / "traces.jsonl"
    path.write_text(json.dumps(chat(("a", -0.5, []))) + '\n{"choices": [')
    with pytest.raises(TraceError, match=r"traces\.jsonl line 2 is truncated"):
        read_traces(path)


def test_an_unknown_document_names_its_keys_and_what_can_be_read():
    with pytest.raises(TraceError, match=r"keys are candidates, usageMetadata.*openai-chat: .*sglang: "):
        read_trace({"candidates": [], "usageMetadata": {}})
    with pytest.raises(TraceError, match="not a sglang document"):
        read_trace(fixture("llamacpp.json"), format="sglang")
    with pytest.raises(TraceError, match="chunk of a stream"):
        read_trace({"choices": [{"delta": {"content": "a"}}]})
    with pytest.raises(TraceError, match="server's error"):
        read_trace({"error": {"message": "no such model"}})
    with pytest.raises(TraceError, match="A function cannot be read"):
        read_trace(lambda: None)
    with pytest.raises(ParameterError, match="Choose one of auto"):
        read_trace({}, format="gguf")


@pytest.mark.parametrize(
    ("document", "ask"),
    [
        ({"choices": [{"message": {"content": "a"}, "logprobs": None}]}, "logprobs=True, top_logprobs=20"),
        ({"choices": [{"text": "a", "logprobs": None}]}, "logprobs=5"),
        ({"prompt_token_ids": [1], "outputs": [{"text": "a", "token_ids": [1], "logprobs": None}]}, "SamplingParams"),
        ({"content": "a", "tokens_predicted": 1}, "n_probs"),
        ({"text": "a", "meta_info": {"id": "1"}}, "return_logprob"),
        ({"tokens": [{"token": "a"}]}, "logprob"),
    ],
)
def test_absent_log_probabilities_say_how_to_ask_for_them(document, ask):
    with pytest.raises(TraceError, match=ask):
        read_trace(document)


def test_lists_of_different_lengths_are_named():
    document = fixture("openai_completions_echo.json")
    document["choices"][0]["logprobs"]["token_logprobs"].pop()
    with pytest.raises(TraceError, match="tokens has 5, token_logprobs has 4"):
        read_trace(document)
    document = fixture("vllm_offline.json")
    document["outputs"][0]["token_ids"].pop()
    with pytest.raises(TraceError, match="token_ids has 5, logprobs has 6"):
        read_trace(document)
    document = fixture("sglang.json")
    document["meta_info"]["output_top_logprobs"].pop()
    with pytest.raises(TraceError, match="output_token_logprobs has 3, output_top_logprobs has 2"):
        read_trace(document)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (math.nan, r"content\[0\].*NaN"),
        ("NaN", "NaN"),
        (0.7, "never above 0"),
        (math.inf, "never above 0"),
        ("high", "expected a number"),
        (True, "expected|belongs"),
    ],
)
def test_values_that_are_no_log_probabilities_are_refused(value, message):
    with pytest.raises(TraceError, match=message):
        read_trace(chat(("a", value, [])))


def test_other_broken_parts_are_named():
    with pytest.raises(TraceError, match=r"Token 1, 'a': The listed probabilities add up to 1\.81"):
        read_trace(chat(("x", -0.1, []), ("a", -0.1, [("a", -0.1), ("b", -0.1)])))
    document = chat(("a", -0.1, []))
    document["choices"][0]["logprobs"]["content"][0]["bytes"] = [300]
    with pytest.raises(TraceError, match="0 to 255"):
        read_trace(document)
    document["choices"][0]["logprobs"]["content"][0] = {"logprob": -1.0}
    with pytest.raises(TraceError, match='its text \\("token"\\)'):
        read_trace(document)
    document["choices"][0]["logprobs"]["content"] = 5
    with pytest.raises(TraceError, match="expected a list"):
        read_trace(document)
    with pytest.raises(TraceError, match="holds no log-probabilities of the prompt"):
        read_trace(chat(("a", -0.1, [])), part="prompt")
    with pytest.raises(TraceError, match="choices is empty"):
        read_trace({"choices": [], "object": "chat.completion"})


@pytest.mark.parametrize("arguments", [{"vocabulary": 0}, {"logprobs": "processed"}, {"part": "both"}])
def test_arguments_out_of_range_are_refused(arguments):
    with pytest.raises(ParameterError, match=next(iter(arguments))):
        read_trace(chat(("a", -0.1, [])), **arguments)


def test_a_vocabulary_smaller_than_the_list_is_refused():
    with pytest.raises(ParameterError, match="vocabulary=1"):
        read_trace(chat(("a", -1.0, [("a", -1.0), ("b", -2.0)])), vocabulary=1)
