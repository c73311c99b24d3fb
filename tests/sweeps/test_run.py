"""Sweeps of the real demo model: complete, resumable, the same whatever interrupts them."""

import os
import signal
import subprocess
import sys
import threading
import time

import polars as pl
import pytest
from typer.testing import CliRunner

import workbench as wb
from tests.sweeps.sweep_cases import KEY, SETTINGS, few, nearly_same, rows, same, tokens
from workbench import cli
from workbench.errors import ParameterError, SweepError
from workbench.samplers import TopK
from workbench.sweeps import Strategy
from workbench.sweeps.folder import RESULTS

RUN = """
import sys
import workbench as wb
wb.sweeps.run("demo", wb.problems.load("arithmetic", limit=4), out=sys.argv[1], **{settings})
"""


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return wb.sweeps.run("demo", few(), out=tmp_path_factory.mktemp("sweep") / "whole", **SETTINGS)


def test_every_sequence_is_there_once_with_its_tokens(whole):
    frame = whole.to_frame()
    assert whole.complete
    assert dict(frame.schema) == RESULTS
    assert len(frame) == frame.select(KEY).n_unique() == 8
    counted = (
        tokens(whole)
        .group_by(KEY)
        .agg(pl.len().cast(pl.Int32).alias("counted"), pl.col("entropy").mean().alias("mean"))
    )
    joined = frame.join(counted, on=KEY)
    assert len(joined) == 8
    assert joined["tokens"].equals(joined["counted"], check_names=False)
    assert (joined["entropy"] - joined["mean"]).abs().max() < 1e-6
    assert set(frame["finish"]) <= {"end", "length"}
    assert frame["tokens"].max() <= 24


def test_a_trace_of_it_is_what_record_gives(whole):
    row = rows(whole).row(3, named=True)
    model = wb.load("demo")
    alone = wb.record(model, row["prompt"], seed=row["seed"], max_new_tokens=24)
    found = whole.trace(row["problem"], row["sample"])
    assert found.text == alone.text == row["text"]
    assert found.prompt_ids == alone.prompt_ids
    assert found.prompt == alone.prompt
    assert found.meta["question"] == alone.meta["question"] == row["prompt"]
    assert found.tokens.columns == alone.tokens.columns
    assert (found.tokens["entropy"] - alone.tokens["entropy"]).abs().max() < 1e-4
    assert found.meta["seed"] == row["seed"]


def test_it_is_graded_with_what_was_extracted(tmp_path):
    sweep = wb.sweeps.run(
        "demo", few(3), samples=1, sampler=wb.Sampler(temperature=0), out=tmp_path / "s", progress=False
    )
    frame = sweep.to_frame()
    assert frame["correct"].sum() >= 2  # the demo model solves easy ones greedily
    assert (frame["extracted"] == frame["answer"]).equals(frame["correct"], check_names=False)
    assert frame["sampler"].unique().to_list() == ["greedy"]


def test_running_again_decodes_nothing(whole):
    before = {path: path.stat().st_mtime_ns for path in whole.folder.rglob("*.parquet")}
    again = wb.sweeps.run("demo", few(), out=whole.folder, **SETTINGS)
    assert again.complete
    assert before == {path: path.stat().st_mtime_ns for path in whole.folder.rglob("*.parquet")}


def test_killed_in_the_middle_and_resumed_it_is_the_same(whole, tmp_path):
    folder = tmp_path / "killed"
    process = subprocess.Popen([sys.executable, "-c", RUN.format(settings=SETTINGS), folder])
    deadline = time.monotonic() + 60
    while not list(folder.glob("results/part-*")) and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    (folder / "traces" / ".part-00001.parquet.dead.part").write_bytes(b"half")
    (folder / "traces" / "part-00001.parquet").write_bytes(b"whole traces of a unit without results")
    (folder / "results" / "part-00001.parquet").unlink(missing_ok=True)
    unfinished = wb.sweeps.open_sweep(folder)
    assert not unfinished.complete
    assert len(unfinished.to_frame()) == 4
    assert len(unfinished.traces.collect()) > 0
    same(wb.sweeps.run("demo", few(), out=folder, **SETTINGS), whole)
    assert not list(folder.rglob("*.part"))


def test_a_stop_leaves_whole_units_and_the_rest_for_later(whole, tmp_path):
    stop, seen = threading.Event(), []

    def watch(progress):
        seen.append(progress)
        if progress.sequences:
            stop.set()

    part = wb.sweeps.run("demo", few(), out=tmp_path / "s", stop=stop, **SETTINGS | {"progress": watch})
    assert not part.complete
    assert len(part.to_frame()) == 4
    assert seen[-1].total == 8
    assert seen[-1].tokens_per_second > 0
    assert seen[-1].seconds_left > 0
    same(wb.sweeps.run("demo", few(), out=tmp_path / "s", **SETTINGS), whole)


