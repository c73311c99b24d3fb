import copy
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import torch

import workbench as wb
from tests.attention import dense
from tests.models.architectures import CONFIGS, make_model
from workbench import attention
from workbench.attention import STATISTICS, AttentionError, HeadEntropies
from workbench.errors import TraceError
from workbench.traces.batching import record_batch

PROMPT, NEW = 11, 9
SLIDING = {"mistral_sliding", "gemma2_softcap"}
PLAIN = wb.Sampler(temperature=1.0)


def token_ids(length=PROMPT, seed=0):
    return np.random.default_rng(seed).integers(3, 320, length).tolist()


def teacher_forced(model, trace):
    """(T, L, H) entropies of the rows the tokens were drawn from, by one pass over the whole text."""
    stats = attention.head_stats(model, trace)
    rows = slice(len(trace.prompt_ids) - 1, len(stats.token_ids) - 1)
    return np.moveaxis(stats.rows[0][..., rows], -1, 0), stats.support[:, rows].T


def assert_teacher_forced(model, found, trace):
    entropy, support = teacher_forced(model, trace)
    np.testing.assert_allclose(found.entropy, entropy, atol=1e-4)
    np.testing.assert_array_equal(found.support, support)
    assert found.token_ids == tuple(trace.tokens["token_id"])


@pytest.fixture(scope="module")
def llama():
    return wb.wrap(make_model("llama"))


@pytest.fixture(scope="module")
def recorded(llama):
    with attention.capture(llama) as seen:
        trace = wb.record(llama, token_ids(), sampler=PLAIN, max_new_tokens=NEW, seed=3)
    return trace, seen.decoded(trace)


@pytest.mark.parametrize("kind", sorted(CONFIGS))
def test_entropies_while_decoding_are_those_of_output_attentions_over_the_text(kind):
    model = wb.wrap(make_model(kind))
    with attention.capture(model) as seen:
        alone = wb.record(model, token_ids(), sampler=PLAIN, max_new_tokens=NEW)
        prompts = [token_ids(6, 1), token_ids(PROMPT, 2)]
        together = record_batch(model, prompts, sampler=PLAIN, seeds=[1, 2], max_new_tokens=NEW)
    for trace in (alone, *together):
        found = seen.decoded(trace)
        assert found.entropy.shape == (len(trace), 2, 4)
        assert_teacher_forced(model, found, trace)
    model.hf.set_attn_implementation("eager")
    ids = torch.tensor([[*alone.prompt_ids, *alone.tokens["token_id"]]])
    with torch.inference_mode():
        weights = torch.stack(model.hf(input_ids=ids, output_attentions=True).attentions)[:, 0].double().numpy()
    expected = dense.entropy(weights)[..., PROMPT - 1 : -1]  # (L, H, T)
    np.testing.assert_allclose(seen.decoded(alone).entropy, np.moveaxis(expected, -1, 0), atol=1e-4)


def test_recording_draws_the_same_tokens_with_and_without_a_capture(llama, recorded):
    trace = wb.record(llama, token_ids(), sampler=PLAIN, max_new_tokens=NEW, seed=3)
    assert trace.tokens.equals(recorded[0].tokens)


def test_sequences_that_end_and_leave_their_batch_are_followed(llama):
    ends = replace(llama, end_ids=frozenset(range(0, 320, 9)))  # every ninth token ends a sequence
    with attention.capture(ends) as seen:
        traces = wb.record(ends, token_ids(), sampler=PLAIN, max_new_tokens=24, n=12, batch_size=6)
    lengths = [len(trace) for trace in traces]
    assert len(set(lengths)) > 3
    for trace in traces:
        assert_teacher_forced(ends, seen.decoded(trace), trace)
    batch = seen.follower.batches[0]
    assert len(batch) == 6
    assert min(map(len, batch)) < max(map(len, batch))  # some really left


def test_tokens_are_known_while_decoding(llama, recorded):
    trace, _ = recorded
    ids = (token_ids(8) * 3)[:20]
    whole = attention.head_stats(llama, ids)
    tensor = torch.tensor([ids])
    with torch.inference_mode(), attention.capture(llama) as seen:
        out = llama.hf(input_ids=tensor[:, :13], use_cache=True)
        for t in range(13, 20):
            out = llama.hf(input_ids=tensor[:, t : t + 1], past_key_values=out.past_key_values, use_cache=True)
    np.testing.assert_allclose(seen.rows(), whole.rows, atol=1e-4)
    assert seen.rows()[STATISTICS.index("induction"), ..., -1].max() > 0
    with pytest.raises(AttentionError, match="not decoded within"):
        seen.decoded(trace)


def test_the_first_token_of_a_padded_sequence_is_its_sink(llama):
    ids = token_ids(12)
    given = {"input_ids": torch.tensor([[0] * 4 + ids]), "attention_mask": torch.tensor([[0] * 4 + [1] * 12])}
    with torch.inference_mode(), attention.capture(llama) as seen:
        llama.hf(**given)
    alone = attention.head_stats(llama, ids)
    for name in ("sink", "same_token", "induction"):
        at = STATISTICS.index(name)
        np.testing.assert_allclose(seen.rows()[at][..., 4:], alone.rows[at], atol=1e-4, err_msg=name)


