"""Settings: ranges, JSON, GenerationConfig, and a step of one's own that takes part by being defined."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import GenerationConfig

import workbench as wb
from tests.samplers.rows import kept_mask, trace_of
from workbench.errors import ParameterError, TraceError
from workbench.kernels.atoms import keep_above, x_of
from workbench.kernels.rules import keeps
from workbench.samplers import DRY, STEPS, Mirostat, Step, Temperature, TopK, TopP
from workbench.samplers.parameters import number
from workbench.samplers.table import markdown

BUILT_IN = sorted(STEPS)


def value_of(parameter):
    """Any value a parameter allows."""
    if parameter.options:
        return st.sampled_from(parameter.options)
    if isinstance(parameter.default, bool):
        return st.booleans()
    low, high = parameter.slider
    if parameter.whole:
        return st.integers(int(max(low, parameter.low)), int(high))
    low, high = max(low, parameter.low), min(high, parameter.high)
    return st.floats(low, high, exclude_min=parameter.open_low and low == parameter.low,
                     exclude_max=parameter.open_high and high == parameter.high)  # fmt: skip


@st.composite
def steps(draw):
    kind = STEPS[draw(st.sampled_from(BUILT_IN))]
    return kind(**{one.name: draw(value_of(one)) for one in kind.parameters()})


@given(chain=st.lists(steps(), max_size=6))
def test_json_round_trip(chain):
    sampler = wb.Sampler.chain(chain)
    assert wb.Sampler.from_json(sampler.to_json()) == sampler
    json.loads(sampler.to_json())


@pytest.mark.parametrize("name", BUILT_IN)
def test_every_parameter_says_what_it_is(name):
    kind = STEPS[name]
    assert kind.title
    assert kind.source
    assert kind.__doc__
    for parameter in kind.parameters():
        assert parameter.help.endswith(".")
        assert getattr(kind(), parameter.name) == parameter.default
        if not parameter.options and not isinstance(parameter.default, bool):
            low, high = parameter.slider
            assert parameter.low <= low < high <= parameter.high
            assert parameter.scale == "linear" or low > 0


@pytest.mark.parametrize("name", BUILT_IN)
def test_values_outside_their_range_are_refused_with_the_range(name):
    for parameter in STEPS[name].parameters():
        for bad in ("x", None, float("nan"), -1e12, 1e12):
            with pytest.raises(ParameterError, match=parameter.name):
                STEPS[name](**{parameter.name: bad})


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: wb.Sampler(top_k=-3), r"top_k=-3.*at least 1"),
        (lambda: wb.Sampler(top_k=2.5), "whole number"),
        (lambda: wb.Sampler(top_p=1.2), r"at most 1"),
        (lambda: wb.Sampler(typical_p=0), "above 0"),
        (lambda: wb.Sampler(repetition_penalty=0.9), "at least 1"),
        (lambda: wb.Sampler.chain([0.9]), "no sampler step"),
        (lambda: wb.Sampler.from_json("{"), "not JSON"),
        (lambda: wb.Sampler.from_json('{"steps": [{"step": "top_q"}]}'), "top_q.*there are"),
        (lambda: wb.Sampler.from_json('{"steps": [{"step": "top_p", "q": 1}]}'), "TopP has no q"),
        (lambda: wb.Sampler.from_json('{"beams": 3}'), "list of steps"),
        (lambda: Mirostat(version="v3"), "none of v2, v1"),
        (lambda: DRY(breakers=("x",)), "breaker_ids"),
    ],
)
def test_errors_name_the_setting_and_the_remedy(call, match):
    with pytest.raises(ParameterError, match=match):
        call()


def test_keywords_make_transformers_order():
    sampler = wb.Sampler(
        top_p=0.9, temperature=0.7, min_p=0.1, top_k=20, typical_p=0.9, top_h=0.4, repetition_penalty=1.1,
        epsilon_cutoff=1e-3, eta_cutoff=1e-3,
    )  # fmt: skip
    assert [step.name for step in sampler.steps] == [
        "repetition_penalty", "temperature", "top_h", "top_k", "top_p", "min_p", "typical_p", "epsilon_cutoff",
        "eta_cutoff",
    ]  # fmt: skip
    assert wb.Sampler().steps == ()
    assert wb.Sampler.from_json('{"temperature": 0.5, "top_k": 0}') == wb.Sampler(temperature=0.5)


def test_a_models_own_settings():
    assert wb.Sampler.from_generation_config(GenerationConfig(do_sample=False, temperature=0.3)).greedy
    config = GenerationConfig(do_sample=True, temperature=0.6, top_k=20, top_p=0.95)
    assert wb.Sampler.from_generation_config(config) == wb.Sampler(temperature=0.6, top_k=20, top_p=0.95)
    assert wb.Sampler.from_generation_config(None) == wb.Sampler()


def test_greedy_and_temperature():
    assert wb.Sampler(temperature=0, top_p=0.9).greedy
    assert not wb.Sampler(temperature=0.1).greedy
    assert wb.Sampler.chain([Temperature(2), TopK(3), Temperature(0.5)]).temperature == 1


def test_top_k_larger_than_the_vocabulary_keeps_all():
    assert kept_mask(np.zeros(5, np.float32), wb.Sampler(top_k=1000)).all()


def test_a_trace_without_sketch_cannot_be_replayed_and_says_why():
    trace = trace_of([1.0, 2.0])
    bare = wb.Trace(trace.tokens)
    with pytest.raises(TraceError, match=r"wb\.record"):
        wb.replay(bare, wb.Sampler(top_p=0.9))
    with pytest.raises(TraceError, match="outside"):
        wb.replay(trace, wb.Sampler(top_k=1)).kept_ids(3)


@keeps
def above_half_the_gap(row, parameters):
    """Everything within a share of the distance between the first two logits of the first."""
    gap = x_of(row, 0) - x_of(row, 1) if row.x.shape[0] > 1 else 0.0
    return keep_above(row, x_of(row, 0) - parameters[0] * gap)


@keeps
def nothing(row, _parameters):
    """A mistake."""
    return row.high, row.low


@pytest.fixture
def own_steps():
    @dataclass(frozen=True)
    class WithinGap(Step):
        """Keep z >= z_1 - r (z_1 - z_2)."""

        name = "within_gap"
        title = "Within the gap"
        source = "tests"
        keeps = above_half_the_gap
        ratio: float = number(2.0, "How many gaps below the best.", low=0, high=100, slider=(0.0, 5.0))

    @dataclass(frozen=True)
    class Nothing(Step):
        """Keeps nothing."""

        name = "nothing"
        title = "Nothing"
        source = "tests"
        keeps = nothing

    yield WithinGap, Nothing
    del STEPS["within_gap"], STEPS["nothing"]


def test_a_step_of_ones_own_replays_decodes_and_travels(own_steps):
    within, _ = own_steps
    row = np.array([5.0, 4.0, 3.5, 2.9, 0.0], np.float32)
    sampler = wb.Sampler.chain([within(2.0), TopP(1.0)])
    assert np.flatnonzero(kept_mask(row, sampler)).tolist() == [0, 1, 2]
    assert wb.Sampler.from_json(sampler.to_json()) == sampler
    model = wb.load("demo-small")
    trace = wb.record(model, "What is 3 plus 4?", sampler=sampler, max_new_tokens=20)
    replay = wb.replay(trace, sampler)
    assert replay.exact.any()
    np.testing.assert_array_equal(trace.tokens["kept"].to_numpy()[replay.exact], replay["kept"][replay.exact])


def test_a_step_that_keeps_nothing_leaves_the_most_likely_token(own_steps):
    _, nothing_left = own_steps
    row = np.array([1.0, 4.0, 2.0], np.float32)
    assert np.flatnonzero(kept_mask(row, wb.Sampler.chain([nothing_left()]))).tolist() == [1]


def test_a_step_without_name_or_rule_is_refused_when_it_is_defined():
    with pytest.raises(TypeError, match="needs a class attribute"):
        type("Nameless", (Step,), {})
    with pytest.raises(TypeError, match="no rule"):
        type("Ruleless", (Step,), {"name": "ruleless", "title": "x", "source": "x"})
    assert "ruleless" not in STEPS


def test_the_catalogue_has_every_parameter_and_the_readme_every_step():
    frame = wb.samplers.catalogue()
    assert set(frame["step"]) == set(BUILT_IN)
    assert len(frame) == sum(len(STEPS[name].parameters()) for name in BUILT_IN)
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    assert markdown() in readme, "python -c 'from workbench.samplers.table import markdown; print(markdown())'"