@pytest.mark.parametrize("size", [1, 3, 8])
def test_the_size_of_a_batch_changes_nothing_but_rounding(whole, tmp_path, size):
    nearly_same(wb.sweeps.run("demo", few(), out=tmp_path / "s", **SETTINGS | {"batch_size": size}), whole)


def test_models_and_samplers_are_arms_on_the_same_seeds(tmp_path):
    arms = {"cold": wb.Sampler(temperature=0.3), "short": Strategy(wb.Sampler.chain([TopK(3)]), max_new_tokens=5)}
    models = {"large": wb.load("demo"), "small": "demo-small"}
    sweep = wb.sweeps.run(models, few(2), sampler=arms, out=tmp_path / "s", **SETTINGS)
    frame = sweep.to_frame()
    assert frame.group_by("model", "sampler").len()["len"].to_list() == [4] * 4
    assert frame.group_by("problem", "sample").agg(pl.col("seed").n_unique())["seed"].to_list() == [1] * 4
    assert frame.filter(sampler="short")["tokens"].max() == 5
    trace = sweep.trace(frame["problem"][0], 1, sampler="short", model="small")
    assert trace.meta["model"] == "small"
    with pytest.raises(SweepError, match="Name one of the samplers: cold, short"):
        sweep.trace(frame["problem"][0], model="small")


def test_a_strategys_words_are_in_the_prompt(tmp_path):
    strategy = Strategy(wb.Sampler(temperature=0), prompt="Please: {prompt}")
    sweep = wb.sweeps.run("demo", few(1), sampler={"polite": strategy}, out=tmp_path / "s", **SETTINGS)
    prompt = wb.load("demo").tokenizer.decode(sweep.to_frame()["prompt_ids"][0].to_list())
    assert "Please: " + few(1).frame["prompt"][0] in prompt


def test_with_a_top_traces_can_be_replayed(tmp_path):
    sweep = wb.sweeps.run("demo", few(1), out=tmp_path / "s", top=64, **SETTINGS)
    trace = sweep.trace(few(1).frame["problem"][0])
    replay = wb.replay(trace, wb.Sampler(top_k=5))
    assert replay["kept"].max() <= 5
    assert trace.alternatives(2, 3)["text"].null_count() == 0
    assert "sketch_top_ids" not in trace.tokens.columns


def test_other_settings_in_the_same_folder_are_refused(whole):
    with pytest.raises(SweepError, match=r"samples was 2 and is 3.*another folder"):
        wb.sweeps.run("demo", few(), out=whole.folder, **SETTINGS | {"samples": 3})
    with pytest.raises(SweepError, match="digest was"):
        wb.sweeps.run("demo", few(5), out=whole.folder, **SETTINGS)
    assert wb.sweeps.open_sweep(whole.folder).complete


def test_a_folder_of_other_things_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(SweepError, match="holds other files"):
        wb.sweeps.run("demo", few(), out=tmp_path, **SETTINGS)
    with pytest.raises(SweepError, match="holds no sweep"):
        wb.sweeps.open_sweep(tmp_path)


def test_two_runs_do_not_share_a_folder(whole):
    from workbench.sweeps.folder import SweepFolder  # noqa: PLC0415

    with SweepFolder(whole.folder).locked(), pytest.raises(SweepError, match="Another run"):
        wb.sweeps.run("demo", few(), out=whole.folder, **SETTINGS)


def test_an_estimate_comes_first_and_nothing_is_written(tmp_path):
    found = wb.sweeps.estimate("demo", few(), samples=2, max_new_tokens=24, batch_size=4, out=tmp_path / "s")
    assert found.sequences == 8
    assert found.tokens == 8 * 24
    assert found.seconds > 0
    assert found.memory > 0
    assert not (tmp_path / "s").exists()
    assert "8 sequences, at most 192 tokens" in str(found)
    assert len(found.to_frame()) == 1


def test_what_would_not_fit_is_refused_with_something_smaller(tmp_path, monkeypatch):
    monkeypatch.setattr("workbench.sweeps.estimating.available_memory", lambda _: 10_000)
    with pytest.raises(SweepError, match=r"are free. Take a smaller batch_size"):
        wb.sweeps.run("demo", few(), out=tmp_path / "s", **SETTINGS)
    assert len(wb.sweeps.open_sweep(tmp_path / "s").to_frame()) == 0


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"samples": 0}, "samples=0"),
        ({"batch_size": 0}, "batch_size=0"),
        ({"top": -1}, "top=-1"),
        ({"max_new_tokens": 0}, "max_new_tokens=0"),
        ({"backend": "slurm"}, "local or ray"),
        ({"workers": 0}, "workers=0"),
        ({"sampler": {}}, "empty mapping"),
        ({"sampler": 0.7}, "give a Sampler"),
        ({"sampler": {"a": "hot"}}, "neither a Sampler nor a Strategy"),
    ],
)
def test_wrong_numbers_are_refused_before_anything_is_written(tmp_path, wrong, words):
    with pytest.raises(SweepError, match=words):
        wb.sweeps.run("demo", few(1), out=tmp_path / "s", **SETTINGS | wrong)


