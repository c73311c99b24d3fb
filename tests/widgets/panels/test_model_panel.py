"""The model panel without a browser: estimates, loading, Stop, failures, Verify, Unload, two models together."""

import asyncio
import gc
import shutil
import threading
import weakref
from dataclasses import replace

import huggingface_hub
import pytest
from huggingface_hub import constants

import workbench as wb
from tests.models.architectures import save
from tests.models.hub_server import COMMIT, Hub
from tests.models.test_memory import huge
from widgets import ModelPanel, Session
from widgets.controls.remembered import recall, remembered
from widgets.panels import model_slot
from widgets.panels.model_form import OTHER, ModelRequest
from widgets.panels.model_slot import FAILED, LOADING, NOTHING, READY
from widgets.panels.model_words import count_words, pair_words, ready_words, size_words, verification_words
from workbench.models import Check, Verification


@pytest.fixture(scope="module")
def small():
    return wb.load("demo-small")


@pytest.fixture(scope="module")
def llama(tmp_path_factory):
    return save(tmp_path_factory.mktemp("models") / "<i>llama<")


@pytest.fixture
def panel():
    made = ModelPanel(source="demo-small", second_source="demo-small")
    assert made.wait()
    yield made
    made.close()
    made.wait()


@pytest.fixture
def hub(llama, tmp_path, monkeypatch):
    server = Hub({"someone/model": llama})
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "ENDPOINT", server.address)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_IMPLICIT_TOKEN", True)
    template = constants.HUGGINGFACE_CO_URL_TEMPLATE
    here = server.address + template[template.index("/{repo_id}") :]
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", here)
    huggingface_hub.close_session()
    yield server
    huggingface_hub.close_session()
    server.shutdown()
    server.server_close()


def ask(slot, source, **settings):
    slot.form.request = ModelRequest(str(source), **settings)
    assert slot.estimate.wait()


def load(slot, source="demo-small"):
    ask(slot, source)
    slot.start()
    assert slot.wait()


def test_before_anything_is_loaded_it_says_what_that_would_take(panel):
    slot = panel.first
    assert slot.state == NOTHING
    assert "nothing loaded" in slot.status.value
    assert slot.stop.disabled
    assert slot.verify.disabled
    assert slot.unload.disabled
    said = wb.models.estimate("demo-small")
    assert count_words(said.parameters) in slot.estimate.value
    assert f"<b>{size_words(said.needed)}</b>" in slot.estimate.value
    assert "on disk" in slot.estimate.value
    assert "✓ fits" in slot.estimate.value


def test_a_loaded_model_is_the_sessions_and_its_facts_are_said(panel):
    load(panel.first)
    model = panel.session.model
    assert panel.first.state == READY
    assert panel.session.second_model is None
    for fact in ("demo-small", f"{model.parameters:,}", "3 layers × 4 heads", "vocabulary 667", "context 2,048",
                 "float32 on cpu", "&lt;think&gt;", "chat template"):  # fmt: skip
        assert fact in panel.first.status.value
    assert len(wb.record(model, "What is 1 plus 1?", max_new_tokens=2)) == 2


def test_settings_reach_the_load(panel):
    slot = panel.first
    ask(slot, "demo-small", dtype="bfloat16")
    assert slot.form.dtype.value == "bfloat16"
    assert "in bfloat16 on cpu" in slot.estimate.value
    slot.start()
    assert slot.wait()
    assert panel.session.model.dtype == "bfloat16"
    ask(slot, "demo-small", revision="main")
    assert "goes with hub ids only" in slot.estimate.value
    whole = ModelRequest("demo", device="cpu", dtype="float16", revision="v1", quantization="8bit")
    slot.form.request = whole
    assert slot.form.request == whole
    slot.form.request = ModelRequest()
    assert slot.form.quantization.value == "none"  # not an empty menu
    assert slot.form.request == ModelRequest()


def test_the_form_holds_a_name_of_ones_own_and_folds_settings_away(panel, llama):
    form = panel.first.form
    assert form.text.layout.display == "none"
    assert form.settings.layout.display == "none"
    form.more.value = True
    assert form.settings.layout.display is None
    form.menu.value = OTHER
    assert form.text.layout.display is None
    assert panel.first.load.disabled
    panel.first.start()
    assert panel.first.state == NOTHING
    form.text.value = f" {llama} "
    assert panel.first.estimate.wait()
    assert form.request == ModelRequest(str(llama))
    assert not panel.first.load.disabled
    assert "parameters" in panel.first.estimate.value


