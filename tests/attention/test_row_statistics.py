import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tests.attention import dense
from workbench.attention import STATISTICS, AttentionError
from workbench.attention.rows import Keys, _by_kernel, _by_torch, row_statistics
from workbench.attention.scores import Scores
from workbench.attention.visibility import read_mask

CAUSAL_MEANS = {4: 0.794513, 8: 1.325575, 16: 1.916991, 64: 3.205753, 128: 3.878168}


def scores_from(matrix, mask=None, *, causal=True, softcap=None):
    """Scores (H, T, K) as queries against unit keys, so that they can be chosen freely."""
    matrix = torch.as_tensor(matrix, dtype=torch.float32)
    heads, queries, keys = matrix.shape
    seen = read_mask(mask, queries, keys, causal=causal)
    key = torch.eye(keys).expand(heads, keys, keys)
    key = key[:, : len(seen.positions)] if seen.columns is None else key[:, seen.columns]
    return Scores(matrix[:, None], key, 1.0, softcap, seen)


def measured(matrix, **how):
    block, ids, sink = how.pop("block", 5), how.pop("ids", None), how.pop("sink", 0)
    return dict(
        zip(STATISTICS, row_statistics(scores_from(matrix, **how), block=block, ids=ids, sink=sink), strict=True)
    )


@pytest.mark.parametrize("length", sorted(CAUSAL_MEANS))
def test_a_uniform_causal_head_has_the_mean_of_ln_i(length):
    found = measured(np.zeros((2, length, length)))
    support = np.arange(1, length + 1)
    np.testing.assert_allclose(found["entropy"], np.broadcast_to(np.log(support), (2, length)), rtol=2e-7)
    assert found["entropy"].mean() == pytest.approx(CAUSAL_MEANS[length], abs=2e-6)
    assert found["entropy"].mean() == pytest.approx(math.lgamma(length + 1) / length, rel=1e-6)
    np.testing.assert_allclose(found["sink"][0], 1 / support, rtol=1e-6)
    np.testing.assert_allclose(found["distance"][0], (support - 1) / 2, rtol=1e-6)
    assert not found["row_norm"].any()


def test_the_mean_sink_of_a_uniform_causal_head_is_harmonic():
    assert measured(np.zeros((1, 64, 64)))["sink"].mean(dtype=float) == pytest.approx(0.0741232954, abs=1e-8)


def test_one_hot_rows_have_no_entropy_at_all():
    hot = np.full((3, 12, 12), -200.0)
    for head, back in enumerate((0, 1, 3)):
        for i in range(12):
            hot[head, i, max(i - back, 0)] = 5.0
    found = measured(hot)
    assert not found["entropy"].any()
    assert (found["max_weight"] == 1).all()
    np.testing.assert_array_equal(found["distance"][2], np.minimum(np.arange(12), 3))
    np.testing.assert_array_equal(found["previous_token"][1], [0] + [1] * 11)


def test_all_to_first():
    first = np.full((1, 9, 9), -300.0)
    first[:, :, 0] = 0.0
    found = measured(first)
    assert not found["entropy"].any()
    assert (found["sink"] == 1).all()
    np.testing.assert_array_equal(found["distance"][0], np.arange(9))


def test_two_blocks_have_the_entropy_of_their_size():
    length, half = 12, 6
    blocks = np.full((1, length, length), -400.0)
    blocks[:, :half, :half] = blocks[:, half:, half:] = 1.5
    found = measured(blocks, causal=False)
    np.testing.assert_allclose(found["entropy"], math.log(half), rtol=2e-7)
    np.testing.assert_allclose(found["max_weight"], 1 / half, rtol=2e-7)
    causal = measured(blocks)
    np.testing.assert_allclose(causal["entropy"][0], np.log(np.arange(length) % half + 1), rtol=2e-7)


def masks(length, kind, rng):
    i, j = np.indices((length, length))
    seen = j <= i
    if kind == "sliding":
        seen &= i - j < 4
    if kind in {"left", "holes"}:
        keep = np.ones(length, bool)
        keep[:3] = False
        if kind == "holes":
            keep[rng.choice(np.arange(3, length), 2, replace=False)] = False
        seen &= keep
    return seen


