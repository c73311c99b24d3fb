"""Words inside figures: untrusted token text made harmless and visible, units, thousands."""

from __future__ import annotations

import math
import unicodedata
from typing import Literal

Unit = Literal["nats", "bits"]

LONGEST = 40
"""Characters of a token that a hover label shows."""

_VISIBLE = {" ": "␣", "\n": "⏎", "\r": "␍", "\t": "⇥", "\xa0": "⍽"}
# plotly reads a subset of HTML, entities, and (where a page has MathJax) $…$ in every text it draws
_ESCAPED = str.maketrans({character: f"&#{ord(character)};" for character in "&<>$\"'"})


def safe(text: str) -> str:
    """`text` such that plotly draws exactly its characters and never interprets them as HTML, entities or TeX."""
    return text.translate(_ESCAPED)


def token_label(text: str | None) -> str:
    """A token's text for a hover label: blanks visible, control and direction characters by code point, harmless.

    Longer texts are cut at LONGEST characters and end in an ellipsis.
    """
    if text is None:
        return "(text unknown)"
    if text == "":
        return "(no text)"
    shown = "".join(_visible(character) for character in text[:LONGEST])
    return safe(shown + ("…" if len(text) > LONGEST else ""))


def _visible(character: str) -> str:
    if character in _VISIBLE:
        return _VISIBLE[character]
    # Cc control, Cf format (direction overrides, zero width), Co private, Cs surrogate, Zl/Zp separators
    if unicodedata.category(character) in ("Cc", "Cf", "Co", "Cs", "Zl", "Zp"):
        return f"⟨U+{ord(character):04X}⟩"
    return character


def per_unit(unit: Unit) -> float:
    """What to divide nats by: 1 for nats, ln 2 for bits. Variances take its square.

    Raises:
        ValueError: another unit.
    """
    scales = {"nats": 1.0, "bits": math.log(2)}
    if unit not in scales:
        raise ValueError(f"unit must be 'nats' or 'bits', not {unit!r}.")
    return scales[unit]


def thousands(number: int) -> str:
    """A count with thin spaces between its thousands: 32 000."""
    return f"{number:,}".replace(",", "\u2009")
