"""Replay routes a text as live decoding did, and says what either model makes of it."""

import math
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import workbench as wb
from workbench.errors import TraceError
from workbench.samplers.switching import Switching, SwitchingReplay, decode, replay

QUESTION = "Start with 12. Add 9. Multiply by 3. What is the result?"


@pytest.fixture(scope="module")
def models():
    return wb.load("demo-small"), wb.load("demo")


def scored(models, trace):
    ids = trace.tokens["token_id"].to_list()
    return tuple(wb.score(model, ids, prompt=trace.prompt_ids) for model in models)


@pytest.fixture(scope="module")
def traces(models):
    return scored(models, wb.record(models[1], QUESTION, sampler=wb.Sampler(temperature=1.3), seed=5))


@pytest.mark.parametrize("monitor", ["active", "small"])
@pytest.mark.parametrize("start", ["small", "large"])
@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("dwell", [1, 4])
def test_a_runs_own_text_is_routed_as_the_run_was(models, monitor, start, seed, dwell):
    settings = Switching(threshold=0.4, window=3, dwell=dwell, hysteresis=0.1, start=start, monitor=monitor)
    run = decode(*models, QUESTION, settings, sampler=wb.Sampler(temperature=1.2), seed=seed, max_new_tokens=120)
    parameters = tuple(model.parameters for model in models)
    again = replay(*scored(models, run.trace), settings, parameters=parameters)
    assert run.cost.switches >= 2
    assert again.route.large.tolist() == run.route.large.tolist()
    np.testing.assert_allclose(again.route.monitored, run.route.monitored, atol=1e-4)
    np.testing.assert_allclose(again.route.mean, run.route.mean, atol=1e-4)
    np.testing.assert_allclose(again.logprob, run.trace.tokens["logprob"], atol=1e-4)
    assert again.caught_up.tolist() == run.caught_up.tolist()
    assert again.cost == run.cost


def test_limits_are_one_models_log_probability(traces):
    small, large = traces
    one = replay(small, large, Switching(threshold=math.inf))
    other = replay(small, large, Switching(threshold=-1.0, start="large"))
    assert one.summary["logprob"] == one.summary["logprob_small"] == pytest.approx(small.tokens["logprob"].sum())
    assert other.summary["logprob"] == other.summary["logprob_large"] == pytest.approx(large.tokens["logprob"].sum())
    assert (one.summary["large_share"], other.summary["large_share"]) == (0, 1)
    assert one.to_frame()["model"].unique().to_list() == ["small"]


def test_the_table_holds_both_models(traces):
    settings = Switching(threshold=0.4, dwell=2)
    found = replay(*traces, settings)
    frame = found.to_frame()
    drawn = pl.when(pl.col("model") == "large")
    chosen = frame.select(
        logprob=drawn.then("logprob_large").otherwise("logprob_small"),
        bits=drawn.then("entropy_large_bits").otherwise("entropy_small_bits"),
    )
    assert found.cost.switches > 0
    np.testing.assert_array_equal(frame["logprob"], chosen["logprob"])
    np.testing.assert_array_equal(frame["monitored_bits"], chosen["bits"])
    assert frame["text"].str.join("").item() == traces[0].text


def test_costs_need_the_numbers_of_parameters(traces):
    settings = Switching(threshold=0.4)
    assert replay(*traces, settings, parameters=(1, 4)).summary["paper_cost"] < 1
    known = [trace.with_meta(parameters=count) for trace, count in zip(traces, (1, 4), strict=True)]
    assert replay(*known, settings).cost == replay(*traces, settings, parameters=(1, 4)).cost
    unknown = replay(*(trace.with_meta(parameters=None) for trace in traces), settings)
    assert unknown.summary["paper_cost"] is None
    assert unknown.summary["large_share"] == replay(*known, settings).summary["large_share"]


@given(
    large=st.lists(st.booleans(), min_size=1, max_size=50),
    prompt=st.integers(1, 20),
    monitor=st.sampled_from(["active", "small"]),
)
def test_catch_ups_are_those_of_two_caches_played_through(large, prompt, monitor):
    entropies = np.where([*large[1:], False], 2.0, 0.0)  # a window of one token: the route is what is asked for
    ids = np.zeros(len(large), int)
    logits = np.zeros((len(large), 4), np.float32)
    trace = wb.Trace.from_logits(logits, ids, prompt_ids=[1] * prompt)
    trace = replace(trace, tokens=trace.tokens.with_columns(entropy=pl.Series(entropies * math.log(2))))
    start = "large" if large[0] else "small"
    found = replay(trace, trace, Switching(threshold=1.0, window=1, dwell=0, start=start, monitor=monitor))
    assert found.route.large.tolist() == large
    seen, expected = {True: 0, False: 0}, []
    for t, of_large in enumerate(large):
        expected.append(prompt + t - seen[of_large] - 1)
        seen[of_large] = prompt + t
        if monitor == "small":
            seen[False] = prompt + t
    assert found.caught_up.tolist() == expected


def test_traces_of_different_texts_are_refused(models, traces):
    small, large = traces
    settings = Switching()
    ids = small.tokens["token_id"].to_list()
    shorter = wb.score(models[1], ids[:-1], prompt=small.prompt_ids)
    with pytest.raises(TraceError, match=rf"{len(ids)} tokens, the large model's {len(ids) - 1}.*wb.score"):
        replay(small, shorter, settings)
    other = wb.score(models[1], [*ids[:4], ids[4] + 1, *ids[5:]], prompt=small.prompt_ids)
    with pytest.raises(TraceError, match=rf"part at position 4: token {ids[4]} in .* {ids[4] + 1} in .*wb.score"):
        replay(small, other, settings)
    elsewhere = wb.score(models[1], ids, prompt=small.prompt_ids[:-1])
    with pytest.raises(TraceError, match=r"prompt.*wb.score"):
        replay(small, elsewhere, settings)
    with pytest.raises(TraceError, match=r"prompt.*wb.score"):
        replay(replace(small, prompt_ids=()), replace(large, prompt_ids=()), settings)


def test_traces_that_do_not_know_enough_are_refused(traces):
    small, large = traces
    hidden = replace(large, tokens=large.tokens.with_columns(entropy=pl.lit(None, pl.Float64)))
    with pytest.raises(TraceError, match=r"large model's trace does not know the entropy.*wb.score"):
        replay(small, hidden, Switching())
    empty = replace(small, tokens=small.tokens[:0], sketch=None)
    with pytest.raises(TraceError, match="without tokens"):
        replay(empty, empty, Switching())


def test_it_shows_itself_in_words(traces):
    found = replay(*traces, Switching(threshold=0.4), parameters=(1, 4))
    assert isinstance(found, SwitchingReplay)
    assert f"{len(traces[0])} tokens" in repr(found)
    assert len(repr(found)) < 200