def test_under_a_sliding_window_the_sink_is_unknown_once_it_is_gone():
    model = wb.wrap(make_model("mistral_sliding"))
    with attention.capture(model) as seen:
        trace = wb.record(model, token_ids(5), sampler=PLAIN, max_new_tokens=12)
    sink, same = (seen.rows()[STATISTICS.index(name)] for name in ("sink", "same_token"))
    assert np.isfinite(sink[..., :8]).all()
    assert np.isnan(sink[..., 8:]).all()
    whole = attention.head_stats(model, trace).values("same_token")
    np.testing.assert_allclose(same, whole[..., :-1], atol=1e-4)


def test_what_compares_tokens_is_unknown_where_they_are(llama):
    ids = torch.tensor([token_ids()])
    with torch.inference_mode():
        cache = llama.hf(input_ids=ids[:, :5]).past_key_values
        with attention.capture(llama) as seen:
            llama.hf(input_ids=ids[:, 5:], past_key_values=copy.deepcopy(cache))
        with attention.capture(llama) as embedded:
            llama.hf(inputs_embeds=llama.hf.get_input_embeddings()(ids))
        with attention.capture(llama) as inner:
            llama.hf.model(input_ids=ids)  # the decoder by itself is followed too
    for one in (seen, embedded):
        for name in ("same_token", "induction"):
            assert np.isnan(one.rows()[STATISTICS.index(name)]).all()
        assert np.isfinite(one.entropies()).all()
    assert np.isfinite(inner.rows()).all()
    np.testing.assert_allclose(seen.entropies(), inner.entropies()[..., 5:], atol=1e-4)


def test_the_newest_of_equal_decodes_is_taken_and_an_empty_capture_says_so(llama, recorded):
    trace, _ = recorded
    with attention.capture(llama) as seen:
        with pytest.raises(AttentionError, match="not decoded within"):
            seen.decoded(trace)
        for _ in range(2):
            again = wb.record(llama, token_ids(), sampler=PLAIN, max_new_tokens=NEW, seed=3)
    assert seen.decoded(again).entropy.shape == (NEW, 2, 4)
    assert_teacher_forced(llama, seen.decoded(trace), trace)
    with pytest.raises(AttentionError, match="not decoded within"):
        seen.decoded(replace(trace, prompt_ids=()))


def test_a_captures_end_leaves_nothing_on_the_model(llama):
    hooks = len(llama.hf.base_model._forward_pre_hooks)
    with pytest.raises(ZeroDivisionError), attention.capture(llama):
        raise ZeroDivisionError
    assert len(llama.hf.base_model._forward_pre_hooks) == hooks


def test_a_frame_holds_every_number(recorded):
    trace, found = recorded
    frame = found.to_frame()
    assert frame.height == NEW * 2 * 4
    row = frame.row(by_predicate=(pl.col("position") == 4) & (pl.col("layer") == 1) & (pl.col("head") == 2), named=True)
    assert row["entropy"] == found.entropy[4, 1, 2] == found.head(1, 2)[4]
    assert row["token_id"] == trace.tokens["token_id"][4]
    assert row["support"] == PROMPT + 4
    share = found.normalized[4, 1, 2]
    assert share == pytest.approx(row["entropy"] / np.log(row["support"]))
    joined = trace.tokens.join(frame, on=["position", "token_id"])
    assert joined.height == frame.height
    assert f"{NEW} tokens x 2 layers x 4 heads" in repr(found)
    for place in ((2, 0), (0, 4), (0, -1)):
        with pytest.raises(AttentionError, match="no head"):
            found.head(*place)


def test_a_file_gives_back_what_was_saved(tmp_path, recorded):
    _, found = recorded
    ragged = found.entropy.copy()
    ragged[:, 1, 3] = np.nan  # a layer with fewer heads
    for saved in (found, replace(found, entropy=ragged, layers=(1, 5))):
        loaded = HeadEntropies.load(saved.save(tmp_path / "heads.parquet"))
        np.testing.assert_array_equal(loaded.entropy, saved.entropy)
        np.testing.assert_array_equal(loaded.support, saved.support)
        assert (loaded.layers, loaded.token_ids, loaded.model) == (saved.layers, saved.token_ids, saved.model)


def test_files_that_are_something_else_are_refused(tmp_path, recorded):
    trace, found = recorded
    path = found.save(tmp_path / "heads.parquet")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(TraceError, match="truncated"):
        HeadEntropies.load(path)
    with pytest.raises(TraceError, match="no such file"):
        HeadEntropies.load(tmp_path / "none.parquet")
    with pytest.raises(TraceError, match="no head entropies"):
        HeadEntropies.load(trace.save(tmp_path / "trace.parquet"))
    with pytest.raises(TraceError, match="does not exist"):
        found.save(tmp_path / "nowhere" / "heads.parquet")
    about = {"workbench.head_entropies": "1", "about": '{"model": "m", "layers": [0], "heads": 1, "tokens": [5]}'}
    found.to_frame().drop("support").write_parquet(path, metadata=about)
    with pytest.raises(TraceError, match=r"lacks the columns \['support'\]"):
        HeadEntropies.load(path)
    found.to_frame().write_parquet(path, metadata=about)
    with pytest.raises(TraceError, match="changed after it was saved"):
        HeadEntropies.load(path)
    found.to_frame().write_parquet(path, metadata={**about, "workbench.head_entropies": "2"})
    with pytest.raises(TraceError, match="format 2"):
        HeadEntropies.load(path)
