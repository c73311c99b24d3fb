import json
import shutil
import socket
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from transformers import AutoModelForCausalLM

import workbench as wb
from tests.models.architectures import CONFIGS, make_model, save
from workbench import locations
from workbench.errors import MissingPackageError, ModelError, ParameterError
from workbench.models import bundled_names, estimate

IDS = torch.arange(10)[None]


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("the network was touched")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def logits(model):
    with torch.inference_mode():
        return model(IDS).logits


def same_logits(folder, **settings):
    loaded = wb.load(folder, device="cpu", **settings)
    torch.testing.assert_close(logits(loaded.hf), logits(make_model("llama")))
    return loaded


@pytest.mark.parametrize("kind", CONFIGS)
def test_folder_of_every_architecture(kind, tmp_path, no_network, capfd):
    save(tmp_path, kind)
    capfd.readouterr()
    loaded = wb.load(tmp_path, device="cpu")
    assert capfd.readouterr() == ("", "")
    torch.testing.assert_close(logits(loaded.hf), logits(make_model(kind)))
    assert loaded.vocabulary == 320
    assert loaded.context == 128
    assert loaded.parameters == make_model(kind).num_parameters()
    assert loaded.think_markers.open_text == "<think>"
    assert loaded.tokenizer.eos_token_id in loaded.end_ids
    assert not loaded.hf.training
    assert not any(parameter.requires_grad for parameter in loaded.hf.parameters())


def test_bundled_model(no_network):
    model = wb.load("demo-small", device="cpu")
    assert (model.name, model.revision, model.dtype, model.device) == (
        "demo-small",
        None,
        "float32",
        torch.device("cpu"),
    )
    assert model.end_ids == {0, 2}
    assert "demo-small" in repr(model)
    assert len(repr(model)) < 300


def test_bundled_name_wins_over_a_folder_of_that_name(tmp_path, monkeypatch):
    (tmp_path / "demo-small").mkdir()
    monkeypatch.chdir(tmp_path)
    assert "demo-small" in bundled_names()
    assert wb.load("demo-small", device="cpu").vocabulary == 667
    with pytest.raises(ModelError, match=r"config\.json"):
        wb.load("./demo-small")


def test_folder_wins_over_a_hub_id(llama_folder, tmp_path, monkeypatch, no_network):
    shutil.copytree(llama_folder, tmp_path / "someone" / "model")
    monkeypatch.chdir(tmp_path)
    assert wb.load("someone/model", device="cpu").revision is None


def test_home_is_expanded(llama_folder, monkeypatch):
    monkeypatch.setenv("HOME", str(llama_folder.parent))
    assert wb.load("~/llama", device="cpu").name == "~/llama"


@pytest.mark.parametrize("dtype", ["bfloat16", torch.bfloat16])
def test_dtype_as_asked(llama_folder, dtype):
    model = wb.load(llama_folder, device="cpu", dtype=dtype)
    assert model.dtype == "bfloat16"
    assert {parameter.dtype for parameter in model.hf.parameters()} == {torch.bfloat16}


def test_dtype_auto_is_what_was_saved(tmp_path):
    save(tmp_path)
    make_model("llama").to(torch.bfloat16).save_pretrained(tmp_path)
    assert wb.load(tmp_path, device="cpu").dtype == "bfloat16"


def test_device_auto_is_the_best_there_is(llama_folder):
    best = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    assert wb.load(llama_folder).device.type == best


def test_attention_is_left_at_the_models_default(llama_folder):
    default = AutoModelForCausalLM.from_pretrained(llama_folder).config._attn_implementation
    assert wb.load(llama_folder, device="cpu").hf.config._attn_implementation == default


def test_sharded_weights(tmp_path):
    save(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    make_model("llama").save_pretrained(tmp_path, max_shard_size="40KB")
    assert len(list(tmp_path.glob("model-*.safetensors"))) > 1
    same_logits(tmp_path)


def pickled(folder):
    save(folder)
    (folder / "model.safetensors").unlink()
    torch.save(make_model("llama").state_dict(), folder / "pytorch_model.bin")
    return folder


def test_pickled_weights_are_refused_unless_asked_for(tmp_path):
    folder = pickled(tmp_path)
    with pytest.raises(ModelError, match=r"pickled weights only \(pytorch_model\.bin\).*allow_pickle=True"):
        wb.load(folder)
    same_logits(folder, allow_pickle=True)


def test_safetensors_are_taken_where_both_are(tmp_path):
    folder = pickled(tmp_path)
    make_model("llama").save_pretrained(folder)
    (folder / "pytorch_model.bin").write_bytes(b"never read")
    same_logits(folder, allow_pickle=True)


CODE = """
import pathlib
pathlib.Path({trace!r}).touch()
from transformers import LlamaConfig, LlamaForCausalLM
class OwnConfig(LlamaConfig):
    model_type = "{kind}"
class OwnModel(LlamaForCausalLM):
    config_class = OwnConfig
"""


def with_code(folder, trace, kind):
    save(folder)
    config = json.loads((folder / "config.json").read_text())
    classes = {"AutoConfig": "own_code.OwnConfig", "AutoModelForCausalLM": "own_code.OwnModel"}
    config.update(
        model_type=kind, architectures=["OwnModel" if kind == "own" else "LlamaForCausalLM"], auto_map=classes
    )
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "own_code.py").write_text(CODE.format(trace=str(trace), kind=kind))
    return folder


