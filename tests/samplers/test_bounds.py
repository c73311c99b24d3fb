"""From a sketch of a few logits: what is called exact is exact, and everything else lies within its bound."""

import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

import workbench as wb
from tests.samplers.rows import trace_of
from workbench.samplers import (
    DRY,
    XTC,
    DynamicTemperature,
    Epsilon,
    Eta,
    LocallyTypical,
    MinP,
    RepetitionPenalty,
    Temperature,
    TopH,
    TopK,
    TopNSigma,
    TopP,
)

STEPS = st.one_of(
    st.builds(Temperature, st.floats(0.3, 2)),
    st.builds(TopK, st.integers(1, 300)),
    st.builds(TopP, st.floats(0.05, 0.999)),
    st.builds(MinP, st.floats(0.001, 1)),
    st.builds(LocallyTypical, st.floats(0.05, 0.99)),
    st.builds(Epsilon, st.floats(1e-5, 0.3)),
    st.builds(Eta, st.floats(1e-5, 0.3)),
    st.builds(TopNSigma, st.floats(0, 3)),
    st.builds(TopH, st.floats(0.05, 0.95), st.sampled_from(["paper", "reference", "transformers"])),
    st.builds(XTC, st.just(1.0), st.floats(0.01, 0.5)),
)


def wide_row(seed, scale, size=400):
    """More tokens than a sketch has singly; the scale sets how much of the mass lies below them."""
    rng = np.random.default_rng(seed)
    return (rng.normal(size=size) * scale).astype(np.float32)


def both(row, token, top, steps, **about):
    """Replays of one token from a small sketch and from the whole row."""
    traces = (wb.Trace.from_logits(row[None], [token], top=k, **about) for k in (top, len(row)))
    return [wb.replay(trace, wb.Sampler.chain(steps)) for trace in traces]


@given(
    seed=st.integers(0, 10**6), scale=st.floats(0.1, 6), top=st.sampled_from([8, 32, 128]), token=st.integers(0, 399),
    steps=st.lists(STEPS, min_size=1, max_size=4),
)  # fmt: skip
@example(seed=0, scale=2.25, top=32, token=0, steps=[Temperature(0.3), Temperature(0.3), TopK(139)])  # a cold tail
@example(seed=0, scale=3.0, top=32, token=0, steps=[Temperature(0.375), Temperature(0.3125), TopK(33)])
@example(seed=135, scale=1.125, top=8, token=0, steps=[TopP(0.5625), XTC(1.0, 0.015625), XTC(1.0, 0.5)])  # none sure
def test_chains_stay_within_their_bounds(seed, scale, top, token, steps):
    found, truth = both(wide_row(seed, scale), token, top, steps)
    assert truth.exact[0]
    if np.isfinite(found["bound"][0]):  # else a rule has said that its answer is open
        assert found["kept_low"][0] <= truth["kept"][0] <= found["kept_high"][0]
    assert abs(found["entropy"][0] - truth["entropy"][0]) <= found["entropy_bound"][0] + 1e-5
    survives = found["survives"][0]
    if not np.isnan(survives) and np.isfinite(found["bound"][0]):
        assert survives == truth["survives"][0]
    if survives == 1:
        assert abs(found["logprob"][0] - truth["logprob"][0]) <= found["bound"][0] + 1e-5
    if found.exact[0]:
        assert found["kept"][0] == truth["kept"][0]
        if found["kept"][0] <= top:
            assert found.kept_ids(0).tolist() == truth.kept_ids(0).tolist()
        assert found["kept_mass"][0] == pytest.approx(truth["kept_mass"][0], abs=1e-5)
        assert found["divergence"][0] == pytest.approx(truth["divergence"][0], abs=1e-4)