def test_a_prompt_beyond_the_context_is_named(tmp_path):
    frame = pl.DataFrame({"problem": ["long"], "prompt": ["2 plus 2? " * 4000], "answer": ["4"], "difficulty": [1.0]})
    with pytest.raises(SweepError, match="Problem 'long' cannot be given to demo"):
        wb.sweeps.run("demo", wb.problems.load(frame), out=tmp_path / "s", **SETTINGS)


def test_a_damaged_settings_file_is_said(tmp_path, whole):
    (tmp_path / "sweep.json").write_text("{")
    with pytest.raises(SweepError, match="cannot be read"):
        wb.sweeps.open_sweep(tmp_path)


def test_an_unknown_sequence_is_refused(whole):
    with pytest.raises(SweepError, match="no sample 9"):
        whole.trace(whole.problems["problem"][0], 9)
    with pytest.raises(SweepError, match="no sample 0 of problem 'x'"):
        whole.trace("x")


def test_the_command_line_runs_resumes_and_says_how_to_open_it(tmp_path):
    arguments = [
        "sweep", "--limit", "2", "--samples", "1", "--max-new-tokens", "8", "--sampler", "temperature=0.7,top_p=0.9",
        "--out", str(tmp_path / "s"),
    ]  # fmt: skip
    for _ in range(2):
        found = CliRunner().invoke(cli.app, arguments)
        assert found.exit_code == 0, found.output
        assert "raw entropy (nats)" in found.output
        assert "open_sweep" in found.output
    assert wb.sweeps.open_sweep(tmp_path / "s").complete
    refused = CliRunner().invoke(cli.app, ["sweep", "--sampler", "hot", "--out", str(tmp_path / "t")])
    assert isinstance(refused.exception, ParameterError)


def test_the_command_line_takes_a_table_by_its_columns(tmp_path):
    pl.DataFrame({"frage": ["What is 3 plus 4?"], "lösung": ["7"], "stufe": [1]}).write_csv(tmp_path / "q.csv")
    named = ["--prompt-column", "frage", "--answer-column", "lösung", "--difficulty-column", "stufe"]
    found = CliRunner().invoke(
        cli.app,
        ["sweep", "--problems", str(tmp_path / "q.csv"), *named, "--samples", "1", "--out", str(tmp_path / "s")],
    )
    assert found.exit_code == 0, found.output
    row = wb.sweeps.open_sweep(tmp_path / "s").to_frame().row(0, named=True)
    assert (row["prompt"], row["answer"], row["difficulty"]) == ("What is 3 plus 4?", "7", 1.0)


@pytest.mark.slow
@pytest.mark.xdist_group("ray")
def test_two_ray_workers_give_the_same_rows(whole, tmp_path):
    pytest.importorskip("ray")
    # One thread a worker, more here: sums may be rounded otherwise.
    nearly_same(wb.sweeps.run("demo", few(), out=tmp_path / "s", backend="ray", workers=2, **SETTINGS), whole)


def test_ray_loads_models_by_name(tmp_path):
    with pytest.raises(SweepError, match="Workers load models themselves"):
        wb.sweeps.run(wb.load("demo"), few(1), out=tmp_path / "s", backend="ray", **SETTINGS)


def test_a_cluster_that_is_not_there_is_said_at_once(tmp_path, monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    with pytest.raises(SweepError, match=r"Nothing answers at 127.0.0.1:1 \(RAY_ADDRESS\).*ray start --head"):
        wb.sweeps.run("demo", few(1), out=tmp_path / "s", backend="ray", **SETTINGS)


def test_too_little_memory_for_the_workers_is_said_before_ray_starts(tmp_path, monkeypatch):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr("workbench.sweeps.cluster.available_memory", lambda _: 1_100_000_000)
    with pytest.raises(SweepError, match=r"2 workers and Ray itself take about 2\.0 GB .* 1\.1 GB are free.*fewer"):
        wb.sweeps.run("demo", few(), out=tmp_path / "s", backend="ray", workers=2, **SETTINGS)


def test_without_ray_the_line_that_installs_it_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(wb.WorkbenchError, match=r"pip install 'entropy-workbench\[cluster\]'"):
        wb.sweeps.run("demo", few(1), out=tmp_path / "s", backend="ray", **SETTINGS)
