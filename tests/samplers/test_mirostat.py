"""Mirostat: the surprise it holds, against a loop in float64; v1 against the reference's formula."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import workbench as wb
from tests.samplers.rows import kept_mask
from workbench.samplers import Mirostat

ZIPF = np.log(1 / np.arange(1, 501)).astype(np.float32)


def loop(logits, tokens, *, target, rate, feedback, guard):
    """μ before every token and what v2 keeps, as the paper's algorithm goes."""
    mu, found = 2 * target, []
    for z, token in zip(logits.astype(np.float64), tokens, strict=True):
        p = np.exp(z - z.max())
        p /= p.sum()
        kept = (-np.log2(p) <= mu + 1e-9) | (p == p.max())
        found.append((mu, kept))
        surprise = -math.log2(p[token] / (p[kept].sum() if feedback == "truncated" else 1))
        mu -= rate * (surprise - target)
        mu = min(max(mu, 0), max(2 * target, math.log2(len(z)))) if guard else mu
    return found


@given(
    seed=st.integers(0, 10**6), target=st.floats(0.5, 8), rate=st.floats(0.01, 1),
    feedback=st.sampled_from(["original", "truncated"]), guard=st.booleans(),
)  # fmt: skip
def test_v2_against_a_loop(seed, target, rate, feedback, guard):
    rng = np.random.default_rng(seed)
    logits = (rng.normal(size=(30, 50)) * 2).astype(np.float32)
    tokens = rng.integers(0, 50, 30)
    trace = wb.Trace.from_logits(logits, tokens, top=50)
    step = Mirostat(target, rate, feedback=feedback, guard=guard)
    replay = wb.replay(trace, wb.Sampler.chain([step]))
    expected = loop(logits, tokens, target=target, rate=rate, feedback=feedback, guard=guard)
    np.testing.assert_allclose(replay.signals["mu"], [mu for mu, _ in expected], rtol=1e-9, atol=1e-9)
    assert replay["kept"].tolist() == [kept.sum() for _, kept in expected]


def drawn_with(step, tokens=4000):
    """Mean surprise in bits of tokens drawn live from one Zipf distribution."""
    processor = wb.Sampler.chain([step]).processor()
    rng = np.random.default_rng(0)
    ids, row = torch.zeros((1, 1), dtype=torch.long), torch.tensor(1.5 * ZIPF)[None]
    p = torch.softmax(row.double(), -1)[0].numpy()
    surprise = []
    for _ in range(tokens):
        left = torch.softmax(processor(ids, row).double(), -1)[0].numpy()
        token = rng.choice(len(left), p=left / left.sum())
        surprise.append(-math.log2(p[token]))
        ids = torch.cat([ids, torch.tensor([[token]])], 1)
    return float(np.mean(surprise[200:]))


@pytest.mark.slow
def test_the_original_feedback_holds_the_target_and_the_truncated_one_overshoots():
    assert drawn_with(Mirostat(2.0, 0.1, feedback="original")) == pytest.approx(2.0, abs=0.05)
    assert drawn_with(Mirostat(2.0, 0.1, feedback="truncated")) > 2.3


def test_the_guard_stops_the_wind_up():
    tokens = np.zeros(3000, int)  # always the likeliest: the surprise stays far below the target
    trace = wb.Trace.from_logits(np.tile(ZIPF, (3000, 1)), tokens, top=500)
    held = wb.replay(trace, wb.Sampler.chain([Mirostat(5.0, 0.1)])).signals["mu"]
    free = wb.replay(trace, wb.Sampler.chain([Mirostat(5.0, 0.1, guard=False)])).signals["mu"]
    assert held.max() <= max(10.0, math.log2(500)) + 1e-9
    assert free.max() > 100


@pytest.mark.parametrize("feedback", ["original", "truncated"])
@pytest.mark.parametrize("target", [1.0, 2.5])
def test_v1_keeps_as_many_as_its_formula_says(feedback, target):
    i = np.arange(100)
    t = np.log((i + 2) / (i + 1))
    b = (ZIPF[:100] - ZIPF[1:101]).astype(np.float64)
    s = (t * b).sum() / (t * t).sum() * 1.0
    for exponent in (1.0, 1.3):
        row = (ZIPF * exponent).astype(np.float32)
        shape, epsilon = s * exponent, s * exponent - 1
        factor = epsilon / (1 - len(row) ** -epsilon) if abs(epsilon) > 1e-6 else 1 / math.log(len(row))
        k = (factor * 2 ** (2 * target)) ** (1 / shape)
        expected = math.floor(k + 0.5) + 1 if feedback == "original" else math.floor(k)
        step = Mirostat(target, version="v1", feedback=feedback)
        assert kept_mask(row, wb.Sampler.chain([step])).sum() == pytest.approx(expected, abs=1)


def test_v1_on_equal_logits_keeps_something():
    assert kept_mask(np.zeros(40, np.float32), wb.Sampler.chain([Mirostat(version="v1")])).any()
