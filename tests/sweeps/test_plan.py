"""What a sweep decodes: every sequence once, in an order that depends on the arguments alone."""

from itertools import pairwise

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from workbench.sweeps.plan import seed_of, units_of


def problems(lengths):
    return pl.DataFrame({"problem": [f"p{i}" for i in range(len(lengths))], "prompt": ["x" * n for n in lengths]})


@given(
    lengths=st.lists(st.integers(1, 90), min_size=1, max_size=30),
    samples=st.integers(1, 5),
    batch_size=st.integers(1, 20),
    arms=st.integers(1, 3),
)
def test_every_sequence_comes_once_in_batches_of_one_arm(lengths, samples, batch_size, arms):
    names = [f"s{i}" for i in range(arms)]
    units = units_of(problems(lengths), models=["a", "b"], samplers=names, samples=samples, batch_size=batch_size)
    found = [(unit.model, unit.sampler, *sequence) for unit in units for sequence in unit.sequences]
    assert len(found) == len(set(found)) == 2 * arms * samples * len(lengths)
    assert [unit.number for unit in units] == list(range(len(units)))
    assert max(map(len, units)) <= batch_size
    for unit, after in pairwise(units):
        assert len(unit) == batch_size or (unit.model, unit.sampler) != (after.model, after.sampler)


@given(lengths=st.lists(st.integers(1, 90), min_size=2, max_size=30), batch_size=st.integers(1, 8))
def test_prompts_of_a_batch_are_of_about_equal_length(lengths, batch_size):
    units = units_of(problems(lengths), models=["m"], samplers=["s"], samples=2, batch_size=batch_size)
    order = [lengths[row] for unit in units for row, _ in unit.sequences]
    assert order == sorted(lengths * 2, reverse=True)


@given(seed=st.integers(0, 2**62), problem=st.text(max_size=20), sample=st.integers(0, 999))
def test_a_seed_is_what_torch_takes_and_differs_between_samples(seed, problem, sample):
    one = seed_of(seed, problem, sample)
    assert 0 <= one < 2**63
    assert one == seed_of(seed, problem, sample)
    assert one != seed_of(seed, problem, sample + 1)
    assert one != seed_of(seed + 1, problem, sample)
    assert one != seed_of(seed, problem + "x", sample)


def test_a_seed_stays_what_it_was():
    assert seed_of(0, "arithmetic-01-00", 0) == 7203031784719811604
