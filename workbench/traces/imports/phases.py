"""Think and answer told apart by text, for traces whose token ids or tokenizer are not known."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal

from workbench.errors import ParameterError
from workbench.models.marker_families import FAMILIES, Family

if TYPE_CHECKING:
    from collections.abc import Sequence

Markers = tuple[str, str] | Literal[False] | None


def family_of(text: str, prompt: str, think_markers: Markers) -> Family | None:
    """The markers that divide `text`: those given, or the known family that plainly does.

    Without being told, a family counts only if the text (blanks aside) or the open end of the prompt starts with its
    opening marker, or if its closing marker stands in the text unopened: an answer that merely mentions `<think>` is
    no thought.

    Raises:
        ParameterError: a marker is empty.
    """
    if think_markers is False:
        return None
    if think_markers is not None:
        if len(think_markers) != 2 or not all(think_markers):
            raise ParameterError(
                'think_markers are two texts, ("<think>", "</think>"); False means that there are none.'
            )
        return Family(*think_markers)
    return next((family for family in FAMILIES if _divides(family, text, prompt)), None)


def _divides(family: Family, text: str, prompt: str) -> bool:
    openings, closings = (family.opening, *family.also_opening), (family.closing, *family.also_closing)
    if text.lstrip().startswith(openings) or prompt.rstrip().endswith(openings):
        return True
    first = min((text.find(mark) for mark in closings if mark in text), default=-1)
    return family.implied_open and first >= 0 and not any(mark in text[:first] for mark in openings)


def phases(texts: Sequence[str], prompt: str = "", think_markers: Markers = None) -> list[str]:
    """The phase of every token: "marker" if any of it belongs to a marker, else that of its first character.

    The rules are those of `workbench.models.ThinkMarkers`, on characters: thought that is never closed stays "think",
    and a closing marker that nothing opened makes all before it "think". A token that adds no text is in the phase of
    the character it is a part of.
    """
    text = "".join(texts)
    family = family_of(text, prompt, think_markers)
    if family is None:
        return ["answer"] * len(texts)
    of_character, at_end = _characters(text, prompt, family)
    labels: list[str] = []
    at = 0
    for piece in texts:
        inside = of_character[at : at + max(1, len(piece))]
        labels.append("marker" if "marker" in inside else inside[0] if inside else at_end)
        at += len(piece)
    return labels


def _characters(text: str, prompt: str, family: Family) -> tuple[list[str], str]:
    """The phase of every character, and of one that would follow."""
    openings = {family.opening, *family.also_opening}
    marks = sorted(openings | {family.closing, *family.also_closing}, key=len, reverse=True)
    thinking = opened = prompt.rstrip().endswith(tuple(openings))
    labels: list[str] = []
    for found in re.finditer("|".join(re.escape(mark) for mark in marks), text):
        labels += ["think" if thinking else "answer"] * (found.start() - len(labels))
        opens = found[0] in openings
        if not opens and not opened and family.implied_open:
            labels = ["marker" if label == "marker" else "think" for label in labels]
        labels += ["marker"] * len(found[0])
        thinking, opened = opens, True
    now = "think" if thinking else "answer"
    return labels + [now] * (len(text) - len(labels)), now
