import pytest

from tests.models.architectures import byte_level_tokenizer, save


@pytest.fixture(scope="session")
def tokenizer():
    return byte_level_tokenizer()


@pytest.fixture(scope="session")
def llama_folder(tmp_path_factory):
    """Only read; tests that break something copy it."""
    return save(tmp_path_factory.mktemp("models") / "llama")
