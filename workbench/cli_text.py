"""Text from models and files on a terminal: shown, never obeyed."""

from __future__ import annotations

import unicodedata

# Marks that turn the direction of what follows (Unicode, UAX 9, sections 2.1 to 2.6), with which a text can lie.
_DIRECTIONS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def neutral(text: str) -> str:
    r"""`text` with what a terminal would obey made visible: \x1b for escape and so on; newlines and tabs stay.

    Covered are the control characters (C0, delete, C1, the latter also as 8-bit escape sequences) and the marks of
    direction. A lone surrogate, which no terminal can be sent, becomes a visible escape as well.
    """
    return "".join(_visible(c) if _obeyed(c) else c for c in text)


def _obeyed(character: str) -> bool:
    return character not in "\n\t" and (
        unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") or character in _DIRECTIONS
    )


def _visible(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"
