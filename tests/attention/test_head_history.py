"""Heads over training: the logger changes nothing, checkpoints are measured one by one, files are whole or refused."""

import gc
import json
import math
import threading
import weakref

import huggingface_hub
import numpy as np
import polars as pl
import pytest
import torch
from huggingface_hub import constants
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

import workbench as wb
from tests.models.architectures import byte_level_tokenizer, make_model, save
from tests.models.test_hub import into_cache
from workbench.attention import (
    AttentionError,
    HeadHistory,
    HeadLogger,
    checkpoints,
    head_history,
    head_stats,
    sigma_reparam,
)
from workbench.attention.history import SCHEMA, STATISTIC_COLUMNS
from workbench.errors import ModelError, ParameterError, PromptError, WorkbenchError

IDS = list(range(3, 27))
TEXT = "How many apples are 12 and 7 apples? 19 apples."


def training(steps=7, every=None, *, sigma=False):
    """AdamW on random tokens; dropout draws random numbers, and one part stays in evaluation mode."""
    model = make_model("llama", attention_dropout=0.3)
    if sigma:
        sigma_reparam(model)
    logger = None if every is None else HeadLogger(model, IDS, every=every)
    model.train()
    model.model.layers[1].mlp.eval()
    torch.manual_seed(5)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for step in range(steps):
        ids = torch.randint(0, 320, (2, 16))
        loss = model(input_ids=ids, labels=ids).loss
        optimizer.zero_grad()
        loss.backward()
        if logger is not None:
            logger(step, loss)
        optimizer.step()
    return model, logger


def history(runs=("a", "b"), steps=(0, 10), layers=(0, 2), heads=2):
    rows = [(run, step, layer, head) for run in runs for step in steps for layer in layers for head in range(heads)]
    names = pl.DataFrame(rows, schema=["run", "step", "layer", "head"], orient="row")
    value = pl.int_range(pl.len()).cast(pl.Float64)
    made = names.with_columns(value.alias(name) for name in STATISTIC_COLUMNS)
    return HeadHistory(made.with_columns(loss=pl.col("step") / 10.0), {"seed": 1})


# --- the logger -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sigma", [False, True])
def test_a_training_is_the_same_with_the_logger_to_the_last_bit(sigma):
    plain, _ = training(sigma=sigma)
    random = torch.get_rng_state()
    logged, logger = training(every=2, sigma=sigma)
    assert torch.equal(torch.get_rng_state(), random)
    for (name, a), b in zip(plain.named_parameters(), logged.parameters(), strict=True):
        assert torch.equal(a, b), name
        assert torch.equal(a.grad, b.grad), name
    for (name, a), b in zip(plain.named_buffers(), logged.buffers(), strict=True):
        assert torch.equal(a, b), name
    assert [part.training for part in plain.modules()] == [part.training for part in logged.modules()]
    assert not logged.model.layers[1].mlp.training
    assert logged.model.layers[0].mlp.training
    assert logger.history.steps("model") == (0, 2, 4, 6)


def test_a_step_is_what_head_stats_says_of_the_model_there():
    model = make_model("llama")
    logger = HeadLogger(model, IDS, every=5, run="one")
    expected = head_stats(wb.wrap(model), IDS, skip_rows=1)
    assert logger(0, torch.tensor(2.5))
    assert not logger(3, 1.0)
    found = logger.history
    assert_frame_equal(found.at("one", 0), expected.to_frame())
    np.testing.assert_array_equal(found.values("one", 0, "sink"), expected.sink)
    assert found.losses.rows() == [("one", 0, 2.5)]
    assert found.frame.schema == SCHEMA
    assert found.meta["tokens"] == len(IDS)


