"""Decoding by two models: its limits are one model's decode, its distributions the drawing model's own."""

import math
import threading

import numpy as np
import pytest
import torch

import workbench as wb
from tests.models.architectures import CONFIGS, make_model
from workbench.samplers import Mirostat, Temperature
from workbench.samplers.switching import Switching, decode

QUESTION = "Start with 12. Add 9. Multiply by 3. What is the result?"
SMALL_ONLY = Switching(threshold=math.inf)
LARGE_ONLY = Switching(threshold=-1.0, start="large")
LIVELY = Switching(threshold=0.4, dwell=3, window=3, hysteresis=0.1)
SAMPLERS = [
    wb.Sampler(temperature=0),
    wb.Sampler(),
    wb.Sampler(temperature=1.4, top_k=12),
    wb.Sampler(temperature=0.9, top_p=0.9),
    wb.Sampler(repetition_penalty=1.3),
    wb.Sampler.chain([Temperature(1.2), Mirostat(2.0)]),
]


@pytest.fixture(scope="module")
def small():
    return wb.load("demo-small")


@pytest.fixture(scope="module")
def large():
    return wb.load("demo")


def same_trace(found, expected):
    assert found.tokens["token_id"].to_list() == expected.tokens["token_id"].to_list()
    assert found.text == expected.text
    assert found.tokens["phase"].equals(expected.tokens["phase"])
    for name in ("logprob", "entropy", "varentropy", "sampled_logprob", "sampled_entropy", "kept_mass"):
        np.testing.assert_allclose(found.tokens[name], expected.tokens[name], atol=2e-4, err_msg=name)
    assert found.tokens["kept"].equals(expected.tokens["kept"])
    assert found.meta["finish"] == expected.meta["finish"]


@pytest.mark.parametrize("sampler", SAMPLERS, ids=repr)
@pytest.mark.parametrize("seed", [0, 7])
def test_an_infinite_threshold_is_the_small_model(small, large, sampler, seed):
    options = {"sampler": sampler, "seed": seed, "max_new_tokens": 50}
    run = decode(small, large, QUESTION, SMALL_ONLY, **options)
    same_trace(run.trace, wb.record(small, QUESTION, **options))
    assert run.cost.read_large == 0
    assert run.cost.true == run.cost.paper == pytest.approx(small.parameters / large.parameters)


@pytest.mark.parametrize("sampler", SAMPLERS, ids=repr)
@pytest.mark.parametrize("seed", [0, 7])
def test_a_negative_threshold_is_the_large_model(small, large, sampler, seed):
    options = {"sampler": sampler, "seed": seed, "max_new_tokens": 50}
    run = decode(small, large, QUESTION, LARGE_ONLY, **options)
    same_trace(run.trace, wb.record(large, QUESTION, **options))
    assert run.cost.read_small == 0
    assert run.cost.true == run.cost.paper == 1


def test_a_negative_threshold_hands_over_after_the_dwell(small, large):
    greedy = wb.Sampler(temperature=0)
    run = decode(small, large, QUESTION, Switching(threshold=-1.0, dwell=6), sampler=greedy)
    assert run.route.switch_points.tolist() == [6]
    alone = wb.record(small, QUESTION, sampler=greedy, max_new_tokens=6)
    ids = run.trace.tokens["token_id"].to_list()
    assert ids[:6] == alone.tokens["token_id"].to_list()
    rest = wb.record(large, [*run.trace.prompt_ids, *ids[:6]], sampler=greedy)
    assert ids[6:] == rest.tokens["token_id"].to_list()


@pytest.mark.parametrize("threshold", [-1.0, 0.2, 0.8])
def test_a_model_that_takes_turns_with_itself_decodes_as_alone(small, threshold):
    options = {"sampler": wb.Sampler(temperature=1.1), "seed": 3, "max_new_tokens": 40}
    run = decode(small, small, QUESTION, Switching(threshold=threshold, dwell=2, window=2), **options)
    same_trace(run.trace, wb.record(small, QUESTION, **options))


def own_distributions(run, models):
    """(T, V) log-probabilities of a full pass without cache by the model that drew each token."""
    ids, start = [*run.trace.prompt_ids, *run.trace.tokens["token_id"]], len(run.trace.prompt_ids)
    with torch.inference_mode():
        small, large = (model.hf(input_ids=torch.tensor([ids]), use_cache=False).logits[0] for model in models)
    chosen = torch.where(torch.tensor(run.route.large)[:, None], large[start - 1 : -1], small[start - 1 : -1])
    return torch.log_softmax(chosen.double(), -1).numpy()


def recorded_distributions(run):
    sketch = run.trace.sketch
    found = np.empty(sketch.top_logits.shape)
    np.put_along_axis(found, sketch.top_ids.astype(np.int64), sketch.top_logits - sketch.log_z[:, None], axis=1)
    return found


@pytest.mark.parametrize("monitor", ["active", "small"])
@pytest.mark.parametrize("seed", [1, 2])
def test_every_token_has_the_distribution_of_the_model_that_drew_it(small, large, monitor, seed):
    settings = Switching(**LIVELY.to_dict() | {"monitor": monitor})
    run = decode(small, large, QUESTION, settings, sampler=wb.Sampler(temperature=1.2), seed=seed, top=large.vocabulary)
    assert run.cost.switches >= 3
    np.testing.assert_allclose(recorded_distributions(run), own_distributions(run, (small, large)), atol=1e-4)


