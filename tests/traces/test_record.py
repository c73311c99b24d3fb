"""Recording: the tokens of transformers' generate, raw and sampled columns that are right, Stop, seeds, errors."""

import gc
import threading

import numpy as np
import pytest
import torch
from scipy.special import entr, log_softmax, softmax
from transformers import GenerationConfig

import workbench as wb
from workbench.errors import LogitsError, ParameterError, PromptError

QUESTION = "Start with 12. Add 9. Multiply by 3. What is the result?"


@pytest.fixture(scope="module")
def model():
    return wb.load("demo-small")


def generated(model, prompt, seed, **settings):
    """What `generate` gives for one prompt: token ids, raw logits (T, V), processed logits (T, V)."""
    _, ids = model.encode_prompt(prompt)
    neutral = {"do_sample": True, "temperature": 1.0, "top_k": 0, "top_p": 1.0}
    torch.manual_seed(seed)
    out = model.hf.generate(
        torch.tensor([ids]),
        attention_mask=torch.ones(1, len(ids), dtype=torch.long),
        generation_config=GenerationConfig(
            **neutral | settings,
            max_new_tokens=60,
            eos_token_id=sorted(model.end_ids),
            pad_token_id=model.pad_id,
            return_dict_in_generate=True,
            output_logits=True,
            output_scores=True,
        ),
    )
    raw, processed = (torch.stack(rows)[:, 0].numpy() for rows in (out.logits, out.scores))
    return out.sequences[0, len(ids) :].tolist(), raw, processed


SETTINGS = [
    {},
    {"temperature": 0.6},
    {"temperature": 1.7, "top_k": 5},
    {"top_p": 0.8},
    {"temperature": 0.9, "top_k": 40, "top_p": 0.95},
    {"temperature": 1.5, "min_p": 0.1},
    {"temperature": 1.2, "typical_p": 0.9},
    {"epsilon_cutoff": 3e-3, "eta_cutoff": 3e-3, "temperature": 1.4},
    {"temperature": 1.3, "top_h": 0.5},
    {"repetition_penalty": 1.3, "temperature": 1.1, "top_k": 20},
]


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize("seed", [0, 7])
def test_sampled_tokens_and_both_distributions_are_those_of_generate(model, settings, seed):
    ids, raw, processed = generated(model, QUESTION, seed, **settings)
    trace = wb.record(model, QUESTION, sampler=wb.Sampler(**settings), seed=seed, max_new_tokens=60)
    tokens = trace.tokens
    assert tokens["token_id"].to_list() == ids
    at = np.arange(len(ids)), ids
    p, q = softmax(raw.astype(float), -1), softmax(processed.astype(float), -1)
    kept = np.isfinite(processed)
    expected = {
        "logprob": log_softmax(raw.astype(float), -1)[at],
        "entropy": entr(p).sum(-1),
        "sampled_logprob": log_softmax(processed.astype(float), -1)[at],
        "sampled_entropy": entr(q).sum(-1),
        "kept": kept.sum(-1),
        "kept_mass": np.where(kept, p, 0).sum(-1),
        "rank": (raw > raw[at][:, None]).sum(-1),
    }
    for name, values in expected.items():
        np.testing.assert_allclose(tokens[name].to_numpy(), values, rtol=2e-5, atol=2e-5, err_msg=name)
    surprisal = -log_softmax(raw.astype(float), -1)
    varentropy = (p * (surprisal - entr(p).sum(-1, keepdims=True)) ** 2).sum(-1)
    np.testing.assert_allclose(tokens["varentropy"], varentropy, rtol=1e-4, atol=1e-5)


