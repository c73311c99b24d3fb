"""The models that travel with the project: small, alike in their tokenizer, right where their cards say so."""

import json

import polars as pl
import pytest

import workbench as wb
from workbench.demo.evaluate import answers, card, final_number
from workbench.locations import MODELS, PROBLEMS

NAMES = ("demo", "demo-small")


def test_together_they_stay_under_eight_megabytes():
    assert sum(file.stat().st_size for file in MODELS.rglob("*") if file.is_file()) < 8_000_000


def test_they_share_one_tokenizer():
    first, second = ((MODELS / name / "tokenizer.json").read_bytes() for name in NAMES)
    assert first == second


@pytest.mark.parametrize("name", NAMES)
def test_they_verify_themselves(name):
    assert wb.load(name).verify().ok


@pytest.mark.parametrize("name", NAMES)
def test_the_card_states_recipe_seed_tokens_loss_and_accuracy(name):
    text = (MODELS / name / "README.md").read_text()
    log = json.loads((MODELS / name / "training.json").read_text())
    assert f"{log['tokens']:,} tokens" in text
    assert f"seed {log['recipe']['seed']}" in text
    assert f"{log['curve'][-1]['loss']:.4f}" in text
    assert f"{wb.load(name).parameters:,}-parameter" in text


@pytest.mark.slow
def test_the_easiest_problems_are_solved_and_the_hardest_are_not_all():
    problems = pl.read_parquet(PROBLEMS / "arithmetic.parquet")
    right = {}
    for level in (1, 12):
        some = problems.filter(pl.col("difficulty") == level).head(20)
        given = answers(MODELS / "demo", some["prompt"].to_list(), sample=False)
        right[level] = int((given["given"] == some["answer"]).sum())
    assert right[1] >= 19
    assert right[12] <= 15


def test_the_verdict_rests_on_the_last_number_after_the_thinking():
    assert final_number("<think>\n3 + 4 = 7.\n</think>\n\nThe answer is 7.") == "7"
    assert final_number("<think>\n3 + 4 = 7.") is None
    assert final_number("</think>\n\nno number") is None


def test_a_card_shows_counts_not_percentages():
    log = {"recipe": {"seed": 0}, "curve": [{"tokens": 10, "loss": 1.0}], "tokens": 10, "seconds": 60}
    level = {"difficulty": [1], "problems": [50], "right": [49], "unfinished": [1], "tokens": [32.0]}
    assert "| 1 | 49/50 | 49/50 | 1 | 32 |" in card("x", log, pl.DataFrame(level), pl.DataFrame(level), 5)