@pytest.mark.parametrize("monitor", ["active", "small"])
@pytest.mark.parametrize("kind", CONFIGS)
def test_models_of_any_architecture_take_turns(kind, monitor):
    depth = "n_layer" if kind == "gpt2" else "num_hidden_layers"
    pair = [wb.wrap(make_model(kind, eos_token_id=None, **{depth: layers})) for layers in (2, 3)]
    prompt = [5, 9, 12, 40, 41, 42, 43, 44, 45, 46, 47]
    entropies = wb.record(pair[0], prompt, sampler=wb.Sampler(), max_new_tokens=20, seed=4).tokens["entropy"]
    middle = float(entropies.median()) / math.log(2)
    settings = Switching(threshold=middle, window=2, dwell=2, monitor=monitor)
    run = decode(*pair, prompt, settings, sampler=wb.Sampler(), max_new_tokens=40, seed=4, top=320)
    assert run.cost.switches >= 3
    np.testing.assert_allclose(recorded_distributions(run), own_distributions(run, pair), atol=1e-4)


@pytest.mark.parametrize("kinds", [("gpt2", "mistral_sliding"), ("llama", "qwen3_moe")])
def test_models_of_different_architectures_take_turns(kinds):
    pair = [wb.wrap(make_model(kind, eos_token_id=None)) for kind in kinds]
    settings = Switching(threshold=-1.0, dwell=15)  # both sides of the window of 8
    run = decode(*pair, [5, 9, 12, 40], settings, sampler=wb.Sampler(), max_new_tokens=40, seed=1, top=320)
    assert 0 < run.cost.large_share < 1
    np.testing.assert_allclose(recorded_distributions(run), own_distributions(run, pair), atol=1e-4)


def test_the_table_says_who_drew_what_and_why(small, large):
    run = decode(small, large, QUESTION, LIVELY, seed=1)
    frame = run.to_frame()
    assert len(frame) == len(run.trace)
    assert frame["text"].str.join("").item() == run.trace.text
    assert (frame["model"] == "large").to_list() == run.route.large.tolist()
    assert frame["switched"].sum() == run.cost.switches > 0
    np.testing.assert_allclose(frame["entropy_bits"] * math.log(2), run.trace.tokens["entropy"])
    np.testing.assert_array_equal(frame["monitored_bits"], frame["entropy_bits"])
    np.testing.assert_allclose(frame["window_bits"][2:], frame["entropy_bits"].rolling_mean(3)[2:])
    assert frame["caught_up"].sum() == run.cost.caught_up_small + run.cost.caught_up_large


def test_monitoring_keeps_the_small_model_up_to_date(small, large):
    settings = Switching(**LIVELY.to_dict() | {"monitor": "small", "start": "large"})
    run = decode(small, large, QUESTION, settings, seed=1)
    cost, frame = run.cost, run.to_frame()
    assert cost.monitored == cost.tokens_large > 0
    assert cost.read_small == cost.prompt + cost.tokens - 1
    back = frame.filter(frame["switched"] & (frame["model"] == "small"))
    assert len(back) > 0
    assert (back["caught_up"] == 0).all()
    assert run.trace.tokens["entropy"].to_list() != (frame["monitored_bits"] * math.log(2)).to_list()


def test_the_trace_names_both_models_and_can_be_kept(small, large, tmp_path):
    run = decode(small, large, QUESTION, LIVELY, seed=1, sampler=wb.Sampler(top_p=0.9))
    meta = run.trace.meta
    assert [meta["models"][role]["model"] for role in ("small", "large")] == ["demo-small", "demo"]
    assert meta["models"]["large"]["parameters"] == large.parameters
    assert Switching.from_dict(meta["switching"]) == LIVELY
    assert meta["switch_points"] == run.route.switch_points.tolist()
    assert meta["sampler"] == wb.Sampler(top_p=0.9).to_dict()
    assert meta["missing"] == []
    again = wb.Trace.load(run.trace.save(tmp_path / "run.parquet"))
    assert again.tokens.equals(run.trace.tokens)
    assert again.meta == meta


def test_the_large_models_own_settings_are_the_default(small, large):
    run = decode(small, large, QUESTION, max_new_tokens=5)
    assert run.trace.meta["sampler"] == wb.Sampler.from_generation_config(large.hf.generation_config).to_dict()
    assert run.settings == Switching()


def test_tokens_are_heard_as_they_are_drawn(small, large):
    heard = []
    run = decode(small, large, QUESTION, LIVELY, seed=1, on_token=lambda token: heard.append(dict(token.row)))
    assert heard == run.trace.tokens.to_dicts()


def test_stop_gives_back_what_is_there(small, large):
    event, heard = threading.Event(), []

    def on_token(token):
        heard.append(token)
        if len(heard) == 7:
            event.set()

    run = decode(small, large, QUESTION, LIVELY, seed=1, on_token=on_token, stop=event)
    whole = decode(small, large, QUESTION, LIVELY, seed=1)
    assert run.trace.meta["finish"] == "stopped"
    assert len(run.trace) == len(run.route) == len(run.caught_up) == run.cost.tokens == 7
    assert run.trace.tokens.equals(whole.trace.tokens[:7])
    assert len(decode(small, large, QUESTION, stop=lambda: True).trace) == 1


def test_length_is_a_limit(small, large):
    run = decode(small, large, QUESTION, LIVELY, seed=1, max_new_tokens=9)
    assert len(run.trace) == 9
    assert run.trace.meta["finish"] == "length"
