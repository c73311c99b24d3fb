import shutil
import threading
import time

import huggingface_hub
import pytest
import torch
from huggingface_hub import constants

import workbench as wb
from tests.models.architectures import make_model, save
from tests.models.hub_server import COMMIT, Hub
from tests.models.test_memory import huge
from workbench.errors import ModelError
from workbench.models import estimate

OTHER = "89abcdef0123456789abcdef0123456789abcdef"


def into_cache(cache, folder, name="someone/model", commit=COMMIT, refs=("main",)):
    """Lay a folder out as huggingface_hub does: blobs by content, snapshots of links, refs to commits."""
    home = cache / ("models--" + name.replace("/", "--"))
    for part in ("blobs", "refs", f"snapshots/{commit}"):
        (home / part).mkdir(parents=True, exist_ok=True)
    for at, file in enumerate(sorted(folder.iterdir())):
        blob = home / "blobs" / f"{commit[:8]}{at}"
        shutil.copy(file, blob)
        (home / "snapshots" / commit / file.name).symlink_to(f"../../blobs/{blob.name}")
    for ref in refs:
        (home / "refs" / ref).write_text(commit)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


@pytest.fixture
def offline(monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    huggingface_hub.close_session()
    yield
    huggingface_hub.close_session()


@pytest.fixture
def hub(cache, llama_folder, monkeypatch):
    server = Hub({"someone/model": llama_folder, "someone/gated": "GatedRepo"})
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr(constants, "ENDPOINT", server.address)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_IMPLICIT_TOKEN", True)
    template = constants.HUGGINGFACE_CO_URL_TEMPLATE
    monkeypatch.setattr(
        constants, "HUGGINGFACE_CO_URL_TEMPLATE", server.address + template[template.index("/{repo_id}") :]
    )
    huggingface_hub.close_session()
    yield server
    huggingface_hub.close_session()
    server.shutdown()
    server.server_close()


def same(loaded, **changes):
    ids = torch.arange(10)[None]
    with torch.inference_mode():
        torch.testing.assert_close(loaded.hf(ids).logits, make_model("llama", **changes)(ids).logits)
    return loaded


def test_cached_model_needs_no_network(cache, offline, llama_folder):
    into_cache(cache, llama_folder)
    loaded = same(wb.load("someone/model", device="cpu"))
    assert (loaded.name, loaded.revision) == ("someone/model", COMMIT)
    assert estimate("someone/model", device="cpu").parameters == loaded.parameters


def test_revision_is_a_branch_a_tag_or_a_commit(cache, offline, llama_folder, tmp_path):
    into_cache(cache, llama_folder)
    changed = {"tie_word_embeddings": True}
    into_cache(cache, save(tmp_path / "changed", **changed), commit=OTHER, refs=("v2",))
    for revision, commit in (("main", COMMIT), ("v2", OTHER), (OTHER, OTHER), (COMMIT, COMMIT)):
        assert wb.load("someone/model", device="cpu", revision=revision).revision == commit
    same(wb.load("someone/model", device="cpu", revision="v2"), **changed)
    with pytest.raises(
        ModelError, match=r"revision 'v3' is not complete in the local cache, and HF_HUB_OFFLINE is set"
    ):
        wb.load("someone/model", device="cpu", revision="v3")


def test_old_id_without_owner_is_found_in_the_cache(cache, offline, llama_folder):
    into_cache(cache, llama_folder, name="gpt17")
    same(wb.load("gpt17", device="cpu"))


def test_offline_and_not_in_the_cache(cache, offline):
    with pytest.raises(ModelError, match=r"not complete in the local cache, and HF_HUB_OFFLINE is set\. Connect once"):
        wb.load("someone/model")


def test_weights_missing_from_the_cache_offline(cache, offline, llama_folder, tmp_path):
    part = shutil.copytree(llama_folder, tmp_path / "part")
    (part / "model.safetensors").unlink()
    into_cache(cache, part)
    with pytest.raises(ModelError, match="not complete in the local cache"):
        wb.load("someone/model")


def test_pickled_weights_in_the_cache_are_refused(cache, offline, llama_folder, tmp_path):
    part = shutil.copytree(llama_folder, tmp_path / "part")
    (part / "model.safetensors").unlink()
    torch.save(make_model("llama").state_dict(), part / "pytorch_model.bin")
    into_cache(cache, part)
    with pytest.raises(ModelError, match="pickled weights only"):
        wb.load("someone/model")
    same(wb.load("someone/model", device="cpu", allow_pickle=True))


def test_no_network_is_said_quickly(cache, monkeypatch):
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")  # nobody listens there
    start = time.perf_counter()
    with pytest.raises(ModelError, match=r"the hub cannot be reached .*or load a bundled model"):
        wb.load("someone/model")
    assert time.perf_counter() - start < 15


def test_model_is_downloaded_once(hub, cache):
    loaded = same(wb.load("someone/model", device="cpu", revision="v1"))
    assert loaded.revision == COMMIT
    assert "model.safetensors" in hub.asked
    hub.asked.clear()
    same(wb.load("someone/model", device="cpu"))
    assert hub.asked == []


def test_a_download_can_be_stopped_and_goes_on(hub, cache):
    with pytest.raises(ModelError, match=r"someone/model was stopped\. Load it again"):
        wb.load("someone/model", device="cpu", stop=lambda: "model.safetensors" in hub.asked)
    assert not list(cache.rglob("snapshots/*/model.safetensors"))
    same(wb.load("someone/model", device="cpu", stop=lambda: False))


def test_a_stop_before_the_weights_are_read_is_heard(llama_folder):
    with pytest.raises(ModelError, match="was stopped"):
        wb.load(llama_folder, device="cpu", stop=lambda: True)


def test_estimate_downloads_no_weights(hub):
    assert estimate("someone/model", device="cpu").parameters == make_model("llama").num_parameters()
    assert "model.safetensors" not in hub.asked


def test_sharded_model_is_downloaded(hub, tmp_path, tokenizer):
    make_model("llama").save_pretrained(tmp_path / "sharded", max_shard_size="40KB")
    tokenizer.save_pretrained(tmp_path / "sharded")
    hub.models["someone/sharded"] = tmp_path / "sharded"
    same(wb.load("someone/sharded", device="cpu"))


def test_unused_weight_files_stay_on_the_hub(hub, llama_folder, tmp_path):
    both = shutil.copytree(llama_folder, tmp_path / "both")
    for other in ("consolidated.safetensors", "pytorch_model.bin", "model.gguf"):
        (both / other).write_bytes(b"0" * 100)
    hub.models["someone/both"] = both
    same(wb.load("someone/both", device="cpu"))
    assert not {"consolidated.safetensors", "pytorch_model.bin", "model.gguf"} & set(hub.asked)


def test_pickled_weights_are_refused_before_they_are_downloaded(hub, llama_folder, tmp_path):
    part = shutil.copytree(llama_folder, tmp_path / "part")
    (part / "model.safetensors").unlink()
    torch.save(make_model("llama").state_dict(), part / "pytorch_model.bin")
    hub.models["someone/pickled"] = part
    with pytest.raises(ModelError, match="pickled weights only"):
        wb.load("someone/pickled")
    assert "pytorch_model.bin" not in hub.asked
    same(wb.load("someone/pickled", device="cpu", allow_pickle=True))


def test_model_too_large_is_refused_before_it_is_downloaded(hub, tmp_path, monkeypatch):
    folder = huge(tmp_path / "huge")
    whole = folder / "model.safetensors"
    with whole.open("rb") as file:
        start = file.read(200)
    whole.write_bytes(start)  # the hub need not hold it: only its header is asked for
    hub.models["someone/huge"] = folder
    with pytest.raises(ModelError, match=r"needs about 4400\.0 GB"):
        wb.load("someone/huge", device="cpu")
    assert "model.safetensors" not in hub.asked


@pytest.mark.parametrize(
    ("name", "revision", "words"),
    [
        ("someone/gated", None, "gated: ask for access on https://huggingface.co/someone/gated"),
        ("someone/else", None, "no model 'someone/else'"),
        ("someone/model", "v9", "no revision 'v9'"),
        ("some--one/model", None, "no model"),
    ],
)
def test_what_the_hub_refuses(hub, name, revision, words):
    with pytest.raises(ModelError, match=words):
        wb.load(name, revision=revision)


def test_downloaded_model_outlives_the_hub(hub, monkeypatch):
    wb.load("someone/model", device="cpu")
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    same(wb.load("someone/model", device="cpu"))
