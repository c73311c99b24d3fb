"""The sampled columns' kernel against float64 references."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import entr, logsumexp, softmax

from workbench.kernels.sampled import KEPT, KEPT_MASS, SAMPLED, SAMPLED_ENTROPY, SAMPLED_LOG_Z, sampled_rows


def sampled(raw, processed):
    result = np.empty((len(raw), SAMPLED))
    sampled_rows(0, len(raw), raw.astype(np.float32), processed.astype(np.float32), result)
    return result


@given(st.integers(0, 10**6), st.integers(1, 5000), st.floats(0.2, 3.0))
def test_equals_the_float64_reference_for_any_kept_set(seed, vocabulary, temperature):
    rng = np.random.default_rng(seed)
    raw = rng.normal(0, 4, (2, vocabulary)).astype(np.float32)
    kept = rng.random((2, vocabulary)) < rng.random()
    kept[:, rng.integers(vocabulary)] = True
    processed = np.where(kept, raw / np.float32(temperature), -np.inf).astype(np.float32)
    found = sampled(raw, processed)
    for b in range(2):
        wide = processed[b].astype(np.float64)
        assert found[b, SAMPLED_LOG_Z] == pytest.approx(logsumexp(wide), rel=1e-6, abs=1e-6)
        assert found[b, SAMPLED_ENTROPY] == pytest.approx(entr(softmax(wide)).sum(), rel=1e-5, abs=1e-6)
        assert found[b, KEPT] == kept[b].sum()
        assert found[b, KEPT_MASS] == pytest.approx(softmax(raw[b].astype(np.float64))[kept[b]].sum(), rel=1e-5)


def test_nothing_dropped_keeps_all_mass_exactly():
    raw = np.random.default_rng(0).normal(0, 3, (3, 1000))
    found = sampled(raw, raw)
    assert (found[:, KEPT] == 1000).all()
    assert (found[:, KEPT_MASS] == 1.0).all()


def test_one_survivor_has_no_entropy_and_its_own_raw_mass():
    raw = np.log(np.array([[0.5, 0.3, 0.2]]))
    processed = np.array([[-np.inf, 7.0, -np.inf]])
    found = sampled(raw, processed)[0]
    assert found[SAMPLED_ENTROPY] == 0.0
    assert found[KEPT] == 1
    assert found[KEPT_MASS] == pytest.approx(0.3, rel=1e-6)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_row_that_defines_no_distribution_is_nan(bad):
    raw = np.array([[0.0, 1.0], [0.0, 1.0]])
    processed = np.array([[bad, 1.0], [0.0, 1.0]])
    found = sampled(raw, processed)
    assert np.isnan(found[0]).all()
    assert np.isfinite(found[1]).all()
