import math

import numpy as np
import pytest
import torch
from scipy.spatial.distance import jensenshannon

import workbench as wb
from tests.models.architectures import make_model
from workbench.attention import AttentionError, head_redundancy, vendi_score
from workbench.attention.redundancy import HeadRedundancy, _divergences, _overlaps
from workbench.errors import ParameterError

LENGTH = 26


def token_ids(length=LENGTH):
    return np.random.default_rng(0).integers(3, 320, length).tolist()


def patterns(hf, ids):
    hf.set_attn_implementation("eager")
    with torch.inference_mode():
        made = torch.stack(hf(input_ids=torch.tensor([ids]), output_attentions=True).attentions)[:, 0]
    hf.set_attn_implementation("sdpa")
    return made.flatten(0, 1).double().numpy()  # (L * H, T, T)


@pytest.mark.parametrize("drop_sink", [False, True])
@pytest.mark.parametrize("kind", ["llama", "mistral_sliding"])
def test_distances_equal_those_of_the_whole_patterns(kind, drop_sink):
    model, ids = wb.wrap(make_model(kind)), token_ids()
    found = head_redundancy(model, ids, rows=7, skip_rows=2, drop_sink=drop_sink)
    weights = patterns(model.hf, ids)[:, found.rows]
    assert found.rows[0] == 2
    assert found.rows[-1] == LENGTH - 1
    assert len(found.rows) == 7
    if drop_sink:
        weights[..., 0] = 0
        weights /= weights.sum(-1, keepdims=True)
    for a, b in ((0, 1), (2, 7), (5, 6)):
        js = np.mean([jensenshannon(x, y) ** 2 for x, y in zip(weights[a], weights[b], strict=True)])
        assert found.js[a, b] == pytest.approx(js, abs=2e-6)
        assert found.similarity[b, a] == pytest.approx(np.sqrt(weights[a] * weights[b]).sum(-1).mean(), abs=1e-5)
    assert (np.diag(found.js) == 0).all()
    assert np.linalg.eigvalsh(found.similarity).min() > -1e-5
    assert found.to_frame().shape == (28, 6)
    assert found.heads[5].tolist() == [1, 1]


def test_padding_and_chosen_layers():
    model, ids = wb.wrap(make_model("llama")), token_ids()
    found = head_redundancy(model, [0] * 5 + ids, attention_mask=[0] * 5 + [1] * LENGTH, layers=[1])
    assert found.rows.tolist() == list(range(6, LENGTH + 5))
    assert set(found.effective_by_layer) == {1}
    assert 1 <= found.effective_heads <= 4


def made_up(weights):
    weights = torch.as_tensor(weights, dtype=torch.float32)
    rows = weights.shape[1]
    flat = weights.flatten(1)
    heads = np.array([(0, h) for h in range(len(flat))], np.int32)
    return HeadRedundancy(heads, np.arange(rows), False, _divergences(flat, rows), _overlaps(flat, rows))


def test_identical_heads_are_one():
    rng = np.random.default_rng(1)
    found = made_up(np.repeat(rng.dirichlet(np.ones(9), size=(1, 5)), 4, axis=0))
    np.testing.assert_allclose(found.js, 0, atol=1e-7)
    assert found.effective_heads == pytest.approx(1, abs=1e-5)
    assert found.pairs().height == 6


def test_heads_that_share_nothing_are_as_many_as_there_are():
    found = made_up(np.eye(4)[:, None].repeat(3, axis=1))
    np.testing.assert_allclose(found.js, math.log(2) * (1 - np.eye(4)), atol=1e-7)
    assert found.effective_heads == pytest.approx(4)
    assert found.pairs().is_empty()
    assert "4 heads like 4.0" in repr(found)


def test_two_distances_are_kept_on_the_map():
    found = made_up([[[1, 0, 0]], [[0.5, 0.5, 0]], [[0.25, 0.25, 0.5]]])
    places = found.places()
    apart = np.linalg.norm(places[:, None] - places[None], axis=-1)
    np.testing.assert_allclose(apart, np.sqrt(found.js), atol=1e-6)  # three points lie in a plane


def test_vendi_golden():
    kernel = [[1, 0.9, 0], [0.9, 1, 0], [0, 0, 1]]
    assert vendi_score(kernel) == pytest.approx(2.1573004834, abs=1e-9)
    assert vendi_score(kernel, 2) == pytest.approx(1.9480519481, abs=1e-9)
    assert vendi_score(kernel, 2) == pytest.approx(9 / np.square(kernel).sum())
    assert vendi_score(kernel, math.inf) == pytest.approx(3 / 1.9)
    equal = np.full((10, 10), 0.3) + 0.7 * np.eye(10)
    assert vendi_score(equal) == pytest.approx(7.7153138417, abs=1e-9)
    assert vendi_score(equal, 2) == pytest.approx(5.5248618785, abs=1e-9)
    for wrong in ([[1, 0.5]], [[1, 0.5], [0.2, 1]], [[2.0]]):
        with pytest.raises(ParameterError, match="symmetric"):
            vendi_score(wrong)
    with pytest.raises(ParameterError, match="above 0"):
        vendi_score(kernel, 0)


def test_errors(monkeypatch):
    model = wb.wrap(make_model("llama"))
    for wrong in ({"rows": 0}, {"skip_rows": 0}, {"skip_rows": LENGTH}):
        with pytest.raises(ParameterError):
            head_redundancy(model, token_ids(), **wrong)
    with pytest.raises(AttentionError, match="layer"):
        head_redundancy(model, token_ids(), layers=[1, 5])
    monkeypatch.setattr("workbench.attention.redundancy.available_memory", lambda _: 12 * 8 * LENGTH * 3)
    with pytest.raises(AttentionError, match="rows=3"):
        head_redundancy(model, token_ids(), rows=10)
