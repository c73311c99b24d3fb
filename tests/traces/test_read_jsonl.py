"""Our own JSONL: what is written comes back."""

import json

import polars as pl
import pytest

from tests.traces.documents import FIXTURES, chat
from workbench.errors import TraceError
from workbench.traces.columns import SCHEMA
from workbench.traces.imports import read_trace, read_traces, write_jsonl
from workbench.traces.trace import Trace


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
