"""Decoding with corrections: its limits are plain decoding, its record tells the model from the correction."""

import math
from threading import Event

import numpy as np
import pytest
import torch

import workbench as wb
from workbench.errors import LogitsError, ModelError, ParameterError, PromptError
from workbench.samplers.reflective import Reflective, decode, replay
from workbench.samplers.reflective.reflector import States

QUESTION = "Start with 12. Add 9. Multiply by 3. What is the result?"
EAGER = {"window": 4, "k": 0.5, "max_corrections": 1000}
SAMPLERS = [
    wb.Sampler(),
    wb.Sampler(temperature=0),
    wb.Sampler(temperature=1.5),
    wb.Sampler(temperature=0.9, top_k=20, top_p=0.9),
    wb.Sampler(temperature=0, repetition_penalty=1.2),
]


@pytest.fixture(scope="module")
def model():
    return wb.load("demo")


def entropy_of(logits):
    return torch.distributions.Categorical(logits=torch.as_tensor(logits)).entropy().numpy()


@pytest.mark.parametrize("sampler", SAMPLERS, ids=str)
@pytest.mark.parametrize("seed", [0, 5, 11])
@pytest.mark.parametrize(
    "settings",
    [{**EAGER, "steps": 0}, {**EAGER, "k": math.inf}, {**EAGER, "max_corrections": 0}, {**EAGER, "rate": 0.0}],
    ids=["zero steps", "infinite k", "no corrections", "zero rate"],
)
def test_the_limits_are_plain_decoding(model, sampler, seed, settings):
    plain = wb.record(model, QUESTION, sampler=sampler, seed=seed, max_new_tokens=60)
    run = decode(model, QUESTION, Reflective(**settings), sampler=sampler, seed=seed, max_new_tokens=60)
    assert run.trace.tokens.drop("sampled_entropy").equals(plain.tokens.drop("sampled_entropy"))
    np.testing.assert_allclose(run.trace.tokens["sampled_entropy"], plain.tokens["sampled_entropy"], atol=1e-9)
    assert run.trace.text == plain.text
    assert run.trace.meta["finish"] == plain.meta["finish"]
    assert run.trace.meta["sampler"] == plain.meta["sampler"]


def test_zero_steps_still_say_where_it_would_have_stepped_in(model):
    run = decode(model, QUESTION, Reflective(**EAGER, steps=0), max_new_tokens=60)
    assert len(run.triggers.positions) > 2
    assert run.corrections == ()
    assert run.to_frame()["corrected_entropy"].null_count() == len(run)
    assert run.cost.head_rows == 0


def test_without_sampler_the_model_s_own_settings_are_used(model):
    plain = wb.record(model, QUESTION, seed=3, max_new_tokens=40)
    run = decode(model, QUESTION, Reflective(steps=0), seed=3, max_new_tokens=40)
    assert run.trace.tokens.equals(plain.tokens)
    assert run.trace.meta["sampler"] == plain.meta["sampler"]


def test_corrections_change_the_text_and_the_same_seed_gives_the_same(model):
    settings, sampler = Reflective(**EAGER, weight=0.9, rate=0.3, steps=6), wb.Sampler(temperature=1.5)
    plain = wb.record(model, QUESTION, sampler=sampler, seed=1, max_new_tokens=60)
    run, again = (decode(model, QUESTION, settings, sampler=sampler, seed=1, max_new_tokens=60) for _ in range(2))
    assert run.trace.text != plain.text
    assert run.trace.tokens.equals(again.trace.tokens)
    first = run.triggers.positions[0]
    assert run.trace.tokens["token_id"][:first].to_list() == plain.tokens["token_id"][:first].to_list()


