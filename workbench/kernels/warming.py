"""Compile the kernels, or load them from numba's cache, before somebody waits for them."""

from __future__ import annotations

import numpy as np

from workbench.kernels import attention, entropy, reflective, sampled, sketch, switching, temper


def warm() -> None:
    """Run every kernel once on two rows of eight logits.

    Array types and layouts are those of `entropy`, `record`, `sketch_logits`, `SketchWriter` and
    `LogitSketch.tempered`; numba compiles for types, not for shapes, so that this serves every vocabulary.
    """
    rows, vocabulary, top = 2, 8, 4
    logits = np.linspace(-1.0, 1.0, rows * vocabulary, dtype=np.float32).reshape(rows, vocabulary)
    statistics = np.empty((rows, entropy.STATISTICS))
    status = np.empty(rows, np.uint8)
    entropy.entropy_rows(0, rows, logits, True, statistics, np.empty(rows, np.int32), status)
    sampled.sampled_rows(0, rows, logits, logits, np.empty((rows, sampled.SAMPLED)))
    tokens = np.zeros(rows, np.int32)
    top_logits = np.empty((rows, top), np.float32)
    tail_count = np.empty((rows, sketch.MAX_BINS), np.int32)
    tail_mean, tail_mean_square = np.empty((2, rows, sketch.MAX_BINS), np.float32)
    counts = np.empty((rows, sketch.COUNTS), np.int32)
    sketch.sketch_rows(
        0, rows, logits, tokens, 0.25, 0, np.empty((rows, top), np.int32), top_logits,
        tail_count, tail_mean, tail_mean_square, statistics, counts, np.empty(rows, np.float32), status,
    )  # fmt: skip
    out = np.empty((rows, temper.COLUMNS))
    low = np.full(rows, -1.0, np.float32)
    temper.temper_rows(0, rows, 1.0, top_logits, tail_count, tail_mean, tail_mean_square, low, 0.25, out)
    stream, flags = np.zeros(rows), np.empty(rows, np.bool_)
    switching.route_tokens(
        stream, stream, False, 0, 5, 1.0, 1.0, 10, np.empty(rows, np.int8), np.empty(rows), np.empty(rows)
    )
    switching.next_model(switching.window_mean(stream, rows, 5), 0, 1, 1.0, 1.0, 10)
    reflective.reflective_rows(0, rows, 0, stream, 2, 1.0, 0, 0.0, 0.0, 0.0, 1, np.empty(rows), flags)
    ends, places = np.zeros(rows, np.int64), np.zeros(vocabulary, np.int32)
    attention.attention_rows(
        0, rows, logits, ends, ends + vocabulary, ends, 0, places.astype(np.float32), places, places,
        np.zeros(rows, np.float32), tokens, np.empty((rows, attention.ROW_STATISTICS), np.float32),
    )  # fmt: skip
