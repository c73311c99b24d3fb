import json
import shutil

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import workbench as wb
from tests.models.architectures import make_model, save
from workbench.errors import ModelError
from workbench.models import estimate
from workbench.models.memory import _container_memory, available_memory, estimate_tensors
from workbench.models.weights import Tensor

CPU = torch.device("cpu")


def bytes_of(tensors, dtype=None, quantization=None, vocabulary=None):
    found = estimate_tensors("m", tensors, device=CPU, dtype=dtype, quantization=quantization, vocabulary=vocabulary)
    return found.needed / 1.1


@pytest.mark.parametrize(
    ("stored", "dtype", "each"),
    [
        ("F32", None, 4),
        ("BF16", None, 2),
        ("F32", "bfloat16", 2),
        ("BF16", "float32", 4),
        ("I8", "float32", 1),
        ("F8_E4M3", None, 1),
        ("BOOL", None, 1),
    ],
)
def test_bytes_of_an_element(stored, dtype, each):
    assert bytes_of([Tensor(stored, (30, 100))], dtype) == pytest.approx(3000 * each)


def test_quantization_leaves_embeddings_and_norms_alone():
    tensors = [Tensor("BF16", (1000, 64)), Tensor("BF16", (64,)), Tensor("BF16", (64, 64))]
    assert bytes_of(tensors, quantization="4bit", vocabulary=1000) == pytest.approx(2 * 64064 + 0.57 * 4096, abs=1)


@given(st.lists(st.tuples(st.integers(1, 500), st.integers(1, 500)), min_size=1, max_size=8))
def test_fewer_bits_never_need_more(shapes):
    tensors = [Tensor("F32", shape) for shape in shapes]
    sizes = [bytes_of(tensors, "float32"), bytes_of(tensors, "bfloat16"), bytes_of(tensors, "bfloat16", "8bit")]
    assert sizes == sorted(sizes, reverse=True)
    assert bytes_of(tensors, "bfloat16", "8bit") >= bytes_of(tensors, "bfloat16", "4bit")


@pytest.mark.parametrize("dtype", ["auto", "bfloat16"])
def test_estimate_of_a_folder_is_what_the_weights_take(llama_folder, dtype):
    found = estimate(llama_folder, device="cpu", dtype=dtype)
    held = wb.load(llama_folder, device="cpu", dtype=dtype).hf
    assert found.parameters == held.num_parameters()
    assert found.needed == pytest.approx(1.1 * sum(p.nbytes for p in held.parameters()), abs=2)
    assert found.dtype == ("float32" if dtype == "auto" else dtype)
    assert found.fits
    assert found.to_frame().row(0, named=True)["needed"] == found.needed


def test_estimate_of_a_bundled_model():
    assert estimate("demo-small", device="cpu").parameters > 100_000


def test_estimate_of_a_model_saved_in_half(tmp_path):
    make_model("llama").to(torch.bfloat16).save_pretrained(tmp_path)
    assert estimate(tmp_path, device="cpu").dtype == "bfloat16"


def huge(folder, terabytes=4):
    """A folder whose weight file claims, and on paper has, terabytes: a sparse file."""
    save(folder)
    count = terabytes * 10**12 // 4
    header = json.dumps({"w": {"dtype": "F32", "shape": [count], "data_offsets": [0, 4 * count]}}).encode()
    with (folder / "model.safetensors").open("wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        file.truncate(8 + len(header) + 4 * count)
    return folder


def test_model_larger_than_the_machine_is_refused_before_loading(tmp_path):
    folder = huge(tmp_path / "huge")
    words = r"needs about 4400\.0 GB in float32 on cpu, and .* GB are free\. Try dtype='bfloat16', quantization='4bit'"
    with pytest.raises(ModelError, match=words):
        wb.load(folder, device="cpu")
    assert not estimate(folder, device="cpu").fits
    shutil.rmtree(folder)


def test_available_memory_is_within_the_machines():
    psutil = pytest.importorskip("psutil")
    assert 0 < available_memory(CPU) <= psutil.virtual_memory().total


def test_containers_limit_counts(tmp_path):
    assert _container_memory(tmp_path) is None
    (tmp_path / "memory.current").write_text("700\n")
    (tmp_path / "memory.stat").write_text("anon 1\ninactive_file 50\n")
    (tmp_path / "memory.max").write_text("max\n")
    assert _container_memory(tmp_path) is None
    (tmp_path / "memory.max").write_text("1000\n")
    assert _container_memory(tmp_path) == 350
