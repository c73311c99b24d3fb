"""Cards, sliders and undo: built from what a step says about itself; the page's roundings change nothing."""

import asyncio
from dataclasses import dataclass

import ipywidgets
import numpy as np
import pytest

from widgets.controls import parameter_control as module
from widgets.controls.chain_builder import ChainBuilder
from widgets.controls.history import History
from widgets.controls.parameter_control import ChoiceControl, NumberControl, SwitchControl, parameter_control
from widgets.controls.soon import Soon
from widgets.controls.step_card import AT_FIRST, Link
from workbench.errors import ParameterError
from workbench.kernels.rules import tempers
from workbench.samplers import STEPS, EntropyQuadrants, Mirostat, Temperature, TopH, TopK, TopP
from workbench.samplers.parameters import choice, number, switch
from workbench.samplers.step import Step


@pytest.fixture
def told():
    return []


@pytest.fixture
def chain(told):
    made = ChainBuilder([Link(Temperature(0.8)), Link(TopK(40)), Link(TopP(0.9))], changed=told.append)
    yield made
    made.close()


def control(chain, place, name):
    return chain.cards[place].controls[name]


def test_every_known_step_gets_a_card_with_a_control_for_each_parameter(told):
    chain = ChainBuilder(changed=told.append)
    for name, kind in STEPS.items():
        chain.add.value = name
        card = chain.cards[-1]
        assert card.link == Link(kind())
        assert list(card.controls) == [one.name for one in kind.parameters()]
        for one in kind.parameters():
            made = card.controls[one.name]
            kinds = ChoiceControl if one.options else SwitchControl if isinstance(one.default, bool) else NumberControl
            assert type(made) is kinds
            assert made.value == one.default
            assert one.help in made.children[0].tooltip
            assert one.range_text() in made.children[0].tooltip
    assert chain.add.value == ""
    assert told == [None] * len(STEPS)
    assert [type(step) for step in chain.sampler.steps] == list(STEPS.values())
    chain.close()


def test_sliders_are_of_the_kind_the_parameter_asks_for():
    sliders = {
        (kind, one.name): parameter_control(one, one.default, list).slider
        for kind in STEPS.values()
        for one in kind.parameters()
        if not one.options and not isinstance(one.default, bool)
    }
    assert type(sliders[Temperature, "temperature"]) is ipywidgets.FloatSlider
    assert type(sliders[TopK, "k"]) is ipywidgets.FloatLogSlider
    assert type(sliders[EntropyQuadrants, "clarifier"]) is ipywidgets.IntSlider
    for (kind, name), slider in sliders.items():
        (one,) = (one for one in kind.parameters() if one.name == name)
        ends = np.array([slider.min, slider.max])
        np.testing.assert_allclose(10**ends if one.scale == "log" else ends, one.slider)
        assert slider.continuous_update


def test_a_drag_moves_box_step_and_sampler_and_tells_which_control(chain, told):
    moved = control(chain, 0, "temperature")
    for position in (0.85, 0.95, 1.3000000000000003):
        moved.slider.value = position
    assert moved.box.value == 1.3
    assert chain.sampler.temperature == 1.3
    assert told == [(0, "temperature")] * 3


def test_a_logarithmic_slider_gives_whole_numbers_to_a_whole_parameter(chain):
    k = control(chain, 1, "k")
    k.slider.value = 10**1.22
    assert chain.cards[1].link.step.k == 17
    assert type(chain.cards[1].link.step.k) is int
    cutoff = parameter_control(STEPS["eta_cutoff"].parameters()[0], 6e-4, list)
    cutoff.slider.value = 10**-2.94
    assert cutoff.value == cutoff.box.value == 0.00115


def test_an_exact_number_may_lie_between_the_sliders_steps_or_beyond_its_range(chain):
    k, p = control(chain, 1, "k"), control(chain, 2, "p")
    p.box.value = 0.12345
    assert chain.cards[2].link.step.p == 0.12345
    assert p.slider.value == pytest.approx(0.125)
    k.box.value = 5000
    assert chain.cards[1].link.step.k == 5000
    assert k.slider.value == pytest.approx(200, rel=0.01)  # the last of its steps


