"""A sketch at other temperatures: the bound, the estimates, and what must not change anything."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.special import entr, logsumexp, softmax

from workbench.traces.sketching import sketch_logits


def normal(rows, vocabulary, spread=3.0, seed=0):
    return np.random.default_rng(seed).normal(0, spread, (rows, vocabulary)).astype(np.float32)


logit_arrays = hnp.arrays(
    np.float32,
    st.tuples(st.integers(1, 3), st.integers(1, 400)),
    elements=st.floats(-90, 30, width=32) | st.just(np.float32(-np.inf)),
).filter(lambda z: np.isfinite(z).any(1).all())


def assert_bounded(logits, sketch, temperature):
    truth = logsumexp(logits.astype(np.float64) / temperature, axis=1)
    found = sketch.tempered(temperature)
    slack = 1e-6 / temperature  # means are kept in float32
    assert (found.log_z <= truth + slack).all()
    assert (truth <= found.log_z + found.log_z_bound + slack).all()
    return found, truth


@given(logit_arrays, st.integers(1, 40), st.floats(0.05, 1.5), st.floats(0.3, 2.0))
def test_log_z_lies_in_its_bound_at_any_temperature(logits, top, bin_width, temperature):
    assert_bounded(logits, sketch_logits(logits, top=top, bin_width=bin_width), temperature)


@given(logit_arrays, st.integers(1, 40), st.floats(0.3, 2.0))
def test_the_bound_is_never_looser_than_hoeffdings(logits, top, temperature):
    assume((logits.max(1) - np.where(np.isfinite(logits), logits, np.inf).min(1) < 63).all())  # no open bin
    found = sketch_logits(logits, top=top).tempered(temperature)
    assert (found.log_z_bound <= 0.25**2 / (8 * temperature**2) + 1e-12).all()


@pytest.mark.parametrize("temperature", [0.3, 0.7, 1.0, 2.0])
def test_on_realistic_logits_the_second_order_estimates_are_close(temperature):
    logits = normal(4, 50_000)
    found, truth = assert_bounded(logits, sketch_logits(logits), temperature)
    wide = logits.astype(np.float64) / temperature
    p = softmax(wide, axis=1)
    h = entr(p).sum(1)
    v = (p * (wide - truth[:, None] + h[:, None]) ** 2).sum(1)
    assert found.log_z_corrected == pytest.approx(truth, abs=1e-5)
    assert found.entropy == pytest.approx(h, abs=1e-5)
    assert found.varentropy == pytest.approx(v, abs=1e-4)
    assert (np.abs(found.log_z_corrected - truth) <= np.abs(found.log_z - truth)).all()


def test_the_open_last_bin_uses_its_real_width():
    logits = np.full((1, 600), -1.0, np.float32)
    logits[0, 0] = 0
    logits[0, 300:] = np.linspace(-2.6, -30, 300)
    sketch = sketch_logits(logits, top=4, bin_width=0.01)  # 256 bins reach 2.56 nats down
    assert sketch.tail_count[0, 255] == 300
    found, truth = assert_bounded(logits, sketch, 2.0)
    assert truth[0] - found.log_z[0] > 1e-3


@given(st.integers(0, 10**6), st.integers(1, 600), st.floats(0.4, 2.0))
def test_entropy_changes_with_temperature_as_varentropy_over_temperature(seed, top, temperature):
    sketch = sketch_logits(normal(2, 2000, 2.0, seed), top=top)
    step = 1e-5
    below, above = sketch.tempered(temperature - step), sketch.tempered(temperature + step)
    slope = (above.entropy - below.entropy) / (2 * step)
    assert slope == pytest.approx(sketch.tempered(temperature).varentropy / temperature, rel=1e-4, abs=1e-6)


def test_the_worked_example_of_the_temperature_identity():
    found = sketch_logits([2.0, 1.0, 0.0, -1.0]).tempered(1.0)
    assert found.entropy[0] == pytest.approx(0.947536964, abs=1e-9)
    assert found.varentropy[0] == pytest.approx(0.616586275, abs=1e-9)


@given(logit_arrays, st.integers(-16, 16))
def test_a_common_offset_moves_logits_and_log_z_and_nothing_else(logits, offset):
    logits = np.round(logits * 64) / 64  # exact after the shift
    plain, moved = sketch_logits(logits, top=5), sketch_logits(logits + np.float32(offset), top=5)
    assert np.array_equal(moved.top_ids, plain.top_ids)
    assert np.array_equal(moved.tail_count, plain.tail_count)
    assert np.array_equal(moved.tail_mean, plain.tail_mean)
    assert moved.entropy == pytest.approx(plain.entropy, rel=1e-6, abs=1e-9)
    assert moved.log_z - offset == pytest.approx(plain.log_z, abs=1e-6)
