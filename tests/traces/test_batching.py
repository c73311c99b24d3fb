"""Many prompts in one batch: each gives what it gives alone, whatever its company, and rows that end leave it."""

import threading

import numpy as np
import polars as pl
import pytest
import torch
import transformers

import workbench as wb
from tests.models.architectures import CONFIGS, SIZES, make_model
from workbench.errors import LogitsError, ParameterError, PromptError
from workbench.samplers import XTC, Mirostat, RepetitionPenalty, TopP
from workbench.traces.batching import record_batch
from workbench.traces.decode import _Loop, decode, draw
from workbench.traces.grouping import company, groups

QUESTIONS = [
    "What is 3 plus 4?",
    "Start with 12. Add 9. Multiply by 3. What is the result?",
    "What is 96 halved, then plus 8?",
    "Tom has 12 tickets. Then there are 3 times as many. How many tickets are there?",
    "Think of 9. Multiply it by 2. What is the result?",
    "What is 512 times 11, then plus 175?",
    "Start with 9. Decrease it by 6. What is the result?",
    "What is 7 minus 5?",
]
SEEDS = [3, 1, 4, 15, 9, 2, 6, 5]
FLOATS = ["logprob", "entropy", "varentropy", "sampled_logprob", "sampled_entropy", "kept_mass"]
CHAINS = {
    "plain": wb.Sampler(),
    "greedy": wb.Sampler(temperature=0),
    "demo": wb.Sampler(temperature=0.6, top_k=20, top_p=0.95),
    "state": wb.Sampler.chain([Mirostat(2.0, 0.5)]),
    "own draws": wb.Sampler.chain([XTC(0.5, 0.05)]),
    "history": wb.Sampler.chain([RepetitionPenalty(1.3), TopP(0.9)]),
}


@pytest.fixture(scope="module")
def model():
    return wb.load("demo-small")


@pytest.fixture(scope="module")
def prompts(model):
    return [model.encode_prompt(question)[1] for question in QUESTIONS]


def in_batches(model, prompts, size, **options):
    """The traces of all prompts, `size` of them decoded together."""
    given = {"sampler": wb.Sampler(), "max_new_tokens": 60, "top": 0} | options
    found = []
    for first in range(0, len(prompts), size):
        part = slice(first, first + size)
        found += record_batch(model, prompts[part], seeds=SEEDS[part], **given)
    return found


def same(one, other):
    assert one.text == other.text
    assert one.meta["finish"] == other.meta["finish"]
    exact = pl.exclude(FLOATS)
    assert one.tokens.select(exact).equals(other.tokens.select(exact))
    for name in FLOATS:
        np.testing.assert_allclose(one.tokens[name], other.tokens[name], atol=1e-4, err_msg=name)


@pytest.mark.parametrize("vocabulary", [2, 7, 667, 5000])
def test_one_draw_for_all_rows_is_multinomials_bit_for_bit(vocabulary):
    generator = torch.Generator().manual_seed(vocabulary)
    ours, theirs = ([torch.Generator().manual_seed(seed) for seed in range(16)] for _ in range(2))
    for _ in range(40):
        logits = 4 * torch.randn((16, vocabulary), generator=generator)
        logits[:, ::3] = -torch.inf
        probabilities = torch.softmax(logits, dim=-1)
        expected = [torch.multinomial(row, 1, generator=g) for row, g in zip(probabilities, theirs, strict=True)]
        assert draw(logits, ours).tolist() == torch.cat(expected).tolist()
    for mine, other in zip(ours, theirs, strict=True):
        assert torch.equal(mine.get_state(), other.get_state())


@pytest.mark.parametrize("chain", CHAINS)
def test_company_changes_nothing(model, prompts, chain):
    alone, three, eight = (in_batches(model, prompts, size, sampler=CHAINS[chain]) for size in (1, 3, 8))
    for one, other, last in zip(alone, three, eight, strict=True):
        same(one, other)
        same(one, last)


@pytest.mark.parametrize("chain", ["demo", "plain"])
def test_alone_it_is_what_generate_gives(model, prompts, chain):
    sampler = CHAINS[chain]
    traces = in_batches(model, prompts, 8, sampler=sampler)
    settings = {"temperature": 0.6, "top_k": 20, "top_p": 0.95} if chain == "demo" else {"top_k": 0, "top_p": 1.0}
    for trace, prompt, seed in zip(traces, prompts, SEEDS, strict=True):
        torch.manual_seed(seed)
        ids = torch.tensor([prompt])
        config = transformers.GenerationConfig(
            **{"do_sample": True, "temperature": 1.0} | settings, max_new_tokens=60, pad_token_id=model.pad_id,
            eos_token_id=sorted(model.end_ids),
        )  # fmt: skip
        out = model.hf.generate(ids, attention_mask=torch.ones_like(ids), generation_config=config)
        assert trace.tokens["token_id"].to_list() == out[0, len(prompt) :].tolist()