def test_the_page_rounding_a_slider_to_its_step_does_not_change_the_number(chain, told):
    # noUiSlider puts a handle on its own grid, whenever it draws it, and the page sends that back as if it were a drag
    p = control(chain, 2, "p")
    p.box.value = 0.12345
    told.clear()
    p.slider.value = 0.12500000000000003
    assert (p.value, p.box.value, told) == (0.12345, 0.12345, [])
    p.slider.value = 0.13  # a step further: somebody's hand
    assert (p.value, p.box.value, told) == (0.13, 0.13, [(2, "p")])
    p.slider.value = 0.125  # and back
    assert p.value == 0.125


def test_a_late_answer_of_the_page_does_not_bring_an_older_position_back(chain, told, monkeypatch):
    p = control(chain, 2, "p")
    p.show(0.5)
    p.show(0.9)
    told.clear()
    p.slider.value = 0.5000000000000001
    assert (p.value, told) == (0.9, [])
    monkeypatch.setattr(module, "_LATE", 0.0)
    p.slider.value = 0.6
    p.slider.value = 0.5  # later it can only be a hand
    assert p.value == 0.5


def test_what_cannot_be_is_said_in_the_card_and_the_step_stays(chain, told):
    card = chain.cards[2]
    card.controls["p"].box.value = 7
    assert "out of range; at least 0 and at most 1" in card.problem.value
    assert 'role="alert"' in card.problem.value
    assert card.problem.layout.display is None
    assert (card.link.step.p, told) == (0.9, [])
    card.controls["p"].box.value = 0.7
    assert card.problem.value == ""
    assert card.link.step.p == 0.7


def test_switched_off_a_step_keeps_its_settings(chain, told):
    card = chain.cards[1]
    card.switch.value = False
    assert [type(step) for step in chain.steps] == [Temperature, TopP]
    card.controls["k"].box.value = 7
    assert told == [None, (1, "k")]
    card.switch.value = True
    assert chain.steps[1] == TopK(7)


def test_order_and_removal(chain, told):
    first, second, third = chain.cards
    assert first.up.disabled
    assert third.down.disabled
    third.up.click()
    assert [type(step) for step in chain.steps] == [Temperature, TopP, TopK]
    assert second.down.disabled
    assert not third.down.disabled
    first.remove.click()
    assert [type(step) for step in chain.steps] == [TopP, TopK]
    assert third.up.disabled
    for card in list(chain.cards):
        card.remove.click()
    assert chain.sampler.steps == ()
    assert "raw distribution" in chain.list.children[0].value
    assert told == [None] * 4


def test_the_same_step_may_come_twice_and_each_card_has_its_own_settings(chain):
    chain.append(TopK(5))
    control(chain, 3, "k").box.value = 3
    assert [step.k for step in chain.steps if isinstance(step, TopK)] == [40, 3]


def test_showing_another_chain_keeps_the_cards_it_can_and_tells_nobody(chain, told):
    before = chain.cards
    chain.show([Link(TopP(0.5)), Link(Temperature(2.0), on=False), Link(Mirostat())])
    assert chain.cards[0] is before[2]
    assert chain.cards[1] is before[0]
    assert before[1].comm is None  # closed
    assert chain.links == (Link(TopP(0.5)), Link(Temperature(2.0), on=False), Link(Mirostat()))
    assert (control(chain, 0, "p").box.value, chain.cards[1].switch.value) == (0.5, False)
    assert told == []


def test_a_sampler_from_elsewhere_leaves_what_is_off_in_its_place(chain):
    chain.cards[1].switch.value = False
    chain.adopt((Temperature(1.5), TopP(0.3)))
    assert chain.links == (Link(Temperature(1.5)), Link(TopK(40), on=False), Link(TopP(0.3)))
    chain.adopt((TopP(0.3),))
    assert chain.links == (Link(TopP(0.3)),)


def test_what_a_step_has_without_a_control_is_kept(told):
    dry = STEPS["dry"](breakers=(3, 4))
    chain = ChainBuilder([Link(dry)], changed=told.append)
    control(chain, 0, "multiplier").box.value = 2
    assert chain.steps[0].breakers == (3, 4)
    chain.close()