def test_a_step_measured_again_takes_the_place_of_the_first():
    model = make_model("llama")
    logger = HeadLogger(model, IDS, every=1)
    logger(0, 3.0)
    before = logger.history.values("model", 0)
    with torch.no_grad():
        model.model.layers[0].self_attn.q_proj.weight.mul_(3)
    logger(1, math.nan)
    logger(0)
    after = logger.history
    assert after.losses["loss"].to_list() == [None, None]
    assert not np.array_equal(after.values("model", 0), before)
    np.testing.assert_array_equal(after.values("model", 0), after.values("model", 1))


def test_nothing_measured_is_an_empty_history():
    found = HeadLogger(make_model("llama"), IDS).history
    assert found.runs == ()
    assert found.frame.schema == SCHEMA
    assert "nothing yet" in repr(found)


@pytest.mark.parametrize("setting", ["sdpa", "eager"])
def test_after_an_exception_modes_and_attention_setting_are_as_before(setting):
    model, logger = training(steps=1, every=1)
    before = [part.training for part in model.modules()]
    logger._heads.clear()  # nothing known of it yet, so that what fails is said
    with torch.no_grad():
        model.model.layers[0].self_attn.q_proj.weight.fill_(math.nan)
    model.set_attn_implementation(setting)
    random = torch.get_rng_state()
    with pytest.raises(AttentionError, match="not finite"):
        logger(1)
    assert [part.training for part in model.modules()] == before
    assert model.config._attn_implementation == setting
    assert torch.equal(torch.get_rng_state(), random)


def test_weights_that_are_not_finite_any_more_leave_null_statistics():
    model = make_model("llama")
    logger = HeadLogger(model, IDS, every=1)
    logger(0, 1.0)
    with torch.no_grad():
        model.model.embed_tokens.weight[0, 0] = math.inf
    logger(1, math.inf)
    found = logger.history
    assert found.at("model", 1).drop("layer", "head").null_count().row(0) == (8,) * len(STATISTIC_COLUMNS)
    assert np.isnan(found.values("model", 1)).all()
    assert found.losses["loss"].to_list() == [1.0, math.inf]


def test_what_cannot_be_logged_is_said_when_the_logger_is_made():
    model = make_model("llama").train()
    with pytest.raises(ParameterError, match="every=0"):
        HeadLogger(model, IDS, every=0)
    with pytest.raises(ParameterError, match="0 to 23"):
        HeadLogger(model, IDS, skip_rows=24)
    with pytest.raises(PromptError, match="tokenizer"):
        HeadLogger(model, TEXT)
    with pytest.raises(ModelError, match="Linear is no transformers model"):
        HeadLogger(torch.nn.Linear(3, 3), IDS)
    with pytest.raises(AttentionError, match="not str"):
        HeadLogger("demo", IDS)
    assert model.training


def test_the_trainer_of_transformers(tmp_path):
    pytest.importorskip("accelerate")
    from transformers import Trainer, TrainingArguments  # noqa: PLC0415  -- it takes a second

    def trained(folder, *, logged):
        model = make_model("llama", attention_dropout=0.3)
        logger = HeadLogger(model, IDS, every=2)
        rows = [{"input_ids": torch.arange(16) + i, "labels": torch.arange(16) + i} for i in range(8)]
        settings = {"max_steps": 4, "save_strategy": "no", "logging_steps": 1, "report_to": [], "disable_tqdm": True}
        trainer = Trainer(
            model=model,
            args=TrainingArguments(folder, per_device_train_batch_size=2, use_cpu=True, **settings),
            train_dataset=rows,
            callbacks=[logger.as_trainer_callback()] if logged else [],
        )
        trainer.train()
        return model, logger, trainer

    plain, _, _ = trained(tmp_path / "plain", logged=False)
    model, logger, trainer = trained(tmp_path / "logged", logged=True)
    for a, b in zip(plain.parameters(), model.parameters(), strict=True):
        assert torch.equal(a, b)
    said = {one["step"]: one["loss"] for one in trainer.state.log_history if "loss" in one}
    assert logger.history.losses.rows() == [("model", 0, None), *(("model", step, said[step]) for step in (2, 4))]
    other = HeadLogger(plain, IDS).as_trainer_callback()
    with pytest.raises(AttentionError, match="another model"):
        other.on_train_begin(trainer.args, trainer.state, trainer.control, model=model)


