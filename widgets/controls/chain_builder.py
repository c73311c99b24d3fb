"""A sampler as cards that can be added, removed, moved and switched off."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from html import escape
from typing import TYPE_CHECKING

import ipywidgets

from widgets.controls.closing import close_tree
from widgets.controls.step_card import Link, StepCard
from workbench.errors import ParameterError
from workbench.samplers import STEPS, Sampler

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Sequence

    from workbench.samplers import Step

_HINT = "Nothing between the model and the draw: the raw distribution. Add a step, or take a preset."


class ChainBuilder(ipywidgets.VBox):
    """The steps of a sampler in the order in which they act, every known kind on offer.

    Args:
        links: the steps to begin with.
        changed: called after every change a user makes; its argument names the control where one was moved, so that a
            drag can be told from separate changes, and is None for steps added, removed, moved or switched.
    """

    def __init__(self, links: Iterable[Link] = (), *, changed: Callable[[Hashable], None]) -> None:
        self._changed = changed
        self.cards: tuple[StepCard, ...] = ()
        self.add = ipywidgets.Dropdown(
            tooltip="Append a step to the chain; steps act from top to bottom", layout={"width": "100%"}
        )
        self.add.observe(lambda change: self._add(change["new"]), "value")
        self.hint = ipywidgets.HTML(_HINT)
        self.list = ipywidgets.VBox()
        self.list.add_class("workbench-chain")
        super().__init__([self.add, self.list])
        self.show(links)

    @property
    def links(self) -> tuple[Link, ...]:
        """All steps, also those switched off."""
        return tuple(card.link for card in self.cards)

    @property
    def steps(self) -> tuple[Step, ...]:
        """The steps that act, in order."""
        return tuple(link.step for link in self.links if link.on)

    @property
    def sampler(self) -> Sampler:
        """The sampler of the steps that act."""
        return Sampler.chain(self.steps)

    def show(self, links: Iterable[Link]) -> None:
        """Show another chain without telling anybody; cards of the same kind stay and take on the new settings."""
        spare: dict[type[Step], list[StepCard]] = defaultdict(list)
        for card in self.cards:
            spare[type(card.link.step)].append(card)
        self._arrange([self._card(link, spare[type(link.step)]) for link in links])
        for cards in spare.values():
            for card in cards:
                close_tree(card)

    def adopt(self, steps: Sequence[Step]) -> None:
        """Show a sampler from elsewhere without telling anybody; steps switched off stay where its kinds are these."""
        acting = [type(link.step) for link in self.links if link.on]
        if acting == [type(step) for step in steps]:
            given = iter(steps)
            self.show([replace(link, step=next(given)) if link.on else link for link in self.links])
        else:
            self.show([Link(step) for step in steps])

    def append(self, step: Step) -> None:
        """Add a step at the end, as the list of steps does."""
        self._arrange([*self.cards, self._card(Link(step), [])])
        self._changed(None)

    def refresh(self) -> None:
        """Offer the kinds of steps known by now, those defined since among them."""
        offered = [("+ add a step …", ""), *((kind.title, name) for name, kind in STEPS.items())]
        if list(self.add.options) != offered:
            self.add.options = offered
            self.add.index = 0

    def _card(self, link: Link, spare: list[StepCard]) -> StepCard:
        if not spare:
            return StepCard(link, changed=self._card_changed, moved=self._moved)
        card = spare.pop(0)
        card.show(link)
        return card

    def _arrange(self, cards: list[StepCard]) -> None:
        self.cards = tuple(cards)
        self.list.children = self.cards or (self.hint,)
        for place, card in enumerate(cards):
            card.place(first=place == 0, last=place == len(cards) - 1)
        self.refresh()

    def _add(self, name: str) -> None:
        if not name:
            return
        self.add.index = 0
        try:
            self.append(STEPS[name]())
        except (TypeError, ParameterError) as problem:  # a step somebody defined may need an argument
            self.hint.value = (
                f'<span role="alert">⚠ {escape(f"{STEPS[name].title} cannot be added from here: {problem}")}</span>'
            )
            self.list.children = (*self.cards, self.hint)

    def _card_changed(self, card: StepCard, name: str | None) -> None:
        self._changed(None if name is None else (self.cards.index(card), name))

    def _moved(self, card: StepCard, by: int) -> None:
        cards = list(self.cards)
        place = cards.index(card)
        cards.remove(card)
        if by:
            cards.insert(place + by, card)
        self._arrange(cards)
        if not by:
            close_tree(card)
        self._changed(None)

    def close(self) -> None:
        """Close all cards."""
        for part in (*self.cards, *self.children):
            part.close()
        close_tree(self.hint)  # it is in the list while there are no cards only
        super().close()
