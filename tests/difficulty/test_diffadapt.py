"""DiffAdapt from end to end on the demo model's own decodes."""

from pathlib import Path

import polars as pl
import pytest

import workbench as wb
from workbench.difficulty.diffadapt import adapt
from workbench.difficulty.labels import LABELS, Thresholds
from workbench.difficulty.presets import PRESETS
from workbench.errors import DifficultyError

ARITHMETIC = Path(__file__).parents[2] / "data" / "problems" / "arithmetic.parquet"


@pytest.fixture(scope="module")
def model():
    return wb.load("demo-small")


@pytest.fixture(scope="module")
def problems():
    table = pl.read_parquet(ARITHMETIC).rename({"id": "problem"})
    return table.filter(pl.int_range(pl.len()).over("difficulty") < 4, pl.col("difficulty") <= 4)


@pytest.fixture(scope="module")
def results(model, problems):
    """Two responses a problem and strategy, graded by the answer at the end."""
    rows = []
    for problem, prompt, answer in problems.select("problem", "prompt", "answer").iter_rows():
        for arm, preset in PRESETS.items():
            limit = preset.max_new_tokens(150)
            traces = wb.record(model, prompt, sampler=preset.sampler, max_new_tokens=limit, seed=1, n=2, batch_size=2)
            for sample, trace in enumerate(traces):
                correct = trace.text.endswith(f" {answer}.<|im_end|>")
                rows.append((problem, arm, sample, correct, len(trace.tokens), trace.tokens["entropy"].mean()))
    schema = {"problem": pl.String, "sampler": pl.String, "sample": pl.Int32, "correct": pl.Boolean}
    return pl.DataFrame(rows, schema=schema | {"tokens": pl.Int32, "entropy": pl.Float64}, orient="row")


def test_from_a_sweep_to_a_comparison_on_held_out_problems(model, problems, results):
    found = adapt(model, problems, results, hidden=8, epochs=5)
    assert len(found.labels.problem) == len(problems)
    assert len(found.held_out) == round(0.3 * len(problems))
    assert set(found.choices) == set(found.label_choices) == set(found.held_out)
    assert set(found.choices.values()) <= set(LABELS)
    out = found.probe.evaluation.held_out
    assert found.held_out == tuple(p for p, held in zip(found.labels.problem, out, strict=True) if held)
    assert found.to_frame()["problem"].to_list() == list(found.held_out)
    compared = found.compare(results, draws=50)
    assert compared.problems == len(found.held_out)
    assert compared.samples == (2, 2)
    assert [outcome.kind for outcome in compared.outcomes][3:] == ["adaptive", "labels", "oracle", "oracle_split"]


def test_labels_are_those_of_the_profile_and_thresholds_can_be_given(model, problems, results):
    table = (
        results.filter(sampler="easy")
        .group_by("problem", maintain_order=True)
        .agg(pl.col("correct").mean(), pl.col("entropy").mean())
    )
    at = Thresholds(0.0, table["entropy"].median(), 0.0)  # two labels, whatever was solved
    found = adapt(model, problems, results, at, profile="easy", hidden=0, epochs=1)
    assert found.labels.thresholds == at
    assert found.labels.of_problem == {p: "normal" if at.beta >= H else "easy" for p, _, H in table.iter_rows()}


def test_held_out_problems_do_not_move_the_suggested_thresholds(model, problems, results):
    first = adapt(model, problems, results, hidden=0, epochs=1)
    moved = results.with_columns(
        entropy=pl.when(pl.col("problem").is_in(list(first.held_out))).then(3.0).otherwise(pl.col("entropy"))
    )
    assert adapt(model, problems, moved, hidden=0, epochs=1).labels.thresholds == first.labels.thresholds


def test_what_cannot_be_adapted(model, problems, results):
    with pytest.raises(DifficultyError, match="None of the problems has results"):
        adapt(model, problems.with_columns(problem=pl.lit("x") + pl.col("problem")), results)
    with pytest.raises(DifficultyError, match="comes twice"):
        adapt(model, pl.concat([problems, problems]), results)
    with pytest.raises(DifficultyError, match="no column prompt"):
        adapt(model, problems.drop("prompt"), results)
    with pytest.raises(DifficultyError, match="several in the column sampler"):
        adapt(model, problems, results.filter(pl.col("sampler") != "normal"))
