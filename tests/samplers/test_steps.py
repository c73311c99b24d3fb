"""Closed forms of every step, and slow float64 twins of those that transformers does not have."""

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import workbench as wb
from tests.samplers.rows import entropy, kept_mask, probabilities, rows, trace_of
from workbench.samplers import (
    DRY,
    XTC,
    DynamicTemperature,
    EntropyQuadrants,
    Epsilon,
    Eta,
    LocallyTypical,
    MinP,
    Temperature,
    TopH,
    TopK,
    TopNSigma,
    TopP,
)

HALVES = np.log([1 / 2, 1 / 4, 1 / 8, 1 / 16, 1 / 16]).astype(np.float32)


def kept(row, *steps):
    return np.flatnonzero(kept_mask(np.asarray(row, np.float32), wb.Sampler.chain(list(steps)))).tolist()


def uniform(n):
    return np.zeros(n, np.float32)


def test_top_k_keeps_ties_or_not_by_variant():
    row = [3, 2, 2, 2, 1]
    assert kept(row, TopK(2)) == [0, 1, 2, 3]
    assert len(kept(row, TopK(2, variant="llama.cpp"))) == 2
    assert kept(row, TopK(100)) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("p", "expected"),
    [(0.0, [0]), (0.5, [0]), (0.51, [0, 1]), (0.75, [0, 1]), (0.9, [0, 1, 2, 4]), (1.0, [0, 1, 2, 3, 4])],
)
def test_top_p_on_halves(p, expected):
    assert kept(HALVES, TopP(p)) == expected


def test_min_p_one_keeps_the_best_and_its_ties():
    assert kept([5, 5, 4, 0], MinP(1.0)) == [0, 1]
    assert kept(HALVES, MinP(0.2)) == [0, 1, 2]


@pytest.mark.parametrize(("mass", "expected"), [(0.2, [1]), (0.5, [0, 1]), (0.9, [0, 1, 2, 3, 4])])
def test_locally_typical_may_drop_the_best(mass, expected):
    assert kept(HALVES, LocallyTypical(mass)) == expected


def test_locally_typical_cuts_ties_in_llama_cpp():
    assert len(kept(HALVES, LocallyTypical(0.9, variant="llama.cpp"))) == 4
    assert len(kept(uniform(7), LocallyTypical(0.5))) == 7
    assert len(kept(uniform(7), LocallyTypical(0.5, variant="llama.cpp"))) == 4


def test_epsilon_falls_back_to_greedy_where_eta_keeps_all():
    rng = np.random.default_rng(0)
    row = rng.normal(size=5000).astype(np.float32) * 1e-3
    assert len(kept(row, Epsilon(9e-4))) == 1
    assert len(kept(row, Eta(9e-4))) == 5000


@pytest.mark.parametrize("epsilon", [6e-4, 2e-3])
def test_etas_entropy_acts_above_half_the_log(epsilon):
    below, above = (int(math.exp(-0.5 * math.log(epsilon)) * factor) for factor in (0.5, 4.0))
    tail = np.float32(math.log(epsilon * 0.7))  # times n, and over n + a bit: a probability of about 0.7 ε
    for n, stays in ((below, False), (above, True)):
        row = np.append(uniform(n), tail + np.float32(math.log(n)))
        assert (n in kept(row, Eta(epsilon))) == stays
        assert n not in kept(row, Epsilon(epsilon)) or epsilon > 1 / n


@given(row=rows(), n=st.floats(0, 3), variant=st.sampled_from(["paper", "vllm", "llama.cpp"]))
def test_top_nsigma_against_its_formula(row, n, variant):
    z = row[np.isfinite(row)].astype(np.float64)
    assume(len(z) > 1)
    sigma = np.std(z, ddof=0 if variant == "llama.cpp" else 1)
    threshold = z.max() - n * sigma
    assume(abs(z - threshold).min() > 1e-9 * max(1, abs(z).max()) or n == 0)
    expected = (row >= threshold) | (row == z.max())
    np.testing.assert_array_equal(kept_mask(row, wb.Sampler.chain([TopNSigma(n, variant=variant)])), expected)


@given(row=rows(), n=st.floats(0.1, 3), temperature=st.floats(0.3, 3))
def test_top_nsigma_does_not_depend_on_temperature(row, n, temperature):
    plain = [kept_mask(row, wb.Sampler.chain([TopNSigma(m)])) for m in (n * (1 - 1e-9), n * (1 + 1e-9))]
    assume(np.array_equal(*plain))
    tempered = kept_mask(row, wb.Sampler.chain([Temperature(temperature), TopNSigma(n)]))
    np.testing.assert_array_equal(plain[0], tempered)


