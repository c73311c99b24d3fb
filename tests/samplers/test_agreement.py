"""What decoding kept is what replay of the trace says was kept: token by token, for random chains, state and all."""

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

import workbench as wb
from workbench.kernels import chain
from workbench.samplers import (
    DRY,
    XTC,
    DynamicTemperature,
    EntropyQuadrants,
    Eta,
    LocallyTypical,
    MinP,
    Mirostat,
    RepetitionPenalty,
    Temperature,
    TopH,
    TopK,
    TopNSigma,
    TopP,
)

QUESTION = "Start with 12. Add 9. Multiply by 3. What is the result?"
STEPS = st.one_of(
    st.builds(Temperature, st.floats(0.3, 3)),
    st.builds(TopK, st.integers(1, 100)),
    st.builds(TopP, st.floats(0.3, 0.99)),
    st.builds(MinP, st.floats(0.001, 0.3)),
    st.builds(LocallyTypical, st.floats(0.2, 0.99)),
    st.builds(Eta, st.floats(1e-4, 0.1)),
    st.builds(TopNSigma, st.floats(0.2, 3)),
    st.builds(TopH, st.floats(0.1, 0.9)),
    st.builds(XTC, st.floats(0, 1), st.floats(0.02, 0.3)),
    st.builds(Mirostat, st.floats(0.5, 6), st.floats(0.05, 1), st.sampled_from(["v2", "v1"]),
              st.sampled_from(["original", "truncated"])),
    st.builds(DynamicTemperature, st.floats(0.4, 1.5), st.floats(0, 1)),
    st.builds(EntropyQuadrants, clarifier=st.sampled_from([-1, 200])),
    st.builds(RepetitionPenalty, st.floats(1, 1.5)),
    st.builds(DRY, st.floats(0, 2)),
)  # fmt: skip


@pytest.fixture(scope="module")
def model():
    return wb.load("demo-small")


def agrees(trace, sampler):
    """Positions at which a recorded trace and its replay disagree, and the share of tokens that could be told."""
    replay, tokens = wb.replay(trace, sampler), trace.tokens
    sure = replay.exact
    kept = tokens["kept"].to_numpy()
    wrong = sure & (replay["kept"] != kept)
    wrong |= np.isfinite(replay["bound"]) & ((kept < replay["kept_low"] - 0.5) | (kept > replay["kept_high"] + 0.5))
    # Decoding hands on float32 logits, which are large after a low temperature.
    slack = 2e-5 + 4 * np.spacing(np.abs(replay.state[:, chain.HIGHEST]).astype(np.float32))
    for column, mine in (("sampled_entropy", "entropy"), ("sampled_logprob", "logprob"), ("kept_mass", "kept_mass")):
        wrong |= sure & ~np.isclose(tokens[column].to_numpy(), replay[mine], atol=slack)
    wrong |= replay["survives"] == 0
    return np.flatnonzero(wrong), sure.mean()


@settings(max_examples=60)
@example(steps=[Temperature(0.5), RepetitionPenalty(1.5)], seed=0)  # lowers tokens into a bin that was empty
@given(steps=st.lists(STEPS, min_size=1, max_size=4), seed=st.integers(0, 1000))
def test_replay_of_a_recorded_trace_agrees_with_its_decoding(model, steps, seed):
    sampler = wb.Sampler.chain(steps)
    trace = wb.record(model, QUESTION, sampler=sampler, seed=seed, max_new_tokens=40)
    wrong, _ = agrees(trace, sampler)
    assert wrong.tolist() == []


@pytest.mark.parametrize(
    "steps",
    [
        [TopP(0.9)],
        [Temperature(0.7), TopK(40), TopP(0.95)],
        [Mirostat(2.0)],
        [Mirostat(2.0, feedback="truncated")],
        [EntropyQuadrants()],
        [RepetitionPenalty(1.2), Temperature(1.2), MinP(0.05)],
        [XTC(0.5, 0.05), TopK(50)],
    ],
    ids=lambda steps: "-".join(step.name for step in steps),
)
def test_the_usual_chains_are_exact_nearly_everywhere(model, steps):
    sampler = wb.Sampler.chain(steps)
    trace = wb.record(model, QUESTION, sampler=sampler, seed=5, max_new_tokens=80)
    wrong, told = agrees(trace, sampler)
    assert wrong.tolist() == []
    assert told > 0.9


@pytest.mark.parametrize("steps", [[Mirostat(2.0, 0.5)], [XTC(0.5, 0.05)], [RepetitionPenalty(1.3), TopP(0.9)]])
def test_each_row_of_a_batch_has_its_own_state(model, steps):
    sampler = wb.Sampler.chain(steps)
    together = wb.record(model, QUESTION, sampler=sampler, seed=11, n=3, batch_size=3, max_new_tokens=40)
    for i, trace in enumerate(together):
        alone = wb.record(model, QUESTION, sampler=sampler, seed=11 + i, max_new_tokens=40)
        assert trace.tokens["token_id"].to_list() == alone.tokens["token_id"].to_list()
        assert agrees(trace, sampler)[0].tolist() == []


def test_the_processor_works_in_generate_and_starts_anew_with_each_prompt(model):
    """As a user of transformers alone would use it."""
    sampler = wb.Sampler.chain([Temperature(0.8), Mirostat(2.0), TopK(50)])
    _, ids = model.encode_prompt(QUESTION)
    processor = sampler.processor()

    def generated():
        torch.manual_seed(4)
        return model.hf.generate(
            torch.tensor([ids]), attention_mask=torch.ones(1, len(ids), dtype=torch.long), max_new_tokens=30,
            do_sample=True, top_k=0, temperature=1.0, top_p=1.0, logits_processor=[processor],
            eos_token_id=sorted(model.end_ids), pad_token_id=model.pad_id,
        )[0, len(ids) :].tolist()  # fmt: skip

    expected = wb.record(model, QUESTION, sampler=sampler, seed=4, max_new_tokens=30).tokens["token_id"].to_list()
    assert generated() == expected
    assert generated() == expected


def test_left_padding_is_not_history(model):
    """A shorter prompt in a batch is penalised for its own tokens only, not for those that fill it up."""
    step = RepetitionPenalty(2.0)
    processor = wb.Sampler.chain([step]).processor(prompt_lengths=[3, 2])
    logits = torch.ones((2, 10))
    found = processor(torch.tensor([[1, 2, 3], [9, 4, 5]]), logits)
    assert (found[0] < 1).nonzero().flatten().tolist() == [1, 2, 3]
    assert (found[1] < 1).nonzero().flatten().tolist() == [4, 5]


def test_a_processor_for_other_rows_says_so():
    processor = wb.Sampler(top_k=2).processor(seeds=[1, 2])
    with pytest.raises(wb.WorkbenchError, match="2 seeds"):
        processor(torch.zeros((3, 4), dtype=torch.long), torch.zeros((3, 8)))


def test_half_precision_logits(model):
    logits = torch.randn((1, 500)).bfloat16()
    found = wb.Sampler(temperature=0.5, top_k=3).processor()(torch.zeros((1, 2), dtype=torch.long), logits)
    assert found.dtype == torch.float32
    kept = torch.isfinite(found)[0]
    assert kept.sum() >= 3
    torch.testing.assert_close(found[0][kept], logits[0][kept].float() / 0.5)
