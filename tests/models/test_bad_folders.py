import json
import shutil

import pytest
from transformers import BertConfig, BertForMaskedLM, BertModel, T5Config, T5ForConditionalGeneration

import workbench as wb
from tests.models.architectures import make_model, save
from workbench.errors import ModelError


@pytest.fixture
def folder(llama_folder, tmp_path):
    return shutil.copytree(llama_folder, tmp_path / "model")


def refused(folder, words):
    with pytest.raises(ModelError, match=words) as caught:
        wb.load(folder, device="cpu")
    assert "Traceback" not in str(caught.value)


def edit(path, **changes):
    content = json.loads(path.read_text())
    content.update(changes)
    path.write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("dmeo", r"Did you mean 'demo.*Bundled are: .*demo-small.*owner/name"),
        ("", "no bundled model, no folder and no hub id"),
        ("a/b/c", "no folder a/b/c"),
        ("./nothing", "no folder ./nothing"),
        ("~/nothing here", "no folder"),
        ("one two", "no bundled model"),
    ],
)
def test_name_that_is_nothing(name, words):
    refused(name, words)


def test_path_object_is_always_a_folder(tmp_path):
    refused(tmp_path / "owner" / "name", "There is no folder")


def test_file_instead_of_a_folder(folder):
    refused(folder / "model.safetensors", "is a file")


def test_no_config(folder):
    (folder / "config.json").unlink()
    refused(folder, r"no config\.json")


@pytest.mark.parametrize(
    ("file", "words"),
    [
        ("adapter_config.json", "adapter"),
        ("model.gguf", "GGUF"),
        ("inner/config.json", "Did you mean its folder 'inner'"),
    ],
)
def test_no_config_but_something_else(tmp_path, file, words):
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).write_text("{}")
    refused(tmp_path, words)


@pytest.mark.parametrize(("text", "words"), [("{", "no valid JSON"), ("[]", "no configuration")])
def test_broken_config(folder, text, words):
    (folder / "config.json").write_text(text)
    refused(folder, words)


def test_unknown_model_type(folder):
    edit(folder / "config.json", model_type="zebra")
    refused(folder, "no model type 'zebra'.*newer transformers")


def test_impossible_config(folder):
    edit(folder / "config.json", hidden_size=-3)
    refused(folder, "transformers cannot load")


def test_no_weights(folder):
    (folder / "model.safetensors").unlink()
    refused(folder, "holds no weights")


def test_weights_under_another_name(folder):
    (folder / "model.safetensors").rename(folder / "consolidated.safetensors")
    refused(folder, r"consolidated\.safetensors is there")


def test_no_tokenizer(folder):
    for file in [*folder.glob("tokenizer*"), *folder.glob("chat_template*")]:
        file.unlink()
    refused(folder, "holds no tokenizer.*wb.wrap")


def test_broken_tokenizer(folder):
    (folder / "tokenizer.json").write_text("{")
    refused(folder, "cannot load|broken")


@pytest.mark.parametrize("keep", [0, 5, 200, 0.5, -1])
def test_truncated_weights(folder, keep):
    path = folder / "model.safetensors"
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * keep) if isinstance(keep, float) else keep])
    refused(folder, "truncated")


def test_longer_weights(folder):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes() + b"more")
    refused(folder, "corrupt")


def test_corrupt_header(folder):
    path = folder / "model.safetensors"
    whole = bytearray(path.read_bytes())
    whole[8:40] = b"x" * 32
    path.write_bytes(whole)
    refused(folder, "header .* corrupt")


def test_git_lfs_pointer(folder):
    (folder / "model.safetensors").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    refused(folder, "git lfs pull")


def test_missing_shards(folder):
    (folder / "model.safetensors").unlink()
    make_model("llama").save_pretrained(folder, max_shard_size="40KB")
    shards = sorted(folder.glob("model-*.safetensors"))
    shards[0].unlink()
    refused(folder, rf"lacks 1 of its {len(shards)} weight files: {shards[0].name}")


def test_broken_index(folder):
    (folder / "model.safetensors.index.json").write_text("{}")
    refused(folder, "cannot be read")


def test_tensors_that_are_missing_are_not_made_up(folder):
    edit(folder / "config.json", num_hidden_layers=3)
    refused(folder, r"do not match its config\.json.*layers\.2.*random numbers")


def test_tensors_of_another_shape(folder):
    edit(folder / "config.json", intermediate_size=80)
    refused(folder, "transformers cannot load|do not match")


BERT = {"vocab_size": 320, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48}


@pytest.mark.parametrize("kind", [BertModel, BertForMaskedLM])
def test_encoder(tmp_path, tokenizer, kind):
    kind(BertConfig(**BERT)).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    refused(tmp_path, f"no causal language model \\({kind.__name__}\\)")


def test_encoder_that_calls_itself_a_decoder(tmp_path, tokenizer):
    BertForMaskedLM(BertConfig(**BERT, initializer_range=0.2)).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    edit(tmp_path / "config.json", architectures=["BertLMHeadModel"])
    refused(tmp_path, "depend on later tokens")


def test_sequence_to_sequence(tmp_path, tokenizer):
    config = T5Config(vocab_size=320, d_model=32, d_kv=8, d_ff=48, num_layers=2, num_heads=4)
    T5ForConditionalGeneration(config).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    refused(tmp_path, "no causal language model")


def test_tokenizer_of_another_model(tmp_path):
    save(tmp_path)
    wb.load("demo-small", device="cpu").tokenizer.save_pretrained(tmp_path)
    refused(tmp_path, r"tokens up to id 666, but the model gives 320 logits")
