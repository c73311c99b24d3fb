"""Three trainings that differ in what their names say, kept when stopped, and what came out of the bundled ones."""

import json
from dataclasses import asdict, replace

import pytest
import torch
from polars.testing import assert_frame_equal
from transformers import AutoTokenizer
from typer import Exit

import workbench as wb
from workbench.attention import HeadHistory
from workbench.demo import collapse
from workbench.demo.tokenizer import TURN
from workbench.demo.train import rate
from workbench.locations import MODELS, RUNS

SMALL = {"hidden": 16, "layers": 1, "intermediate": 24, "heads": 2, "kv_heads": 2, "row": 24, "rows": 2}


def small(steps=4):
    """The three trainings, so small that they take a moment."""
    return [replace(run, recipe=replace(run.recipe, **SMALL, tokens=steps * 48)) for run in collapse.runs()]


@pytest.fixture(scope="module")
def tokenizer():
    return AutoTokenizer.from_pretrained(MODELS / "demo")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The file of the small trainings, and its history."""
    out = tmp_path_factory.mktemp("made") / "new" / "runs.parquet"
    return out, collapse.make(small(), out, every=2, show=False)


def test_the_file_holds_every_run_and_how_it_was_made(made):
    out, history = made
    assert_frame_equal(HeadHistory.load(out).frame, history.frame)
    assert history.runs == ("usual", "no warm-up", "no warm-up, sigma-Reparam")
    assert [history.steps(run) for run in history.runs] == [(0, 2, 4)] * 3
    assert history.losses["loss"].null_count() == 0
    for run, about in zip(small(), history.meta["runs"], strict=True):
        assert about["recipe"] == asdict(run.recipe)
        assert set(about["versions"]) == {"python", "torch", "transformers"}
    assert history.meta["text"].startswith(TURN)
    json.dumps(history.meta)
    assert [file.name for file in out.parent.iterdir()] == ["runs.parquet"]


def test_first_weights_and_rows_are_the_same_and_queries_have_no_norm(tokenizer):
    usual, high, both = (collapse.new_model(run, len(tokenizer)).state_dict() for run in small())
    assert all(torch.equal(weight, high[name]) for name, weight in usual.items())
    for name, weight in both.items():
        plain = name.replace("parametrizations.weight.original", "weight")
        assert torch.equal(weight, usual.get(plain, weight))
    assert sum("gamma" in name for name in both) == 7
    assert not any("q_norm" in name for name in usual)
    first, second = (next(collapse.batches(run.recipe, tokenizer)) for run in small()[:2])
    assert torch.equal(first, second)
    assert first.shape == (2, 24)


def test_the_runs_differ_in_what_their_names_say():
    usual, high, both = collapse.runs()
    assert replace(high.recipe, learning_rate=usual.recipe.learning_rate, warmup=usual.recipe.warmup) == usual.recipe
    assert both.recipe == high.recipe
    assert both.sigma_reparam
    assert not high.sigma_reparam
    assert rate(high.recipe, 0.0) == high.recipe.learning_rate > usual.recipe.learning_rate
    assert rate(usual.recipe, 0.0) == 0


def test_rows_are_the_training_texts_one_after_another(tokenizer):
    recipe = small()[0].recipe
    stream = collapse.texts(recipe.seed + 1)
    whole = "".join(text for _ in range(3) for text, _ in next(stream))
    rows = collapse.batches(recipe, tokenizer)
    read = tokenizer.decode(torch.cat([next(rows).flatten() for _ in range(3)]))
    assert whole.startswith(read)


def test_stopped_it_keeps_finished_runs_and_goes_on_to_the_same_end(made, tmp_path, monkeypatch):
    out, trained, train = tmp_path / "runs.parquet", [], collapse.train

    def stopped_at(name):
        def until(run, *given, **settings):
            trained.append(run.name)
            if run.name == name:
                raise KeyboardInterrupt
            return train(run, *given, **settings)

        monkeypatch.setattr(collapse, "train", until)

    stopped_at("no warm-up")
    with pytest.raises(KeyboardInterrupt):
        collapse.make(small(), out, every=2, show=False)
    assert not out.exists()
    stopped_at(None)
    history = collapse.make(small(), out, every=2, show=False)
    assert trained == ["usual", "no warm-up", "no warm-up", "no warm-up, sigma-Reparam"]
    assert_frame_equal(history.frame, made[1].frame)


def test_what_is_left_of_another_or_half_a_run_is_not_taken(tmp_path, tokenizer):
    run = small(2)[0]
    path = collapse.train(run, tokenizer, every=2, show=False).save(tmp_path / "0.parquet")
    assert collapse._finished(path, run, 2) is not None
    assert collapse._finished(path, run, 1) is None
    assert collapse._finished(path, small(3)[0], 2) is None
    path.write_bytes(path.read_bytes()[:-100])
    assert collapse._finished(path, run, 2) is None


def test_the_command_stops_with_a_word(tmp_path, monkeypatch, capsys):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(collapse, "train", stop)
    with pytest.raises(Exit) as ended:
        collapse.main(tmp_path / "runs.parquet", steps=1)
    assert ended.value.exit_code == 130
    assert "goes on with the next" in capsys.readouterr().out


def test_the_card_replaces_the_one_before_and_leaves_the_rest(made, tmp_path):
    path = tmp_path / "README.md"
    path.write_text("# Something else\n\ntext\n")
    for _ in range(2):
        collapse.write_card(made[1], path)
    assert path.read_text() == f"# Something else\n\ntext\n\n{collapse.card(made[1])}"


# --- the bundled file -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def bundled():
    return wb.attention.training_runs()


def test_the_bundled_file_is_of_this_recipe_and_small(bundled):
    assert (RUNS / "attention_training.parquet").stat().st_size < 1_000_000
    assert [about["recipe"] for about in bundled.meta["runs"]] == [asdict(run.recipe) for run in collapse.runs()]
    assert all(bundled.steps(run) == tuple(range(0, 1001, 20)) for run in bundled.runs)
    assert (RUNS / "README.md").read_text().endswith(collapse.card(bundled))


def test_without_warm_up_the_entropy_collapses_and_with_sigma_reparam_it_does_not(bundled):
    usual, high, both = ({"first": bundled.at(run, 20), "last": bundled.at(run, 1000)} for run in bundled.runs)
    assert high["first"]["entropy_by_support"].mean() < 0.1  # within twenty steps
    assert high["last"]["entropy_by_support"].max() < 0.02  # no head comes back
    assert high["last"]["collapsed"].min() > 0.9
    for run in (usual, both):
        assert run["first"]["entropy_by_support"].mean() > 0.8
        assert run["last"]["entropy_by_support"].mean() > 0.5
    losses = [bundled.losses.filter(run=run)["loss"].tail(10).mean() for run in bundled.runs]
    assert losses[1] > 1.3 * max(losses[0], losses[2])