def test_many_settings_wait_behind_a_button(told):
    chain = ChainBuilder([Link(EntropyQuadrants())], changed=told.append)
    more, rest = chain.cards[0].children[AT_FIRST + 1], chain.cards[0].children[AT_FIRST + 2]
    count = len(EntropyQuadrants.parameters()) - AT_FIRST
    assert more.description == f"{count} more settings"
    assert len(rest.children) == count
    assert rest.layout.display == "none"
    more.click()
    assert rest.layout.display is None
    chain.close()


@pytest.fixture
def own_step():
    @tempers
    def halve(row, parameters):
        return 2.0

    @dataclass(frozen=True)
    class Mine(Step):
        """A step of somebody's own."""

        name = "mine"
        title = "My <step>"
        source = "nowhere"
        tempers = halve

        strength: float = number(0.5, "How strong.", low=0, high=1, slider=(0.0, 1.0), step=0.1)
        kind: str = choice(("soft", "hard"), "Which one.")
        loud: bool = switch(False, "Whether.")

    yield Mine
    del STEPS["mine"]


def test_a_step_appears_by_being_defined(told, own_step):
    chain = ChainBuilder(changed=told.append)
    assert ("My <step>", "mine") in chain.add.options
    chain.add.value = "mine"
    card = chain.cards[0]
    assert [type(one) for one in card.controls.values()] == [NumberControl, ChoiceControl, SwitchControl]
    card.controls["kind"].dropdown.value = "hard"
    card.controls["loud"].checkbox.value = True
    card.controls["strength"].slider.value = 0.8
    assert chain.steps == (own_step(0.8, "hard", True),)
    assert "A step of somebody's own." in card.switch.tooltip
    chain.close()


def test_choices_and_variants_reach_the_step(told):
    chain = ChainBuilder([Link(TopH())], changed=told.append)
    control(chain, 0, "variant").dropdown.value = "reference"
    assert chain.steps[0].variant == "reference"
    assert told == [(0, "variant")]
    chain.close()


def test_undo_takes_a_whole_drag_back():
    now = [0.0]
    history = History("a", clock=lambda: now[0])
    for state in ("b", "c", "d"):
        now[0] += 0.3
        history.add(state, "slider")
    assert history.undo() == "a"
    assert history.redo() == "d"
    now[0] += 5  # a pause: another drag of the same slider
    history.add("e", "slider")
    history.add("f", "another")
    history.add("g")
    history.add("h")
    assert [history.undo() for _ in range(6)] == ["g", "f", "e", "d", "a", "a"]
    assert not history.can_undo
    history.add("x", "slider")  # what was undone is gone
    assert (history.present, history.can_redo, history.undo()) == ("x", False, "a")


def test_a_drag_after_undo_does_not_overwrite_the_state_it_starts_from():
    history = History("a", clock=lambda: 0.0)
    history.add("b", "slider")
    history.undo()
    history.add("c", "slider")
    history.add("d", "slider")
    assert history.undo() == "a"


def test_many_requests_are_one_piece_of_work_with_the_newest_value():
    done = []
    value = 0

    async def burst():
        nonlocal value
        soon = Soon(lambda: done.append(value))
        for value in range(1, 8):  # noqa: B007  -- the work reads it
            soon.ask()
        assert soon.due
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        soon.ask()
        soon.cancel()
        await asyncio.sleep(0.01)

    asyncio.run(burst())
    assert done == [7]
    Soon(lambda: done.append("at once")).ask()
    assert done == [7, "at once"]


def test_what_waits_can_be_done_before_its_time_and_is_done_once():
    done = []

    async def asked_twice():
        soon = Soon(lambda: done.append("done"), after=0.02)
        soon.do_now()
        assert done == []  # nobody asked
        soon.ask()
        soon.do_now()
        assert (done, soon.due) == (["done"], False)
        await asyncio.sleep(0.04)
        soon.ask()
        await asyncio.sleep(0.04)

    asyncio.run(asked_twice())
    assert done == ["done", "done"]


def test_a_refused_default_is_said_and_not_thrown(told, monkeypatch):
    class Refuses(Temperature):
        name = "refuses"
        title = "Refuses"

        def __post_init__(self):
            raise ParameterError("needs <more>")

    try:
        chain = ChainBuilder(changed=told.append)
        chain.add.value = "refuses"
        assert "needs &lt;more&gt;" in chain.hint.value
        assert chain.hint in chain.list.children
        assert told == []
        chain.close()
    finally:
        del STEPS["refuses"]
