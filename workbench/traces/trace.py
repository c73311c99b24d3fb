"""What one decode leaves behind: the token table, the prompt, the text, how it was made, and the logit sketch."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from workbench.errors import TraceError
from workbench.traces.columns import INTERVAL, SCHEMA
from workbench.traces.sketching import sketch_logits

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import torch
    from numpy.typing import ArrayLike

    from workbench.models import LanguageModel
    from workbench.traces.sketch import LogitSketch


NAMED = 16


@dataclass(frozen=True, repr=False)
class Trace:
    """One decoded (or scored, or imported) sequence; a row of `tokens` a generated token.

    `tokens` has the columns of `workbench.traces.columns` in that order; a column that cannot be known is null
    throughout and named in `meta["missing"]`.
    """

    tokens: pl.DataFrame
    prompt: str = ""
    """The prompt as the model read it, chat template applied."""
    prompt_ids: tuple[int, ...] = ()
    text: str = ""
    """The generated text."""
    meta: Mapping[str, Any] = field(default_factory=dict)
    """How it was made: model, revision, dtype, sampler, seed, versions, time. JSON throughout."""
    sketch: LogitSketch | None = None
    """The raw distribution of every token, compact; None where it is not known."""
    names: Mapping[int, str] = field(default_factory=dict)
    """Texts of the tokens among the NAMED likeliest anywhere, so that a trace can be read without its model."""

    def __post_init__(self) -> None:
        names = self.tokens.columns[: len(SCHEMA)]
        if names != list(SCHEMA):
            missing = [name for name in SCHEMA if name not in self.tokens.columns]
            raise TraceError(
                f"A trace's token table needs the columns {list(SCHEMA)} in this order; missing: {missing}."
            )
        if self.sketch is not None and len(self.sketch) != len(self.tokens):
            raise TraceError(f"The sketch has {len(self.sketch)} tokens, the table {len(self.tokens)}.")

    @classmethod
    def from_logits(
        cls,
        logits: ArrayLike | torch.Tensor,
        token_ids: ArrayLike,
        *,
        model: LanguageModel | None = None,
        texts: Sequence[str] | None = None,
        prompt: str = "",
        prompt_ids: Sequence[int] = (),
        meta: Mapping[str, Any] | None = None,
        top: int = 256,
    ) -> Trace:
        """A trace from raw logits (T, V) and the tokens (T,) that followed each row.

        Texts and phases come from `model` where one is given. How the tokens were drawn is not known from arrays, so
        the sampled columns are null.

        Raises:
            LogitsError: NaN, +inf or nothing but -inf in a row, which is named.
            TraceError: the lengths of logits, tokens and texts disagree.
        """
        ids = np.asarray(token_ids, dtype=np.int64).reshape(-1)
        rows = len(logits)  # type: ignore[arg-type]
        if rows != len(ids):
            raise TraceError(f"{rows} rows of logits but {len(ids)} token ids: there must be one token a row.")
        sketch = sketch_logits(logits, ids, top=top)
        if texts is None:
            texts = model.token_texts(ids.tolist()) if model is not None else [f"⟨{i}⟩" for i in ids]
        phases = phases_of(model, ids.tolist(), prompt_ids)
        tokens = token_frame(sketch, texts=texts, phases=phases)
        about = {"kind": "arrays", "model": model.name if model else None, **(meta or {})}
        about["missing"] = unknown_columns(tokens)
        return cls(tokens, prompt, tuple(prompt_ids), "".join(texts), about, sketch, names_of(model, sketch))

    def save(self, path: str | Path) -> Path:
        """Write one Parquet file, whole or not at all; see `workbench.traces.store`."""
        from workbench.traces.store import save  # noqa: PLC0415  -- store imports this class

        return save(self, Path(path))

    @classmethod
    def load(cls, path: str | Path) -> Trace:
        """Read a file written by `save`."""
        from workbench.traces.store import load  # noqa: PLC0415  -- store imports this class

        return load(Path(path))

    def __len__(self) -> int:
        return len(self.tokens)

    def __repr__(self) -> str:
        mean = self.tokens["entropy"].mean()
        shown = f"{mean:.3f} nats" if isinstance(mean, float) else "unknown"
        return f"Trace({len(self)} tokens, mean raw entropy {shown}, model={self.meta.get('model')!r})"

    def alternatives(self, position: int, count: int = 10) -> pl.DataFrame:
        """The most likely tokens at `position`: token_id, text (null where not known), logit, raw logprob.

        Raises:
            TraceError: the trace has no sketch, or no such position.
        """
        if self.sketch is None:
            raise TraceError("This trace carries no logit sketch, so the alternatives of its tokens are not known.")
        if not 0 <= position < len(self):
            raise TraceError(f"Position {position} is outside the trace's 0 to {len(self) - 1}.")
        ids, logits = self.sketch.top_ids[position, :count], self.sketch.top_logits[position, :count]
        logprob = logits.astype(np.float64) - self.sketch.log_z[position]
        texts = pl.Series([self.names.get(int(i)) for i in ids], dtype=pl.String)
        frame = pl.DataFrame({"token_id": ids, "text": texts, "logit": logits, "logprob": logprob})
        return frame.filter(pl.col("logit").is_finite())

    def with_meta(self, **more: object) -> Trace:
        """The same trace with `more` in its meta."""
        return replace(self, meta={**self.meta, **more})

    def to_frame(self) -> pl.DataFrame:
        """The token table."""
        return self.tokens


def phases_of(model: LanguageModel | None, ids: Sequence[int], prompt_ids: Sequence[int]) -> list[str]:
    """The phase of every token; all "answer" where the model has no think markers."""
    if model is None or model.think_markers is None:
        return ["answer"] * len(ids)
    return model.think_markers.phases(ids, prompt_ids)


def names_of(model: LanguageModel | None, sketch: LogitSketch) -> dict[int, str]:
    """Texts of all tokens among the NAMED likeliest at any position; empty without a tokenizer."""
    if model is None or model.tokenizer is None or not len(sketch):
        return {}
    ids = np.unique(sketch.top_ids[:, :NAMED]).tolist()
    return {i: "".join(model.token_texts([i])) for i in ids}


def token_frame(
    sketch: LogitSketch,
    *,
    texts: Sequence[str],
    phases: Sequence[str],
    sampled: Mapping[str, np.ndarray] | None = None,
) -> pl.DataFrame:
    """The token table from a sketch that knows its realised tokens, plus the sampled columns where there are any.

    Raises:
        TraceError: texts or phases are not one a token.
    """
    rows = len(sketch)
    if len(texts) != rows or len(phases) != rows:
        raise TraceError(f"{rows} tokens but {len(texts)} texts and {len(phases)} phases: each needs one a token.")
    columns: dict[str, Any] = {
        "position": np.arange(rows, dtype=np.int32),
        "token_id": sketch.token_ids,
        "text": list(texts),
        "phase": list(phases),
        "rank": sketch.token_rank,
        "logprob": sketch.token_logit.astype(np.float64) - sketch.log_z,
        "entropy": sketch.entropy,
        "varentropy": sketch.varentropy,
    }
    columns |= dict(sampled or {})
    return pl.DataFrame({name: columns.get(name, pl.Series([None] * rows)) for name in SCHEMA}).cast(SCHEMA)


def unknown_columns(tokens: pl.DataFrame) -> list[str]:
    """Names of the columns that are null for every token; of an empty table none."""
    names = [*SCHEMA, *(name for name in INTERVAL if name in tokens.columns)]
    return [name for name in names if len(tokens) and tokens[name].null_count() == len(tokens)]
