"""The palette of light and dark."""

from __future__ import annotations

from typing import Literal

Theme = Literal["light", "dark"]

# Blue, orange, magenta and green keep apart under the common colour blindnesses (after Okabe and Ito); every mark also
# differs by dash, symbol or pattern. Text and lines have at least 4.5:1 (text) or 3:1 (marks) against the background.
PALETTE: dict[Theme, dict[str, str]] = {
    "light": {
        "background": "#ffffff",
        "ink": "#1f2328",
        "muted": "#59636e",
        "grid": "#e6e9ed",
        "axis": "#8b949e",
        "raw": "#7d92a8",
        "mean": "#1f2328",
        "forking": "#b5327f",
        "high_window": "#00795a",
        "sampled": "#6f4fb3",
        "surprisal": "#8a6a12",
        "interval": "#7d92a8",
        "think": "#0072b2",
        "answer": "#b85c00",
        "marker": "#59636e",
    },
    "dark": {
        "background": "#111111",
        "ink": "#e6e8eb",
        "muted": "#a0a8b2",
        "grid": "#2b2f36",
        "axis": "#6b7480",
        "raw": "#7f93a8",
        "mean": "#f5f7f9",
        "forking": "#f08bc3",
        "high_window": "#3ddbb0",
        "sampled": "#b39bf0",
        "surprisal": "#d9b44a",
        "interval": "#7f93a8",
        "think": "#56b4e9",
        "answer": "#f0a63c",
        "marker": "#a0a8b2",
    },
}

PHASE_COLOURS: dict[Theme, dict[str, str]] = {
    theme: {phase: colours[phase] for phase in ("think", "answer", "marker")} for theme, colours in PALETTE.items()
}
"""Colour of each phase in each theme; the token strip uses the same."""


def faded(colour: str, alpha: float) -> str:
    """`#rrggbb` as an rgba() of that opacity."""
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},{alpha:g})"


def palette(theme: Theme) -> dict[str, str]:
    """The colours of a theme.

    Raises:
        ValueError: a theme other than light and dark.
    """
    if theme not in PALETTE:
        raise ValueError(f"theme must be 'light' or 'dark', not {theme!r}.")
    return PALETTE[theme]
