"""Curves: aggregation by hand, bins, intervals with known coverage, regions, and every table that is refused."""

import time

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize, stats

from tests.difficulty.difficulty_cases import responses_table
from workbench.difficulty import REGIONS, curve
from workbench.difficulty.bootstrap import percentile_interval, resampled_sums, wilson_interval
from workbench.errors import DifficultyError

SMALL = pl.DataFrame(
    {
        "problem": ["a", "a", "b", "c", "c", "d"],
        "sample": [0, 1, 0, 0, 1, 0],
        "difficulty": [1, 1, 1, 2, 2, 2],
        "correct": [True, False, True, False, False, True],
        "entropy": [0.2, 0.4, 0.9, 0.1, 0.5, 0.7],
        "tokens": [10, 30, 20, 40, 10, 50],
    }
)


def test_nested_means_go_from_response_to_problem_to_level():
    found = curve(SMALL, min_per_bin=1)
    assert found.levels["level"].to_list() == [1, 2]
    np.testing.assert_allclose(found.levels["entropy"], [(0.3 + 0.9) / 2, (0.3 + 0.7) / 2])
    np.testing.assert_allclose(found.levels["accuracy"], [0.75, 0.5])
    np.testing.assert_allclose(found.levels["tokens"], [20, 37.5])
    assert found.levels["n_problems"].to_list() == [2, 2]
    assert found.levels["n_sequences"].to_list() == [3, 3]
    assert found.problems["problem"].to_list() == ["a", "b", "c", "d"]
    np.testing.assert_allclose(found.problems["accuracy"], [0.5, 1, 0, 1])
    assert found.to_frame() is found.levels


def test_pooled_means_weigh_by_tokens_or_by_responses_without_them():
    found = curve(SMALL, aggregate="pooled", min_per_bin=1)
    np.testing.assert_allclose(found.levels["entropy"], [(2 + 12 + 18) / 60, (4 + 5 + 35) / 100])
    np.testing.assert_allclose(found.levels["accuracy"], [2 / 3, 1 / 3])
    found = curve(SMALL.drop("tokens"), aggregate="pooled", min_per_bin=1)
    np.testing.assert_allclose(found.levels["entropy"], [1.5 / 3, 1.3 / 3])
    assert found.levels["tokens"].null_count() == 2


@given(st.permutations(range(6)))
def test_the_order_of_rows_changes_nothing(order):
    one, other = curve(SMALL, min_per_bin=1, draws=20), curve(SMALL[list(order)], min_per_bin=1, draws=20)
    for name in ("level", "entropy", "accuracy", "tokens", "n_sequences"):
        np.testing.assert_allclose(one.levels[name], other.levels[name])


def test_bins_by_accuracy_run_from_what_the_model_can_to_what_it_cannot():
    found = curve(responses_table(lambda level: level, samples=10), bins="accuracy", n_bins=5, min_per_bin=1)
    assert found.levels["level"].is_sorted()
    np.testing.assert_allclose(found.problems["x"], 1 - found.problems["accuracy"])
    for low, high in found.levels.select("low", "high").iter_rows():
        assert np.floor(low * 5 + 1e-9) == min(np.floor(high * 5 + 1e-9), 4) or high == 1
    # no difficulty is needed, and 0.3 goes into the bin that starts there
    table = pl.DataFrame({"problem": ["a"] * 10 + ["b"], "correct": [1] * 7 + [0] * 3 + [1], "entropy": [1.0] * 11})
    assert curve(table, bins="accuracy", n_bins=10, min_per_bin=1).problems["bin"].to_list() == [1, 0]


def test_bins_by_quantile_hold_about_as_many_problems_and_never_part_equals():
    random = np.random.default_rng(0)
    table = pl.DataFrame(
        {"problem": range(200), "difficulty": random.exponential(1, 200).round(2), "entropy": random.random(200)}
    )
    found = curve(table, bins="quantile", n_bins=8)
    assert len(found.levels) == 8
    assert found.levels["n_problems"].min() >= 20
    assert found.problems.group_by("difficulty").agg(pl.col("bin").n_unique())["bin"].max() == 1
    assert found.levels["accuracy"].null_count() == 8
    assert not found.graded


def test_what_has_no_difficulty_or_entropy_is_left_out_and_counted():
    more = pl.DataFrame(
        {
            "problem": ["x", "y", "z", "a"], "sample": [0, 0, 0, 2], "difficulty": [-1, None, 1, 1],
            "correct": [True] * 4, "entropy": [9.0, 9.0, None, None], "tokens": [1] * 4,
        },
        schema=SMALL.schema,
    )  # fmt: skip
    found = curve(pl.concat([SMALL, more]).lazy(), min_per_bin=1)
    assert (found.without_difficulty, found.without_entropy) == (2, 2)
    assert found.levels.equals(curve(SMALL, min_per_bin=1).levels)


