"""Traces with known phases and entropies."""

import polars as pl

import workbench as wb
from workbench.traces.columns import SCHEMA

LETTERS = {"t": "think", "a": "answer", "o": "marker", "c": "marker"}
TEXTS = {"t": "thought ", "a": "said ", "o": "<think>", "c": "</think>"}


def trace_of(letters, entropy=None, *, meta=None, texts=None, **columns):
    """A trace of one token a letter: t thinks, a answers, o opens, c closes."""
    count = len(letters)
    frame = {
        "position": range(count),
        "token_id": range(count),
        "text": texts if texts is not None else [TEXTS[letter] for letter in letters],
        "phase": [LETTERS[letter] for letter in letters],
        "entropy": entropy if entropy is not None else [0.1 * (i + 1) for i in range(count)],
    } | columns
    tokens = pl.DataFrame({name: pl.Series(frame.get(name, [None] * count), dtype=SCHEMA[name]) for name in SCHEMA})
    meta = {"think_markers": ["<think>", "</think>"]} if meta is None else meta
    return wb.Trace(tokens, prompt_ids=(1, 2), text="".join(tokens["text"].drop_nulls()), meta=meta)
