"""Multi-step arithmetic in plain English: the problems and the worked reasoning the demo models learn from.

A problem is a start value and a chain of operations; its difficulty is the length of the chain. The chain is told as
a little story, as a recipe or as a question, and reasoned through step by step in varied sentences that sometimes
check themselves and sometimes correct a slip. Held-out problems are set apart by a hash of the chain itself, so no
wording of a held-out problem is ever trained on.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from random import Random

LEVELS = range(1, 13)
HELD_OUT_SHARE = 16  # one chain in this many belongs to the evaluation problems


@dataclass(frozen=True)
class Scale:
    """How large the numbers of a level may get."""

    operand: int
    value: int
    factor: int


def scale_of(level: int) -> Scale:
    """Operands, intermediate values and factors grow every three levels."""
    return (Scale(20, 99, 3), Scale(50, 199, 5), Scale(200, 999, 9), Scale(999, 9999, 29))[(level - 1) // 3]


@dataclass(frozen=True)
class Step:
    """One operation with its operand; `halve` carries the operand 2."""

    kind: str  # add | subtract | multiply | halve
    operand: int

    def apply(self, value: int) -> int:
        """The value after this step."""
        match self.kind:
            case "add":
                return value + self.operand
            case "subtract":
                return value - self.operand
            case "multiply":
                return value * self.operand
            case _:
                return value // self.operand


@dataclass(frozen=True)
class Problem:
    """A start value and the steps taken from it."""

    start: int
    steps: tuple[Step, ...]

    @property
    def difficulty(self) -> int:
        """Number of steps."""
        return len(self.steps)

    @property
    def values(self) -> tuple[int, ...]:
        """The start value and the value after every step, `difficulty + 1` numbers."""
        values = [self.start]
        for step in self.steps:
            values.append(step.apply(values[-1]))
        return tuple(values)

    @property
    def answer(self) -> int:
        """The value after the last step."""
        return self.values[-1]

    @property
    def key(self) -> str:
        """The chain in one line; the same for every wording of it."""
        return f"{self.start}" + "".join(f" {step.kind} {step.operand}" for step in self.steps)

    @property
    def held_out(self) -> bool:
        """Whether the chain belongs to the evaluation problems and must never be trained on."""
        digest = hashlib.blake2b(self.key.encode(), digest_size=8).digest()
        return int.from_bytes(digest, "big") % HELD_OUT_SHARE == 0


def draw(rng: Random, level: int, *, held_out: bool) -> Problem:
    """Draw a problem of `level` steps from the training side or the held-out side of the hash."""
    while True:
        problem = _chain(rng, level)
        if problem.held_out is held_out:
            return problem


def _chain(rng: Random, level: int) -> Problem:
    scale = scale_of(level)
    start = value = rng.randint(2, scale.operand)
    steps: list[Step] = []
    while len(steps) < level:
        kind = rng.choices(("add", "subtract", "multiply", "halve"), (4, 4, 2, 1))[0]
        operand = {"multiply": rng.randint(2, scale.factor), "halve": 2}.get(kind, rng.randint(2, scale.operand))
        after = Step(kind, operand).apply(value)
        if not 1 <= after <= scale.value or (kind == "halve" and value % 2):
            continue
        steps.append(Step(kind, operand))
        value = after
    return Problem(start, tuple(steps))


# --- telling a problem --------------------------------------------------------------------------------------------

NAMES = (
    ("Mia", "She"), ("Omar", "He"), ("Lena", "She"), ("Kofi", "He"), ("Priya", "She"), ("Jonas", "He"),
    ("Aiko", "She"), ("Mateo", "He"), ("Zara", "She"), ("Felix", "He"), ("Nadia", "She"), ("Tom", "He"),
)  # fmt: skip
THINGS = (
    "apples", "stamps", "marbles", "books", "coins", "shells", "cards", "buttons",
    "pencils", "stickers", "beads", "seeds", "bottles", "eggs", "tickets", "stones",
)  # fmt: skip
STORY = {
    "add": ("{who} buys {n} more.", "{who} finds {n} more.", "{who} gets {n} as a gift.", "Then {n} more arrive.",
            "A friend brings {n}.", "{who} wins {n}."),
    "subtract": ("{who} gives away {n}.", "{who} loses {n}.", "{who} sells {n}.", "Then {n} get lost.",
                 "A friend takes {n}.", "{who} uses up {n}."),
    "multiply": ("The number grows to {n} times as many.", "{who} ends up with {n} times as many.",
                 "Then there are {n} times as many."),
    "halve": ("{who} sells half of them.", "Half of them get lost.", "{who} gives half of them to a friend."),
}  # fmt: skip
RECIPE = {
    "add": ("Add {n}.", "Now add {n}.", "Increase it by {n}."),
    "subtract": ("Subtract {n}.", "Take away {n}.", "Decrease it by {n}."),
    "multiply": ("Multiply by {n}.", "Multiply it by {n}.", "Take {n} times that."),
    "halve": ("Halve it.", "Divide by 2.", "Take half of that."),
}
QUESTION = {
    "add": ("plus {n}",),
    "subtract": ("minus {n}",),
    "multiply": ("times {n}",),
    "halve": ("divided by 2", "halved"),
}


def tell(problem: Problem, rng: Random) -> str:
    """The problem as a prompt in English; `rng` picks the wording."""
    kind = rng.choice(("story", "recipe", "question"))
    if kind == "story":
        return _tell_story(problem, rng)
    if kind == "recipe":
        opening = rng.choice(("Start with {n}.", "Take the number {n}.", "Begin with {n}.", "Think of {n}."))
        closing = rng.choice(("What is the result?", "What do you get?", "What number is it now?"))
        parts = [rng.choice(RECIPE[step.kind]).format(n=step.operand) for step in problem.steps]
        return " ".join((opening.format(n=problem.start), *parts, closing))
    words = [rng.choice(QUESTION[step.kind]).format(n=step.operand) for step in problem.steps]
    return f"{rng.choice(('What is', 'Compute', 'Calculate'))} {problem.start} " + ", then ".join(words) + "?"


def _tell_story(problem: Problem, rng: Random) -> str:
    (name, pronoun), thing = rng.choice(NAMES), rng.choice(THINGS)
    opening = rng.choice(("{name} has {n} {thing}.", "{name} starts with {n} {thing}.", "There are {n} {thing}."))
    sentences = [opening.format(name=name, n=problem.start, thing=thing)]
    if opening.startswith("There"):
        sentences.append(f"They belong to {name}.")
    for step in problem.steps:
        who = rng.choice((name, pronoun))
        sentences.append(rng.choice(STORY[step.kind]).format(who=who, n=step.operand))
    closing = rng.choice(("How many {thing} are there now?", "How many {thing} does {name} have now?",
                          "How many {thing} are left?"))  # fmt: skip
    return " ".join((*sentences, closing.format(name=name, thing=thing)))


# --- reasoning it through -----------------------------------------------------------------------------------------

SIGN = {"add": "+", "subtract": "-", "multiply": "*", "halve": "/"}
SPOKEN = {
    "add": ("{a} plus {b} is {c}.", "Adding {b} to {a} gives {c}.", "{b} more than {a} is {c}."),
    "subtract": ("{a} minus {b} is {c}.", "Taking {b} from {a} leaves {c}.", "{b} less than {a} is {c}."),
    "multiply": ("{a} times {b} is {c}.", "{b} times {a} gives {c}."),
    "halve": ("Half of {a} is {c}.", "Halving {a} gives {c}."),
}
LINKS = ("First, ", "Next, ", "Then ", "Now ", "So ", "After that, ")
INVERSE = {"add": "-", "subtract": "+", "multiply": "/", "halve": "*"}
CHECK_RATE, SLIP_RATE = 0.08, 0.04


@dataclass(frozen=True)
class Span:
    """A piece of a training text; a slip is read but not imitated, so its tokens carry no loss."""

    text: str
    learn: bool = True


def reason(problem: Problem, rng: Random) -> Iterator[Span]:
    """The worked solution between the think markers, a span at a time."""
    yield Span(rng.choice(("Start with {n}.", "We begin with {n}.", "At first there are {n}.", "The start is {n}."))
               .format(n=problem.start))  # fmt: skip
    values = problem.values
    for i, step in enumerate(problem.steps):
        yield from _reason_step(step, values[i], values[i + 1], first=i == 0, rng=rng)
    closing = rng.choice(("", "", " That was the last step.", " Nothing is left to do.", " Done."))
    if closing:
        yield Span(closing)


def _reason_step(step: Step, a: int, c: int, *, first: bool, rng: Random) -> Iterator[Span]:
    equation = f"{a} {SIGN[step.kind]} {step.operand} = "
    link = rng.choice(LINKS[:1] + LINKS[4:5] if first else LINKS[1:]) if rng.random() < 0.6 else ""
    if rng.random() < SLIP_RATE:
        yield Span(f" {link}{equation}")
        yield Span(f"{_slip(c, rng)}", learn=False)
        yield Span(f". {rng.choice(('Wait, that is wrong:', 'No, let me redo that:'))} {equation}{c}.")
    elif rng.random() < 0.7:
        yield Span(f" {link}{equation}{c}.")
    else:
        sentence = rng.choice(SPOKEN[step.kind]).format(a=a, b=step.operand, c=c)
        yield Span(f" {link}{sentence[0].lower() + sentence[1:] if link else sentence}")
    if rng.random() < CHECK_RATE:
        opening = rng.choice(("Check:", "Let me check:", "To be sure:"))
        yield Span(f" {opening} {c} {INVERSE[step.kind]} {step.operand} = {a}, {rng.choice(('right', 'yes', 'good'))}.")
    elif rng.random() < 0.1:
        yield Span(rng.choice((" We are at {c}.", " That makes {c}.", " Now we have {c}.")).format(c=c))


def _slip(value: int, rng: Random) -> int:
    """A wrong result of the kind people write: off by one, by ten, or with its digits swapped."""
    swapped = int(str(value)[::-1])
    near = [n for n in (value - 1, value + 1, value - 10, value + 10, swapped) if n >= 0 and n != value]
    return rng.choice(near)


def conclude(problem: Problem, rng: Random) -> str:
    """The answer after the thinking."""
    return rng.choice(("The answer is {n}.", "The result is {n}.", "It is {n}.", "We get {n}.")).format(
        n=problem.answer
    )