def test_remote_code_runs_only_when_trusted(tmp_path, monkeypatch):
    monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(tmp_path / "modules"))
    trace = tmp_path / "it ran"
    folder = with_code(tmp_path / "model", trace, "own")
    with pytest.raises(ModelError, match=r"brings its own Python code.*trust_remote_code=True"):
        wb.load(folder)
    assert not trace.exists()
    loaded = same_logits(folder, trust_remote_code=True)
    assert trace.exists()
    assert type(loaded.hf).__name__ == "OwnModel"


def test_code_that_is_not_needed_does_not_run(tmp_path):
    trace = tmp_path / "it ran"
    loaded = same_logits(with_code(tmp_path / "model", trace, "llama"))
    assert not trace.exists()
    assert type(loaded.hf).__name__ == "LlamaForCausalLM"


@pytest.mark.parametrize(
    ("settings", "error", "words"),
    [
        ({"dtype": "float7"}, ParameterError, "float7.*bfloat16"),
        ({"dtype": torch.int8}, ParameterError, "int8"),
        ({"device": "toaster"}, ParameterError, "toaster"),
        ({"device": "cuda:99"}, ModelError, "CUDA devices"),
        ({"quantization": "3bit"}, ParameterError, "4bit"),
        ({"revision": "main"}, ModelError, "hub ids only"),
    ],
)
def test_settings_that_do_not_exist(llama_folder, settings, error, words):
    with pytest.raises(error, match=words):
        wb.load(llama_folder, **settings)


@pytest.mark.parametrize("quantization", ["4bit", "8bit"])
def test_quantization_without_its_packages_names_the_line(llama_folder, quantization, monkeypatch):
    for name in ("bitsandbytes", "accelerate"):
        monkeypatch.setitem(sys.modules, name, None)  # as if not installed
    with pytest.raises(MissingPackageError, match=r"pip install 'entropy-workbench\[quantized\]'"):
        wb.load(llama_folder, quantization=quantization)


@pytest.mark.parametrize("quantization", ["4bit", "8bit"])
@pytest.mark.filterwarnings("ignore")  # bitsandbytes has its own remarks on every machine
def test_quantized_model(tmp_path, quantization):
    pytest.importorskip("bitsandbytes")
    folder = save(tmp_path, hidden_size=64, intermediate_size=128, head_dim=16)
    model = wb.load(folder, quantization=quantization)
    assert model.quantization == quantization
    assert quantization in repr(model)
    assert model.parameters == make_model("llama", hidden_size=64, intermediate_size=128, head_dim=16).num_parameters()
    assert model.verify().ok
    held = sum(parameter.nbytes for parameter in model.hf.parameters())
    assert estimate(folder, quantization=quantization).needed == pytest.approx(1.1 * held, rel=0.1)


def test_quantization_that_cannot_run_here(llama_folder, monkeypatch):
    pytest.importorskip("bitsandbytes")

    def unavailable(*args, **kwargs):
        raise RuntimeError("None of the available devices are supported by bitsandbytes.\nAnd more lines")

    monkeypatch.setattr("transformers.integrations.validate_bnb_backend_availability", unavailable)
    with pytest.raises(ModelError, match=r"cannot be quantised to 4bit here: None of .* Try quantization=None"):
        wb.load(llama_folder, quantization="4bit")


def test_models_are_found_where_they_are_installed():
    assert (locations.MODELS / "demo-small" / "model.safetensors").is_file()


def test_loads_from_many_threads_give_whole_models():
    with ThreadPoolExecutor(4) as pool:
        models = list(pool.map(wb.load, ["demo", "demo-small"] * 4))
    for model in models:
        assert model.hf.get_output_embeddings().weight is model.hf.get_input_embeddings().weight