@pytest.mark.parametrize("alpha", [0.25, 0.4, 0.7])
def test_top_h_on_uniform_rows(alpha):
    """The paper keeps ⌊n^α⌋ of n equal tokens, its code and transformers ⌊α n⌋: 6 against 40 of 100 at α = 0.4."""
    assert len(kept(uniform(100), TopH(alpha))) == math.floor(100**alpha + 1e-9)
    for variant in ("reference", "transformers"):
        assert len(kept(uniform(100), TopH(alpha, variant=variant))) == math.floor(alpha * 100 + 1e-9)


def top_h(row, alpha, variant, top_n):
    """The greedy algorithms as loops."""
    order = sorted(np.flatnonzero(np.isfinite(row)), key=lambda i: (-row[i], -i))
    p = probabilities(row)
    if variant != "paper":
        order = order[:top_n]
    if variant == "transformers":
        p = p / p[order].sum()
    budget = alpha * (entropy(p) if variant == "paper" else -sum(p[i] * math.log(p[i]) for i in order if p[i] > 0))
    found = [order[0]]
    for i in order[1:]:
        trial = p[[*found, i]]
        spent = (
            entropy(trial / trial.sum()) if variant == "paper" else -(trial * np.log(np.maximum(trial, 1e-300))).sum()
        )
        if spent > budget + 1e-12:
            break
        found.append(i)
    return np.sort(row[found])


@given(
    row=rows(), alpha=st.floats(0.05, 1), variant=st.sampled_from(["paper", "reference", "transformers"]),
    top_n=st.sampled_from([5, 100]),
)  # fmt: skip
def test_top_h_against_loops(row, alpha, variant, top_n):
    row = row[np.isfinite(row)]
    assume(probabilities(row).min() > 1e-14)  # below, a token's part of the entropy is lost in rounding
    for factor in (1 - 1e-9, 1 + 1e-9):
        assume(len(top_h(row, alpha * factor, variant, top_n)) == len(top_h(row, alpha, variant, top_n)))
    mask = kept_mask(row, wb.Sampler.chain([TopH(alpha, variant=variant, top_n=top_n)]))
    np.testing.assert_array_equal(np.sort(row[mask]), top_h(row, alpha, variant, top_n))


def test_dynamic_temperature_on_halves():
    replay = wb.replay(trace_of(HALVES), wb.Sampler.chain([DynamicTemperature(0.8, 0.5, 1.0)]))
    assert replay.signals["temperature"][0] == pytest.approx(0.3 + 1.0 * 1.299651 / math.log(5), abs=1e-5)
    assert replay.signals["temperature"][0] == pytest.approx(1.1075, abs=5e-5)
    assert replay["entropy"][0] == pytest.approx(entropy(probabilities(HALVES, 1.1075)), abs=1e-4)


def test_dynamic_temperature_counts_the_tokens_that_are_left():
    replay = wb.replay(trace_of(HALVES), wb.Sampler.chain([TopK(2), DynamicTemperature(1.0, 0.5)]))
    share = entropy(np.array([2 / 3, 1 / 3])) / math.log(2)
    assert replay.signals["temperature"][0] == pytest.approx(0.5 + share, abs=1e-6)
    one_left = wb.replay(trace_of(HALVES), wb.Sampler.chain([TopK(1), DynamicTemperature(0.7, 0.5)]))
    assert one_left.signals["temperature"][0] == pytest.approx(0.7)


def test_xtc_drops_all_top_choices_but_the_least_likely():
    assert kept(HALVES, XTC(1.0, 0.1)) == [2, 3, 4]
    assert kept(HALVES, XTC(1.0, 0.3)) == [0, 1, 2, 3, 4]  # one token alone passes
    assert kept(HALVES, XTC(0.0, 0.1)) == [0, 1, 2, 3, 4]
    assert kept(HALVES, XTC(1.0, 0.6)) == [0, 1, 2, 3, 4]


def test_xtc_acts_as_often_as_asked():
    logits = np.tile(HALVES, (4000, 1))
    trace = wb.Trace.from_logits(logits, np.zeros(4000, int), top=5, meta={"seed": 3})
    acted = wb.replay(trace, wb.Sampler.chain([XTC(0.3, 0.1)])).signals["xtc"]
    assert acted.mean() == pytest.approx(0.3, abs=4 * math.sqrt(0.21 / 4000))
    other = wb.replay(trace.with_meta(seed=4), wb.Sampler.chain([XTC(0.3, 0.1)])).signals["xtc"]
    assert (acted != other).any()


