"""The settings: published defaults, ranges, JSON."""

import json
import math

import pytest

from workbench.errors import ParameterError
from workbench.samplers.reflective import Reflective


def test_defaults_are_the_published_values():
    settings = Reflective()
    assert (settings.window, settings.k, settings.steps, settings.rate, settings.weight) == (25, 4.0, 3, 0.01, 0.05)
    assert (settings.cross_entropy, settings.threshold_rule, settings.entropy_of) == ("sum", "paper", "raw")


def test_the_reference_differs_in_its_rules_alone():
    paper, reference = Reflective().to_dict(), Reflective.reference().to_dict()
    differing = {name for name in paper if paper[name] != reference[name]}
    assert differing == {"cross_entropy", "threshold_rule", "entropy_of"}
    assert reference["optimizer"] == "adamw"


@pytest.mark.parametrize("settings", [Reflective(), Reflective.reference(), Reflective(k=math.inf, max_corrections=0)])
def test_settings_survive_json(settings):
    assert Reflective.from_dict(json.loads(json.dumps(settings.to_dict()))) == settings


def test_every_field_makes_a_control():
    for parameter in Reflective.parameters():
        assert parameter.help
        assert parameter.options or parameter.slider[0] < parameter.slider[1]
        if parameter.scale == "log":
            assert parameter.slider[0] > 0


@pytest.mark.parametrize(
    "wrong",
    [
        {"window": 1}, {"window": 2.5}, {"k": -1}, {"steps": -1}, {"rate": -0.1}, {"weight": 1.2}, {"weight": math.nan},
        {"max_corrections": math.inf}, {"cross_entropy": "median"}, {"threshold_rule": "code"}, {"optimizer": "sgd"},
    ],
    ids=str,
)  # fmt: skip
def test_values_out_of_range_are_named(wrong):
    with pytest.raises(ParameterError, match=next(iter(wrong))):
        Reflective(**wrong)
