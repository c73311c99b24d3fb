"""Comparing strategies: closed forms, an independent count, an honest oracle, and words that follow the numbers."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.difficulty.comparison import compare
from workbench.errors import DifficultyError

ARMS = ("easy", "normal", "hard")


def rows_of(cells):
    """(problem, arm, [(correct, tokens), …]) as a sweep's results."""
    rows = [(p, arm, k, bool(c), t) for p, arm, responses in cells for k, (c, t) in enumerate(responses)]
    schema = {"problem": pl.String, "sampler": pl.String, "sample": pl.Int32, "correct": pl.Boolean, "tokens": pl.Int32}
    return pl.DataFrame(rows, schema=schema, orient="row")


def sweep(problems=30, samples=4, seed=0, arms=ARMS):
    rng = np.random.default_rng(seed)
    return rows_of(
        [
            (f"p{p}", arm, [(rng.random() < 0.3 + 0.2 * k, 10 + rng.integers(0, 20 * (k + 1))) for _ in range(samples)])
            for p in range(problems)
            for k, arm in enumerate(arms)
        ]
    )


def draw_choices(seed, problems=30):
    rng = np.random.default_rng(seed)
    return {f"p{p}": str(rng.choice(ARMS)) for p in range(problems)}


@given(st.integers(0, 10_000))
@settings(max_examples=25)
def test_in_its_own_sample_the_oracle_beats_every_arm_and_every_choice(seed):
    found = compare(sweep(12, 3, seed), draw_choices(seed, 12), labels=draw_choices(seed + 1, 12), draws=10)
    for outcome in found.outcomes:
        assert found["oracle"].accuracy.value >= outcome.accuracy.value - 1e-12
    assert found["oracle_split"].accuracy.value <= found["oracle"].accuracy.value + 1e-12


@pytest.mark.parametrize("arm", ARMS)
def test_choosing_one_arm_always_is_that_arm(arm):
    found = compare(sweep(), {f"p{p}": arm for p in range(30)}, draws=50)
    adaptive, fixed = found["adaptive"], found[arm]
    for name in ("accuracy", "tokens", "accuracy_difference", "tokens_saved"):
        mine, yours = getattr(adaptive, name), getattr(fixed, name)
        assert mine.value == yours.value
        assert (mine.low, mine.high) == pytest.approx((yours.low, yours.high), abs=1e-12)
    assert adaptive.shares == fixed.shares
    assert f"chose {arm} for every problem" in found.verdict


def test_the_reference_differs_from_itself_by_exactly_nothing():
    normal = compare(sweep(), draw_choices(0), draws=50)["normal"]
    for estimate in (normal.accuracy_difference, normal.tokens_saved):
        assert (estimate.value, estimate.low, estimate.high) == (0, 0, 0)


def test_numbers_equal_a_count_by_hand():
    results, choices = sweep(7, 3, 5), draw_choices(3, 7)
    found = compare(results, choices, draws=10)["adaptive"]
    means = [
        results.filter(pl.col("problem") == p, pl.col("sampler") == arm).select(
            pl.col("correct").mean(), pl.col("tokens").mean()
        ).row(0)
        for p, arm in choices.items()
    ]  # fmt: skip
    normal = results.filter(sampler="normal")
    assert found.accuracy.value == pytest.approx(np.mean([m[0] for m in means]))
    assert found.tokens.value == pytest.approx(np.mean([m[1] for m in means]))
    assert found.accuracy_difference.value == pytest.approx(found.accuracy.value - normal["correct"].mean())
    assert found.tokens_saved.value == pytest.approx(100 * (1 - found.tokens.value / normal["tokens"].mean()))
    assert found.shares == {arm: pytest.approx(list(choices.values()).count(arm) / 7) for arm in ARMS}


