"""The moving mean and variance of EAT: closed forms, a naive loop, both stopping rules."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.errors import ParameterError
from workbench.phases import default_min_distance, ema_stop

rows = st.lists(st.floats(0, 10), max_size=60)
weights = st.floats(0.05, 1)


@given(rows, weights)
def test_recursion_unrolled(x, alpha):
    """m_t = (1 − α)^t x_0 + α Σ_{i ≥ 1} (1 − α)^{t − i} x_i, and likewise v of the squared deviations."""
    found = ema_stop(x, alpha=alpha)
    for t in range(len(x)):
        i = np.arange(1, t + 1)
        decay = (1 - alpha) ** (t - i)
        mean = (1 - alpha) ** t * x[0] + alpha * decay @ np.array(x)[1 : t + 1]
        variance = alpha * decay @ (np.array(x)[1 : t + 1] - found.mean[1 : t + 1]) ** 2
        assert found.mean[t] == pytest.approx(mean, abs=1e-9)
        assert found.variance[t] == pytest.approx(variance, abs=1e-9)


@given(st.floats(0, 10), weights)
def test_a_constant_has_no_variance(level, alpha):
    found = ema_stop([level] * 30, alpha=alpha, min_distance=3)
    np.testing.assert_allclose(found.mean, level)
    np.testing.assert_allclose(found.variance, 0, atol=1e-20)
    assert found.index == 3


@pytest.mark.parametrize("alpha", [0.05, 0.2, 0.5])
def test_a_step_decays_by_its_closed_form(alpha):
    """After a step of height h at t = 1: m_t = h (1 − q^t), v_t = α h² q^{t+1} (1 − q^t) / (1 − q), q = 1 − α."""
    h, q = 3.0, 1 - alpha
    found = ema_stop([0.0] + [h] * 40, alpha=alpha)
    t = np.arange(41)
    np.testing.assert_allclose(found.mean, h * (1 - q**t), atol=1e-12)
    np.testing.assert_allclose(found.variance, alpha * h**2 * q ** (t + 1) * (1 - q**t) / (1 - q), atol=1e-12)


@given(rows, weights, st.floats(0, 3))
def test_a_shift_moves_the_mean_and_not_the_variance(x, alpha, c):
    one, other = ema_stop(x, alpha=alpha), ema_stop(np.array(x) + c, alpha=alpha)
    np.testing.assert_allclose(other.mean, one.mean + c, atol=1e-9)
    np.testing.assert_allclose(other.variance, one.variance, atol=1e-9)


def reference(variance, delta, min_distance):
    """xidulu/EAT's scan, written out: element 0 dropped, the index that of the shortened row."""
    if min_distance > len(variance):
        return None
    for i, value in enumerate(variance[1:]):
        if i >= min_distance and value < delta:
            return i
    return None


@given(rows, weights, st.floats(1e-6, 1), st.integers(0, 40))
def test_where_the_two_variants_stop(x, alpha, delta, distance):
    settings = {"alpha": alpha, "delta": delta, "min_distance": distance}
    paper, theirs = ema_stop(x, **settings), ema_stop(x, **settings, variant="reference")
    quiet = [t for t in range(max(1, distance), len(x)) if paper.variance[t] < delta]
    assert paper.index == (quiet[0] if quiet else None)
    assert theirs.index == reference(theirs.variance, delta, distance)
    if paper.index is not None and paper.index > max(1, distance):
        assert theirs.index == paper.index - 1  # the off-by-one


def test_the_first_boundary_never_stops_though_its_variance_is_zero():
    assert ema_stop([1.0, 5.0, 1.0], min_distance=0, delta=1e-3).index is None
    assert ema_stop([1.0], min_distance=0).index is None
    assert ema_stop([], min_distance=0).index is None


@pytest.mark.parametrize(("alpha", "distance"), [(0.2, 20), (0.05, 80), (0.16, 25), (0.3, 14), (1.0, 4)])
def test_the_default_distance_is_four_over_alpha_rounded_up(alpha, distance):
    assert default_min_distance(alpha) == distance
    found = ema_stop([1.0] * 100, alpha=alpha)
    assert (found.min_distance, found.index) == (distance, distance)


def test_the_table_marks_the_stop():
    found = ema_stop([0.0, 1.0, 1.0, 1.0, 1.0], alpha=0.5, delta=0.05, min_distance=1)
    frame = found.to_frame()
    assert frame.filter("stop")["boundary"].to_list() == [found.index]
    assert not frame.filter(frame["boundary"] < found.index)["quiet"].to_list()[1:].count(True)


@pytest.mark.parametrize(
    ("entropies", "wrong", "said"),
    [
        ([1.0], {"alpha": 0}, "alpha"),
        ([1.0], {"alpha": 1.5}, "alpha"),
        ([1.0], {"delta": 0.0}, "delta"),
        ([1.0], {"min_distance": -1}, "min_distance"),
        ([1.0], {"variant": "code"}, "paper, reference"),
        ([1.0, np.nan], {}, "finite"),
        ([[1.0]], {}, "one row"),
    ],
)
def test_what_cannot_be_smoothed(entropies, wrong, said):
    with pytest.raises(ParameterError, match=said):
        ema_stop(entropies, **wrong)
