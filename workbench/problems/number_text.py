r"""Numbers as people and models write them, read exactly.

Signs (also the typographic minus), thousands commas, decimals, fractions `a/b` and `\frac{a}{b}`, mixed numbers,
percent, `6.02e23`, `6.02 × 10^23` and powers become a `Fraction`; nothing is rounded. A comma separates thousands and
nothing else.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_DIGITS = 4000
"""Longer numbers are not read: Python itself refuses to convert 4,300 digits, and no answer has them."""

_PLAIN = str.maketrans({"−": "-", "﹣": "-", "－": "-", "⁄": "/", "∕": "/", "％": "%", "×": "*", "·": "*"})
_SUPERSCRIPT = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺", "0123456789-+")


def _fraction(found: re.Match[str], text: str) -> str:
    """`text` in the place of the match, set apart from a whole number before it: 2½ is the mixed number 2 1/2."""
    return f" {text}" if found.string[max(found.start() - 1, 0) : found.start()].isdigit() else text


_REWRITES: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], str]], ...] = (
    (
        re.compile(r"[¼-¾⅐-⅞]"),
        lambda found: _fraction(found, unicodedata.normalize("NFKD", found[0]).replace("⁄", "/")),
    ),
    (re.compile(r"(?<=10)[⁺⁻]?[⁰¹²³⁴⁵⁶⁷⁸⁹]+"), lambda found: "^" + found[0].translate(_SUPERSCRIPT)),
    (re.compile(r"\{,\}"), lambda _: ","),
    (re.compile(r"(?<=\d)(?:\\[,!;: ]|[\u00a0\u2009\u202f])(?=\d{3}(?!\d))"), lambda _: ""),
    (re.compile(r"\\(?:times|cdot)(?![a-zA-Z])"), lambda _: "*"),
    (re.compile(r"\\(?:text|mathrm|mbox|textbf|mathbf)\s*\{([^{}]*)\}(?:\^\{?\d+\}?)?"), lambda found: f" {found[1]} "),
    (
        re.compile(r"\\[dtc]?frac\s*\{\s*([^{}]{1,99}?)\s*\}\s*\{\s*([^{}]{1,99}?)\s*\}"),
        lambda found: _fraction(found, f"{found[1]}/{found[2]}"),
    ),
    (re.compile(r"\\[dtc]?frac\s*(\d)\s*(\d)"), lambda found: _fraction(found, f"{found[1]}/{found[2]}")),
    (re.compile(r"\\(?=[$%])"), lambda _: ""),
)

_DIGITS = r"(?:\d{1,3}(?:,\d{3})++(?![\d])|\d++)(?:\.\d++)?|\.\d++"
_NUMBER = re.compile(
    rf"""
    (?<![\w^_])(?<![\^_]\{{)(?<![\^_][-+])(?<![\^_]\{{[-+])  # no x2, cm^2, s^-1
    (?:(?<![)\]}}])(?P<sign>[-+]))?                               # 10-3 ends in 3, not in -3
    [$€£¥₹]?
    (?:
      (?P<whole>\d++)\s{{1,3}}(?P<part>\d++)/(?P<parts>\d++)(?!\.?\d)
      | (?P<top>{_DIGITS})
        (?:
          [eE](?P<exponent>[-+]?\d++)(?!\w)
          | \s?[*x]\s?10\s?(?:\^|\*\*)\s?\{{?(?P<power>[-+]?\d++)\}}?
          | (?:\^|\*\*)\{{?(?P<raised>[-+]?\d++)\}}?
          | \s?/\s?(?P<bottom>{_DIGITS})
        )?
    )
    (?P<percent>\s?(?:%|percent\b))?
    """,
    re.VERBOSE,
)
_UNIT = re.compile(r"(?:\s+[^\W\d_]+)*\s*\.?")


@dataclass(frozen=True)
class Number:
    """A number found in a text."""

    text: str
    value: Fraction | None
    """The exact value, of a percentage the number before the sign; None where it has none."""
    percent: bool = False
    problem: str = ""
    """Why there is no value."""

    def matches(self, other: Number, tolerance: Fraction = Fraction(0)) -> bool:
        """Whether |self - other| <= tolerance. 50% is 50% and, beside a number without the sign, both 50 and 1/2."""
        if self.value is None or other.value is None:
            return False
        differences = [self.value - other.value]
        if self.percent is not other.percent:
            mine, others = (100 if self.percent else 1), (100 if other.percent else 1)
            differences.append(self.value / mine - other.value / others)
        return any(abs(difference) <= tolerance for difference in differences)


def last_number(text: str) -> Number | None:
    """The last number in a text; None where there is none."""
    found = max(_NUMBER.finditer(plain(text)), key=re.Match.start, default=None)
    return None if found is None else _number(found)


def whole_number_text(text: str) -> Number | None:
    """The number a text is, a unit in words behind it allowed; None where it is anything else (`x + 1`)."""
    text = plain(text).strip().strip("$").strip()
    found = _NUMBER.match(text)
    if found is None or not _UNIT.fullmatch(text, found.end()):
        return None
    return _number(found)


def plain(text: str) -> str:
    """The text with typographic signs and LaTeX's ways of writing numbers turned into plain ones."""
    text = text.translate(_PLAIN)
    for pattern, replacement in _REWRITES:
        text = pattern.sub(replacement, text)
    return text


def _number(found: re.Match[str]) -> Number:
    text, sign, percent = found[0].strip(), found["sign"], found["percent"] is not None
    too_long = f"more than {MAX_DIGITS:,} digits"
    if len(text) > MAX_DIGITS:
        return Number(text, None, percent, too_long)
    if found["whole"] is not None and int(found["part"]) >= int(found["parts"]) > 0:
        text, sign = f"{found['part']}/{found['parts']}", None  # no mixed number, but two numbers
    try:
        value = _value(found)
    except ZeroDivisionError:
        return Number(text, None, percent, "a division by zero")
    if value is None:
        return Number(text, None, percent, too_long)
    return Number(text, -value if sign == "-" else value, percent)


def _value(found: re.Match[str]) -> Fraction | None:
    if found["whole"] is not None:
        part = Fraction(int(found["part"]), int(found["parts"]))
        return int(found["whole"]) + part if part < 1 else part
    top = _decimal(found["top"])
    if found["bottom"] is not None:
        return top / _decimal(found["bottom"])
    if found["raised"] is not None:
        exponent = int(found["raised"])
        digits = len(found["top"]) * abs(exponent)
        return top**exponent if digits <= MAX_DIGITS else None
    exponent = int(found["exponent"] or found["power"] or 0)
    return top * Fraction(10) ** exponent if abs(exponent) <= MAX_DIGITS else None


def _decimal(digits: str) -> Fraction:
    whole, _, part = digits.replace(",", "").partition(".")
    return Fraction(int(whole + part), 10 ** len(part))
