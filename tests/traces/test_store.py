"""Traces on disk: nothing lost, nothing half-written read, bad files answered in words."""

import errno
import os
import shutil

import numpy as np
import polars as pl
import pytest

import workbench as wb
from workbench.errors import TraceError
from workbench.traces import store
from workbench.traces.columns import SCHEMA


def make_trace(tokens=12, vocabulary=700, seed=0, **meta):
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 3, (tokens, vocabulary))
    logits[:, -3:] = -np.inf
    ids = rng.integers(0, vocabulary - 3, tokens)
    texts = [f"<b>{i}</b>\n" if i % 2 else "é" for i in range(tokens)]
    return wb.Trace.from_logits(logits, ids, texts=texts, prompt="p\0q", prompt_ids=(5, 6), meta={"seed": seed, **meta})


def test_everything_comes_back(tmp_path):
    trace = make_trace(note="ü", nested={"a": [1, 2.5, None]})
    back = wb.Trace.load(trace.save(tmp_path / "t.parquet"))
    assert back.tokens.equals(trace.tokens)
    assert (back.prompt, back.prompt_ids, back.text, back.names) == (
        trace.prompt, trace.prompt_ids, trace.text, trace.names,
    )  # fmt: skip
    assert dict(back.meta) == dict(trace.meta)
    for name in trace.sketch.__dataclass_fields__:
        np.testing.assert_array_equal(getattr(back.sketch, name), getattr(trace.sketch, name), err_msg=name)


def test_a_trace_without_tokens_and_one_without_a_sketch(tmp_path):
    empty = make_trace(0)
    assert len(wb.Trace.load(empty.save(tmp_path / "empty.parquet"))) == 0
    bare = wb.Trace(make_trace().tokens)
    assert wb.Trace.load(bare.save(tmp_path / "bare.parquet")).sketch is None


def test_a_folder_is_one_lazy_dataset(tmp_path):
    for i in range(3):
        make_trace(5 + i, seed=i).save(tmp_path / f"t{i}.parquet")
    traces = wb.open_traces(tmp_path)
    assert len(traces) == 3
    assert [len(trace) for trace in traces] == [5, 6, 7]
    assert [len(trace) for trace in traces[1:]] == [6, 7]
    means = traces.tokens.group_by("file").agg(pl.col("entropy").mean()).sort("file").collect()
    assert means["file"].to_list() == ["t0.parquet", "t1.parquet", "t2.parquet"]
    assert means["entropy"].to_list() == pytest.approx([t.tokens["entropy"].mean() for t in traces])
    summary = traces.summary()
    assert summary["tokens"].to_list() == [5, 6, 7]
    assert summary["seed"].to_list() == [0, 1, 2]


def test_what_a_killed_writer_left_is_passed_over(tmp_path):
    make_trace().save(tmp_path / "whole.parquet")
    (tmp_path / ".cut.parquet.0123.part").write_bytes(b"PAR1 and then nothing")
    assert len(wb.open_traces(tmp_path)) == 1


def test_a_full_disk_leaves_the_old_file_and_no_part(tmp_path, monkeypatch):
    path = make_trace().save(tmp_path / "t.parquet")
    before = path.read_bytes()

    def full(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("workbench.atomic._flush_to_disk", full)
    with pytest.raises(TraceError, match="disk is full"):
        make_trace(seed=9).save(path)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["t.parquet"]


def test_saving_into_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(TraceError, match="does not exist"):
        make_trace().save(tmp_path / "no" / "t.parquet")


def rewritten(path, frame=None, **metadata):
    """The file with another table or other metadata."""
    known = {k: v for k, v in pl.read_parquet_metadata(path).items() if k != "ARROW:schema"}
    (pl.read_parquet(path) if frame is None else frame).write_parquet(path, metadata={**known, **metadata})
    return path


@pytest.mark.parametrize("share", [0.0, 0.4, 0.999])
def test_a_truncated_file_is_named(tmp_path, share):
    path = make_trace().save(tmp_path / "t.parquet")
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(TraceError, match=r"t\.parquet.*truncated"):
        wb.Trace.load(path)


def test_damage_in_the_middle_is_named(tmp_path):
    path = make_trace().save(tmp_path / "t.parquet")
    data = bytearray(path.read_bytes())
    data[4 : len(data) // 2] = bytes(len(data) // 2 - 4)
    path.write_bytes(data)
    with pytest.raises(TraceError, match=r"t\.parquet.*(damaged|truncated)"):
        wb.Trace.load(path)


def test_another_version_is_refused(tmp_path):
    path = rewritten(make_trace().save(tmp_path / "t.parquet"), **{"workbench.trace": "99"})
    with pytest.raises(TraceError, match=r"format 99.*Upgrade"):
        wb.Trace.load(path)


@pytest.mark.parametrize("column", ["entropy", "sketch_top_logits"])
def test_a_missing_column_is_named(tmp_path, column):
    path = make_trace().save(tmp_path / "t.parquet")
    rewritten(path, pl.read_parquet(path).drop(column))
    with pytest.raises(TraceError, match=column.removeprefix("sketch_")):
        wb.Trace.load(path)


def test_a_parquet_file_that_is_no_trace(tmp_path):
    pl.DataFrame({"a": [1]}).write_parquet(tmp_path / "t.parquet")
    with pytest.raises(TraceError, match=r"not a trace.*read_trace"):
        wb.Trace.load(tmp_path / "t.parquet")


def test_folders_that_cannot_be_opened(tmp_path):
    with pytest.raises(TraceError, match="no such folder"):
        wb.open_traces(tmp_path / "none")
    with pytest.raises(TraceError, match="holds no traces"):
        wb.open_traces(tmp_path)
    with pytest.raises(TraceError, match="no such file"):
        wb.Trace.load(tmp_path / "none.parquet")


def test_a_table_of_the_wrong_shape_makes_no_trace():
    tokens = make_trace().tokens
    with pytest.raises(TraceError, match="missing: \\['entropy'\\]"):
        wb.Trace(tokens.drop("entropy"))
    with pytest.raises(TraceError, match="one token a row"):
        wb.Trace.from_logits(np.zeros((3, 5)), [1, 2])
    assert tokens.schema == SCHEMA


def test_the_layout_is_versioned_and_traces_travel_between_folders(tmp_path):
    path = make_trace().save(tmp_path / "a.parquet")
    assert pl.read_parquet_metadata(path)["workbench.trace"] == store.FORMAT
    (tmp_path / "b").mkdir()
    shutil.move(path, tmp_path / "b" / "c.parquet")
    assert len(wb.open_traces(tmp_path / "b")[0]) == 12
