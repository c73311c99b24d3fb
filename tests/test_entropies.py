import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from workbench.entropies import Entropies, entropy
from workbench.entropies_torch import entropy_tensor
from workbench.errors import LogitsError


def of_probabilities(p):
    with np.errstate(divide="ignore"):
        return entropy(np.log(np.asarray(p, np.float32)))


def binary(q):
    return -q * np.log(q) - (1 - q) * np.log1p(-q)


@pytest.mark.parametrize("k", [2, 10, 1000])
@pytest.mark.parametrize("q", [0.01, 0.3, 0.9])
def test_two_levels(k, q):
    found = of_probabilities([1 - q] + [q / (k - 1)] * (k - 1))
    assert found.entropy[0] == pytest.approx(binary(q) + q * np.log(k - 1), rel=1e-6)
    assert found.varentropy[0] == pytest.approx(q * (1 - q) * np.log((k - 1) * (1 - q) / q) ** 2, rel=1e-5)


@pytest.mark.parametrize("p", [0.001, 0.2, 0.917])
def test_bernoulli(p):
    assert of_probabilities([p, 1 - p]).varentropy[0] == pytest.approx(p * (1 - p) * np.log((1 - p) / p) ** 2, rel=1e-5)


def test_geometric():
    found = entropy(-np.log(2) * np.arange(1, 61, dtype=np.float32))
    assert found.entropy[0] == pytest.approx(2 * np.log(2), rel=1e-6)
    assert found.varentropy[0] == pytest.approx(2 * np.log(2) ** 2, rel=1e-6)
    assert found.log_z[0] == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(
    ("k", "p", "largest"), [(2, 0.917, 0.439229), (50_257, 0.58939, 30.2836), (151_936, 0.58156, 36.579368)]
)
def test_largest_varentropy(k, p, largest):
    assert of_probabilities([p] + [(1 - p) / (k - 1)] * (k - 1)).varentropy[0] == pytest.approx(largest, rel=1e-5)


def test_the_worked_example():
    found = entropy([2.0, 1.0, 0.0, -1.0])
    assert found.entropy[0] == pytest.approx(0.947536964, abs=1e-9)
    assert found.varentropy[0] == pytest.approx(0.616586275, abs=1e-9)


LOGITS = np.random.default_rng(0).normal(0, 3, (5, 4000))
LOGITS[1, ::3] = -np.inf


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_every_float_type_gives_what_float64_gives_of_the_same_numbers(dtype):
    given = LOGITS.astype(dtype)
    found, truth = entropy(given), entropy(given.astype(np.float64))
    for name in ("entropy", "varentropy", "log_z"):
        assert getattr(found, name) == pytest.approx(getattr(truth, name), rel=2e-6)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_tensors_give_what_arrays_give(dtype):
    tensor = torch.from_numpy(LOGITS).to(dtype).requires_grad_()
    found, truth = entropy(tensor), entropy(tensor.detach().double().numpy())
    for name in ("entropy", "varentropy", "log_z"):
        assert getattr(found, name) == pytest.approx(getattr(truth, name), rel=2e-6)


def test_float64_keeps_digits_that_float32_cuts_off():
    row = np.array([1e4, 1e4 + 1e-5, 1e4 - 2e-5])
    assert entropy(row).varentropy[0] == pytest.approx(np.var([0, 1e-5, -2e-5]), rel=1e-4)


@pytest.mark.parametrize("view", [lambda z: z[:, ::2], lambda z: z[::-1], np.asfortranarray])
def test_layout_does_not_matter(view):
    logits = view(LOGITS.astype(np.float32))
    assert np.array_equal(entropy(logits).entropy, entropy(np.ascontiguousarray(logits)).entropy)


def test_read_only_logits_and_transposed_tensors_are_fine():
    logits = LOGITS.astype(np.float32)
    transposed = torch.from_numpy(np.ascontiguousarray(logits.T)).T
    logits.flags.writeable = False
    assert np.array_equal(entropy(logits).entropy, entropy(transposed).entropy)


