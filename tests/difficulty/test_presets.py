"""Presets: the paper's temperatures and budgets, prompts that hold the problem, and arms for a sweep."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.difficulty.labels import LABELS
from workbench.difficulty.presets import INSTRUCTED, PLAIN, PRESETS, Preset, strategies
from workbench.errors import ParameterError


def test_temperatures_and_budgets_are_the_papers():
    for presets in (PRESETS, INSTRUCTED):
        assert tuple(presets) == LABELS
        assert [(preset.temperature, preset.budget) for preset in presets.values()] == [
            (0.5, 0.4),
            (0.8, 1),
            (0.4, 0.5),
        ]


def test_plain_presets_leave_the_prompt_alone_and_instructed_ones_each_add_their_own():
    assert {preset.prompt for preset in PRESETS.values()} == {PLAIN}
    assert len({preset.prompt for preset in INSTRUCTED.values()}) == 3
    assert all(preset.prompt.count(PLAIN) == 1 for preset in INSTRUCTED.values())


@given(st.floats(0.01, 1), st.integers(1, 40_000))
def test_budgets_are_whole_tokens_within_the_maximum(budget, maximum):
    found = Preset(0.5, budget).max_new_tokens(maximum)
    assert 1 <= found <= maximum
    assert abs(found - budget * maximum) <= 1


def test_strategies_are_arms_of_a_sweep():
    found = strategies(128)
    assert list(found) == list(LABELS)
    assert [arm.max_new_tokens for arm in found.values()] == [51, 128, 64]
    assert [arm.sampler.temperature for arm in found.values()] == [0.5, 0.8, 0.4]
    assert strategies(10, {"mine": Preset(0.0, 0.5, "Q: {prompt}")})["mine"].prompt == "Q: {prompt}"


def test_presets_speak_the_engines_words():
    assert PRESETS["hard"].sampler.to_vllm().values["temperature"] == 0.4
    assert PRESETS["easy"].sampler.to_transformers().values["temperature"] == 0.5


def test_presets_are_edited_by_copy_and_written_as_json():
    edited = Preset.from_dict(INSTRUCTED["easy"].to_dict() | {"temperature": 0.7})
    assert (edited.temperature, edited.prompt) == (0.7, INSTRUCTED["easy"].prompt)
    assert PRESETS["easy"].temperature == 0.5
    with pytest.raises(TypeError):
        PRESETS["easy"] = edited


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"temperature": -1}, "temperature"),
        ({"budget": 0}, "budget"),
        ({"budget": 1.5}, "budget"),
        ({"prompt": "Hi"}, "holds"),
    ],
)
def test_presets_out_of_range(wrong, says):
    with pytest.raises(ParameterError, match=says):
        Preset(**wrong)


def test_strategies_need_presets_and_a_budget():
    with pytest.raises(ParameterError, match="at least one preset"):
        strategies(10, {})
    with pytest.raises(ParameterError, match="at least 1"):
        strategies(0)
