"""Entropy, varentropy, log Z and moments of rows against float64."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.special import entr, logsumexp, softmax

from workbench.kernels.entropy import (
    ALL_EXCLUDED,
    ENTROPY,
    FINE,
    HAS_INFINITY,
    HAS_NAN,
    HIGH,
    LOG_Z,
    LOW,
    MEAN,
    STATISTICS,
    STD,
    VARENTROPY,
    entropy_rows,
)

SIZES = [1, 2, 3, 15, 16, 17, 63, 667, 2047, 2048, 2049, 50_257, 151_936]


def measure(logits):
    """(statistics, counts, status) of the rows."""
    logits = np.ascontiguousarray(logits, np.float32)
    rows = len(logits)
    statistics, counts, status = np.full((rows, STATISTICS), np.nan), np.zeros(rows, np.int32), np.empty(rows, np.uint8)
    entropy_rows(0, rows, logits, True, statistics, counts, status)
    return statistics, counts, status


def reference(row):
    """log Z, H, V in float64, the plain way."""
    row = row.astype(np.float64)
    p = softmax(row)
    h = entr(p).sum()
    surprisal = np.where(p > 0, logsumexp(row) - np.where(np.isfinite(row), row, 0), 0)
    return logsumexp(row), h, (p * (surprisal - h) ** 2).sum()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("spread", [0.01, 1.0, 3.0, 30.0])
def test_equals_float64_for_every_size_and_spread(size, spread):
    row = np.random.default_rng(size).normal(0, spread, size).astype(np.float32)
    found, counts, status = measure(row[None])
    log_z, h, v = reference(row)
    assert status[0] == FINE
    assert found[0, LOG_Z] == pytest.approx(log_z, rel=1e-6, abs=1e-6)
    assert found[0, ENTROPY] == pytest.approx(h, rel=2e-6, abs=1e-12)
    assert found[0, VARENTROPY] == pytest.approx(v, rel=1e-5, abs=1e-9)
    assert found[0, MEAN] == pytest.approx(row.mean(dtype=float), rel=1e-6, abs=1e-6 * spread)
    assert found[0, STD] == pytest.approx(row.astype(float).std(), rel=1e-6, abs=1e-9)
    assert (found[0, HIGH], found[0, LOW], counts[0]) == (row.max(), row.min(), size)


@pytest.mark.parametrize("depth", [0.5, 5.0, 15.0, 40.0, 80.0])
@pytest.mark.parametrize("size", [2, 100, 151_936])
def test_one_token_above_a_flat_rest_keeps_its_digits_at_any_confidence(depth, size):
    """A second-moment formula without a shift, or ln(1 + rest) without log1p, fails here."""
    row = np.full((1, size), -depth, np.float32)
    row[0, size // 2] = 0
    q = (size - 1) * np.exp(-depth) / (1 + (size - 1) * np.exp(-depth))
    h = -np.log1p(-q) * (1 - q) - q * np.log(q) + q * np.log(size - 1)
    found = measure(row)[0][0]
    assert found[ENTROPY] == pytest.approx(h, rel=2e-6)
    assert found[VARENTROPY] == pytest.approx(q * (1 - q) * depth**2, rel=1e-5)


@pytest.mark.parametrize("offset", [1e4, -1e4])
def test_a_common_offset_of_ten_thousand_costs_no_digits(offset):
    row = np.round(np.random.default_rng(0).normal(0, 3, (1, 5000)) * 64) / 64  # exact beside the offset
    plain, moved = measure(row)[0][0], measure(row + offset)[0][0]
    assert moved[[ENTROPY, VARENTROPY, STD]] == pytest.approx(plain[[ENTROPY, VARENTROPY, STD]], rel=1e-6)
    assert moved[LOG_Z] - offset == pytest.approx(plain[LOG_Z], abs=1e-6)
    assert moved[MEAN] - offset == pytest.approx(plain[MEAN], abs=1e-5)


def test_one_hot_is_exactly_zero_and_uniform_exactly_flat():
    rows = np.full((2, 151_936), -np.inf)
    rows[0, 77], rows[1] = 3.0, -1.5
    found, counts, _ = measure(rows)
    assert (found[0, ENTROPY], found[0, VARENTROPY], found[0, LOG_Z], counts[0]) == (0.0, 0.0, 3.0, 1)
    assert found[1, ENTROPY] == pytest.approx(np.log(151_936), rel=1e-15)
    assert (found[1, VARENTROPY], found[1, STD]) == (0.0, 0.0)


logit_rows = hnp.arrays(
    np.float32,
    st.integers(1, 300),
    elements=st.floats(-60, 60, width=32) | st.just(np.float32(-np.inf)),
).filter(lambda row: np.isfinite(row).any())


@given(logit_rows)
def test_equals_float64_with_exclusions_anywhere(row):
    found, counts, _ = measure(row[None])
    finite = row[np.isfinite(row)].astype(np.float64)
    log_z, h, v = reference(row)
    assert found[0, LOG_Z] == pytest.approx(log_z, rel=1e-6, abs=1e-6)
    assert found[0, ENTROPY] == pytest.approx(h, rel=2e-5, abs=1e-12)  # the reference itself cancels below
    assert found[0, VARENTROPY] == pytest.approx(v, rel=1e-4, abs=1e-9)
    assert counts[0] == len(finite)
    assert found[0, MEAN] == pytest.approx(finite.mean(), rel=1e-5, abs=1e-5)
    assert found[0, STD] == pytest.approx(finite.std(), rel=1e-5, abs=1e-5)


@given(logit_rows, st.integers(0, 2**32 - 1))
def test_order_and_excluded_tokens_do_not_matter(row, seed):
    shuffled = np.random.default_rng(seed).permutation(np.append(row, np.full(50, -np.inf, np.float32)))
    columns = [LOG_Z, ENTROPY, VARENTROPY]
    before, after = measure(row[None])[0][0, columns], measure(shuffled[None])[0][0, columns]
    assert after == pytest.approx(before, rel=1e-5, abs=1e-7)


@given(logit_rows)
def test_entropy_and_varentropy_stay_within_their_bounds(row):
    found, counts, _ = measure(row[None])
    assert 0 <= found[0, ENTROPY] <= np.log(counts[0]) * (1 + 1e-7)
    # analysis of the two-level family: V <= ln²(K - 1) / 4 + 1
    assert 0 <= found[0, VARENTROPY] <= 0.25 * np.log(max(counts[0] - 1, 1)) ** 2 + 1


@pytest.mark.parametrize(
    ("bad", "status"), [(np.nan, HAS_NAN), (-np.nan, HAS_NAN), (np.inf, HAS_INFINITY), (-np.inf, ALL_EXCLUDED)]
)
def test_rows_without_a_distribution_say_why_and_leave_the_others_alone(bad, status):
    rows = np.zeros((3, 100), np.float32)
    rows[1] = bad if status == ALL_EXCLUDED else 0
    rows[1, 31] = bad
    found, _, statuses = measure(rows)
    assert statuses.tolist() == [FINE, status, FINE]
    assert np.isnan(found[1]).all()
    assert np.isfinite(found[[0, 2]]).all()


def test_nan_wins_over_infinity_whatever_their_order():
    assert measure([[np.inf, np.nan], [np.nan, np.inf]])[2].tolist() == [HAS_NAN, HAS_NAN]


def test_masks_written_as_the_lowest_float_are_finite_and_weightless():
    lowest = np.finfo(np.float32).min
    row = np.full((1, 3000), lowest, np.float32)
    row[0, :2] = 1.0
    found, counts, _ = measure(row)
    assert found[0, ENTROPY] == pytest.approx(np.log(2))
    assert counts[0] == 3000
    assert found[0, MEAN] == pytest.approx(row.mean(dtype=float), rel=1e-6)
    assert found[0, STD] == pytest.approx(row.astype(float).std(), rel=1e-6)
    assert found[0, LOW] == lowest


def test_minus_zero_is_zero():
    found, _, _ = measure([[0.0, -0.0]])
    assert found[0, ENTROPY] == pytest.approx(np.log(2))
    assert found[0, VARENTROPY] == 0