def test_raw_columns_are_the_models_own_and_sampled_ones_those_drawn_from(model):
    settings = Reflective(**EAGER, weight=0.5, rate=0.1)
    run = decode(model, QUESTION, settings, sampler=wb.Sampler(), seed=4, max_new_tokens=60)
    ids = [*run.trace.prompt_ids, *run.trace.tokens["token_id"]]
    with torch.inference_mode():
        logits = model.hf(torch.tensor([ids])).logits[0, len(run.trace.prompt_ids) - 1 : -1]
    tokens, frame = run.trace.tokens, run.to_frame()
    np.testing.assert_allclose(tokens["entropy"], entropy_of(logits), atol=1e-4)
    np.testing.assert_allclose(frame["entropy"], tokens["entropy"], rtol=0)
    corrected = frame["triggered"].to_numpy()
    assert corrected.sum() > 3
    np.testing.assert_allclose(
        tokens["sampled_entropy"].to_numpy()[corrected], frame["corrected_entropy"].drop_nulls(), atol=1e-6
    )
    np.testing.assert_allclose(
        tokens["sampled_entropy"].to_numpy()[~corrected], tokens["entropy"].to_numpy()[~corrected]
    )
    assert np.abs(tokens["sampled_entropy"] - tokens["entropy"]).to_numpy()[corrected].max() > 1e-3


def test_with_lambda_one_every_corrected_token_is_more_certain(model):
    settings = Reflective(**EAGER, weight=1.0, rate=1e-3, optimizer="gradient")
    frame = decode(model, QUESTION, settings, sampler=wb.Sampler(), seed=2, max_new_tokens=60).to_frame()
    made = frame.drop_nulls("corrected_entropy")
    assert len(made) > 3
    assert (made["corrected_entropy"] <= made["entropy"] + 1e-6).all()  # a peak of 1e-5 nats has no way down in float32
    uncertain = made.filter(made["entropy"] > 0.1)
    assert len(uncertain)
    assert (uncertain["corrected_entropy"] < uncertain["entropy"]).all()


@pytest.mark.parametrize("how", ["sum", "mean"])
def test_the_loss_falls_at_a_small_rate(model, how):
    settings = Reflective(**EAGER, cross_entropy=how, rate=1e-3)
    frame = decode(model, QUESTION, settings, seed=2, max_new_tokens=60).to_frame().drop_nulls("loss_before")
    assert len(frame) > 3
    assert (frame["loss_after"] < frame["loss_before"]).all()
    assert (frame["delta_norm"] > 0).all()


def test_no_more_corrections_than_allowed(model):
    run = decode(model, QUESTION, Reflective(window=4, k=0.5, max_corrections=2), max_new_tokens=60)
    assert len(run.corrections) == run.triggers.triggered.sum() == 2


def test_cost_counts_every_state_that_went_through_the_head(model):
    run = decode(model, QUESTION, Reflective(**EAGER, steps=2), seed=1, max_new_tokens=60)
    prompt, positions = len(run.trace.prompt_ids), run.triggers.positions
    past = [prompt + int(position) - 1 for position in positions]  # states whose next token is known
    # Once for all: each past state at δ = 0. A correction: the last state, two steps over the past with W δ, three
    # gradients, and the corrected logits.
    assert run.cost.head_rows == past[-1] + sum(1 + 2 * (n + 1) + 3 + 1 for n in past)
    assert run.cost.corrections == len(positions)
    assert 0 < run.cost.share < 1
    assert run.cost.to_frame()["tokens"].item() == len(run)


def test_tokens_stream_as_they_do_from_record(model):
    seen = []
    run = decode(model, QUESTION, Reflective(**EAGER), seed=1, max_new_tokens=30, on_token=seen.append)
    assert [token.row["token_id"] for token in seen] == run.trace.tokens["token_id"].to_list()
    assert "".join(token.row["text"] for token in seen) == run.trace.text


def test_stop_ends_after_the_token_under_way(model):
    halt, seen = Event(), []

    def watch(token):
        seen.append(token)
        if len(seen) == 12:
            halt.set()

    run = decode(model, QUESTION, Reflective(**EAGER), max_new_tokens=60, on_token=watch, stop=halt)
    assert len(run) == len(run.triggers) == 12
    assert run.trace.meta["finish"] == "stopped"
    assert len(run.to_frame()) == 12