def test_intervals_equal_a_loop_over_resampled_problems():
    results = sweep(40, 2, 8)
    choices = draw_choices(8, 40)
    found = compare(results, choices, draws=4000, level=0.9)["adaptive"]
    cells = {(p, s): (c, t) for p, s, c, t in results.group_by("problem", "sampler").agg(
        pl.col("correct").mean(), pl.col("tokens").mean()).iter_rows()}  # fmt: skip
    own = np.array([cells[p, arm] for p, arm in choices.items()])
    base = np.array([cells[p, "normal"] for p in choices])
    rng = np.random.default_rng(1)
    loop = []
    for _ in range(4000):
        rows = rng.integers(0, 40, 40)
        (acc, tok), (acc0, tok0) = own[rows].mean(axis=0), base[rows].mean(axis=0)
        loop.append((acc, tok, acc - acc0, 100 * (1 - tok / tok0)))
    low, high = np.quantile(loop, [0.05, 0.95], axis=0)
    for k, name in enumerate(("accuracy", "tokens", "accuracy_difference", "tokens_saved")):
        estimate = getattr(found, name)
        assert estimate.low < estimate.value < estimate.high
        spread = high[k] - low[k]
        assert estimate.low == pytest.approx(low[k], abs=0.08 * spread), name
        assert estimate.high == pytest.approx(high[k], abs=0.08 * spread), name


def test_the_oracle_takes_the_best_arm_then_the_shortest_then_the_first():
    cells = [
        ("a", "easy", [(0, 5)]), ("a", "normal", [(1, 50)]), ("a", "hard", [(1, 20)]),
        ("b", "easy", [(0, 9)]), ("b", "normal", [(0, 9)]), ("b", "hard", [(0, 10)]),
    ]  # fmt: skip
    oracle = compare(rows_of(cells), {"a": "easy", "b": "easy"}, draws=10)["oracle"]
    assert oracle.shares == {"easy": 0.5, "normal": 0, "hard": 0.5}
    assert (oracle.accuracy.value, oracle.tokens.value) == (0.5, 14.5)


def test_where_arms_differ_by_chance_alone_only_the_hindsight_oracle_gains():
    """The same coin for all: best of three looks better by itself, and the split halves see through it."""
    rng = np.random.default_rng(2)
    cells = [(f"p{p}", arm, [(rng.random() < 0.5, 10) for _ in range(4)])
             for p in range(300) for arm in ARMS]  # fmt: skip
    found = compare(rows_of(cells), {f"p{p}": "normal" for p in range(300)}, draws=300)
    assert found["oracle"].accuracy_difference.low > 0.1
    assert abs(found["oracle_split"].accuracy_difference.value) < 0.05


def test_where_one_arm_is_right_for_sure_the_two_oracles_agree():
    cells = [(f"p{p}", arm, [(arm == ARMS[p % 3], 10 + k)] * 4) for p in range(9) for k, arm in enumerate(ARMS)]
    found = compare(rows_of(cells), {f"p{p}": ARMS[p % 3] for p in range(9)}, draws=10)
    values = [(found[k].accuracy.value, found[k].tokens.value) for k in ("oracle", "oracle_split", "adaptive")]
    assert values == [(1.0, 11.0)] * 3
    assert found["oracle_split"].shares == pytest.approx(found["oracle"].shares)


def test_one_response_a_cell_leaves_no_honest_oracle_and_says_so():
    found = compare(sweep(10, 1), draw_choices(0, 10), draws=10)
    assert "oracle_split" not in [outcome.kind for outcome in found.outcomes]
    assert "optimistic" in found.verdict
    with pytest.raises(
        DifficultyError, match="no outcome 'oracle_split'; there are easy, normal, hard, adaptive, oracle"
    ):
        found["oracle_split"]


def test_only_the_chosen_problems_count():
    results = sweep(30)
    choices = {p: arm for p, arm in draw_choices(0).items() if int(p[1:]) < 11}
    few = compare(results.filter(pl.col("problem").is_in(list(choices))), choices, draws=20)
    assert compare(results, choices, draws=20) == few
    assert few.problems == 11


@given(st.randoms(use_true_random=False))
@settings(max_examples=10)
def test_the_order_of_rows_does_not_matter(random):
    results = sweep(8, 3)
    order = random.sample(range(len(results)), len(results))
    one, two = compare(results, draw_choices(0, 8), draws=20), compare(results[order], draw_choices(0, 8), draws=20)
    for a, b in zip(one.outcomes, two.outcomes, strict=True):
        assert a.strategy == b.strategy
        if a.kind != "oracle_split":  # its halves are drawn by row
            assert a.accuracy.value == pytest.approx(b.accuracy.value)
            assert a.tokens.value == pytest.approx(b.tokens.value)


