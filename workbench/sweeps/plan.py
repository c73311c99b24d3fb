"""What a sweep decodes, in units that are decoded together, written together and resumed whole."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl


@dataclass(frozen=True)
class Unit:
    """One batch: sequences of one model and one arm, of about equal prompt length."""

    number: int
    """Its place in the plan, and the number of its files."""
    model: str
    sampler: str
    """The arm's name."""
    sequences: tuple[tuple[int, int], ...]
    """(row of the problem set, sample) of each."""

    def __len__(self) -> int:
        return len(self.sequences)


def units_of(
    problems: pl.DataFrame, *, models: Sequence[str], samplers: Sequence[str], samples: int, batch_size: int
) -> tuple[Unit, ...]:
    """Every sequence once, in an order that depends on the arguments alone.

    Sorted by the characters of the prompt, so that a batch has little padding; an order by tokens would need each
    model's tokenizer. Longest first: the batch that needs most memory is the first to be tried.
    """
    lengths = problems["prompt"].str.len_chars().to_list()
    order = sorted(range(len(problems)), key=lambda row: (-lengths[row], row))
    sequences = [(row, sample) for row in order for sample in range(samples)]
    batches = [tuple(sequences[at : at + batch_size]) for at in range(0, len(sequences), batch_size)]
    arms = [(model, sampler) for model in models for sampler in samplers]
    return tuple(
        Unit(number, model, sampler, batch)
        for number, ((model, sampler), batch) in enumerate((arm, batch) for arm in arms for batch in batches)
    )


def seed_of(seed: int, problem: str, sample: int) -> int:
    """Seed of one sequence: the same under every model and sampler, whatever the batch; 63 bits of BLAKE2b."""
    digest = blake2b(f"{seed}\0{problem}\0{sample}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1