@pytest.mark.parametrize("top", [0, 32])
def test_a_trace_is_what_record_makes(model, prompts, top):
    sampler = CHAINS["demo"]
    traces = in_batches(model, prompts, 8, sampler=sampler, top=top, questions=QUESTIONS)
    for trace, question, seed in zip(traces, QUESTIONS, SEEDS, strict=True):
        expected = wb.record(model, question, sampler=sampler, seed=seed, max_new_tokens=60, top=max(top, 1))
        same(trace, expected)
        assert (trace.prompt, trace.prompt_ids) == (expected.prompt, expected.prompt_ids)
        assert trace.meta.keys() == expected.meta.keys()
        differ = {"time", "seconds", "sequence"}
        assert {k: v for k, v in trace.meta.items() if k not in differ} == {
            k: v for k, v in expected.meta.items() if k not in differ
        }
        if top:
            np.testing.assert_allclose(trace.sketch.top_logits, expected.sketch.top_logits, atol=1e-4)
            assert trace.names == expected.names
        else:
            assert trace.sketch is None
            assert trace.names == {}


def test_a_trace_without_a_sketch_can_be_saved_and_read(model, prompts, tmp_path):
    trace = in_batches(model, prompts[:1], 1)[0]
    assert wb.Trace.load(trace.save(tmp_path / "one.parquet")).tokens.equals(trace.tokens)


def test_limits_are_each_sequences_own(model, prompts):
    limits = [1, 60, 5, 60, 2, 60, 60, 3]
    traces = in_batches(model, prompts, 8, max_new_tokens=limits)
    whole = in_batches(model, prompts, 8)
    for trace, full, limit in zip(traces, whole, limits, strict=True):
        assert trace.text == "".join(full.tokens["text"][:limit])
        assert trace.meta["max_new_tokens"] == limit
        assert trace.meta["finish"] == (full.meta["finish"] if len(full) <= limit else "length")


def test_every_step_says_how_many_tokens_it_gave(model, prompts):
    steps = []
    traces = in_batches(model, prompts, 8, on_step=steps.append)
    lengths = [len(trace) for trace in traces]
    assert steps == [sum(length > step for length in lengths) for step in range(max(lengths))]


class Widths:
    """How many rows each step computes."""

    def __init__(self):
        self.seen = []

    def step(self, raw, processed, tokens, alive):
        self.seen.append(len(raw))

    def select(self, rows):
        pass


@pytest.mark.parametrize("chain", CHAINS)
def test_rows_that_have_ended_leave_and_the_others_do_not_notice(model, prompts, chain):
    shrunk, whole = Widths(), Widths()
    options = {"sampler": CHAINS[chain], "seeds": SEEDS, "max_new_tokens": [5, 60, 9, 60, 2, 30, 60, 3]}
    dropped = decode(model, prompts, recorder=shrunk, drop_ended=True, **options)
    kept = decode(model, prompts, recorder=whole, **options)
    assert dropped == kept
    assert set(whole.seen) == {8}
    lengths = [len(ids) for ids in kept.token_ids]
    assert shrunk.seen == [sum(length > step for length in lengths) for step in range(max(lengths))]


@pytest.mark.parametrize("kind", CONFIGS)
def test_every_architecture_is_indifferent_to_padding_and_to_rows_leaving(kind):
    model = wb.wrap(make_model(kind))
    prompts = [[5, 9, 12, 40, 41, 42, 43, 44, 45, 46, 47], [7], [8, 30, 31, 32]]
    limits = [4, 14, 9]
    together = record_batch(model, prompts, sampler=wb.Sampler(), seeds=[1, 2, 3], max_new_tokens=limits, top=0)
    for trace, prompt, seed, limit in zip(together, prompts, [1, 2, 3], limits, strict=True):
        alone = record_batch(model, [prompt], sampler=wb.Sampler(), seeds=[seed], max_new_tokens=limit, top=0)
        assert trace.tokens["token_id"].to_list() == alone[0].tokens["token_id"].to_list()
        np.testing.assert_allclose(trace.tokens["entropy"], alone[0].tokens["entropy"], atol=2e-4)


@pytest.mark.parametrize("drop", [True, False])
def test_a_row_that_has_ended_never_leaves_the_context(drop):
    """Positions are learned here: one beyond the last would be an index error."""
    model = wb.wrap(make_model("gpt2"))
    prompts = [[5 + i % 200 for i in range(120)], [7]]
    found = decode(
        model, prompts, sampler=wb.Sampler(), seeds=[1, 2], max_new_tokens=[8, 127], recorder=Widths(),
        drop_ended=drop,
    )  # fmt: skip
    assert [len(ids) for ids in found.token_ids] == [8, 127] or "end" in found.finish


class BlindMamba(transformers.MambaForCausalLM):
    """Leaves the mask out, so that padding gets into its state."""

    def forward(self, *args, attention_mask=None, **inputs):
        return super().forward(*args, **inputs)


def mamba(kind):
    sizes = {key: SIZES[key] for key in ("vocab_size", "hidden_size", "num_hidden_layers", "initializer_range")}
    return kind(transformers.MambaConfig(**sizes, state_size=8))


