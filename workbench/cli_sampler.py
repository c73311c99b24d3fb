"""A sampler in the words of the command line."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from workbench.errors import ParameterError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from workbench.samplers import Sampler

WRITTEN = "write temperature=0.7,top_p=0.9, or JSON such as '{\"temperature\": 0.7}'"


def sampler_from_options(text: str | None, named: Mapping[str, float | None]) -> Sampler | None:
    """The sampler of `--sampler` or of options such as `--top-p`; None where neither was given.

    Args:
        text: what `--sampler` was given: `temperature=0.7,top_p=0.9`, or JSON as it stands in a trace's meta.
        named: GenerationConfig's name of a setting -> its option's value, None where it was not given.

    Raises:
        ParameterError: both were given, the text cannot be read, or a setting is unknown or out of range.
    """
    given = {name: value for name, value in named.items() if value is not None}
    if text is None and not given:
        return None
    from workbench.samplers import Sampler  # noqa: PLC0415  -- --help should not wait for it

    if text is None:
        return Sampler.from_dict(given)
    if given:
        options = ", ".join(f"--{name.replace('_', '-')}" for name in given)
        raise ParameterError(f"--sampler says everything about the sampler, so {options} cannot be there as well.")
    try:
        return Sampler.from_dict(_settings(text))
    except (TypeError, AttributeError) as problem:  # the right names around things of the wrong kind
        raise ParameterError(f"--sampler {text!r}: {problem}. {WRITTEN.capitalize()}.") from problem


def _settings(text: str) -> Any:  # noqa: ANN401  -- JSON of any kind, which from_dict looks at
    try:
        if text.lstrip().startswith("{"):
            return json.loads(text)
        pairs = [part.split("=", 1) for part in text.split(",") if part.strip()]
        return {name.strip(): json.loads(value) for name, value in pairs}
    except ValueError as problem:
        raise ParameterError(f"--sampler {text!r} cannot be read ({problem}): {WRITTEN}.") from problem