@pytest.mark.parametrize(("matched", "penalty"), [(1, 0), (2, 0.8), (3, 1.4), (5, 0.8 * 1.75**3), (10, 70.4)])
def test_dry_penalties_of_known_lengths(matched, penalty):
    """A text of `matched` tokens, token 40 after it, other text, and the same tokens again."""
    phrase = list(range(matched))
    history = [50, *phrase, 40, 51, 52, *phrase]
    row = np.zeros(60, np.float32)
    trace = wb.Trace.from_logits(row[None], [40], prompt_ids=history, top=60)
    logprob = wb.replay(trace, wb.Sampler.chain([DRY()]))["logprob"][0]
    assert logprob == pytest.approx(-penalty - math.log(59 + math.exp(-penalty)), abs=0.05 if matched == 10 else 1e-6)


def test_dry_stops_at_breakers():
    history = [50, 1, 2, 3, 40, 51, 1, 2, 3]
    trace = wb.Trace.from_logits(np.zeros((1, 60), np.float32), [40], prompt_ids=history, top=60)
    free = -math.log(60)
    assert wb.replay(trace, wb.Sampler.chain([DRY(breakers=(3,))]))["logprob"][0] == pytest.approx(free)
    assert wb.replay(trace, wb.Sampler.chain([DRY(breakers=(40,))]))["logprob"][0] == pytest.approx(free)
    assert wb.replay(trace, wb.Sampler.chain([DRY(breakers=(1,))]))["logprob"][0] < free - 0.5
    assert wb.replay(trace, wb.Sampler.chain([DRY(last_n=3)]))["logprob"][0] == pytest.approx(free)


def longest_repeats(history, size):
    """For every token the longest end of the history that it followed before."""
    found = np.zeros(size, int)
    for at in range(1, len(history)):
        n = 0
        while n < at and history[at - 1 - n] == history[len(history) - 1 - n]:
            n += 1
        found[history[at]] = max(found[history[at]], n)
    return found


@given(history=st.lists(st.integers(0, 3), min_size=1, max_size=40), allowed=st.integers(1, 5))
def test_dry_against_a_plain_search(history, allowed):
    n = longest_repeats(history, 5)
    penalty = np.where(n >= allowed, 0.5 * 1.2 ** (n - allowed), 0)
    q = probabilities(-penalty)
    for token in range(5):
        trace = wb.Trace.from_logits(np.zeros((1, 5), np.float32), [token], prompt_ids=history, top=5)
        replay = wb.replay(trace, wb.Sampler.chain([DRY(0.5, 1.2, allowed)]))
        assert replay["logprob"][0] == pytest.approx(math.log(q[token]), abs=1e-6)


def spread_row(h_bits):
    """A uniform row of 2^h tokens."""
    return uniform(round(2**h_bits))


@pytest.mark.parametrize(
    ("row", "quadrant", "temperature"),
    [
        (np.array([40.0, 0, 0, 0], np.float32), 0, None),  # sure: greedy
        (spread_row(6), 1, min(1.5, 0.666 * 1.3)),
        (np.append(np.float32(9.0), np.zeros(3000, np.float32)), 2, min(1.5, 0.666 * 1.2)),
        (np.append(np.float32(8.0), np.zeros(9000, np.float32)), 3, 2.0),
        (np.log(np.array([0.7, 0.3])).astype(np.float32), 4, None),
    ],
)
def test_entropy_quadrants_choose_by_entropy_and_varentropy(row, quadrant, temperature):
    p = probabilities(row)
    s = -np.log2(p)
    h = (p * s).sum()
    v = (p * (s - h) ** 2).sum()
    replay = wb.replay(trace_of(row), wb.Sampler.chain([EntropyQuadrants(top_k=5000, top_p=1.0)]))
    assert replay.signals["quadrant"][0] == quadrant, (h, v)
    if temperature is not None:
        q = probabilities(row, temperature)
        q = np.sort(q)[::-1][: 7500 if quadrant == 2 else 5000]
        assert replay["entropy"][0] == pytest.approx(entropy(q / q.sum()), abs=1e-6)
    if quadrant == 0:
        assert replay["kept"][0] == 1
    if quadrant == 4:
        assert replay["entropy"][0] == pytest.approx(entropy(probabilities(row, 0.666 * (1 + 0.3 * (h + v)))), abs=1e-6)


def test_the_clarifier_is_drawn_once_and_not_again_at_once():
    row = spread_row(6)
    trace = wb.Trace.from_logits(np.tile(row, (3, 1)), [7, 7, 9], top=64)
    replay = wb.replay(trace, wb.Sampler.chain([EntropyQuadrants(clarifier=7)]))
    assert replay["kept"].tolist() == [1, 27, 27]
    assert replay.kept_ids(0).tolist() == [7]


def test_zero_temperature_takes_the_first_of_ties_and_leaves_filters_nothing_to_drop():
    row = np.array([1, 4, 4, 0], np.float32)
    assert kept(row, Temperature(0)) == [1]
    assert kept(row, Temperature(0), LocallyTypical(0.2), TopH(0.1), Epsilon(0.5)) == [1]
