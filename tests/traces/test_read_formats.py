"""One test a format: the hand-made document of each engine to exactly the columns it determines."""

import json
import math
from dataclasses import dataclass
from types import SimpleNamespace

import pytest

from tests.traces.documents import FIXTURES, HALF, QUARTER, TENTH, column, entropy, fixture
from workbench.errors import TraceError
from workbench.traces.columns import INTERVAL, SCHEMA
from workbench.traces.imports import read_trace, read_traces


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
