"""What can go wrong in a user's hands, case by case: an error of ours that says what to do, and nothing lost."""

import json
import pickle
from pathlib import Path

import numpy as np
import plotly.graph_objects as go
import polars as pl
import pytest
import torch

import workbench as wb
from widgets import save_figure
from widgets.figures.renderer import RENDERER
from workbench import errors
from workbench.locations import MODELS


@pytest.fixture(scope="module")
def demo():
    return wb.load("demo")


@pytest.fixture(scope="module")
def trace(demo):
    return wb.record(demo, "What is 3 plus 4?", max_new_tokens=12, seed=0)


@pytest.fixture
def broken_trace(trace, tmp_path):
    """A saved trace that lost its second half."""
    path = trace.save(tmp_path / "trace.parquet")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return path


def a_model_folder(folder: Path, **config) -> Path:
    """The demo's configuration with changes, and nothing else."""
    about = json.loads((MODELS / "demo" / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**about, **config}))
    return folder


def sequences(**columns) -> pl.DataFrame:
    """A sweep's results of twelve problems in one level."""
    n = 12
    return pl.DataFrame(
        {"problem": [str(i) for i in range(n)], "sample": [0] * n, "difficulty": [1.0] * n, "correct": [True] * n,
         "entropy": np.linspace(0.1, 0.3, n)} | columns
    )  # fmt: skip


def refused(kind, words, call) -> None:
    """The call raises our error, whose text has these words."""
    with pytest.raises(kind, match=words) as caught:
        call()
    assert isinstance(caught.value, errors.WorkbenchError)


def test_an_unknown_model():
    refused(errors.ModelError, "demo", lambda: wb.load("no-such-model"))