# --- the history ------------------------------------------------------------------------------------------------------


def test_values_are_laid_out_by_layer_and_head():
    found = history()
    assert found.runs == ("a", "b")
    assert found.steps("b") == (0, 10)
    np.testing.assert_array_equal(found.values("b", 0), [[8, 9], [10, 11]])
    assert found.at("b", 10).columns == ["layer", "head", *STATISTIC_COLUMNS]
    assert found.losses.rows() == [("a", 0, 0.0), ("a", 10, 1.0), ("b", 0, 0.0), ("b", 10, 1.0)]
    assert found.by_layer("sink").head(3).rows() == [("a", 0, 0, 0.5), ("a", 0, 2, 2.5), ("a", 10, 0, 4.5)]
    assert found.to_frame() is found.frame
    assert "'a', 'b': 4 steps, 4 heads" in repr(found)


def test_a_layer_with_fewer_heads_has_nan_for_the_others():
    frame = history(runs=("a",), steps=(0,)).frame
    found = HeadHistory(frame.filter((pl.col("layer") == 0) | (pl.col("head") == 0))).values("a", 0)
    np.testing.assert_array_equal(found, [[0, 1], [2, math.nan]])


@given(st.randoms(use_true_random=False))
def test_rows_in_any_order_make_the_same_history(random):
    made = history(runs=("z", "a"))
    order = list(range(1, len(made.frame)))
    random.shuffle(order)
    assert_frame_equal(HeadHistory(made.frame[[0, *order]]).frame, made.frame)


def test_histories_of_several_runs_are_joined_in_their_order():
    found = HeadHistory.joined([history(("z",)), history(("a",))], {"note": "x"})
    assert found.runs == ("z", "a")
    assert found.meta == {"note": "x"}
    with pytest.raises(AttentionError, match="Give each run its own name"):
        HeadHistory.joined([history(), history(("b",))])
    with pytest.raises(AttentionError, match="no history to join"):
        HeadHistory.joined([])


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (lambda h: h.steps("c"), "there are 'a', 'b'"),
        (lambda h: h.at("a", 7), "the nearest is 10"),
        (lambda h: h.values("a", 0, "heat"), "no statistic 'heat'"),
        (lambda h: h.by_layer("run"), "no statistic 'run'"),
    ],
)
def test_what_is_not_there_is_answered_by_what_is(ask, words):
    with pytest.raises(WorkbenchError, match=words):
        ask(history())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda f: f.drop("sink", "loss"), "lacks the columns loss, sink"),
        (lambda f: f.with_columns(step=pl.lit("two")), "another type"),
        (lambda f: f.with_columns(head=pl.lit(None)), "without a run, step, layer or head"),
        (lambda f: f.with_columns(head=pl.lit(0)), "Give each run its own name"),
        (lambda f: f.with_columns(loss=pl.int_range(pl.len())), "different losses"),
    ],
)
def test_a_frame_that_is_no_history_is_refused(change, words):
    with pytest.raises(AttentionError, match=words):
        HeadHistory(change(history().frame))


# --- files ------------------------------------------------------------------------------------------------------------


def test_a_file_brings_back_frame_and_meta(tmp_path):
    made = history()
    again = HeadHistory.load(made.save(tmp_path / "heads.parquet"))
    assert_frame_equal(again.frame, made.frame)
    assert again.meta == made.meta


@pytest.mark.parametrize("share", [0.0, 0.3, 0.99])
def test_a_truncated_file_is_refused(tmp_path, share):
    path = history().save(tmp_path / "heads.parquet")
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(AttentionError, match="not a Parquet file, or it is truncated"):
        HeadHistory.load(path)