def test_greedy_tokens_are_those_of_generate_and_surprise_less_than_the_entropy(model):
    ids, *_ = generated(model, QUESTION, 0, do_sample=False, temperature=None, top_k=None, top_p=None)
    trace = wb.record(model, QUESTION, sampler=wb.Sampler(temperature=0), max_new_tokens=60)
    tokens = trace.tokens
    assert tokens["token_id"].to_list() == ids
    assert (tokens["rank"] == 0).all()
    assert (-tokens["logprob"] <= tokens["entropy"] + 1e-6).all()  # H >= -ln max p
    assert (tokens["sampled_entropy"] == 0).all()
    assert (tokens["sampled_logprob"] == 0).all()
    assert (tokens["kept"] == 1).all()
    np.testing.assert_allclose(tokens["kept_mass"], np.exp(tokens["logprob"]), rtol=1e-6)


def test_same_seed_same_tokens_and_another_seed_others(model):
    sampler = wb.Sampler(temperature=1.5)
    first, again, other = (wb.record(model, QUESTION, sampler=sampler, seed=s, max_new_tokens=50) for s in (3, 3, 4))
    assert first.tokens.equals(again.tokens)
    assert first.text != other.text


def test_the_batch_size_does_not_change_what_is_drawn(model):
    sampler = wb.Sampler(temperature=1.2)
    options = {"sampler": sampler, "n": 5, "seed": 11, "max_new_tokens": 40}
    one, three = (wb.record(model, QUESTION, batch_size=size, **options) for size in (1, 3))
    assert [t.text for t in one] == [t.text for t in three]
    assert [t.meta["seed"] for t in one] == [11, 12, 13, 14, 15]
    alone = wb.record(model, QUESTION, sampler=sampler, seed=13, max_new_tokens=40)
    assert alone.text == one[2].text
    np.testing.assert_allclose(one[2].tokens["entropy"], three[2].tokens["entropy"], atol=1e-4)


def test_nothing_after_the_first_end_token_counts(model):
    traces = wb.record(model, "What is 3 plus 4?", n=6, batch_size=6, max_new_tokens=80)
    assert len({len(trace) for trace in traces}) > 1  # the batch went on after some had ended
    for trace in traces:
        ends = [token in model.end_ids for token in trace.tokens["token_id"]]
        assert trace.meta["finish"] == ("end" if any(ends) else "length")
        assert not any(ends[:-1])
        assert len(trace.sketch) == len(trace)


def test_a_trace_knows_how_to_be_made_again(model):
    sampler = wb.Sampler(temperature=0.8, top_p=0.9)
    trace = wb.record(model, QUESTION, sampler=sampler, seed=5, max_new_tokens=20)
    assert trace.meta["sampler"] == sampler.to_dict()
    assert trace.meta["seed"] == 5
    assert trace.meta["model"] == "demo-small"
    assert trace.meta["missing"] == []
    assert {"python", "torch", "transformers", "entropy-workbench"} <= trace.meta["versions"].keys()
    assert trace.text == "".join(trace.tokens["text"])
    assert trace.prompt_ids == tuple(model.encode_prompt(QUESTION)[1])


def test_the_models_own_settings_are_the_default(model):
    trace = wb.record(model, QUESTION, max_new_tokens=5)
    assert trace.meta["sampler"] == wb.Sampler.from_generation_config(model.hf.generation_config).to_dict()


def test_phases_follow_the_think_markers(model):
    trace = wb.record(model, "What is 3 plus 4?", sampler=wb.Sampler(temperature=0))
    phases = trace.tokens["phase"].to_list()
    texts = trace.tokens["text"].to_list()
    close = texts.index("</think>")
    assert texts[0] == "<think>"
    assert phases[0] == phases[close] == "marker"
    assert set(phases[1:close]) == {"think"}
    assert set(phases[close + 1 :]) == {"answer"}


def test_tokens_stream_as_they_are_drawn_with_the_traces_own_values(model):
    seen = []
    trace = wb.record(model, QUESTION, n=1, seed=2, max_new_tokens=30, on_token=seen.append)
    assert [token.sequence for token in seen] == [0] * len(trace)
    for token, row in zip(seen, trace.tokens.iter_rows(named=True), strict=True):
        assert token.row.keys() == row.keys()
        for name, value in row.items():
            expected = pytest.approx(value, rel=1e-9) if isinstance(value, float) else value
            assert token.row[name] == expected, name