def test_blocks_join_as_if_there_were_none(monkeypatch):
    whole = entropy(LOGITS.astype(np.float16))
    monkeypatch.setattr("workbench.blocks.BLOCK_BYTES", 4 * 4000 * 2)
    assert np.array_equal(entropy(LOGITS.astype(np.float16)).entropy, whole.entropy)


@given(st.integers(0, 10**6), st.integers(1, 500), st.floats(0.1, 20))
def test_the_accelerator_path_gives_what_the_kernels_give(seed, vocabulary, spread):
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, spread, (3, vocabulary)).astype(np.float32)
    logits[rng.random(logits.shape) < 0.2] = -np.inf
    logits[:, 0] = 0
    ours = entropy(logits)
    for found, expected in zip(
        entropy_tensor(torch.from_numpy(logits)), (ours.entropy, ours.varentropy, ours.log_z), strict=True
    ):
        assert found == pytest.approx(expected, rel=1e-5, abs=1e-6)


def test_the_accelerator_path_is_exact_where_the_kernels_are():
    logits = torch.full((2, 1000), -torch.inf)
    logits[0, 3], logits[1] = 5.0, 2.0
    h, v, log_z = entropy_tensor(logits)
    assert (h[0], v[0], log_z[0]) == (0, 0, 5)
    assert h[1] == pytest.approx(np.log(1000))
    assert v[1] == 0


def test_one_row_and_no_row():
    assert entropy(np.zeros(8, np.float32)).entropy == pytest.approx([np.log(8)])
    assert len(entropy(np.zeros((0, 8), np.float32)).entropy) == 0
    assert len(entropy(torch.zeros(0, 8, dtype=torch.bfloat16)).entropy) == 0


def test_a_row_a_token_in_the_frame():
    frame = entropy(LOGITS).to_frame()
    assert frame.columns == ["entropy", "varentropy", "log_z"]
    assert frame.height == 5
    assert isinstance(entropy(LOGITS), Entropies)


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("convert", [
    np.float32, np.float64, torch.tensor, lambda z: torch.tensor(z, dtype=torch.bfloat16),
])  # fmt: skip
def test_a_row_without_a_distribution_is_named(value, convert):
    logits = np.zeros((6, 50), np.float32)
    logits[4, 7] = value
    with pytest.raises(LogitsError, match=r"step 4 hold \+?(NaN|inf)"):
        entropy(convert(logits))
    with pytest.raises(LogitsError, match="step 4"):
        entropy_tensor(torch.tensor(logits))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_row_of_nothing_but_minus_infinity_is_named(dtype):
    logits = np.zeros((3, 50), dtype)
    logits[2] = -np.inf
    with pytest.raises(LogitsError, match="step 2 hold nothing but -inf"):
        entropy(logits)
    with pytest.raises(LogitsError, match="step 2 hold nothing but -inf"):
        entropy_tensor(torch.tensor(logits))


@pytest.mark.parametrize(
    ("logits", "what"),
    [
        (np.zeros((2, 3, 4)), "shape"),
        (np.float32(1.0), "shape"),
        (torch.zeros(1, 2, 3), "shape"),
        (np.zeros((3, 0)), "no entries"),
        ([], "no entries"),
        ([[1.0], [1.0, 2.0]], "array"),
        ([["a"]], "real numbers"),
        (np.zeros((2, 2), complex), "real numbers"),
        (torch.zeros(2, 2, dtype=torch.bool), "real numbers"),
    ],
)
def test_what_is_no_table_of_logits_is_refused(logits, what):
    with pytest.raises(LogitsError, match=what):
        entropy(logits)


def test_arrays_do_not_import_torch():
    code = "import sys, numpy as np, workbench as wb; wb.entropy(np.zeros((2, 3))); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