def test_resampled_sums_have_the_moments_of_sampling_with_replacement(monkeypatch):
    random = np.random.default_rng(0)
    values = np.column_stack([random.gamma(2, 1, 40), np.ones(40)])
    monkeypatch.setattr("workbench.difficulty.bootstrap._CELLS", 40 * 333)  # several blocks
    sums = resampled_sums(values, draws=20_000, generator=np.random.default_rng(1))
    assert (sums[:, 1] == 40).all()
    assert sums[:, 0].mean() == pytest.approx(values[:, 0].sum(), rel=0.005)
    assert sums[:, 0].std() == pytest.approx(values[:, 0].std() * np.sqrt(40), rel=0.03)


def test_the_intervals_are_those_of_the_mean_over_problems():
    table = responses_table(lambda level: level, problems=200, samples=2, levels=3)
    found = curve(table, level=0.9, draws=4000)
    z = stats.norm.isf(0.05)
    for code, row in enumerate(found.levels.iter_rows(named=True)):
        H = found.problems.filter(pl.col("bin") == code)["entropy"].to_numpy()
        half = z * H.std() / np.sqrt(len(H))
        assert row["entropy_low"] == pytest.approx(H.mean() - half, abs=0.1 * half)
        assert row["entropy_high"] == pytest.approx(H.mean() + half, abs=0.1 * half)


def test_intervals_over_problems_cover_the_truth_where_those_over_responses_do_not():
    covered = naive = 0
    for seed in range(150):
        random = np.random.default_rng(seed)
        H = np.repeat(random.normal(1, 0.2, 30), 8) + random.normal(0, 0.05, 240)
        by_problem = H.reshape(30, 8).mean(axis=1)
        for values in (by_problem, H):
            sums = resampled_sums(values[:, None], draws=400, generator=random)
            low, high = percentile_interval(sums[:, 0] / len(values), 0.95)
            inside = low <= 1 <= high
            if values is by_problem:
                covered += inside
            else:
                naive += inside
    assert 0.88 * 150 <= covered <= 150
    assert naive < 0.7 * 150


def test_the_same_seed_gives_the_same_intervals():
    table = responses_table(lambda level: level)
    assert curve(table).levels.equals(curve(table).levels)
    assert not curve(table).levels.equals(curve(table, seed=1).levels)


def test_sd_is_the_spread_over_problems():
    found = curve(responses_table(lambda level: level), interval="sd")
    spread = found.problems.group_by("bin", maintain_order=True).agg(pl.col("entropy").std())["entropy"]
    np.testing.assert_allclose(found.levels["entropy_high"] - found.levels["entropy"], spread)
    np.testing.assert_allclose(found.levels["entropy"] - found.levels["entropy_low"], spread)


def test_single_graded_responses_take_wilsons_interval():
    table = pl.DataFrame(
        {
            "problem": range(40),
            "difficulty": [1, 2] * 20,
            "correct": [True, False] * 20,
            "entropy": np.linspace(0, 1, 40),
        }
    )
    found = curve(table)
    z = stats.norm.isf(0.025)
    assert found.levels["accuracy_low"][0] == pytest.approx(1 / (1 + z**2 / 20))  # closed form where all are right
    assert found.levels["accuracy_high"][0] == 1
    assert found.levels["accuracy_high"][1] == pytest.approx(z**2 / (20 + z**2))
    assert curve(pl.concat([table, table])).levels["accuracy_low"][0] == 1  # repeated: bootstrap over problems


@given(st.integers(1, 200), st.floats(0, 1), st.floats(0.5, 0.99))
def test_wilsons_ends_solve_the_score_equation(n, share, level):
    successes = float(round(share * n))
    low, high = wilson_interval(successes, n, level)
    z = stats.norm.isf((1 - level) / 2)

    def score(p):
        return abs(successes / n - p) - z * np.sqrt(p * (1 - p) / n)

    assert 0 <= low <= successes / n <= high <= 1
    if 0 < successes < n:
        assert low == pytest.approx(optimize.brentq(score, 1e-12, successes / n), abs=1e-8)
        assert high == pytest.approx(optimize.brentq(score, successes / n, 1 - 1e-12), abs=1e-8)


def test_sparse_levels_are_shown_without_intervals():
    table = pl.concat([responses_table(lambda level: level), SMALL.with_columns(pl.col("difficulty").cast(float) + 8)],
        how="vertical_relaxed")  # fmt: skip
    found = curve(table)
    assert found.levels["sparse"].to_list() == [False] * 8 + [True, True]
    assert found.levels["entropy_low"].null_count() == 2
    assert found.levels["entropy"].null_count() == 0
    assert found.problems["sparse"].sum() == 4


