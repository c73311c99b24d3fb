import pytest

from tests.widgets.figures.figure_cases import make_tokens


@pytest.fixture
def tokens():
    return make_tokens()


@pytest.fixture
def many_tokens():
    return make_tokens(32_000, 25_000)
