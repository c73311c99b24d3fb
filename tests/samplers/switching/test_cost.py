"""Costs: the paper's figures, and the limits of the true count."""

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.samplers.switching import Cost, Route

BILLION = 10**9


def route_of(large):
    large = np.asarray(large, dtype=bool)
    return Route(large, np.zeros(len(large)), np.zeros(len(large)))


def cost_of(large, *, prompt=7, monitor_small=False, parameters=(BILLION, 4 * BILLION)):
    return Cost.counted(route_of(large), prompt=prompt, monitor_small=monitor_small, parameters=parameters)


@pytest.mark.parametrize(
    ("parameters", "share", "saving"),
    [((3 * BILLION, 11 * BILLION), 0.43, 0.415), ((3 * BILLION // 2, 14 * BILLION), 0.25, 0.67)],
)
def test_savings_of_the_paper(parameters, share, saving):
    cost = cost_of(np.arange(100) < 100 * share, parameters=parameters)
    assert cost.large_share == share
    assert 1 - cost.paper == pytest.approx(saving, abs=1e-3)


def test_one_model_alone_costs_its_share_by_either_count():
    assert cost_of([0] * 9).paper == cost_of([0] * 9).true == 0.25
    assert cost_of([1] * 9).paper == cost_of([1] * 9).true == 1


def test_positions_of_a_route_counted_by_hand():
    # The small model reads the prompt's 7 and draws; the large one then reads those and the 3 tokens, draws 2;
    # the small one has seen all but 3 of what it needs for the last: its own last token and the large one's two.
    cost = cost_of([0, 0, 0, 1, 1, 0])
    assert (cost.tokens_small, cost.tokens_large, cost.switches) == (4, 2, 2)
    assert (cost.read_small, cost.read_large) == (7 + 5, 7 + 4)
    assert (cost.caught_up_small, cost.caught_up_large) == (6 + 2, 6 + 3)
    assert cost.true == (12 / 4 + 11) / 12


def test_monitoring_runs_the_small_model_at_every_token():
    cost = cost_of([0, 1, 1, 1], monitor_small=True)
    assert cost.monitored == 3
    assert cost.read_small == 7 + 3
    assert cost.caught_up_small == 6
    assert cost_of([1, 1], monitor_small=True).true == 1.25


def test_what_is_not_known_is_none_and_can_be_put_in():
    cost = cost_of([0, 1], parameters=None)
    assert math.isnan(cost.paper)
    assert math.isnan(cost.true)
    assert cost.to_dict()["true_cost"] is None
    assert cost.to_dict()["large_share"] == 0.5
    assert dataclasses.replace(cost, parameters_small=1, parameters_large=4).paper == 0.625


@given(
    large=st.lists(st.booleans(), min_size=1, max_size=60),
    prompt=st.integers(1, 50),
    monitor=st.booleans(),
    parameters=st.tuples(st.integers(1, 100), st.integers(1, 100)),
)
def test_counts_add_up_to_those_of_two_caches_played_through(large, prompt, monitor, parameters):
    seen, used = {True: 0, False: 0}, {True: 0, False: 0}
    for t, of_large in enumerate(large):
        for model in {of_large, False} if monitor else {of_large}:
            seen[model] = prompt + t
            used[model] += 1
    cost = cost_of(large, prompt=prompt, monitor_small=monitor, parameters=parameters)
    assert (cost.read_small, cost.read_large) == (seen[False], seen[True])
    assert cost.tokens_small + cost.monitored == used[False]
    assert cost.caught_up_small == seen[False] - used[False]
    assert cost.caught_up_large == seen[True] - used[True]
    assert cost.tokens == len(large)
    assert cost.to_frame()["read"].to_list() == [cost.read_small, cost.read_large]
