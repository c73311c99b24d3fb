"""`workbench record`: what it prints, where it saves, what it refuses, and Ctrl-C."""

import os
import signal
import subprocess
import sys
import time

import pytest
from typer.testing import CliRunner

import workbench as wb
from workbench.cli import app
from workbench.cli_sampler import sampler_from_options
from workbench.cli_stream import interruptible
from workbench.cli_text import neutral
from workbench.errors import ModelError, ParameterError, TraceError

QUESTION = "What is 17 plus 25?"
SMALL = ["--model", "demo-small", "--max-new-tokens", "12"]


def run(*arguments, **options):
    return CliRunner().invoke(app, [*map(str, arguments)], **options)


def test_it_streams_the_text_saves_the_trace_and_says_where(tmp_path):
    result = run("record", QUESTION, *SMALL, "--temperature", 0.8, "--top-p", 0.9, "--seed", 3, "--out", tmp_path)
    assert result.exit_code == 0, result.output
    (path,) = tmp_path.glob("*.parquet")
    trace = wb.Trace.load(path)
    assert result.stdout == neutral(trace.text) + "\n"
    assert trace.meta["sampler"] == wb.Sampler(temperature=0.8, top_p=0.9).to_dict()
    assert (trace.meta["seed"], trace.meta["model"], len(trace)) == (3, "demo-small", 12)
    expected = wb.record(
        wb.load("demo-small"), QUESTION, sampler=wb.Sampler(temperature=0.8, top_p=0.9), seed=3, max_new_tokens=12
    )
    assert trace.tokens.equals(expected.tokens)
    assert "12 tokens, cut at the limit" in result.stderr
    assert f"{trace.tokens['entropy'].mean():.3f} nats" in result.stderr
    assert str(path) in result.stderr


def test_several_sequences_go_to_a_folder_and_overwrite_nothing(tmp_path):
    for _ in range(2):
        result = run("record", "-", *SMALL, "--n", 2, "--out", tmp_path / "new", input=QUESTION)
        assert result.exit_code == 0, result.output
    traces = wb.open_traces(tmp_path / "new")
    assert sorted(file.name for file in traces.files) == [
        "demo-small-seed0-2.parquet", "demo-small-seed0.parquet", "demo-small-seed1-2.parquet",
        "demo-small-seed1.parquet",
    ]  # fmt: skip
    assert {trace.meta["seed"] for trace in traces} == {0, 1}
    for trace in traces:
        assert neutral(trace.text) in result.stdout
    assert "2 of 2, seed 1" in result.stdout


def test_one_file_is_written_and_never_replaced(tmp_path):
    path = tmp_path / "deep" / "one.parquet"
    assert run("record", QUESTION, *SMALL, "--out", path).exit_code == 0
    before = path.read_bytes()
    again = run("record", QUESTION, *SMALL, "--out", path)
    assert isinstance(again.exception, TraceError)
    assert "is there already" in str(again.exception)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        (["--sampler", "temperature=0.5", "--top-k", "3"], ParameterError, "--top-k cannot be there as well"),
        (["--sampler", "warm"], ParameterError, "write temperature=0.7"),
        (["--sampler", '{"temperature": "hot"}'], ParameterError, "hot"),
        (["--sampler", '{"heat": 1}'], ParameterError, "heat"),
        (["--temperature", "-1"], ParameterError, "temperature"),
        (["--n", "2", "--out", "one.parquet"], ParameterError, "give a folder"),
        (["--model", "dmeo"], ModelError, "Did you mean 'demo'"),
    ],
)
def test_mistakes_are_named_with_their_remedy(arguments, error, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = run("record", QUESTION, *arguments)
    assert isinstance(result.exception, error)
    assert words in str(result.exception)
    assert not list(tmp_path.rglob("*.parquet"))


def test_a_place_that_cannot_be_a_folder_is_refused_before_the_decode(tmp_path):
    (tmp_path / "file").write_text("")
    result = run("record", QUESTION, "--out", tmp_path / "file" / "inside")
    assert isinstance(result.exception, TraceError)
    assert "loading" not in result.output


def test_all_ways_to_write_a_sampler_agree():
    same = wb.Sampler(temperature=0.5, top_k=7)
    assert sampler_from_options("temperature=0.5, top_k=7", {"top_p": None}) == same
    assert sampler_from_options(same.to_json(), {}) == same
    assert sampler_from_options('{"top_k": 7, "temperature": 0.5}', {}) == same
    assert sampler_from_options(None, {"temperature": 0.5, "top_k": 7, "top_p": None}) == same
    assert sampler_from_options(None, {"top_p": None}) is None


def test_what_a_terminal_would_obey_is_made_visible():
    assert neutral("a\tb\n") == "a\tb\n"
    assert neutral("\x1b[2J\x07\r\x9b1m\x7f") == "\\x1b[2J\\x07\\x0d\\x9b1m\\x7f"
    assert neutral("\u202eevil\u2069\u2028") == "\\u202eevil\\u2069\\u2028"
    assert neutral("naïve ✓ 日本語 👩\u200d💻") == "naïve ✓ 日本語 👩\u200d💻"


def interrupt_until(seen):
    os.kill(os.getpid(), signal.SIGINT)
    for _ in range(500):
        if seen():
            return
        time.sleep(0.01)


def test_the_first_ctrl_c_sets_the_event_and_the_second_interrupts():
    before = signal.getsignal(signal.SIGINT)
    with interruptible() as stop:
        interrupt_until(stop.is_set)
        assert stop.is_set()
        with pytest.raises(KeyboardInterrupt):
            interrupt_until(lambda: False)
    assert signal.getsignal(signal.SIGINT) is before


def test_ctrl_c_in_a_real_process_keeps_what_there_is(tmp_path):
    command = [
        sys.executable, "-c", "from workbench.cli import main; main()", "record", QUESTION, "--model", "demo-small",
        "--sampler", "temperature=5", "--n", "16", "--max-new-tokens", "1900", "--out", str(tmp_path),
    ]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.read(1)  # it decodes
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    traces = wb.open_traces(tmp_path)
    assert "stopped" in {trace.meta["finish"] for trace in traces}
    assert b"stopped" in said
    assert b"saved" in said


@pytest.mark.parametrize("command", [[], ["lab"], ["record"], ["sweep"], ["doctor"]])
def test_every_command_helps_with_examples(command):
    result = run(*command, "--help")
    assert result.exit_code == 0
    assert "Examples:" in result.output
    assert f"workbench {' '.join(command)}".strip() in result.output


def test_help_does_not_wait_for_torch():
    code = (
        "import sys; from workbench.cli import app\n"
        "try: app(['record', '--help'])\n"
        "except SystemExit: pass\n"
        "assert not {'torch', 'transformers', 'numba', 'widgets'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