def test_a_hub_model_without_a_network(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    refused(errors.ModelError, "(?i)network|offline|reach", lambda: wb.load("someone/never-downloaded"))


def test_a_folder_that_is_no_model(tmp_path):
    refused(errors.ModelError, "config.json", lambda: wb.load(tmp_path))


def test_pickled_weights(tmp_path):
    a_model_folder(tmp_path)
    torch.save({}, tmp_path / "pytorch_model.bin")
    refused(errors.ModelError, "allow_pickle", lambda: wb.load(tmp_path))


def test_remote_code(tmp_path):
    a_model_folder(tmp_path, model_type="evil", auto_map={"AutoModelForCausalLM": "evil.Model"})
    refused(errors.ModelError, "trust_remote_code", lambda: wb.load(tmp_path))


def test_a_tokenizer_without_a_chat_template(demo):
    bare = wb.wrap(demo.hf, type(demo.tokenizer)(tokenizer_object=demo.tokenizer.backend_tokenizer))
    refused(errors.PromptError, "chat template", lambda: wb.record(bare, [{"role": "user", "content": "hello"}]))


def test_a_prompt_longer_than_the_context(demo):
    refused(errors.PromptError, "2,048", lambda: wb.record(demo, [5] * 3000))


@pytest.mark.parametrize("bad", [np.nan, -np.inf])
def test_logits_that_are_no_numbers_name_the_step(bad):
    logits = np.zeros((4, 8), np.float32)
    logits[2] = bad
    refused(errors.LogitsError, "2", lambda: wb.entropy(logits))


def test_two_models_with_different_vocabularies(demo):
    from tests.models.architectures import CONFIGS, make_model  # noqa: PLC0415  -- builds models

    other = wb.wrap(make_model(next(iter(CONFIGS))))
    settings = wb.samplers.switching.Switching()
    refused(errors.ModelError, "vocabular", lambda: wb.samplers.switching.decode(other, demo, [5, 6], settings))


def test_a_truncated_trace(broken_trace):
    refused(errors.TraceError, "truncated", lambda: wb.Trace.load(broken_trace))


def test_a_trace_of_another_version_or_without_a_column(trace, tmp_path):
    path = trace.save(tmp_path / "trace.parquet")
    about = pl.read_parquet_metadata(path)
    frame = pl.read_parquet(path)
    frame.write_parquet(path, metadata={**about, "workbench.trace": "999"})
    refused(errors.TraceError, "999", lambda: wb.Trace.load(path))
    frame.drop("entropy").write_parquet(path, metadata=about)
    refused(errors.TraceError, "entropy", lambda: wb.Trace.load(path))


def test_a_file_that_would_run_code_when_read(tmp_path):
    path = tmp_path / "trace.parquet"
    path.write_bytes(pickle.dumps({"tokens": []}))
    refused(errors.TraceError, "Parquet|trace", lambda: wb.Trace.load(path))


@pytest.mark.parametrize(
    ("words", "call"),
    [
        ("top_p", lambda: wb.Sampler(top_p=1.5)),
        ("temperature", lambda: wb.Sampler(temperature=-1)),
        ("max_new_tokens", lambda: wb.record(wb.load("demo-small"), "1 + 1", max_new_tokens=0)),
        ("skip_rows", lambda: wb.attention.head_stats(wb.load("demo-small"), "1 + 1 is 2", skip_rows=99)),
    ],
    ids=["top_p", "temperature", "max_new_tokens", "skip_rows"],
)
def test_parameters_out_of_range(words, call):
    refused(errors.ParameterError, words, call)


def test_an_empty_phase_is_told_by_its_count():
    logits = np.log(np.full((3, 4), 0.25, np.float32))
    phases = wb.phases.phase_entropy(wb.Trace.from_logits(logits, [0, 1, 2]))
    assert (phases.think, phases.n_think, phases.n_answer) == (0.0, 0, 3)


def test_a_problem_without_an_answer(tmp_path):
    path = tmp_path / "problems.jsonl"
    path.write_text('{"prompt": "1 + 1", "answer": "2"}\n{"prompt": "2 + 2", "answer": null}\n')
    refused(errors.ProblemError, "answer", lambda: wb.problems.load(path, prompt="prompt", answer="answer"))


def test_one_difficulty_level_only():
    refused(errors.DifficultyError, "at least two", lambda: wb.difficulty.curve(sequences()))


def test_results_without_a_column():
    refused(
        errors.DifficultyError, "entropy", lambda: wb.difficulty.curve(sequences(difficulty=range(12)).drop("entropy"))
    )


def test_a_folder_that_is_no_sweep(tmp_path):
    refused(errors.SweepError, "sweep", lambda: wb.sweeps.open_sweep(tmp_path))


def test_a_full_disk_leaves_what_was_there(trace, tmp_path, monkeypatch):
    path = trace.save(tmp_path / "trace.parquet")
    before = path.read_bytes()

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pl.DataFrame, "write_parquet", full)
    refused(errors.TraceError, "disk is full", lambda: trace.save(path))
    assert [one.name for one in tmp_path.iterdir()] == ["trace.parquet"]
    assert path.read_bytes() == before


def test_a_figure_too_large_to_draw(tmp_path):
    figure = go.Figure(go.Scatter(x=[0, 1], y=[0, 1]))
    refused(errors.ExportError, "SVG", lambda: save_figure(figure, tmp_path / "huge.png", size=(90_000, 90_000)))


def test_no_browser_for_static_export(tmp_path, monkeypatch):
    RENDERER.stop()
    monkeypatch.setenv("BROWSER_PATH", str(tmp_path / "none"))
    figure = go.Figure(go.Scatter(x=[0, 1], y=[0, 1]))
    refused(errors.ExportError, "HTML export works", lambda: save_figure(figure, tmp_path / "never.png"))
    assert save_figure(figure, tmp_path / "always.html").stat().st_size > 1_000_000  # with plotly.js inside


def test_more_than_the_memory_is_answered_by_an_estimate_and_a_smaller_suggestion(demo):
    estimate = wb.attention.estimate_memory(demo, 10**9, block=128)
    refused(errors.AttentionError, "tokens", estimate.check)
    assert 0 < estimate.most_tokens < 10**9