@given(seed=st.integers(0, 10**6), scale=st.floats(0.3, 6), temperature=st.floats(0.3, 2), token=st.integers(0, 399))
def test_temperature_alone(seed, scale, temperature, token):
    row = wide_row(seed, scale)
    found, truth = both(row, token, 32, [Temperature(temperature)])
    assert found["kept"][0] == 400
    assert abs(found["logprob"][0] - truth["logprob"][0]) <= found["bound"][0] + 1e-6
    assert abs(found["entropy"][0] - truth["entropy"][0]) <= found["entropy_bound"][0] + 1e-6
    assert found["entropy"][0] == pytest.approx(truth["entropy"][0], abs=0.02)


@given(
    seed=st.integers(0, 10**6), scale=st.floats(0.5, 6), history=st.lists(st.integers(0, 399), max_size=40),
    steps=st.tuples(STEPS, st.one_of(st.builds(RepetitionPenalty, st.floats(1, 2)), st.builds(DRY))).flatmap(
        st.permutations
    ),
    token=st.integers(0, 399),
)  # fmt: skip
def test_penalties_stay_within_their_bounds(seed, scale, history, steps, token):
    found, truth = both(wide_row(seed, scale), token, 32, steps, prompt_ids=[*history, *history])
    if found.exact[0]:
        assert found["kept"][0] == truth["kept"][0]
        assert found["entropy"][0] == pytest.approx(truth["entropy"][0], abs=1e-5)
        assert found["kept_mass"][0] == pytest.approx(truth["kept_mass"][0], abs=1e-5)
    if found["survives"][0] == 1:
        assert abs(found["logprob"][0] - truth["logprob"][0]) <= found["bound"][0] + 1e-5
    assert abs(found["entropy"][0] - truth["entropy"][0]) <= found["entropy_bound"][0] + 1e-5


@given(
    seed=st.integers(0, 10**6), scale=st.floats(0.5, 6), history=st.lists(st.integers(0, 399), min_size=1, max_size=90),
    before=STEPS, penalty=st.one_of(st.builds(RepetitionPenalty, st.floats(1, 4)), st.builds(DRY, st.floats(0, 9))),
)  # fmt: skip
def test_a_penalty_drops_nothing(seed, scale, history, before, penalty):
    """The raw mass of what is kept stays what it was, wherever the lowered tokens go."""
    trace = wb.Trace.from_logits(wide_row(seed, scale)[None], [0], top=32, prompt_ids=[*history, *history])
    earlier, later = (wb.replay(trace, wb.Sampler.chain(steps)) for steps in ([before], [before, penalty]))
    assert later["kept_mass"][0] == pytest.approx(earlier["kept_mass"][0], abs=1e-9)
    assert later["kept"][0] == pytest.approx(earlier["kept"][0], abs=1e-6)


@given(seed=st.integers(0, 10**6), scale=st.floats(0.5, 6), steps=st.lists(STEPS, min_size=1, max_size=3))
def test_a_cut_among_the_single_tokens_at_temperature_one_is_exact(seed, scale, steps):
    """At T = 1 log Z and entropy are known, so that no filter's answer is open as long as it lies among them."""
    assume(not any(isinstance(step, Temperature) for step in steps[:1]))
    found, truth = both(wide_row(seed, scale), 0, 128, steps[:1])
    if truth["kept"][0] < 128 and not isinstance(steps[0], (XTC, LocallyTypical)):
        assert found.exact[0]


def test_dynamic_temperature_from_a_sketch_at_temperature_one():
    found, truth = both(wide_row(1, 3.0), 5, 32, [DynamicTemperature()])
    assert found.signals["temperature"][0] == pytest.approx(truth.signals["temperature"][0], abs=1e-6)
    assert abs(found["entropy"][0] - truth["entropy"][0]) <= found["entropy_bound"][0]


def test_ties_at_the_last_single_token_are_not_called_exact():
    row = np.repeat(np.array([3.0, 2.0, 1.0], np.float32), 20)
    found = wb.replay(trace_of(row, top=30), wb.Sampler(top_k=30))
    assert not found.exact[0]
    assert found["kept_low"][0] <= 40 <= found["kept_high"][0]
    assert wb.replay(trace_of(row, top=30), wb.Sampler(top_k=20)).exact[0]
