"""What each imported token adds to the text: characters spread over several tokens put together through their bytes."""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workbench.traces.imports.entries import Entry

_BROKEN = "\ufffd"
_BLANKS = re.compile(r"\s*")


@dataclass(frozen=True)
class Joined:
    """The texts of a sequence's tokens."""

    texts: tuple[str, ...]
    note: str | None = None
    spelled: bool = True
    """False where the server gave ids only, so that the texts are placeholders."""


def utf8_texts(pieces: Sequence[bytes]) -> list[str]:
    """What each piece adds to the UTF-8 text of all pieces; joined, the texts are exactly that text.

    A character goes to the piece that completes it, the pieces before it get "". Bytes that form no character become
    U+FFFD, at the end of the text with the last piece.
    """
    utf8 = codecs.getincrementaldecoder("utf-8")("replace")
    texts = [utf8.decode(piece) for piece in pieces]
    if texts:
        texts[-1] += utf8.decode(b"", final=True)
    return texts


def join(entries: Sequence[Entry], full: str | None) -> Joined:
    """The texts of `entries`, checked against the `full` text a server gave beside them."""
    unknown = sum(entry.text is None for entry in entries)
    if unknown:
        shown = tuple(f"⟨{entry.token_id}⟩" if entry.text is None else entry.text for entry in entries)
        note = (
            f"{unknown} tokens came as ids only and are shown as ⟨id⟩. Give token_texts=model.token_texts, or ask the "
            "server for text (SGLang: return_text_in_logprobs; vLLM: without return_tokens_as_token_ids)."
        )
        return Joined(shown, note, spelled=False)
    spelled = [entry.text or "" for entry in entries]
    texts = utf8_texts([text.encode() if e.raw is None else e.raw for e, text in zip(entries, spelled, strict=True)])
    together = "".join(texts)
    # Servers leave a closing special token out of the text, so the tokens may say more than the text, never less.
    if not full or together.startswith(full):
        return Joined(tuple(texts))
    aligned = align(spelled, full)
    if aligned is not None:
        return Joined(tuple(aligned))
    note = "The tokens do not join to the text the server gave, which it stripped or parsed; the text here is theirs."
    return Joined(tuple(texts), note)


def align(pieces: Sequence[str], full: str) -> list[str] | None:
    """Spread `full` over pieces spelled lossily: U+FFFD for parts of a character, leading blanks dropped.

    What stands in `full` where pieces hold U+FFFD goes to the last of them. None where the pieces do not fit.
    """
    texts: list[str] = []
    at = 0
    broken: int | None = None  # the last piece with U+FFFD whose end is not known yet
    for index, piece in enumerate(pieces):
        texts.append("")
        if _BROKEN in piece:
            begin = piece[: piece.index(_BROKEN)]
            if broken is None and full.startswith(begin, at):
                texts[index] = begin
                at += len(begin)
            broken = index
        elif piece:
            start = _after_blanks(full, at, piece) if broken is None else full.find(piece, at + 1)
            if start < 0:
                return None
            texts[index if broken is None else broken] += full[at:start]
            texts[index] += piece
            at, broken = start + len(piece), None
    if broken is not None:
        texts[broken] += full[at:]
        at = len(full)
    return texts if at == len(full) else None


def _after_blanks(full: str, at: int, piece: str) -> int:
    """Where `piece` starts when only blanks may come before it; -1 where it does not."""
    if full.startswith(piece, at):
        return at
    blanks = _BLANKS.match(full, at)
    start = at if blanks is None else blanks.end()
    return start if full.startswith(piece, start) else -1
