"""Parameters that describe themselves: range, scale, unit, help. Validation, sliders and tables follow from them."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field, fields
from numbers import Integral, Real
from typing import Any, Literal, Self

from workbench.errors import ParameterError

Scale = Literal["linear", "log"]


@dataclass(frozen=True)
class Parameter:
    """What is known about one field of a settings class."""

    name: str
    default: Any
    help: str
    """One line; the slider's tooltip."""
    low: float = -math.inf
    """Smallest value allowed."""
    high: float = math.inf
    """Largest value allowed."""
    slider: tuple[float, float] = (0.0, 1.0)
    """From where to where a slider goes."""
    step: float = 0.01
    """A slider's step; on a log scale a share of a decade."""
    scale: Scale = "linear"
    unit: str = ""
    whole: bool = False
    """Whole numbers only."""
    open_low: bool = False
    """Whether `low` itself is excluded."""
    open_high: bool = False
    """Whether `high` itself is excluded."""
    options: tuple[str, ...] = ()
    """The values of a choice; empty for numbers."""

    def checked(self, value: Any, owner: str) -> Any:  # noqa: ANN401  -- a number or a word
        """`value` as the field's own type.

        Raises:
            ParameterError: not of the kind, or out of range; the range and the meaning are in the text.
        """
        if self.options:
            if value not in self.options:
                raise ParameterError(f"{owner}: {self.name}={value!r} is none of {', '.join(self.options)}.")
            return value
        if isinstance(self.default, bool):
            if not isinstance(value, bool):
                raise ParameterError(f"{owner}: {self.name}={value!r} is neither True nor False.")
            return value
        number = _number(value)
        if number is None or (self.whole and math.isfinite(number) and number != int(number)):
            kind = "a whole number" if self.whole else "a number"
            raise ParameterError(f"{owner}: {self.name}={value!r} is not {kind}.")
        below = number <= self.low if self.open_low else number < self.low
        above = number >= self.high if self.open_high else number > self.high
        if below or above or (self.whole and not math.isfinite(number)):
            raise ParameterError(f"{owner}: {self.name}={value} is out of range; {self.range_text()}. {self.help}")
        return int(number) if self.whole else number

    def range_text(self) -> str:
        """The allowed range in words."""
        if self.options:
            return "one of " + ", ".join(self.options)
        low = f"{'above' if self.open_low else 'at least'} {self.low:g}" if math.isfinite(self.low) else ""
        high = f"{'below' if self.open_high else 'at most'} {self.high:g}" if math.isfinite(self.high) else ""
        unit = f" {self.unit}" if self.unit else ""
        return (" and ".join(part for part in (low, high) if part) or "any number") + unit


def number(
    default: float,
    help_: str,
    *,
    slider: tuple[float, float],
    low: float = -math.inf,
    high: float = math.inf,
    step: float = 0.01,
    scale: Scale = "linear",
    unit: str = "",
    open_low: bool = False,
    open_high: bool = False,
) -> Any:  # noqa: ANN401  -- stands for the field's value, as dataclasses.field does
    """A field for a number; whole where the default is an int."""
    whole = isinstance(default, int) and not isinstance(default, bool)
    about = {
        "help": help_, "low": low, "high": high, "slider": slider, "step": step, "scale": scale, "unit": unit,
        "whole": whole, "open_low": open_low, "open_high": open_high,
    }  # fmt: skip
    return field(default=default, metadata=about)


def choice(options: tuple[str, ...], help_: str, default: str | None = None) -> Any:  # noqa: ANN401  -- as above
    """A field for one of several words; the first where no default is given."""
    return field(default=default or options[0], metadata={"help": help_, "options": options})


def switch(default: bool, help_: str) -> Any:  # noqa: ANN401, FBT001  -- as above
    """A field that is on or off."""
    return field(default=default, metadata={"help": help_})


@dataclass(frozen=True)
class Settings:
    """Base of frozen dataclasses whose fields are made by `number`, `choice` and `switch`; checked when made."""

    def __post_init__(self) -> None:
        for parameter in self.parameters():
            value = parameter.checked(getattr(self, parameter.name), type(self).__name__)
            object.__setattr__(self, parameter.name, value)

    @classmethod
    def parameters(cls) -> tuple[Parameter, ...]:
        """What is known about each field, in order; fields without a line of help are left out."""
        described = (one for one in fields(cls) if "help" in one.metadata)
        return tuple(Parameter(one.name, one.default, **one.metadata) for one in described)

    def to_dict(self) -> dict[str, Any]:
        """The fields by name, JSON-able."""
        return asdict(self)

    @classmethod
    def from_dict(cls, given: dict[str, Any]) -> Self:
        """The settings `to_dict` gave; fields left out take their defaults.

        Raises:
            ParameterError: a field this class does not have, or a value out of range.
        """
        known = [one.name for one in fields(cls)]
        unknown = [name for name in given if name not in known]
        if unknown:
            raise ParameterError(f"{cls.__name__} has no {', '.join(unknown)}; its settings are {', '.join(known)}.")
        return cls(**given)


def _number(value: Any) -> float | None:  # noqa: ANN401  -- whatever a user gave
    if isinstance(value, bool) or not isinstance(value, (Real, Integral)) or math.isnan(value):
        return None
    return float(value)
