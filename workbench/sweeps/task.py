"""Everything one needs besides a model to decode a unit of a sweep."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from workbench.errors import PromptError, SweepError
from workbench.phases import phase_entropy
from workbench.problems import Problems
from workbench.samplers import Sampler
from workbench.sweeps.folder import KEY, RESULTS
from workbench.sweeps.plan import Unit, seed_of, units_of
from workbench.sweeps.strategy import Strategy
from workbench.traces.batching import record_batch

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from workbench.models import LanguageModel
    from workbench.sweeps.folder import SweepFolder
    from workbench.traces import Trace

MOST_NEW_TOKENS = 1024
"""Where a sequence ends at the latest unless somebody says otherwise; as `wb.record`."""
_SKETCH = "sketch_"


@dataclass(frozen=True)
class Written:
    """A unit decoded."""

    traces: pl.DataFrame
    results: pl.DataFrame
    about: dict[str, Any]
    """What a trace needs besides its columns."""


@dataclass(frozen=True)
class Task:
    """Problems, strategies and numbers of a sweep."""

    problems: Problems
    strategies: Mapping[str, Strategy]
    models: tuple[str, ...]
    samples: int
    seed: int
    max_new_tokens: int | None
    batch_size: int
    top: int

    @classmethod
    def of(cls, folder: SweepFolder) -> Task:
        """The task of a sweep on disk, as every worker sees it."""
        settings = folder.settings()
        return cls(
            Problems(settings["problems"], folder.problems(), settings["grader"]),
            {name: Strategy.from_dict(one) for name, one in settings["samplers"].items()},
            tuple(settings["models"]), settings["samples"], settings["seed"], settings["max_new_tokens"],
            settings["batch_size"], settings["top"],
        )  # fmt: skip

    def units(self) -> tuple[Unit, ...]:
        """The plan: the same wherever it is made."""
        return units_of(
            self.problems.frame, models=self.models, samplers=tuple(self.strategies), samples=self.samples,
            batch_size=self.batch_size,
        )  # fmt: skip

    def prompts(self, model: LanguageModel, sampler: str) -> list[list[int]]:
        """Token ids of every problem's prompt under one strategy.

        Raises:
            SweepError: a prompt that the model cannot be given; the problem is named.
        """
        texts = self.problems.prompts(self.strategies[sampler].prompt)
        found = []
        for problem, text in zip(self.problems.frame["problem"], texts, strict=True):
            try:
                _, ids = model.encode_prompt(text)
                model.check_fits(len(ids) + (self.limit(sampler) or 1))
            except PromptError as error:
                raise SweepError(f"Problem {problem!r} cannot be given to {model.name}: {error}") from error
            found.append(ids)
        return found

    def limit(self, sampler: str) -> int | None:
        """Most new tokens of an arm, None where nobody said."""
        return self.strategies[sampler].max_new_tokens or self.max_new_tokens

    def limits(self, model: LanguageModel, sampler: str, prompts: list[list[int]]) -> list[int]:
        """Most new tokens of each sequence: its own, so that they do not depend on the batch."""
        limit = self.limit(sampler)
        if limit is not None:
            return [limit] * len(prompts)
        room = [MOST_NEW_TOKENS if model.context is None else model.context - len(ids) for ids in prompts]
        return [max(1, min(MOST_NEW_TOKENS, one)) for one in room]

    def decode(
        self,
        model: LanguageModel,
        unit: Unit,
        prompts: list[list[int]],
        *,
        stop: Callable[[], bool] | None = None,
        on_step: Callable[[int], None] | None = None,
    ) -> Written | None:
        """Decode and grade one unit; None where it was stopped, for half a unit is none.

        Args:
            model: the unit's.
            unit: what to decode.
            prompts: as `prompts` gives them for this model and arm.
            stop: says True when it is to end.
            on_step: called with the number of sequences that got a token.
        """
        frame = self.problems.frame
        rows = [frame.row(row, named=True) for row, _ in unit.sequences]
        ids = [prompts[row] for row, _ in unit.sequences]
        seeds = [
            seed_of(self.seed, row["problem"], sample) for row, (_, sample) in zip(rows, unit.sequences, strict=True)
        ]
        sampler = self.strategies[unit.sampler].sampler or Sampler.from_generation_config(model.hf.generation_config)
        traces = record_batch(
            model, ids, sampler=sampler, seeds=seeds,
            max_new_tokens=self.limits(model, unit.sampler, ids), top=self.top, stop=stop, on_step=on_step,
        )  # fmt: skip
        if any(trace.meta["finish"] == "stopped" for trace in traces):
            return None
        keys = [
            {"model": unit.model, "sampler": unit.sampler, "problem": row["problem"], "sample": sample}
            for row, (_, sample) in zip(rows, unit.sequences, strict=True)
        ]
        close = None if model.think_markers is None else model.think_markers.close_text
        results = [
            key | self._result(row, trace, close) | {"seed": seed}
            for key, row, trace, seed in zip(keys, rows, traces, seeds, strict=True)
        ]
        return Written(
            pl.concat([_tokens(key, trace) for key, trace in zip(keys, traces, strict=True)]),
            pl.DataFrame(results, schema=RESULTS),
            _about(traces),
        )

    def _result(self, row: Mapping[str, Any], trace: Trace, close: str | None) -> dict[str, Any]:
        raw, sampled = phase_entropy(trace), phase_entropy(trace, kind="sampled")
        verdict = self.problems.grade(trace.text, row["answer"], think_close=close, unfinished=raw.unfinished)
        tokens = trace.tokens
        return {
            "difficulty": row["difficulty"], "prompt": row["prompt"], "answer": row["answer"], "text": trace.text,
            "extracted": verdict.extracted, "correct": verdict.correct, "finish": trace.meta["finish"],
            "prompt_tokens": len(trace.prompt_ids), "tokens": len(trace), "entropy": tokens["entropy"].mean(),
            "sampled_entropy": tokens["sampled_entropy"].mean(),
            "think_entropy": raw.think if raw.n_think else None,
            "answer_entropy": raw.answer if raw.n_answer else None,
            "sampled_think_entropy": sampled.think if sampled.n_think else None,
            "sampled_answer_entropy": sampled.answer if sampled.n_answer else None,
            "think_tokens": raw.n_think, "answer_tokens": raw.n_answer, "closings": raw.closings,
            "unfinished": raw.unfinished, "prompt_text": trace.prompt, "prompt_ids": list(trace.prompt_ids),
        }  # fmt: skip


def _tokens(key: Mapping[str, Any], trace: Trace) -> pl.DataFrame:
    """A trace's columns and its sequence's name, floats in single precision."""
    frame = trace.tokens.with_columns(pl.col(pl.Float64).cast(pl.Float32))
    if trace.sketch is not None:
        sketch = trace.sketch.to_frame()
        frame = frame.hstack(sketch.rename({name: _SKETCH + name for name in sketch.columns}))
    named = [pl.lit(key[name], dtype=RESULTS[name]).alias(name) for name in KEY]
    return frame.select(*named, pl.all())


def _about(traces: list[Trace]) -> dict[str, Any]:
    first = traces[0]
    shared = {
        name: value for name, value in first.meta.items() if name not in ("seed", "sequence", "finish", "question")
    }
    about: dict[str, Any] = {"meta": shared}
    if first.sketch is not None:
        about["sketch"] = {"vocabulary": first.sketch.vocabulary, "bin_width": first.sketch.bin_width}
        names: dict[str, str] = {}
        for trace in traces:
            names |= {str(token): text for token, text in trace.names.items()}
        about["names"] = names
    return about