def test_same_seed_same_numbers_and_a_frame_of_them():
    one, two = (compare(sweep(), draw_choices(0), labels=draw_choices(1), draws=40, seed=3) for _ in range(2))
    assert one == two
    frame = one.to_frame()
    assert frame["kind"].to_list() == ["fixed"] * 3 + ["adaptive", "labels", "oracle", "oracle_split"]
    assert frame["strategy"].to_list()[:3] == list(ARMS)
    for name in ("accuracy", "tokens", "accuracy_difference", "tokens_saved"):
        assert (frame[f"{name}_low"] <= frame[f"{name}_high"]).all()
    assert frame.select(pl.sum_horizontal("share_easy", "share_normal", "share_hard")).to_series().to_list() == (
        pytest.approx([1.0] * 7)
    )


def deterministic(easy, normal, problems=20):
    """Every problem the same but for a jitter in tokens that no interval misses."""
    rng = np.random.default_rng(0)
    return rows_of([
        (f"p{p}", arm, [(correct, tokens + int(rng.integers(0, 3)))] * 2)
        for p in range(problems) for arm, (correct, tokens) in (("easy", easy), ("normal", normal))
    ])  # fmt: skip


@pytest.mark.parametrize(
    ("easy", "normal", "says"),
    [
        (
            (1, 50),
            (1, 100),
            "It saves tokens; no problem's accuracy changed, which does not exclude changes in up to 14% of them.",
        ),
        ((1, 50), (0, 100), "It saves tokens, and it is more accurate."),
        ((0, 50), (1, 100), "It saves tokens, but it is less accurate."),
        ((1, 150), (0, 100), "It costs tokens, but it is more accurate."),
        ((0, 150), (1, 100), "It costs tokens, and it is less accurate."),
    ],
)
def test_the_verdict_follows_the_intervals(easy, normal, says):
    found = compare(deterministic(easy, normal), {f"p{p}": "easy" for p in range(20)}, draws=50)
    assert says in found.verdict
    assert found.verdict in repr(found)


def test_where_nothing_is_solved_the_verdict_says_that_savings_mean_little():
    found = compare(deterministic((0, 50), (0, 100)), {f"p{p}": "easy" for p in range(20)}, draws=50)
    assert "No fixed strategy is right more often than 0.0%" in found.verdict
    found = compare(deterministic((1, 50), (1, 100)), {f"p{p}": "easy" for p in range(20)}, draws=50)
    assert "No fixed strategy" not in found.verdict


def test_the_verdict_says_what_the_data_cannot_tell_and_what_no_probe_does_better():
    found = compare(sweep(), draw_choices(0), draws=100)
    assert ("is not excluded" in found.verdict) == (
        found["adaptive"].accuracy_difference.sign == 0 and found["adaptive"].accuracy_difference.low < 0
    )
    cells = deterministic((1, 20), (0, 100))
    mixed = {f"p{p}": "normal" if p < 10 else "easy" for p in range(20)}
    assert "Without any probe, always easy does at least as well on both counts." in compare(cells, mixed).verdict


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"choices": {}}, "no held-out problems"),
        ({"choices": {"p0": "medium"}}, "no arm 'medium' in the results; there are easy, normal, hard"),
        ({"choices": {"q": "easy"}}, "3 of 3 problem-and-arm pairs were never run, such as 'q' by 'easy'"),
        ({"labels": {"p1": "easy"}}, "labels lacks 1 of the problems, such as 'p0'"),
        ({"reference": "default"}, "no arm 'default'"),
        ({"arms": ["easy", "odd"]}, "'p0' by 'odd'"),
        ({"results": sweep().drop("tokens")}, "no column tokens"),
        ({"results": sweep().with_columns(correct=None)}, "no grade or no number"),
        ({"results": sweep().with_columns(model=pl.Series(["a", "b"] * 180))}, "several in the column model"),
        ({"draws": 0}, "draws"),
        ({"level": 1.0}, "level"),
    ],
)
def test_what_cannot_be_compared(change, says):
    given_ = {"results": sweep(), "choices": {"p0": "easy"}, "draws": 10} | change
    with pytest.raises(DifficultyError, match=says):
        compare(given_.pop("results"), given_.pop("choices"), **given_)
