"""Find the think markers a tokenizer declares: in its vocabulary, or in its chat template."""

from __future__ import annotations

import string
from typing import Any

from workbench.models.marker_families import FAMILIES, Family
from workbench.models.think_markers import ThinkMarkers
from workbench.models.token_text import token_texts

_BLANKS = ("", " ", "\n", "\n\n")
_BEFORE = (*_BLANKS, *string.punctuation, *(mark + "\n" for mark in string.punctuation), "a", "1")
_AFTER = (*_BLANKS, *string.punctuation, "a", "A", "1")


def find_think_markers(tokenizer: Any) -> ThinkMarkers | None:  # noqa: ANN401  -- transformers is untyped
    """The think markers of this tokenizer, or None.

    A family counts when its markers are tokens of the vocabulary, or else when the chat template speaks of both.
    Of several, one that is in both places goes first, then one in the vocabulary, then the order of the table.
    """
    template = template_text(tokenizer)

    def standing(family: Family) -> int:
        named = family.opening in template and family.closing in template
        known = all(len(_encode(tokenizer, text)) == 1 for text in family.tokens or (family.opening, family.closing))
        return 2 * known + named

    best = max(FAMILIES, key=standing)  # the first of equals
    return _markers(tokenizer, best) if standing(best) else None


def template_text(tokenizer: Any) -> str:  # noqa: ANN401
    """The chat template's source, of all its named versions; empty when there is none."""
    template = getattr(tokenizer, "chat_template", None)
    return "\n".join(template.values()) if isinstance(template, dict) else template or ""


def _markers(tokenizer: Any, family: Family) -> ThinkMarkers:  # noqa: ANN401
    opening = _all_variants(tokenizer, (family.opening, *family.also_opening))
    closing = _all_variants(tokenizer, (family.closing, *family.also_closing))
    used = {token_id for ids in (*opening, *closing) for token_id in ids}
    return ThinkMarkers(
        open_ids=opening[0],
        close_ids=closing[0],
        open_text=family.opening,
        close_text=family.closing,
        open_variants=opening[1:],
        close_variants=closing[1:],
        turn_ids=_special_ids(tokenizer) - used,
        generation_ids=_generation_ids(tokenizer),
        implied_open=family.implied_open,
    )


def _special_ids(tokenizer: Any) -> frozenset[int]:  # noqa: ANN401
    added = getattr(tokenizer, "added_tokens_decoder", {})
    return frozenset(tokenizer.all_special_ids) | {token_id for token_id, token in added.items() if token.special}


def _encode(tokenizer: Any, text: str) -> tuple[int, ...]:  # noqa: ANN401
    return tuple(tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])


def _all_variants(tokenizer: Any, texts: tuple[str, ...]) -> tuple[tuple[int, ...], ...]:  # noqa: ANN401
    return tuple(dict.fromkeys(ids for text in texts for ids in _variants(tokenizer, text)))


def _variants(tokenizer: Any, text: str) -> list[tuple[int, ...]]:  # noqa: ANN401
    """The marker alone, then every other way its tokens come out beside blanks, punctuation, letters and digits."""
    alone = _encode(tokenizer, text)
    added = getattr(tokenizer, "added_tokens_decoder", {})
    if len(alone) == 1 or (alone[0] in added and alone[-1] in added):  # nothing merges across an added token's edge
        return [alone]
    contexts = [before + text + after for before in _BEFORE for after in _AFTER]
    encoded = tokenizer(contexts, add_special_tokens=False, verbose=False)["input_ids"]
    distinct = dict.fromkeys(tuple(ids) for ids in encoded)
    return list(dict.fromkeys([alone, *filter(None, (_covering(tokenizer, ids, text) for ids in distinct))]))


def _covering(tokenizer: Any, ids: tuple[int, ...], text: str) -> tuple[int, ...]:  # noqa: ANN401
    """The fewest of these tokens that hold `text` between them; empty where decoding changed it."""
    pieces = token_texts(tokenizer, ids)
    start = "".join(pieces).find(text)
    if start < 0:
        return ()
    kept, position = [], 0
    for token_id, piece in zip(ids, pieces, strict=True):
        if position + len(piece) > start and position < start + len(text):
            kept.append(token_id)
        position += len(piece)
    return tuple(kept)


def _generation_ids(tokenizer: Any) -> tuple[int, ...]:  # noqa: ANN401
    if not template_text(tokenizer):
        return ()
    messages = [{"role": "user", "content": "?"}]
    try:
        with_cue, without = (
            tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=cue) for cue in (True, False)
        )
    except Exception:  # noqa: BLE001  -- a template is somebody's program; one that fails leads no turn
        return ()
    return _encode(tokenizer, with_cue[len(without) :]) if with_cue.startswith(without) else ()