def test_no_full_vocabulary_tensor_outlives_its_step(model):
    alive = []

    def on_token(_):
        tensors = [o for o in gc.get_objects() if issubclass(type(o), torch.Tensor)]
        alive.append(sum(t.shape[-1:] == (model.vocabulary,) for t in tensors if t.dim()))

    wb.record(model, QUESTION, sampler=wb.Sampler(top_p=0.9), max_new_tokens=12, on_token=on_token)
    assert len(set(alive[1:])) == 1  # as many at the last step as at the second
    assert alive[-1] <= 6  # the head's weights, and this step's raw, processed and probabilities


@pytest.mark.parametrize("as_event", [True, False])
def test_stop_keeps_what_is_there(model, as_event):
    event = threading.Event()

    def on_token(token):
        if token.row["position"] == 9:
            event.set()

    stop = event if as_event else event.is_set
    trace = wb.record(model, QUESTION, on_token=on_token, stop=stop, max_new_tokens=200)
    assert len(trace) == 10
    assert trace.meta["finish"] == "stopped"
    assert np.isfinite(trace.tokens["entropy"].to_numpy()).all()


def test_a_stop_between_batches_ends_the_rest(model):
    event = threading.Event()
    traces = wb.record(
        model, QUESTION, n=4, batch_size=1, on_token=lambda _: event.set(), stop=event, max_new_tokens=20
    )
    assert [len(trace) for trace in traces] == [1]


def test_prompts_may_be_messages_or_token_ids(model):
    _, ids = model.encode_prompt(QUESTION)
    as_text, as_messages, as_ids = (
        wb.record(model, prompt, seed=1, max_new_tokens=10)
        for prompt in (QUESTION, [{"role": "user", "content": QUESTION}], ids)
    )
    assert as_text.text == as_messages.text == as_ids.text


def test_a_prompt_taken_verbatim_goes_around_the_template(model):
    trace = wb.record(model, "12 + 9 = ", chat=False, max_new_tokens=4)
    assert trace.prompt == "12 + 9 = "


def test_broken_logits_are_named_by_step(model, monkeypatch):
    forward = model.hf.lm_head.forward
    calls = []

    def broken(hidden):
        calls.append(1)
        return forward(hidden) * (float("nan") if len(calls) == 3 else 1.0)

    monkeypatch.setattr(model.hf.lm_head, "forward", broken)
    with pytest.raises(LogitsError, match="step 2"):
        wb.record(model, QUESTION, max_new_tokens=10)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"n": 0}, ParameterError, "at least one sequence"),
        ({"batch_size": 0}, ParameterError, "batch_size"),
        ({"max_new_tokens": 0}, ParameterError, "at least one token"),
        ({"top": 0}, ParameterError, "at least one logit"),
        ({"max_new_tokens": 10**6}, PromptError, "context"),
        ({"n": 10**7}, ParameterError, "GB are free"),
    ],
)
def test_bad_input_is_answered_before_decoding(model, options, error, words):
    with pytest.raises(error, match=words):
        wb.record(model, QUESTION, **options)


@pytest.mark.parametrize(
    "settings", [{"temperature": -1}, {"temperature": float("nan")}, {"top_p": 1.5}, {"top_k": -3}]
)
def test_sampler_settings_out_of_range(settings):
    with pytest.raises(ParameterError, match=next(iter(settings))):
        wb.Sampler(**settings)


def test_sampler_settings_survive_json():
    sampler = wb.Sampler(temperature=0.35, top_k=7, top_p=0.5)
    assert wb.Sampler.from_json(sampler.to_json()) == sampler
    with pytest.raises(ParameterError, match="settings are"):
        wb.Sampler.from_json('{"temprature": 1}')
