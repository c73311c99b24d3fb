"""Replay: the triggers a run had, from its trace alone."""

import numpy as np
import pytest

import workbench as wb
from workbench.errors import ParameterError, TraceError
from workbench.samplers.reflective import Reflective, decode, replay

QUESTION = "Start with 12. Add 9. Multiply by 3. What is the result?"
KINDS = [
    {"window": 4, "k": 0.5, "max_corrections": 1000},
    {"window": 4, "k": 0.5, "max_corrections": 3, "entropy_of": "tempered"},
    {"window": 6, "k": 1.0, "threshold_rule": "reference", "minimal_std": 0.1, "minimal_threshold": 0.2,
     "warm_up_threshold": 0.8, "entropy_of": "tempered", "cross_entropy": "mean"},
]  # fmt: skip


@pytest.fixture(scope="module")
def model():
    return wb.load("demo")


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("temperature", [0.0, 0.7, 1.0, 1.6])
@pytest.mark.parametrize("seed", [0, 1])
def test_the_runs_own_entropies_give_exactly_its_triggers(model, kind, temperature, seed):
    settings, sampler = Reflective(**kind, rate=0.1, weight=0.5), wb.Sampler(temperature=temperature)
    run = decode(model, QUESTION, settings, sampler=sampler, seed=seed, max_new_tokens=50, top=32)
    found = replay(run.trace, settings).triggers
    assert found.entropy.tolist() == run.triggers.entropy.tolist()
    assert found.threshold.tolist() == run.triggers.threshold.tolist()
    assert found.triggered.tolist() == run.triggers.triggered.tolist()
    assert len(run.corrections) == found.triggered.sum() > 0


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_on_a_plain_trace_replay_and_run_agree_up_to_the_first_correction(model, seed):
    settings, sampler = Reflective(window=4, k=1.0, weight=0.9, rate=0.3), wb.Sampler(temperature=1.3)
    trace = wb.record(model, QUESTION, sampler=sampler, seed=seed, max_new_tokens=60)
    run = decode(model, QUESTION, settings, sampler=sampler, seed=seed, max_new_tokens=60)
    found = replay(trace, settings)
    upto = found.summary["first"] + 1
    assert found.triggers.triggered[:upto].tolist() == run.triggers.triggered[:upto].tolist()
    assert found.triggers.entropy[:upto].tolist() == run.triggers.entropy[:upto].tolist()


def test_tempered_entropies_take_the_temperature_that_is_asked_for(model):
    trace = wb.record(model, QUESTION, sampler=wb.Sampler(temperature=0.6), max_new_tokens=30)
    settings = Reflective(entropy_of="tempered")
    own, asked = replay(trace, settings), replay(trace, settings, temperature=2.0)
    np.testing.assert_array_equal(own.triggers.entropy, trace.sketch.tempered(0.6).entropy)
    np.testing.assert_array_equal(asked.triggers.entropy, trace.sketch.tempered(2.0).entropy)
    with pytest.raises(ParameterError, match="temperature"):
        replay(trace, settings, temperature=0.0)


def test_frame_and_summary(model):
    trace = wb.record(model, QUESTION, seed=1, max_new_tokens=40)
    found = replay(trace, Reflective(window=4, k=0.5))
    frame = found.to_frame()
    assert frame.columns == ["position", "token_id", "text", "entropy", "threshold", "triggered"]
    assert frame["threshold"].null_count() == 4
    triggers = frame["triggered"].sum()
    assert triggers > 0
    assert found.summary == {
        "tokens": len(trace),
        "triggers": triggers,
        "rate": triggers / len(trace),
        "first": frame.filter("triggered")["position"][0],
    }
    assert f"{triggers} of {len(trace)}" in repr(found)


def test_a_trace_without_triggers_has_no_first(model):
    trace = wb.record(model, QUESTION, max_new_tokens=10)
    assert replay(trace).summary == {"tokens": len(trace), "triggers": 0, "rate": 0.0, "first": None}


def test_a_trace_of_arrays_has_raw_entropies_but_no_temperature():
    logits = np.random.default_rng(0).normal(size=(30, 50)).astype(np.float32) * np.linspace(0, 9, 30)[:, None]
    trace = wb.Trace.from_logits(logits, np.zeros(30, int))
    assert len(replay(trace, Reflective(window=5, k=1.0))) == 30
    with pytest.raises(TraceError, match="temperature="):
        replay(trace, Reflective(entropy_of="tempered"))
    assert len(replay(trace, Reflective(entropy_of="tempered"), temperature=0.7)) == 30


def test_a_trace_without_what_is_needed_says_so(model):
    trace = wb.record(model, QUESTION, max_new_tokens=10)
    blind = wb.Trace(trace.tokens.with_columns(entropy=None).cast(trace.tokens.schema), meta=trace.meta)
    with pytest.raises(TraceError, match="not known"):
        replay(blind)
    with pytest.raises(TraceError, match="sketch"):
        replay(blind, Reflective(entropy_of="tempered"))