@pytest.mark.parametrize(
    ("columns", "metadata", "words"),
    [
        (list(SCHEMA), {}, "holds no head history"),
        (list(SCHEMA), {"workbench.head_history": "9", "about": "{}"}, "format 9"),
        (["run", "step"], {"workbench.head_history": "1", "about": "{}"}, "lacks the columns loss"),
        (list(SCHEMA), {"workbench.head_history": "1", "about": "{"}, "was changed after it was saved"),
        (list(SCHEMA), {"workbench.head_history": "1"}, "was changed after it was saved"),
        (list(SCHEMA), {"workbench.head_history": "1", "about": "[1]"}, "was changed after it was saved"),
    ],
)
def test_other_files_are_refused(tmp_path, columns, metadata, words):
    path = tmp_path / "heads.parquet"
    history().frame.select(columns).write_parquet(path, metadata=metadata)
    with pytest.raises(AttentionError, match=words):
        HeadHistory.load(path)


def test_a_text_and_a_missing_file(tmp_path):
    (tmp_path / "heads.parquet").write_text("run,step\n")
    with pytest.raises(AttentionError, match="not a Parquet file"):
        HeadHistory.load(tmp_path / "heads.parquet")
    with pytest.raises(AttentionError, match="no such file"):
        HeadHistory.load(str(tmp_path / "none.parquet"))


def test_nothing_is_left_of_a_file_that_cannot_be_written(tmp_path):
    path = history().save(tmp_path / "heads.parquet")
    before = path.read_bytes()
    with pytest.raises(AttentionError, match="JSON"):
        HeadHistory(history().frame, {"model": object()}).save(path)
    with pytest.raises(AttentionError, match="does not exist"):
        history().save(tmp_path / "none" / "heads.parquet")
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["heads.parquet"]


# --- checkpoints ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder as the Trainer leaves it: checkpoint-2, checkpoint-10, and something else."""
    folder = tmp_path_factory.mktemp("run")
    for step in (10, 2):
        model, _ = training(steps=step)
        model.save_pretrained(folder / f"checkpoint-{step}")
        byte_level_tokenizer().save_pretrained(folder / f"checkpoint-{step}")
    (folder / "logs").mkdir()
    return folder


@pytest.fixture(scope="module")
def whole(trained):
    return head_history(trained, TEXT)


def test_a_folder_of_checkpoints_in_the_order_of_their_steps(trained, whole):
    assert whole.steps("model") == (2, 10)
    for step in (2, 10):
        stats = head_stats(wb.load(trained / f"checkpoint-{step}"), TEXT, skip_rows=1)
        assert_frame_equal(whole.at("model", step), stats.to_frame())
    assert whole.losses["loss"].to_list() == [None, None]
    assert not np.allclose(whole.values("model", 2), whole.values("model", 10))


def test_folders_a_mapping_or_models_say_the_same(trained, whole):
    folders = [trained / "checkpoint-10", str(trained / "checkpoint-2")]
    done = []
    assert_frame_equal(head_history(folders, TEXT, progress=lambda *at: done.append(at)).frame, whole.frame)
    assert done == [(1, 2), (2, 2)]
    models = [wb.load(trained / f"checkpoint-{step}") for step in (2, 10)]
    ids = models[0].tokenizer(TEXT)["input_ids"]
    plain = wb.wrap(models[1].hf)  # without a tokenizer: the first one's tokens
    found = head_history({7: plain, 3: models[0]}, TEXT, run="mine")
    np.testing.assert_array_equal(found.values("mine", 7), whole.values("model", 10))
    plain.hf.config.name_or_path = "the last"  # no number in its name: both are counted
    assert head_history([models[0], wb.wrap(plain.hf)], ids).steps("model") == (0, 1)


@pytest.mark.parametrize(
    ("names", "steps"),
    [
        (["checkpoint-500", "checkpoint-1500"], [500, 1500]),
        (["step1000", "step0"], [1000, 0]),
        (["out/step-5/", "out/global_step_20"], [5, 20]),
        (["stage1-step3000-tokens7B", "step4"], [0, 1]),
        (["Qwen/Qwen3-0.6B", "demo"], [0, 1]),
        (["footstep3", "step3"], [0, 1]),
    ],
)
def test_steps_are_read_off_names_where_every_name_has_one(names, steps):
    assert checkpoints._steps(names) == steps