def test_stop_returns_to_the_state_before_and_a_late_result_is_thrown_away(panel, small):
    panel.session.model = small
    with model_slot._TURN:  # the load cannot get further than its beginning
        panel.first.start()
        assert panel.first.state == LOADING
        assert panel.first.load.disabled
        assert "loading" in panel.first.status.value
        assert "The model before stays" in panel.first.status.value
        panel.first.halt()
        assert panel.first.state == READY
        assert not panel.first.load.disabled
    assert panel.first.wait()
    assert panel.session.model is small
    assert "loading" not in panel.first.status.value


def test_a_load_that_ends_after_stop_was_pressed_changes_nothing(small):
    async def story():
        panel = ModelPanel(source="demo-small")
        panel.first.start()
        panel.first._load_job.wait()  # it has ended, and its result waits for the loop
        panel.first.halt()
        await asyncio.sleep(0.05)
        assert panel.session.model is None
        panel.first.start()
        while panel.first.state == LOADING:
            await asyncio.sleep(0.02)
        made = panel.session.model
        panel.close()
        return made

    assert asyncio.run(story()).name == "demo-small"


def test_the_newest_of_several_loads_wins(panel, llama):
    with model_slot._TURN:
        for source in (llama, "demo", "demo-small"):
            ask(panel.first, source)
            panel.first.start()
    assert panel.first.wait()
    for thread in threading.enumerate():  # the stopped ones end, too
        if thread.name == "workbench-job":
            thread.join(30)
    assert panel.session.model.name == "demo-small"
    assert panel.first.state == READY


def test_both_slots_may_load_at_once(panel):
    panel.first.start()
    panel.second.start()
    assert panel.wait()
    assert panel.session.model.parameters == panel.session.second_model.parameters
    assert panel.session.model is not panel.session.second_model


def test_a_failed_load_says_why_and_leaves_the_model_before_usable(panel, small, llama, tmp_path):
    broken = tmp_path / "<img src=x>"
    shutil.copytree(llama, broken)
    (broken / "model.safetensors").write_bytes(b"short")
    panel.session.model = small
    load(panel.first, broken)
    assert panel.first.state == FAILED
    assert "truncated" in panel.first.status.value
    assert "Download or copy it again" in panel.first.status.value
    assert "&lt;img src=x&gt;" in panel.first.status.value
    assert "<img" not in panel.first.status.value + panel.first.estimate.value
    assert panel.session.model is small
    assert "The model before stays" in panel.first.status.value
    assert len(wb.record(small, "What is 1 plus 1?", max_new_tokens=2)) == 2
    load(panel.first)
    assert panel.first.state == READY


def test_what_does_not_fit_is_said_before_and_refused(panel, small, tmp_path):
    panel.session.model = small
    load(panel.first, huge(tmp_path / "huge"))
    assert "are free" in panel.first.estimate.value
    assert "Unload demo-small first" in panel.first.estimate.value
    assert panel.first.state == FAILED
    assert panel.session.model is small


def test_unload_frees_the_model(panel):
    load(panel.first)
    gone = weakref.ref(panel.session.model.hf)
    panel.first.check()
    panel.first.drop()
    assert panel.wait()
    gc.collect()
    assert gone() is None
    assert panel.first.state == NOTHING
    assert panel.first.unload.disabled
    assert panel.first.report.value == ""  # the check of a model that is gone by now


def test_loading_another_frees_the_one_before(panel):
    load(panel.first)
    gone = weakref.ref(panel.session.model.hf)
    load(panel.first)
    panel.wait()
    gc.collect()
    assert gone() is None


def test_verify_shows_a_row_a_check(panel, small):
    panel.session.model = small
    panel.first.check()
    assert panel.first.wait()
    for check in small.verify().checks:
        assert check.name in panel.first.report.value
    assert panel.first.report.value.count("✓ ok") == 3
    assert not panel.first.verify.disabled
    panel.session.model = None
    assert panel.first.report.value == ""


