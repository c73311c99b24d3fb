r"""Where the answer stands in a text: after the thinking, in a `\boxed{}`, behind `####`."""

from __future__ import annotations

import re
from dataclasses import dataclass

_BRACES = re.compile(r"(?P<box>\\+(?:boxed|fbox)\s*\{)|(?P<open>\{)|(?P<close>\})|\\.", re.DOTALL)
_BARE_BOX = re.compile(r"\\+(?:boxed|fbox)\s+(?P<content>[^\s{}$.,;]+)")
_BOX = re.compile(r"\\+(?:boxed|fbox)\s*\{")
_HASHES = re.compile(r"####[ \t]*(?P<content>[^\n]*)\s*\Z")
_SHOWN = 80


@dataclass(frozen=True)
class Answer:
    """The part of a text in which the answer is looked for."""

    text: str | None
    """What follows the thinking, stripped; None where there is nothing to look in."""
    missing: str = ""
    """Why there is nothing."""


def after_thinking(text: str, think_close: str | None, *, unfinished: bool | None = None) -> Answer:
    """What follows the last closing think marker; the whole text where nothing was thought.

    Args:
        text: what the model generated.
        think_close: the closing marker; None for a model that has none.
        unfinished: whether the model was still thinking at the end, for callers who know (the phases of a trace). None
            judges by the text: the marker without its slash (`<think>`) stands there, and no closing one after it.
            That cannot be seen where the prompt opened the thinking.
    """
    if unfinished:
        return Answer(None, "the thinking is unfinished")
    if not think_close:
        rest, thought = text, False
    else:
        _, marker, rest = text.rpartition(think_close)
        thought = bool(marker)
        opening = think_close.replace("/", "", 1)
        if unfinished is None and opening != think_close and opening in rest:
            return Answer(None, "the thinking is unfinished")
    rest = rest.strip()
    if rest:
        return Answer(rest)
    return Answer(None, "nothing after the thinking" if thought else "the text is empty")


def marked(text: str) -> str | None:
    r"""The content of the last `\boxed{}` or of a closing `####` line, whichever comes last; None without either.

    Braces may nest. Of nested boxes the inner one counts, and of `####` the last line alone, since a model may well
    head its paragraphs with it in Markdown. (MATH: hendrycks/math, modeling/dataset/util.py, `last_boxed_only_string`;
    GSM8K: openai/grade-school-math, grade_school_math/dataset.py, `extract_answer`.)
    """
    box = _last_box(text)
    hashes = _HASHES.search(text, max(text.rfind("####"), 0))
    if hashes and (box is None or hashes.start() > box[0]):
        return hashes["content"].strip()
    return None if box is None else box[1].strip()


def never_closed(text: str) -> bool:
    r"""Whether a `\boxed{` stands there and none is closed: an answer cut short."""
    return _BOX.search(text) is not None and _last_box(text) is None


def same_spacing(text: str) -> str:
    """The text with every run of blanks as one space, and none at the ends."""
    return " ".join(text.split())


def shown(text: str) -> str:
    """The text short enough for a sentence."""
    text = same_spacing(text[: 4 * _SHOWN])
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


def _last_box(text: str) -> tuple[int, str] | None:
    """(where its content begins, the content) of the closed box that is opened last; one pass, whatever the nesting."""
    last: tuple[int, int] | None = None
    opened: list[tuple[bool, int]] = []
    for token in _BRACES.finditer(text):
        if token.lastgroup in ("box", "open"):
            opened.append((token.lastgroup == "box", token.end()))
        elif token.lastgroup == "close" and opened:
            is_box, start = opened.pop()
            if is_box and (last is None or start > last[0]):
                last = start, token.start()
    bare = max(_BARE_BOX.finditer(text), key=re.Match.start, default=None)
    if bare is not None and (last is None or bare.start() > last[0]):
        return bare.start("content"), bare["content"]
    return None if last is None else (last[0], text[last[0] : last[1]])