def rwkv():
    sizes = {key: SIZES[key] for key in ("vocab_size", "hidden_size", "num_hidden_layers")}
    return transformers.RwkvForCausalLM(transformers.RwkvConfig(**sizes, attention_hidden_size=32))


RECURRENT = {
    "clean": (lambda: mamba(transformers.MambaForCausalLM), "any", 1),
    "blind to padding": (lambda: mamba(BlindMamba), "equal", 3),
    "alone": (rwkv, "none", 4),  # transformers mixes up the states of a batch
}


@pytest.mark.parametrize("kind", RECURRENT)
def test_recurrent_models_share_a_batch_only_as_far_as_it_leaves_them_alone(kind):
    make, allowed, batches = RECURRENT[kind]
    torch.manual_seed(0)
    model = wb.wrap(make().eval())
    prompts = [[5, 9, 12, 40, 41, 42, 43, 44, 45, 46, 47], [7, 6], [8, 9], [8, 30, 31, 32]]
    assert company(model) == allowed
    assert len(groups(model, [len(prompt) for prompt in prompts])) == batches
    limits, options = [3, 8, 2, 5], {"sampler": wb.Sampler(), "top": 0}
    together = record_batch(model, prompts, seeds=[1, 2, 3, 4], max_new_tokens=limits, **options)
    for i, (prompt, limit) in enumerate(zip(prompts, limits, strict=True)):
        alone = record_batch(model, [prompt], seeds=[i + 1], max_new_tokens=limit, **options)[0]
        assert together[i].tokens["token_id"].to_list() == alone.tokens["token_id"].to_list()
        np.testing.assert_allclose(together[i].tokens["entropy"], alone.tokens["entropy"], atol=2e-4)


def test_attention_alone_takes_any_company(model):
    assert company(model) == "any"
    assert groups(model, [3, 1, 3]) == [[0, 1, 2]]


@pytest.mark.parametrize("as_event", [True, False])
def test_stop_keeps_what_is_there(model, prompts, as_event):
    event = threading.Event()
    steps = []

    def on_step(count):
        steps.append(count)
        if len(steps) == 4:
            event.set()

    stop = event if as_event else event.is_set
    traces = in_batches(model, prompts, 8, stop=stop, on_step=on_step)
    assert [len(trace) for trace in traces] == [4] * 8
    assert {trace.meta["finish"] for trace in traces} == {"stopped"}


def test_texts_are_taken_as_given_and_decoded_where_they_are_not(model, prompts):
    given = record_batch(model, prompts[:2], sampler=wb.Sampler(), seeds=[1, 2], max_new_tokens=1, texts=["one", "two"])
    assert [trace.prompt for trace in given] == ["one", "two"]
    found = in_batches(model, prompts[:1], 1, max_new_tokens=1)[0]
    assert found.prompt == model.encode_prompt(QUESTIONS[0])[0]


@pytest.mark.parametrize("call", [1, 3])
def test_broken_logits_name_step_and_prompt(model, prompts, monkeypatch, call):
    forward = model.hf.lm_head.forward
    calls = []

    def broken(hidden):
        calls.append(1)
        logits = forward(hidden)
        if len(calls) == call:
            logits[1] = float("nan")
        return logits

    monkeypatch.setattr(model.hf.lm_head, "forward", broken)
    with pytest.raises(LogitsError, match=f"step {call - 1}, prompt 1 of the batch"):
        in_batches(model, prompts, 8)


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"prompts": [], "seeds": []}, ParameterError, "at least one prompt"),
        ({"prompts": [[5], []]}, PromptError, "Prompt 1 is empty"),
        ({"prompts": [[5], [6, 10**6]]}, PromptError, "Prompt 1 holds token 1000000"),
        ({"prompts": [[5], [-1]]}, PromptError, "Prompt 1 holds token -1"),
        ({"prompts": [[5], [6] * 5000]}, PromptError, "Prompt 1, 5,000 tokens"),
        ({"max_new_tokens": [10**6, 1]}, PromptError, "Prompt 0, 1 tokens and up to 1,000,000"),
        ({"seeds": [1]}, ParameterError, "2 prompts but 1 seeds"),
        ({"max_new_tokens": [1, 2, 3]}, ParameterError, "3 values of max_new_tokens"),
        ({"max_new_tokens": 0}, ParameterError, "at least one token"),
        ({"max_new_tokens": [4, 0]}, ParameterError, "at least one token"),
        ({"texts": ["one"]}, ParameterError, "1 texts"),
        ({"questions": ["one"]}, ParameterError, "1 questions"),
        ({"top": -1}, ParameterError, "top=-1"),
    ],
)
def test_bad_input_is_answered_before_decoding(model, monkeypatch, changes, error, words):
    monkeypatch.setattr(_Loop, "run", lambda *_, **__: pytest.fail("it decoded"))
    options = {"prompts": [[5], [6]], "seeds": [1, 2], "max_new_tokens": 4} | changes
    with pytest.raises(error, match=words):
        record_batch(model, options.pop("prompts"), sampler=wb.Sampler(), **options)