def test_what_differs_is_marked_and_escaped():
    found = verification_words(Verification("m", (Check("last <layer>", "differs", 2.0, 1.0, "<script>"),)))
    assert "✗ differs" in found
    assert "last &lt;layer&gt;" in found
    assert "<script>" not in found
    assert "wrong for this model" in found


def test_one_vocabulary_or_two(panel, small, llama):
    panel.session.model = panel.session.second_model = small
    assert panel.wait()
    assert "share one vocabulary" in panel.pair.value
    load(panel.second, llama)
    assert panel.wait()
    assert "different vocabularies" in panel.pair.value
    assert "taking turns" in panel.pair.value
    assert "<i>" not in panel.pair.value + panel.second.status.value
    panel.second.drop()
    assert panel.wait()
    assert panel.pair.value == ""
    assert pair_words(small, None) == ""


def test_a_model_without_tokenizer_shows_its_facts(small):
    bare = wb.wrap(small.hf)
    assert "no think markers" in ready_words(bare)
    assert "no chat template" in ready_words(bare)
    assert "no limit of context" in ready_words(replace(bare, context=None))


def test_a_model_on_the_hub_is_measured_downloaded_and_shown(panel, hub):
    slot = panel.first
    ask(slot, "someone/model")
    weights = hub.models["someone/model"] / "model.safetensors"
    assert "to download" in slot.estimate.value
    assert hub.asked.count("model.safetensors") == 0
    assert 0.9 * weights.stat().st_size < slot.estimate.fit.weights <= weights.stat().st_size
    slot.start()
    assert slot.wait()
    assert slot.state == READY
    assert panel.session.model.revision == COMMIT
    assert COMMIT[:12] in slot.status.value
    assert "on disk" in slot.estimate.value
    ask(slot, "someone/unknown")
    assert "The hub has no model" in slot.estimate.value


def test_a_download_says_how_far_it_is(panel, hub, tmp_path):
    slot = panel.first
    ask(slot, "someone/model")
    with model_slot._TURN:
        slot.start()
        blobs = tmp_path / "hub" / "models--someone--model" / "blobs"
        (blobs / "part.incomplete").write_bytes(b"\0" * (slot.estimate.fit.weights // 2))
        slot._waits = False
        slot._tick()
        assert "downloaded" in slot.status.value
        assert slot.progress.value == pytest.approx(500, abs=2)
        slot.halt()
    assert slot.progress.layout.display == "none"
    (blobs / "part.incomplete").unlink()


def test_models_from_elsewhere_are_shown_and_a_closed_panel_lets_go(small):
    session = Session(model=small)
    panel = ModelPanel(session)
    assert panel.first.state == READY
    panel.wait()
    gone = weakref.ref(panel)
    panel.close()
    session.model = None
    session.model = small
    assert session.model is small
    del panel
    gc.collect()
    assert gone() is None


def test_the_forms_are_remembered_and_a_load_keeps_the_panel_open(panel, llama):
    chosen = ModelRequest(str(llama), dtype="bfloat16", revision="v1")
    panel.first.form.request = chosen
    again = ModelPanel(panel.session)
    recall(again.kept(), remembered(panel.kept()))
    assert again.first.form.request == chosen
    assert again.second.form.request == panel.second.form.request
    assert not again.busy
    with model_slot._TURN:
        again.second.start()
        assert again.busy
        again.second.halt()
        assert not again.busy
    again.close()
    assert again.wait()


def test_closing_in_mid_load_leaves_the_session_alone(small):
    session = Session()
    panel = ModelPanel(session, source="demo-small")
    with model_slot._TURN:
        panel.first.start()
        panel.close()
    assert panel.wait()
    assert session.model is None


@pytest.mark.parametrize(("amount", "words"), [(12, "12 bytes"), (4_100, "4.1 kB"), (3e6, "3.0 MB"), (2.6e9, "2.6 GB")])
def test_sizes(amount, words):
    assert size_words(amount) == words


@pytest.mark.parametrize(("count", "words"), [(12, "12"), (4_100, "4.1 k"), (3e6, "3.0 M"), (7.6e9, "7.6 B")])
def test_counts(count, words):
    assert count_words(count) == words
