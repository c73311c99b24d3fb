"""The verdict in words, the split of variance and partial correlation."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from tests.difficulty.difficulty_cases import responses_table
from workbench.difficulty import assess, curve, lind_mehlum, partial_correlation, two_lines, variance_split
from workbench.errors import DifficultyError


def bowl(level):
    return 0.5 + 0.02 * (level - 4.5) ** 2


def test_a_clear_u_is_supported_and_the_reasons_are_the_tests():
    found = assess(responses_table(bowl))
    problems = curve(responses_table(bowl)).problems
    assert found.answer == "supported"
    assert found.headline == "U-shape supported"
    assert found.lind_mehlum == lind_mehlum(problems["x"], problems["entropy"], se="hc3", shape="u")
    assert found.two_lines == two_lines(problems["x"], problems["entropy"], shape="u")
    assert "Lind-Mehlum rejects" in found.reasons[0]
    assert "90% Fieller interval" in found.reasons[1]
    assert "both significant" in found.reasons[2]
    assert "the answer stays: supported" in found.reasons[3]
    assert str(found).startswith("U-shape supported. Lind-Mehlum rejects")
    assert (found.n_problems, found.n_levels) == (80, 8)
    assert found.to_frame()["given_length"].to_list() == [False, False, True, True]
    assert found.to_frame()["supported"].all()


@pytest.mark.parametrize("unit", ["problem", "sequence"])
@pytest.mark.parametrize(
    "mean", [np.log, np.sqrt, lambda level: 0.1 * level, lambda level: 2 - 0.1 * level, lambda _: 0.5,
             lambda level: 2 - bowl(level)],
)  # fmt: skip
def test_what_is_no_u_is_not_supported(mean, unit):
    found = assess(responses_table(mean), unit=unit)
    assert found.answer == "not supported"
    assert "does not reject" in found.reasons[0]


def test_sequences_are_clustered_by_problem():
    found = assess(responses_table(bowl), unit="sequence")
    assert found.answer == "supported"
    assert (found.lind_mehlum.se, found.two_lines.se) == ("cluster", "cluster")
    assert (found.lind_mehlum.n, found.lind_mehlum.df) == (240, 79)


def test_an_inverted_u_is_supported_where_that_is_the_question():
    table = responses_table(lambda level: 2 - bowl(level))
    assert assess(table, shape="inverted").headline == "inverted U-shape supported"
    assert assess(table, shape="auto").answer == "supported"


def test_a_u_that_length_makes_is_said():
    def length(level):
        return np.round(np.exp(4 + 0.1 * (level - 4.5) ** 2 + np.random.default_rng(2).normal(0, 0.5, len(level))))

    table = responses_table(lambda _: 0.0, problems=30, samples=1, tokens=length)
    table = table.with_columns(entropy=pl.col("entropy").abs() / 5 + 0.2 * pl.col("tokens").log())
    found = assess(table)
    assert found.answer == "supported"
    assert not found.lind_mehlum_given_length.supported
    assert "answer becomes not supported" in found.reasons[-1]


def test_without_tokens_length_is_said_not_to_be_controlled():
    found = assess(responses_table(bowl).drop("tokens"))
    assert "not controlled" in found.reasons[-1]
    assert found.lind_mehlum_given_length is None
    assert len(found.to_frame()) == 2


@pytest.mark.parametrize(("levels", "problems"), [(2, 30), (4, 30), (6, 3)])
def test_too_few_levels_or_problems_are_not_identifiable(levels, problems):
    found = assess(curve(responses_table(bowl, levels=levels, problems=problems), min_per_bin=1))
    assert found.answer == "not identifiable"
    assert found.lind_mehlum is None
    assert "too few" in found.reasons[0]
    assert len(found.to_frame()) == 0


def test_a_bottom_too_near_the_edge_is_not_identifiable_unless_the_parabola_says_no():
    steep = responses_table(lambda level: 0.5 + (0.3 if level == 1 else 0) + 0.02 * (level - 2) ** 2)
    found = assess(steep)
    assert found.lind_mehlum.supported == (found.answer != "not supported")
    assert not found.two_lines.identifiable
    near = assess(responses_table(lambda level: 0.5 + 0.05 * (level - 2) ** 2, problems=60, noise=0.01))
    assert near.lind_mehlum.supported
    assert near.answer == "not identifiable"
    assert "each line needs 3" in near.reasons[2]


def test_problems_in_sparse_bins_take_no_part():
    table = responses_table(bowl)
    odd = table.head(1).with_columns(problem=pl.lit("odd"), difficulty=40.0, entropy=50.0)
    one, other = assess(table), assess(pl.concat([table, odd]))
    assert one.lind_mehlum == other.lind_mehlum
    assert assess(curve(pl.concat([table, odd]), min_per_bin=1)).lind_mehlum != one.lind_mehlum
    assert "left out" in assess(curve(table, min_per_bin=11)).reasons[0]


def test_arguments_out_of_range_are_told():
    table = responses_table(bowl)
    for wrong in ({"unit": "token"}, {"shape": "w"}, {"level": 0.7}, {"trim": 0.6}):
        with pytest.raises(DifficultyError, match=next(iter(wrong))):
            assess(table, **wrong)


def test_noise_is_rarely_supported():
    supported = sum(
        assess(responses_table(lambda _: 1.0, seed=seed, problems=6, samples=2).drop("tokens")).answer == "supported"
        for seed in range(40)
    )
    assert supported <= 3


@given(st.integers(0, 1000))
def test_the_split_adds_up_to_the_variance_of_all_responses(seed):
    table = responses_table(bowl, levels=4, problems=5, seed=seed).filter(
        pl.Series(np.random.default_rng(seed).random(60) < 0.8)
    )
    found = variance_split(curve(table, min_per_bin=1, draws=2))
    H = table["entropy"].to_numpy()
    assert found.total == pytest.approx(H.var() * len(H))
    means = table.group_by("problem").agg(pl.col("entropy").mean().alias("mean"), pl.len())
    between = ((means["mean"] - H.mean()) ** 2 * means["len"]).sum()
    assert found.between == pytest.approx(between / found.total)
    assert found.to_frame()["share"].sum() == pytest.approx(1)


def test_the_intraclass_correlation_is_the_share_of_variance_between_problems():
    random = np.random.default_rng(0)
    H = np.repeat(random.normal(0, 0.3, 2000), 4) + random.normal(0, 0.4, 8000)
    table = pl.DataFrame(
        {"problem": np.repeat(np.arange(2000), 4), "difficulty": np.repeat(np.arange(2000) % 5, 4), "entropy": H}
    )
    assert variance_split(curve(table)).intraclass == pytest.approx(0.09 / 0.25, abs=0.03)
    single = table.unique("problem")
    assert np.isnan(variance_split(curve(single)).intraclass)


@given(st.integers(0, 2**32 - 1))
def test_partial_correlation_is_the_formula_of_three_correlations(seed):
    x, y, z = np.random.default_rng(seed).normal(0, 1, (3, 30)) @ np.eye(30)
    y = y + 0.5 * z
    found = partial_correlation(x, y, z)
    xy, xz, yz = (np.corrcoef(a, b)[0, 1] for a, b in ((x, y), (x, z), (y, z)))
    assert found.r == pytest.approx((xy - xz * yz) / np.sqrt((1 - xz**2) * (1 - yz**2)))
    assert found.df == 27
    assert found.p_value == pytest.approx(2 * stats.t.sf(abs(found.r) * np.sqrt(27 / (1 - found.r**2)), 27))


def test_partial_correlation_of_what_is_wholly_explained_is_unknown():
    x = np.arange(10.0)
    found = partial_correlation(2 * x + 1, np.sin(x), x)
    assert np.isnan(found.r)
    assert found.p_value == 1
    with pytest.raises(DifficultyError, match="too few"):
        partial_correlation([1, 2, 3], [1, 3, 2], [3, 1, 2])
