"""With the whole vocabulary known, replay keeps what transformers' own warpers keep, in any order of steps.

Top-p and Top-H cut by rank, and of equal logits at the cut torch's sort, which is not stable, keeps any: there the kept
logits are compared, everywhere else the kept tokens.
"""

import numpy as np
import pytest
import torch
from hypothesis import assume, example, given
from hypothesis import strategies as st
from transformers import (
    EpsilonLogitsWarper,
    EtaLogitsWarper,
    MinPLogitsWarper,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopHLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
    TypicalLogitsWarper,
)

import workbench as wb
from tests.samplers.rows import kept_mask, probabilities, rows, trace_of
from workbench.samplers import Epsilon, Eta, LocallyTypical, MinP, RepetitionPenalty, Temperature, TopH, TopK, TopP

# Step and warper of the same setting; in float64 the warper's own rounding plays no part.
STEPS = {
    "temperature": (st.floats(0.2, 3), lambda v: (Temperature(v), TemperatureLogitsWarper(v))),
    "top_k": (st.integers(1, 70), lambda v: (TopK(v), TopKLogitsWarper(v))),
    "top_p": (st.floats(0.01, 0.99), lambda v: (TopP(v), TopPLogitsWarper(v))),
    "min_p": (st.floats(0.001, 1), lambda v: (MinP(v), MinPLogitsWarper(v))),
    "typical": (st.floats(0.05, 0.99), lambda v: (LocallyTypical(v), TypicalLogitsWarper(v))),
    "epsilon": (st.floats(1e-4, 0.3), lambda v: (Epsilon(v), EpsilonLogitsWarper(v))),
    "eta": (st.floats(1e-4, 0.3), lambda v: (Eta(v), EtaLogitsWarper(v))),
    "top_h": (st.floats(0.05, 0.95), lambda v: (TopH(v, variant="transformers"), TopHLogitsWarper(v))),
}


@st.composite
def chains(draw, names=tuple(STEPS), most=4):
    """Steps with the warpers that are the same, and both again with thresholds moved by a hair."""
    chosen = draw(st.lists(st.sampled_from(names), min_size=1, max_size=most))
    values = [draw(STEPS[name][0]) for name in chosen]
    return [(name, value) for name, value in zip(chosen, values, strict=True)]


def warped(row, chain, factor=1.0):
    """(V,) which tokens transformers keeps, every threshold but whole numbers times a factor."""
    scores = torch.tensor(row, dtype=torch.float64)[None]
    for name, value in chain:
        moved = value if isinstance(value, int) or name == "temperature" else min(value * factor, 1 - 1e-12)
        scores = STEPS[name][1](moved)[1](None, scores)
    return torch.isfinite(scores)[0].numpy()


def same_kept(row, found, expected, chain):
    if any(name in ("top_p", "top_h") for name, _ in chain):
        return np.array_equal(np.sort(row[found]), np.sort(row[expected]))
    return np.array_equal(found, expected)


def rounding_decides(row, chain, expected, by=1e-9):
    """Whether a threshold is met to the last digit: then rounding decides, in transformers too."""
    counts = [warped(row, chain, factor).sum() for factor in (1 - by, 1 + by)]
    return any(count != expected.sum() for count in counts)


@pytest.mark.parametrize("name", STEPS)
@given(row=rows(), data=st.data())
def test_one_step_keeps_what_transformers_keeps(name, row, data):
    chain = [(name, data.draw(STEPS[name][0]))]
    expected = warped(row, chain)
    assume(not rounding_decides(row, chain, expected))
    found = kept_mask(row, wb.Sampler.chain([STEPS[step][1](value)[0] for step, value in chain]))
    assert same_kept(row, found, expected, chain)


@given(row=rows(), chain=chains())
def test_chains_in_any_order_keep_what_transformers_keeps(row, chain):
    expected = warped(row, chain)
    assume(not rounding_decides(row, chain, expected))
    found = kept_mask(row, wb.Sampler.chain([STEPS[step][1](value)[0] for step, value in chain]))
    assert same_kept(row, found, expected, chain)


@given(row=rows(), chain=chains(), token=st.integers(0, 59))
def test_entropy_logprob_mass_and_divergence_are_those_of_the_warped_row(row, chain, token):
    token %= len(row)
    expected = warped(row, chain)
    assume(not rounding_decides(row, chain, expected))
    scores = torch.tensor(row, dtype=torch.float64)[None]
    for name, value in chain:
        scores = STEPS[name][1](value)[1](None, scores)
    q, p = torch.softmax(scores[0], -1).numpy(), probabilities(row)
    replay = wb.replay(trace_of(row, token), wb.Sampler.chain([STEPS[step][1](value)[0] for step, value in chain]))
    left = q > 0
    if np.isfinite(row).sum() == len(np.unique(row[np.isfinite(row)])):  # else which of two equal ones stays is open
        with np.errstate(divide="ignore"):
            assert replay["logprob"][0] == pytest.approx(np.log(q[token]), abs=1e-9)
        assert replay["survives"][0] == expected[token]
    assert replay["entropy"][0] == pytest.approx(-(q[left] * np.log(q[left])).sum(), abs=1e-9)
    assert replay["kept_mass"][0] == pytest.approx(p[expected].sum(), abs=1e-9)
    assert replay["divergence"][0] == pytest.approx((q[left] * np.log(q[left] / p[left])).sum(), abs=1e-8)
    assert replay.exact[0]
    assert replay["kept"][0] == expected.sum()


@given(row=rows(smallest=4), history=st.lists(st.integers(0, 59), min_size=1, max_size=30), penalty=st.floats(1, 3))
def test_repetition_penalty_is_that_of_transformers(row, history, penalty):
    ids = [token % len(row) for token in history]
    scores = RepetitionPenaltyLogitsProcessor(penalty)(torch.tensor([ids]), torch.tensor(row)[None])
    q = torch.softmax(scores.double(), -1)[0].numpy()
    trace = wb.Trace.from_logits(row[None], [int(np.argmax(row))], prompt_ids=ids, top=len(row))
    replay = wb.replay(trace, wb.Sampler.chain([RepetitionPenalty(penalty)]))
    with np.errstate(divide="ignore"):
        assert replay["logprob"][0] == pytest.approx(np.log(q[np.argmax(row)]), abs=1e-5)
    assert replay["entropy"][0] == pytest.approx(-(q[q > 0] * np.log(q[q > 0])).sum(), abs=1e-4)


@given(row=rows(), chain=chains())
@example(row=np.float32([12, 0]), chain=[("temperature", 0.25), ("top_h", 0.5)])  # weights far below 1e-16
@example(row=np.float32([12, 0, 0, 0]), chain=[("temperature", 0.25), ("top_h", 0.5)])
def test_the_processor_gives_the_warped_row(row, chain):
    """Values as well as the kept set: tempered, in float32."""
    expected = warped(row, chain)
    assume(not rounding_decides(row, chain, expected, 1e-6))
    steps = [STEPS[step][1](value)[0] for step, value in chain]
    scores = torch.tensor(row)[None]
    untouched = scores.clone()
    found = wb.Sampler.chain(steps).processor()(torch.zeros((1, 3), dtype=torch.long), scores)
    assert same_kept(row, torch.isfinite(found)[0].numpy(), expected, chain)
    product = np.prod([value for name, value in chain if name == "temperature"] or [1.0])
    kept = np.sort(row[expected].astype(np.float64) / product)
    np.testing.assert_allclose(np.sort(found[0].numpy()[torch.isfinite(found)[0].numpy()]), kept, rtol=1e-6, atol=1e-6)
    assert torch.equal(scores, untouched)
