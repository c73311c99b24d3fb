"""Documents that cannot be read are answered in words, with the remedy."""

import json
import math

import pytest

from tests.traces.documents import chat, fixture
from workbench.errors import ParameterError, TraceError
from workbench.traces.imports import read_trace, read_traces


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