def test_regions_are_thirds_of_the_range_and_can_be_moved():
    table = responses_table(lambda level: level, levels=9)
    found = curve(table)
    assert found.levels["region"].to_list() == [name for name in REGIONS for _ in range(3)]
    moved = curve(table, regions=(2, 8))
    assert moved.levels["region"].to_list() == [REGIONS[0], *[REGIONS[1]] * 7, REGIONS[2]]
    assert moved.regions.medium == 2


def test_the_reduction_is_that_of_the_regions_problems():
    table = responses_table(lambda level: {1: 1.0, 2: 0.6}.get(level, 0.9), levels=3, problems=40)
    found = curve(table).reduction
    by_level = curve(table).levels["entropy"]
    assert found.value == pytest.approx(1 - by_level[1] / by_level[0])
    assert found.low < found.value < found.high
    assert found.value == pytest.approx(0.4, abs=0.03)
    # the delta method's standard error of a ratio of independent means
    H = [curve(table).problems.filter(pl.col("bin") == code)["entropy"].to_numpy() for code in (0, 1)]
    relative = [part.std() / part.mean() / np.sqrt(len(part)) for part in H]
    error = (1 - found.value) * np.hypot(*relative)
    assert found.high - found.low == pytest.approx(2 * 1.96 * error, rel=0.15)
    assert found.to_frame()["easy"].item() == pytest.approx(by_level[0])


def test_without_a_medium_region_there_is_no_reduction():
    assert curve(responses_table(lambda level: level, levels=2)).reduction is None
    assert curve(responses_table(lambda _: 0.0, levels=6, noise=0)).reduction is None


def test_the_entropys_column_says_its_kind():
    table = responses_table(lambda level: level).rename({"entropy": "sampled_entropy"})
    assert curve(table, entropy="sampled_entropy").settings.kind == "sampled"
    assert curve(table.rename({"sampled_entropy": "think_entropy"}), entropy="think_entropy").settings.kind == "raw"


def test_a_thousand_draws_of_twelve_levels_take_a_fraction_of_a_second():
    table = responses_table(lambda level: level, levels=12, problems=50, samples=4)
    curve(table)
    start = time.perf_counter()
    curve(table)
    assert time.perf_counter() - start < 0.5  # about a hundredth on an idle machine


@pytest.mark.parametrize(
    ("change", "settings", "words"),
    [
        (lambda t: t.drop("problem", "entropy"), {}, r"Missing column\(s\): problem, entropy.*Rename"),
        (lambda t: t.drop("difficulty"), {}, "Missing.*difficulty"),
        (lambda t: t.drop("correct"), {"bins": "accuracy"}, "Missing.*correct"),
        (lambda t: t, {"entropy": "H"}, "Missing.*H"),
        (lambda t: t.with_columns(difficulty=pl.lit("hard")), {}, "difficulty holds String"),
        (lambda t: t.with_columns(entropy=pl.lit(float("nan"))), {}, "entropy has 6 value.*NaN"),
        (lambda t: t.with_columns(tokens=pl.lit(float("inf"))), {}, "tokens has 6"),
        (lambda t: t.with_columns(difficulty=3), {}, "one difficulty level"),
        (lambda t: t.with_columns(correct=True), {"bins": "accuracy"}, "one accuracy level"),
        (lambda t: t.with_columns(difficulty=-1), {}, "No response is left"),
        (lambda t: t.clear(), {}, "No response is left"),
        (lambda t: t.with_columns(correct=pl.col("entropy") * 10), {}, "share from 0 to 1"),
        (lambda t: t.with_columns(correct=pl.when(pl.col("sample") == 0).then(pl.col("correct"))), {}, "unknown in 2"),
        (lambda t: t.with_columns(correct=pl.lit(None)), {"bins": "accuracy"}, "need grades"),
        (lambda t: t.with_columns(sample=0), {}, "share problem and sample"),
        (lambda t: t.with_columns(difficulty=pl.col("sample")), {}, "more than one difficulty"),
        (lambda t: t.with_columns(sampler=pl.col("problem")), {}, "mixes 4 values of sampler"),
        (lambda t: t.with_columns(tokens=0), {"aggregate": "pooled"}, "0 tokens"),
        (lambda t: t.to_dict(), {}, "polars DataFrame"),
        (lambda t: t, {"bins": "thirds"}, "bins must be one of level, quantile, accuracy"),
        (lambda t: t, {"aggregate": "median"}, "aggregate"),
        (lambda t: t, {"interval": "se"}, "interval"),
        (lambda t: t, {"draws": 0}, "draws"),
        (lambda t: t, {"level": 1}, "level"),
        (lambda t: t, {"regions": (3, 1)}, "regions"),
        (lambda t: t, {"bins": "quantile", "n_bins": 1}, "n_bins"),
    ],
)
def test_what_makes_no_curve_is_told_with_the_remedy(change, settings, words):
    with pytest.raises(DifficultyError, match=words):
        curve(change(SMALL), **settings)
