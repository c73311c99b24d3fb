"""Entropy after a closing marker, and forced answers, against plain full passes of the demo model."""

import dataclasses

import numpy as np
import polars as pl
import pytest
import torch

import workbench as wb
from tests.phases.phase_cases import trace_of
from workbench.errors import ModelError, ParameterError, PromptError, TraceError
from workbench.phases import EatRun, eat, eat_outcome, entropy_after_think, forced_answers, runs_from_frame, step_ends
from workbench.problems import grade

PROBLEM = "Start with 12. Add 7. Multiply it by 3. Subtract 9. What is the result?"
ANSWER = "48"
CLOSINGS = [None, "\n</think>\n\nThe answer is"]


@pytest.fixture(scope="module")
def demo():
    return wb.load("demo")


@pytest.fixture(scope="module")
def trace(demo):
    return wb.record(demo, PROBLEM, max_new_tokens=200, seed=0, sampler=wb.Sampler(temperature=0), top=8)


def right(text):
    return grade(text, ANSWER)


def naive_logits(model, ids):
    with torch.inference_mode():
        return model.hf(input_ids=torch.tensor([ids]), use_cache=False).logits[0, -1].double()


@pytest.mark.parametrize("closing", CLOSINGS)
def test_entropies_are_those_of_a_full_pass_over_every_prefix(demo, trace, closing):
    run = entropy_after_think(demo, trace, closing=closing)
    assert len(run) > 2
    tail = demo.tokenizer(closing or "</think>", add_special_tokens=False)["input_ids"]
    ids = trace.tokens["token_id"].to_list()
    for kept, entropy in zip(run.kept.tolist(), run.entropy, strict=True):
        logp = naive_logits(demo, [*trace.prompt_ids, *ids[:kept], *tail]).log_softmax(-1)
        assert entropy == pytest.approx(float(-(logp.exp() * logp).sum()), abs=1e-5)
    assert run.kept.tolist() == step_ends(trace).cuts.tolist()


def test_at_the_end_of_the_thinking_it_is_the_traces_own_entropy(demo, trace):
    run = entropy_after_think(demo, trace)
    k = trace.tokens["text"].to_list().index("</think>")
    assert run.thinking == run.kept[-1] == k
    assert run.entropy[-1] == pytest.approx(trace.tokens["entropy"][k + 1], abs=1e-5)


@pytest.mark.parametrize("closing", CLOSINGS)
def test_forced_answers_are_what_generate_gives(demo, trace, closing):
    run = eat(demo, trace, right, closing=closing, max_new_tokens=24)
    tail = demo.tokenizer(run.closing, add_special_tokens=False)["input_ids"]
    ids = trace.tokens["token_id"].to_list()
    for at, kept in enumerate(run.kept.tolist()):
        prompt = torch.tensor([[*trace.prompt_ids, *ids[:kept], *tail]])
        whole = demo.hf.generate(
            input_ids=prompt, attention_mask=torch.ones_like(prompt), do_sample=False, max_new_tokens=24,
            pad_token_id=demo.pad_id,
        )[0, prompt.shape[1] :].tolist()  # fmt: skip
        said = demo.tokenizer.decode([i for i in whole if i not in demo.end_ids])
        assert run.answers[at] == said
        assert run.answer_tokens[at] == len(whole)
        before = demo.tokenizer.decode(ids[:kept]) + run.closing
        assert bool(run.correct[at]) is grade(before + said, ANSWER).correct


def test_closed_where_the_thinking_ended_the_answer_is_the_one_that_was_given(demo, trace):
    run = eat(demo, trace, right)
    assert trace.text.removesuffix("<|im_end|>").endswith(run.answers[-1])
    assert bool(run.correct[-1]) is run.full_correct
    assert run.tokens == run.kept[-1] + run.closing_tokens + run.answer_tokens[-1]


def test_unfinished_thinking_can_be_closed_too(demo):
    cut = wb.record(demo, PROBLEM, max_new_tokens=30, seed=0, top=8)
    run = eat(demo, cut, right, max_new_tokens=16)
    assert run.thinking == run.tokens == 30
    assert run.full_correct is False


def test_progress_and_stopping(demo, trace):
    seen = []
    run = entropy_after_think(
        demo, trace, on_boundary=lambda done, total: seen.append((done, total)), stop=lambda: len(seen) == 2
    )
    total = len(step_ends(trace).cuts)
    assert seen == [(1, total), (2, total)]
    assert len(run) == 2
    assert run.thinking == step_ends(trace).cuts[-1]
    answered = forced_answers(demo, trace, run, right, stop=lambda: True)
    assert len(answered) == 0
    assert answered.stop().index is None