@pytest.mark.parametrize("kind", ["causal", "sliding", "left", "holes"])
@pytest.mark.parametrize("form", ["bool", "additive"])
@pytest.mark.parametrize("block", [1, 7, 64])
def test_every_statistic_equals_its_definition(kind, form, block):
    rng = np.random.default_rng(3)
    length = 23
    seen = masks(length, kind, rng)
    matrix = (rng.normal(size=(3, length, length)) * rng.choice([0.3, 3.0, 20.0], size=(3, 1, 1))).astype(np.float32)
    ids = rng.integers(0, 5, length).astype(np.int32)
    mask = torch.as_tensor(seen)
    if form == "additive":
        mask = torch.where(mask, 0.0, torch.finfo(torch.float32).min)
    first = int(seen.any(0).argmax())
    found = measured(matrix, mask=mask, ids=ids, sink=first, block=block)
    expected = dense.statistics(dense.softmax(matrix, seen), seen, matrix, ids, first)
    for name in STATISTICS:
        if kind in {"left", "holes"} and name in {"previous_token", "induction"}:  # hidden tokens stand before others
            continue
        np.testing.assert_allclose(found[name], expected[name], rtol=2e-5, atol=2e-6, err_msg=name)


def test_no_mask_is_causal_and_softcapping_comes_before_it():
    rng = np.random.default_rng(4)
    matrix = rng.normal(size=(2, 17, 17)).astype(np.float32) * 30
    seen = masks(17, "causal", rng)
    ids = np.zeros(17, np.int32)
    capped = np.tanh(matrix / 20) * 20
    expected = dense.statistics(dense.softmax(capped, seen), seen, capped, ids)
    found = measured(matrix, softcap=20.0, ids=ids)
    for name in STATISTICS:
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-4, atol=2e-6, err_msg=name)


def test_torch_and_kernel_agree():
    rng = np.random.default_rng(5)
    matrix = rng.normal(size=(4, 30, 30)).astype(np.float32) * 4
    ids = rng.integers(0, 6, 30).astype(np.int32)
    mask = torch.as_tensor(masks(30, "sliding", rng))
    mask[4] = False
    scores = scores_from(matrix, mask)
    keys, ends = Keys.of(scores.seen, ids, 0), (scores.seen.start.numpy(), scores.seen.stop.numpy())
    values = torch.as_tensor(matrix)
    np.testing.assert_allclose(_by_torch(values, *ends, keys), _by_kernel(values, *ends, keys), rtol=2e-5, atol=2e-6)


@given(
    hnp.arrays(np.float32, (2, 9, 9), elements=st.floats(-30, 30, width=32)),
    st.floats(-1000, 1000, width=16),
    st.integers(1, 9),
)
def test_entropy_is_bounded_and_ignores_an_offset(matrix, offset, block):
    found = measured(matrix, block=block)["entropy"]
    assert (found >= 0).all()
    assert (found <= np.log(np.arange(1, 10)) + 1e-6).all()
    assert not found[:, 0].any()
    moved = measured(matrix + np.float32(offset), block=block)["entropy"]
    np.testing.assert_allclose(moved, found, atol=5e-3)


def test_scores_that_are_not_finite_show_in_their_row_alone():
    matrix = np.zeros((1, 6, 6), np.float32)
    for row, value in ((2, np.nan), (3, np.inf), (4, -np.inf)):
        poisoned = matrix.copy()
        poisoned[0, row, 1] = value
        scores = scores_from(matrix)
        values = torch.as_tensor(poisoned)
        keys, ends = Keys.of(scores.seen, None, 0), (scores.seen.start.numpy(), scores.seen.stop.numpy())
        entropy = _by_kernel(values, *ends, keys)[0, :, 0]
        assert np.flatnonzero(np.isnan(entropy)).tolist() == [row]


def test_masks_that_mean_something_else_are_refused():
    bias = torch.zeros(4, 4)
    bias[2, 1] = -0.5
    with pytest.raises(AttentionError, match="adds a bias"):
        read_mask(bias, 4, 4, causal=True)
    split = torch.ones(4, 4, dtype=torch.bool)
    split[3, 1] = False
    with pytest.raises(AttentionError, match="one stretch"):
        read_mask(split, 4, 4, causal=True)