def test_revisions_of_one_model_on_the_hub(tmp_path, monkeypatch, trained, whole):
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    huggingface_hub.close_session()
    for digit, step in (("a", 2), ("b", 10)):
        into_cache(tmp_path, trained / f"checkpoint-{step}", commit=digit * 40, refs=(f"step{step}",))
    found = head_history("someone/model", TEXT, revisions=["step10", "step2"])
    huggingface_hub.close_session()
    assert_frame_equal(found.frame, whole.frame)
    assert found.meta["checkpoints"] == ["step2", "step10"]


def test_one_model_is_in_memory_at_a_time(trained, monkeypatch):
    living, load = [], checkpoints.load

    def watched(*given, **settings):
        gc.collect()
        assert not any(model() is not None for model in living)
        model = load(*given, **settings)
        living.append(weakref.ref(model.hf))
        return model

    monkeypatch.setattr(checkpoints, "load", watched)
    head_history(trained, TEXT)
    assert len(living) == 2


def test_stopped_it_has_what_was_measured(trained):
    halt = threading.Event()
    found = head_history(trained, TEXT, progress=lambda done, _: halt.set(), stop=halt)
    assert found.steps("model") == (2,)
    assert head_history(trained, TEXT, stop=lambda: True).runs == ()


def test_a_missing_checkpoint_is_said_before_the_first_is_loaded(trained, monkeypatch):
    monkeypatch.setattr(checkpoints, "load", lambda *_, **__: pytest.fail("loaded"))
    with pytest.raises(ModelError, match=r"There is no folder .*checkpoint-11"):
        head_history([trained / "checkpoint-2", trained / "checkpoint-11"], TEXT)


def test_a_damaged_checkpoint_is_named(trained, tmp_path):
    damaged = tmp_path / "checkpoint-12"
    damaged.mkdir()
    (damaged / "config.json").write_text(json.dumps({"model_type": "llama"}))
    with pytest.raises(ModelError, match=r"Step 12 \(.*checkpoint-12\)"):
        head_history([trained / "checkpoint-2", damaged], TEXT)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"vocab_size": 512}, "vocabulary is 512, the first one's 320"),
        ({"num_hidden_layers": 1}, "4 heads in 1 layers, the first 8 heads in 2 layers"),
        ({"tokenizer": byte_level_tokenizer(special=("<|turn|>", "apples"))}, "other tokens"),
    ],
)
def test_checkpoints_of_another_model_are_refused(trained, tmp_path, changes, words):
    other = save(tmp_path / "checkpoint-99", **changes)
    with pytest.raises(AttentionError, match=f"Step 99 .*{words}.*HeadHistory.joined"):
        head_history([trained / "checkpoint-2", other], TEXT)


@pytest.mark.parametrize(
    ("given", "settings", "error", "words"),
    [
        ([], {}, AttentionError, "no checkpoints"),
        ([3, 4], {}, ParameterError, "not a int"),
        (None, {}, ParameterError, "not a NoneType"),
        ({"two": "demo"}, {}, ParameterError, "'two' is no step"),
        (["demo", "demo-small"], {"revisions": ["step1"]}, ParameterError, "one hub id"),
        (["demo", "nothing-like-it"], {}, ModelError, "no bundled model"),
    ],
)
def test_checkpoints_that_cannot_be(given, settings, error, words):
    with pytest.raises(error, match=words):
        head_history(given, TEXT, **settings)


def test_two_checkpoints_of_one_step(trained, tmp_path):
    other = save(tmp_path / "step-2")
    with pytest.raises(AttentionError, match="both of step 2"):
        head_history([trained / "checkpoint-2", other], TEXT)