def test_a_run_survives_its_table(demo, trace, tmp_path):
    bare, asked = (eat(demo, trace, given, name=name, max_new_tokens=8) for given, name in ((None, "a"), (right, "b")))
    pl.concat([asked.to_frame(), bare.to_frame()]).write_parquet(tmp_path / "runs.parquet")
    back = runs_from_frame(pl.read_parquet(tmp_path / "runs.parquet"))
    assert [run.name for run in back] == ["b", "a"]
    for run, other in zip((asked, bare), back, strict=True):
        for field in dataclasses.fields(run):
            np.testing.assert_array_equal(getattr(run, field.name), getattr(other, field.name), field.name)
    with pytest.raises(TraceError, match="not one run"):
        EatRun.from_frame(pl.concat([asked.to_frame(), bare.to_frame()]))
    with pytest.raises(TraceError, match="kept"):
        runs_from_frame(asked.to_frame().drop("kept"))


def run_of(entropy, correct, name="r", *, full=True, answered=True):
    count = len(entropy)
    asked = {
        "answers": ("x",) * count, "answer_tokens": np.full(count, 5), "correct": np.array(correct),
        "full_correct": full,
    }  # fmt: skip
    return EatRun(
        name, np.arange(1, count + 1) * 10 + 1, np.array(entropy, dtype=float), 1, count * 10 + 1, count * 10 + 20,
        "</think>", 1, "line", **(asked if answered else {}),
    )  # fmt: skip


def test_what_stopping_early_costs_and_saves_counted_by_hand():
    settings = {"alpha": 0.5, "delta": 0.01, "min_distance": 2}
    calm = run_of([1.0] * 10, [False] * 2 + [True] * 8, "calm")
    early = run_of([1.0] * 10, [False] * 9 + [True], "early")
    wild = run_of([0.0, 2.0] * 5, [False] * 10, "wild", full=False)
    assert [run.stop(**settings).index for run in (calm, early, wild)] == [2, 2, None]
    found = eat_outcome([calm, early, wild], **settings)
    assert (found.n, found.stopped, found.graded) == (3, 2, 3)
    assert found.accuracy == pytest.approx(1 / 3)
    assert found.full_accuracy == pytest.approx(2 / 3)
    assert found.runs["tokens_used"].to_list() == [31 + 1 + 5, 31 + 1 + 5, 120]
    assert found.tokens_saved == pytest.approx(1 - (37 + 37 + 120) / 360)
    assert found.thinking_saved == pytest.approx(1 - (30 + 30 + 100) / 300)
    assert found.describe() == "stops early in 2 of 3; accuracy 33% against 67%; 46% of tokens saved"


def test_without_verdicts_thinking_saved_is_still_known():
    found = eat_outcome([run_of([1.0] * 10, [], answered=False)], alpha=0.5, min_distance=4)
    assert found.thinking_saved == pytest.approx(0.5)
    assert np.isnan(found.accuracy)
    assert np.isnan(found.tokens_saved)
    assert "50% of thinking tokens" in found.describe()
    assert eat_outcome([]).describe() == "stops early in 0 of 0"


def test_what_cannot_be_asked(demo, trace):
    with pytest.raises(ParameterError, match="lacks the model's closing marker"):
        entropy_after_think(demo, trace, closing="So:")
    with pytest.raises(ModelError, match="no think markers"):
        entropy_after_think(dataclasses.replace(demo, think_markers=None), trace)
    with pytest.raises(PromptError, match="do not fit"):
        entropy_after_think(dataclasses.replace(demo, context=40), trace)
    with pytest.raises(TraceError, match="ids of its tokens"):
        entropy_after_think(demo, trace_of("ottca", token_id=[None] * 5))
    with pytest.raises(TraceError, match="beyond"):
        entropy_after_think(demo, trace_of("ottca", token_id=[0, 1, 2, 3, 10**6]))
    run = entropy_after_think(demo, trace)
    with pytest.raises(ParameterError, match="grade gave 'yes'"):
        forced_answers(demo, trace, run, lambda _: "yes")
    with pytest.raises(ParameterError, match="at least one token"):
        forced_answers(demo, trace, run, right, max_new_tokens=0)
    with pytest.raises(ParameterError, match="is of a text of"):
        forced_answers(demo, trace, dataclasses.replace(run, tokens=3), right)
