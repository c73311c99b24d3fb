import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from workbench.errors import ParameterError, TraceError
from workbench.traces.interval import entropy_interval


def entropy(probabilities):
    p = np.asarray(probabilities, dtype=np.float64)
    return float(-(p[p > 0] * np.log(p[p > 0])).sum())


@st.composite
def distributions(draw):
    size = draw(st.integers(2, 60))
    weights = np.array(draw(st.lists(st.floats(-12, 12), min_size=size, max_size=size)))
    p = np.exp(weights - weights.max())
    return np.sort(p / p.sum())[::-1]


def logs(p):
    return [math.log(x) if x > 0 else -math.inf for x in p]


def test_a_full_list_gives_the_entropy_itself():
    found = entropy_interval(logs([0.5, 0.25, 0.25]), vocabulary=3)
    assert found.lower == found.upper == pytest.approx(1.5 * math.log(2), abs=1e-15)
    assert found.width == 0


def test_the_usual_bracket_of_truncated_log_probabilities():
    top, tail = entropy([0.5, 0.3]), 0.2
    found = entropy_interval(logs([0.5, 0.3]), vocabulary=12)
    assert found.lower == pytest.approx(top - tail * math.log(tail), abs=1e-14)
    assert found.upper == pytest.approx(top - tail * math.log(tail / 10), abs=1e-14)
    assert found.mass == pytest.approx(0.8)
    assert found.listed == 2


def test_a_ceiling_raises_the_lower_bound_to_the_tightest_packing():
    # A tail of 0.2 under tokens of at most 0.06: three of 0.06 and one of 0.02 is the least it can add.
    found = entropy_interval(logs([0.5, 0.3]), vocabulary=12, ceiling=math.log(0.06))
    assert found.lower == pytest.approx(entropy([0.5, 0.3, 0.06, 0.06, 0.06, 0.02]), abs=1e-12)
    assert found.lower >= entropy([0.5, 0.3]) + 0.2 * math.log(1 / 0.06)


def test_a_ceiling_that_the_tail_does_not_fit_under_is_none():
    # Nine tokens of at most exp(-20) cannot hold a tail of 0.4, so the list was no top 1.
    with_it = entropy_interval(logs([0.6]), vocabulary=10, ceiling=-20.0)
    assert with_it == entropy_interval(logs([0.6]), vocabulary=10)
    assert with_it.lower < with_it.upper


def test_without_a_vocabulary_there_is_no_upper_bound_unless_nothing_is_left():
    assert entropy_interval(logs([0.5])).upper is None
    assert entropy_interval(logs([0.5])).width == math.inf
    assert entropy_interval(logs([0.5, 0.5])).upper == pytest.approx(math.log(2))


def test_a_certain_token_has_no_entropy():
    found = entropy_interval([0.0, -math.inf], vocabulary=151_936)
    assert (found.lower, found.upper, found.listed) == (0.0, 0.0, 1)


def test_a_mass_above_one_by_rounding_counts_as_one():
    found = entropy_interval([math.log(0.5) + 1e-7, math.log(0.5)], vocabulary=1000)
    assert found.lower == found.upper == pytest.approx(math.log(2), abs=1e-6)


def test_the_uniform_distribution_attains_the_upper_bound():
    found = entropy_interval([-math.log(1000)] * 5, vocabulary=1000, ceiling=-math.log(1000))
    assert found.upper == pytest.approx(math.log(1000), abs=1e-12)
    assert found.lower == pytest.approx(math.log(1000), abs=1e-9)


def test_to_frame_has_a_row():
    assert entropy_interval([-1.0], vocabulary=9).to_frame().columns == ["lower", "upper", "mass", "listed"]


@pytest.mark.parametrize("listed", [[0.0, -0.5], [-0.1, -0.1, -0.1]])
def test_probabilities_that_add_up_to_more_than_one_are_refused(listed):
    with pytest.raises(TraceError, match="not log-probabilities of one distribution"):
        entropy_interval(listed)


def test_nan_is_refused():
    with pytest.raises(TraceError, match="NaN"):
        entropy_interval([math.nan])


def test_more_tokens_than_the_vocabulary_has_are_refused():
    with pytest.raises(ParameterError, match="vocabulary=2"):
        entropy_interval(logs([0.2, 0.2, 0.2]), vocabulary=2)


@given(distributions(), st.data())
def test_the_true_entropy_lies_within(p, data):
    top = data.draw(st.integers(1, len(p)))
    truth = entropy(p)
    loose = entropy_interval(logs(p[:top]), vocabulary=len(p))
    tight = entropy_interval(logs(p[:top]), vocabulary=len(p), ceiling=math.log(p[top - 1]))
    for found in (loose, tight):
        assert found.lower <= truth + 1e-9
        assert truth <= found.upper + 1e-9
    assert loose.lower <= tight.lower + 1e-12
    assert tight.lower <= tight.upper + 1e-12


@given(distributions(), st.data())
def test_any_subset_gives_valid_bounds_without_a_ceiling(p, data):
    chosen = data.draw(st.sets(st.integers(0, len(p) - 1), min_size=1))
    found = entropy_interval(logs(p[sorted(chosen)]), vocabulary=len(p))
    assert found.lower - 1e-9 <= entropy(p) <= found.upper + 1e-9


@given(distributions(), st.data())
def test_the_realised_token_may_stand_outside_the_top_list(p, data):
    top = data.draw(st.integers(1, len(p) - 1))
    realised = data.draw(st.integers(top, len(p) - 1))
    found = entropy_interval(logs([*p[:top], p[realised]]), vocabulary=len(p), ceiling=math.log(p[top - 1]))
    assert found.lower - 1e-9 <= entropy(p) <= found.upper + 1e-9


@given(distributions(), st.data())
def test_naming_one_more_token_never_widens_the_interval(p, data):
    assume(len(p) > 2)
    top = data.draw(st.integers(1, len(p) - 1))
    fewer, more = (entropy_interval(logs(p[:k]), vocabulary=len(p), ceiling=math.log(p[k - 1])) for k in (top, top + 1))
    assert more.lower >= fewer.lower - 1e-9
    assert more.upper <= fewer.upper + 1e-9