def test_settings_and_triggers_survive_a_file(model, tmp_path):
    settings = Reflective(**{**EAGER, "k": 1.5})
    run = decode(model, QUESTION, settings, max_new_tokens=40)
    trace = wb.Trace.load(run.trace.save(tmp_path / "run.parquet"))
    known = Reflective.from_dict(trace.meta["reflective"])
    assert known == settings
    assert replay(trace, known).triggers.triggered.tolist() == run.triggers.triggered.tolist()


def test_no_hook_is_left_behind_even_by_an_error(model, monkeypatch):
    decode(model, QUESTION, Reflective(**EAGER), max_new_tokens=10)
    forward = model.hf.lm_head.forward
    monkeypatch.setattr(model.hf.lm_head, "forward", lambda hidden: forward(hidden) * float("nan"))
    with pytest.raises(LogitsError, match="step 0"):
        decode(model, QUESTION, Reflective(**EAGER), max_new_tokens=10)
    assert not any(module._forward_hooks for module in model.hf.modules())


def test_a_correction_that_runs_away_says_what_to_do(model):
    settings = Reflective(**EAGER, rate=1e38, optimizer="gradient")
    with pytest.raises(LogitsError, match="smaller rate"):
        decode(model, QUESTION, settings, max_new_tokens=60)


def test_a_readout_that_cannot_be_made_out_is_refused(monkeypatch):
    model = wb.load("demo-small")
    forward = model.hf.lm_head.forward
    decode(model, QUESTION, Reflective(**EAGER), max_new_tokens=3)
    monkeypatch.setattr(model.hf.lm_head, "forward", lambda hidden: forward(hidden).pow(3))
    with pytest.raises(ModelError, match="cannot be corrected"):
        decode(model, QUESTION, Reflective(**EAGER), max_new_tokens=10)


def test_a_quantised_head_is_refused(monkeypatch):
    model = wb.load("demo-small")
    whole = model.hf.lm_head.weight
    packed = torch.nn.Parameter(torch.zeros(whole.shape, dtype=torch.int8), requires_grad=False)
    monkeypatch.setattr(model.hf.lm_head, "weight", packed)
    monkeypatch.setattr(model.hf.lm_head, "forward", lambda hidden: hidden @ whole.T)
    with pytest.raises(ModelError, match="quantisation"):
        decode(model, QUESTION, Reflective(**EAGER), max_new_tokens=10)


@pytest.mark.parametrize(
    ("prompt", "options", "error"),
    [
        ("", {}, PromptError),
        (QUESTION, {"max_new_tokens": 0}, ParameterError),
        (QUESTION, {"max_new_tokens": 10**6}, PromptError),
        (QUESTION, {"top": 0}, ParameterError),
    ],
)
def test_bad_input_is_answered_as_by_record(model, prompt, options, error):
    with pytest.raises(error):
        decode(model, prompt, **options)


def test_states_of_a_second_decode_on_the_same_model_are_noticed():
    states = States()
    states.take([torch.zeros(1, 5, 3)], 5)
    with pytest.raises(ModelError, match="one at a time"):
        states.take([torch.zeros(1, 1, 3), torch.zeros(1, 1, 3)], 6)
    with pytest.raises(ModelError, match="0 states"):
        States().take([], 5)


def test_states_grow_a_token_at_a_time_in_chunks_or_all_anew():
    rows = torch.randn(1, 40, 3)
    one, anew = States(), States()
    one.take([rows[:, :4], rows[:, 4:7]], 7)
    for length in range(8, 41):
        grown, again = one.take([rows[:, length - 1 : length]], length), anew.take([rows[:, :length]], length)
        assert torch.equal(grown, rows[0, :length])
        assert torch.equal(again, grown)
