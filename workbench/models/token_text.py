"""What each token adds to the text, also where a character's bytes are spread over several tokens."""

from __future__ import annotations

import codecs
import re
from itertools import groupby
from typing import TYPE_CHECKING, Any

from tokenizers import decoders

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_BYTE_TOKEN = re.compile(r"<0x([0-9A-Fa-f]{2})>")
_BROKEN = "\ufffd"


def token_texts(tokenizer: Any, ids: Sequence[int]) -> list[str]:  # noqa: ANN401  -- transformers is untyped
    """What each token adds, so that the texts joined are the tokenizer's decoding of `ids`.

    A character goes to the token that completes it, the tokens before it get "". Special tokens are shown and no
    spaces are cleaned up. The time grows linearly with the number of tokens.
    """
    ids = [int(i) for i in ids]
    stream = TextStream(tokenizer)
    texts = [stream.add(token_id) for token_id in ids]
    if not texts:
        return []
    texts[-1] += stream.flush()
    if "".join(texts) == decode(tokenizer, ids):
        return texts
    # Byte tokens that form no valid text change how their whole run decodes, after the stream has shown its beginning.
    return _texts_by_runs(tokenizer, ids)


def decode(tokenizer: Any, ids: Sequence[int]) -> str:  # noqa: ANN401
    """The tokenizer's decoding with special tokens shown and spaces as they are."""
    return str(tokenizer.decode(list(ids), skip_special_tokens=False, clean_up_tokenization_spaces=False))


class TextStream:
    """Token texts one at a time, for streaming: `add` gives what the token adds, `flush` what is left at the end.

    Joined, they are the tokenizer's decoding of all tokens. The one exception is a tokenizer with byte tokens
    (`<0xE2>`) whose bytes turn out to form no valid text after a part of them was shown.
    """

    def __init__(self, tokenizer: Any) -> None:  # noqa: ANN401
        backend = getattr(tokenizer, "backend_tokenizer", None)
        is_bytes = isinstance(getattr(backend, "decoder", None), decoders.ByteLevel)
        self._way: _ByteLevel | _Window = _ByteLevel(tokenizer) if is_bytes else _Window(tokenizer)

    def add(self, token_id: int) -> str:
        """What this token adds to the text; "" while a character is incomplete."""
        return self._way.add(int(token_id))

    def flush(self) -> str:
        """What incomplete bytes at the end of the text are shown as."""
        return self._way.flush()


class _ByteLevel:
    """Byte-level vocabularies: every token is a string of bytes, and UTF-8 is decoded as they come."""

    def __init__(self, tokenizer: Any) -> None:  # noqa: ANN401
        self._tokenizer = tokenizer
        self._bytes: dict[int, bytes] = {}
        self._utf8 = codecs.getincrementaldecoder("utf-8")("replace")

    def add(self, token_id: int) -> str:
        if token_id not in self._bytes:
            self._bytes[token_id] = _token_bytes(self._tokenizer.convert_ids_to_tokens(token_id))
        return self._utf8.decode(self._bytes[token_id])

    def flush(self) -> str:
        return self._utf8.decode(b"", final=True)


class _Window:
    """Any other tokenizer: decode the last few tokens with and without the new one; the difference is its text."""

    def __init__(self, tokenizer: Any) -> None:  # noqa: ANN401
        self._tokenizer = tokenizer
        self._context: list[int] = []
        self._pending: list[int] = []
        self._shown = ""

    def add(self, token_id: int) -> str:
        return self.extend([token_id])

    def extend(self, ids: Iterable[int], *, final: bool = False) -> str:
        self._pending.extend(ids)
        text = decode(self._tokenizer, self._context + self._pending)
        if text.endswith(_BROKEN) and not final:
            return ""
        added = text[len(self._shown) :]
        # The context keeps decoders that treat the first token differently from doing so in mid-text.
        self._context, self._pending = self._pending, []
        self._shown = decode(self._tokenizer, self._context)
        return added

    def flush(self) -> str:
        return self.extend([], final=True) if self._pending else ""


def _texts_by_runs(tokenizer: Any, ids: Sequence[int]) -> list[str]:  # noqa: ANN401
    """Token texts where each run of byte tokens is decoded as a whole."""
    tokens = tokenizer.convert_ids_to_tokens(list(ids))
    window = _Window(tokenizer)
    texts: list[str] = []
    for is_run, places in groupby(range(len(ids)), key=lambda at: _BYTE_TOKEN.fullmatch(tokens[at] or "") is not None):
        run = list(places)
        if is_run:
            added = window.extend((ids[at] for at in run), final=True)
            texts += _spread(added, bytes(int(tokens[at][3:5], 16) for at in run))
        else:
            texts += [window.extend([ids[at]], final=True) for at in run]
    return texts


def _spread(text: str, raw: bytes) -> list[str]:
    """Give a run's text to its byte tokens: a character to the byte that completes it."""
    if len(text) == len(raw):  # ASCII, or one replacement mark for each byte
        return list(text)
    utf8 = codecs.getincrementaldecoder("utf-8")("replace")
    pieces = [utf8.decode(raw[at : at + 1]) for at in range(len(raw))]
    return pieces if "".join(pieces) == text else [""] * (len(raw) - 1) + [text]


def _byte_of_character() -> dict[str, int]:
    """The stand-ins byte-level vocabularies write bytes in: printable Latin-1 as it is, the others from 256 up.

    Source: openai/gpt-2, src/encoder.py, bytes_to_unicode.
    """
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in set(printable)]
    return {chr(byte): byte for byte in printable} | {chr(256 + at): byte for at, byte in enumerate(others)}


_BYTES = _byte_of_character()


def _token_bytes(token: str | None) -> bytes:
    """A token's bytes; one with any character outside the stand-ins (an added token) is its own text."""
    if token is None:  # an id the model has and the tokenizer does not
        return b""
    if all(character in _BYTES for character in token):
        return bytes(_BYTES[character] for character in token)
    return token.encode()
