"""What every format is read into: tokens as a server reported them, before they become a trace."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from workbench.errors import TraceError

Kind = Literal["raw", "sampled"]

STAND_IN = -9999.0
"""What servers write for "very unlikely" (OpenAI: outside the top 20) or for -inf, which JSON lacks (vLLM)."""


@dataclass(frozen=True)
class Alternative:
    """One token a server listed for a position."""

    token_id: int | None
    text: str
    logprob: float
    """Nats; -inf for a probability of zero or the server's stand-in."""


@dataclass(frozen=True)
class Entry:
    """One realised token as a server reported it."""

    text: str | None
    """The server's spelling; None where it gave an id only."""
    raw: bytes | None = None
    """The token's bytes, where they are known beyond its spelling."""
    token_id: int | None = None
    logprob: float | None = None
    """Nats; -inf for the server's stand-in, None where there is none (the first token of a prompt)."""
    alternatives: tuple[Alternative, ...] = ()
    """In the server's order."""
    rank: int | None = None
    """From 0, where the server itself says."""


@dataclass(frozen=True)
class Reading:
    """How a server's log-probabilities are to be read."""

    engine: str | None
    kind: Kind
    certainty: str
    """documented, engine default, assumed, or asked for."""
    note: str


@dataclass(frozen=True)
class Imported:
    """One sequence of a document."""

    format: str
    reading: Reading
    entries: tuple[Entry, ...]
    prompt_entries: tuple[Entry, ...] = ()
    """Prompt tokens with log-probabilities; always raw, nothing of a prompt is drawn."""
    text: str | None = None
    """The generated text as the server gave it."""
    prompt: str = ""
    prompt_ids: tuple[int, ...] = ()
    model: str | None = None
    finish: str | None = None
    keyed_by_text: bool = False
    """Whether alternatives came as a text -> value table, in which tokens spelled alike are one."""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Spelling:
    """A token's text, bytes and id, as far as its spelling gives them away."""

    text: str | None
    raw: bytes | None
    token_id: int | None


_TOKEN_ID = re.compile(r"token_id:(\d+)")
_ESCAPED = re.compile(r"bytes?:((?: ?\\x[0-9a-fA-F]{2})+)")
_BYTE_TOKEN = re.compile(r"<0x([0-9A-Fa-f]{2})>")


def spelling(token: str, raw: Sequence[int] | None = None, token_id: int | None = None) -> Spelling:
    r"""Read a token as spelled: text, `token_id:123` (vLLM), `bytes:\xf0\x9f` (OpenAI), `byte: \xf0`, `<0xF0>`."""
    token = clean(token)
    given = None if raw is None else bytes(raw)
    named = _TOKEN_ID.fullmatch(token)
    if named:
        # vLLM fills `bytes` with the real token's bytes for the realised token, with those of "token_id:…" for others.
        real = None if given in (None, token.encode()) else given
        return Spelling(None if real is None else real.decode(errors="replace"), real, int(named[1]))
    if given is None:
        given = _escaped_bytes(token)
    return Spelling(token, given, token_id)


def _escaped_bytes(token: str) -> bytes | None:
    if not token.startswith(("byte", "<0x")):
        return None
    byte = _BYTE_TOKEN.fullmatch(token)
    if byte:
        return bytes.fromhex(byte[1])
    escaped = _ESCAPED.fullmatch(token)
    if not escaped:
        return None
    # OpenAI writes a leading space of the token itself before the first escape; llama.cpp always one after "byte:".
    blank = b" " if token.startswith("bytes: ") else b""
    return blank + bytes.fromhex(escaped[1].replace("\\x", "").replace(" ", ""))


def clean(text: str) -> str:
    """The text with lone surrogates, which JSON can hold and UTF-8 cannot, replaced by U+FFFD."""
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def logprob_of(value: Any, where: str) -> float | None:  # noqa: ANN401  -- whatever the JSON holds
    """A log-probability in nats: at most 0, -inf for stand-ins, None for null.

    Raises:
        TraceError: NaN, a number above 0, or no number.
    """
    if value is None:
        return None
    number = _number(value, where)
    if number > 1e-3:
        raise TraceError(
            f"{where}: {number:.6g} is no log-probability, which is never above 0. Logits or probabilities cannot be "
            "read; ask the server for log-probabilities."
        )
    return -math.inf if number <= STAND_IN else min(number, 0.0)


def logprob_of_prob(value: Any, where: str) -> float | None:  # noqa: ANN401  -- whatever the JSON holds
    """The logarithm of a probability; None for null.

    Raises:
        TraceError: NaN, outside 0 to 1, or no number.
    """
    if value is None:
        return None
    number = _number(value, where)
    if not 0.0 <= number <= 1.001:
        raise TraceError(f"{where}: {number:.6g} is no probability, which lies from 0 to 1.")
    return math.log(min(number, 1.0)) if number > 0.0 else -math.inf


def _number(value: Any, where: str) -> float:  # noqa: ANN401
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        raise TraceError(f"{where}: expected a number, found {value!r:.60}.") from None
    if math.isnan(number):
        raise TraceError(
            f"{where}: found {value!r} where a log-probability belongs. NaN comes from broken logits (often float16 "
            "overflow): run the engine in bfloat16 or float32 and record again."
        )
    return number


def mapping(value: Any, where: str) -> Mapping[str, Any]:  # noqa: ANN401
    """`value`, known to be a JSON object.

    Raises:
        TraceError: it is something else.
    """
    if not isinstance(value, Mapping):
        raise TraceError(f"{where}: expected an object, found {_shown(value)}.")
    return value


def rows(value: Any, where: str) -> Sequence[Any]:  # noqa: ANN401
    """`value`, known to be a JSON array.

    Raises:
        TraceError: it is something else.
    """
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise TraceError(f"{where}: expected a list, found {_shown(value)}.")
    return value


def same_length(counts: Mapping[str, int], where: str) -> None:
    """Check that lists which run side by side are equally long.

    Raises:
        TraceError: they are not; all lengths are named.
    """
    if len(set(counts.values())) > 1:
        listed = ", ".join(f"{name} has {count}" for name, count in counts.items())
        raise TraceError(
            f"{where}: lists that run side by side differ in length: {listed}. The document was cut or edited."
        )


def _shown(value: Any) -> str:  # noqa: ANN401
    return "null" if value is None else f"{type(value).__name__} {value!r:.60}"
