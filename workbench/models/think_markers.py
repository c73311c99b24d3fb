"""Which tokens are thinking, which are the answer, and which are the markers between them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

THINK, ANSWER, MARKER = "think", "answer", "marker"

_Ending = tuple[tuple[int, ...], bool]
"""A marker's tokens, and whether it opens."""


@dataclass(frozen=True)
class ThinkMarkers:
    """The pair of markers a tokenizer puts around thinking. Either may be several tokens long.

    The rules of labelling:

    * A marker's tokens are "marker"; between an opening and a closing one they are "think"; all others are "answer".
    * Thinking that is never closed stays "think"; a second block is "think" again.
    * A prompt that ends inside an open block starts in "think". Only the turn being written counts: what earlier turns
      hold, a user's own typed markers included, does not.
    * A closing marker that nothing opened, in the text or by the prompt, means that the model began in thought without
      saying so (models whose template opens the block, continued elsewhere): all before it is "think". Families that
      always announce their phases (`implied_open` False) leave it "answer".
    """

    open_ids: tuple[int, ...]
    close_ids: tuple[int, ...]
    open_text: str
    close_text: str
    open_variants: tuple[tuple[int, ...], ...] = ()
    """Other token sequences that open: a marker of several tokens may merge with its neighbours."""
    close_variants: tuple[tuple[int, ...], ...] = ()
    """Other token sequences that close."""
    turn_ids: frozenset[int] = frozenset()
    """Tokens that bound a turn of the conversation; an open block in a prompt does not outlive them."""
    generation_ids: tuple[int, ...] = ()
    """What the chat template puts at the end of a prompt to have the model answer."""
    implied_open: bool = True

    @cached_property
    def endings(self) -> dict[int, tuple[_Ending, ...]]:
        """The markers by their last token, longest first."""
        markers = [(ids, True) for ids in (self.open_ids, *self.open_variants)]
        markers += [(ids, False) for ids in (self.close_ids, *self.close_variants)]
        by_last: dict[int, list[_Ending]] = {}
        for ids, opens in dict.fromkeys(markers):
            by_last.setdefault(ids[-1], []).append((ids, opens))
        return {last: tuple(sorted(found, key=lambda f: -len(f[0]))) for last, found in by_last.items()}

    def match(self, ids: Sequence[int]) -> _Ending | None:
        """The longest marker that `ids` end with."""
        for marker, opens in self.endings.get(ids[-1], ()):
            if len(marker) <= len(ids) and tuple(ids[-len(marker) :]) == marker:
                return marker, opens
        return None

    def labeller(self, prompt_ids: Iterable[int] = ()) -> Labeller:
        """A labeller that takes one token after the other, for streaming."""
        return Labeller(self, prompt_ids)

    def phases(self, ids: Iterable[int], prompt_ids: Iterable[int] = ()) -> list[str]:
        """The phase of every token of `ids`: "think", "answer" or "marker"."""
        labeller = self.labeller(prompt_ids)
        for token_id in ids:
            labeller.add(token_id)
        return labeller.phases

    def after_prompt(self, prompt_ids: Iterable[int]) -> tuple[bool, bool]:
        """Whether the text after this prompt begins in thought, and whether its own turn opened a block at all."""
        prompt = tuple(int(i) for i in prompt_ids)
        cue = self.generation_ids
        if cue and prompt[-len(cue) :] == cue:
            prompt = cue  # all that comes before it is other people's turns
        thinking = opened = False
        for end, token_id in enumerate(prompt, start=1):
            found = self.match(prompt[:end][-self._longest :])
            if found is not None:
                thinking = found[1]
                opened = opened or found[1]
            elif token_id in self.turn_ids:
                thinking = opened = False
        return thinking, opened

    @cached_property
    def _longest(self) -> int:
        return max(len(ids) for found in self.endings.values() for ids, _ in found)


class Labeller:
    """Labels a growing text. `phases` holds the labels so far, corrected where a later token said more.

    A marker of several tokens is recognised on its last one: `add` has then called the earlier ones by the phase they
    stood in, `phases` calls them markers. The same goes for thinking that only its closing marker gives away.
    """

    def __init__(self, markers: ThinkMarkers, prompt_ids: Iterable[int] = ()) -> None:
        self._markers = markers
        self._recent: list[int] = []
        self._thinking, self._opened = markers.after_prompt(prompt_ids)
        self.phases: list[str] = []

    def add(self, token_id: int) -> str:
        """The phase of the next token, as far as can be said now."""
        self._recent.append(int(token_id))
        self.phases.append(THINK if self._thinking else ANSWER)
        found = self._markers.match(self._recent)
        if found is not None:
            self._turn(*found)
        if len(self._recent) > self._markers._longest:  # noqa: SLF001  -- the two classes are one subject
            del self._recent[0]
        return self.phases[-1]

    def _turn(self, marker: tuple[int, ...], opens: bool) -> None:  # noqa: FBT001  -- part of the match
        start = len(self.phases) - len(marker)
        if not opens and not self._opened and self._markers.implied_open:
            self.phases[:start] = [MARKER if phase == MARKER else THINK for phase in self.phases[:start]]
        self.phases[start:] = [MARKER] * len(marker)
        self._thinking = opens
        self._opened = True
