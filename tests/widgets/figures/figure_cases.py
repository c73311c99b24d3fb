"""Token tables to draw, a way to find a figure's marks, and what a browser answers."""

import numpy as np
import polars as pl

from workbench.traces.columns import SCHEMA


def make_tokens(count=400, thinking=300, seed=0, **columns):
    """A token table whose entropies look like a reasoning model's: mostly near zero, with spikes."""
    random = np.random.default_rng(seed)
    entropy = np.where(random.random(count) < 0.55, random.exponential(0.01, count), random.gamma(1.1, 0.55, count))
    phases = ["marker", *["think"] * (thinking - 2), "marker", *["answer"] * count][:count]
    frame = {
        "position": range(count),
        "token_id": range(count),
        "text": [f" t{i}" for i in range(count)],
        "phase": phases,
        "rank": [0] * count,
        "logprob": -random.exponential(entropy + 1e-4),
        "entropy": entropy,
        "varentropy": np.minimum(entropy * random.gamma(2, 0.6, count), 6),
        "sampled_entropy": entropy * 0.6,
    } | columns
    extra = {name: pl.Float64() for name in ("entropy_lower", "entropy_upper") if name in frame}
    schema = dict(SCHEMA) | extra
    return pl.DataFrame({name: frame.get(name, [None] * count) for name in schema}).cast(schema)


def role(fig, name):
    """The trace that plays this role."""
    (trace,) = [trace for trace in fig.data if trace.meta == name]
    return trace


def answer(figure, trace_edit=None):
    """What the browser says once it has drawn the last change, or that one of the traces."""
    figure._js2py_layoutDelta = {"layout_edit_id": figure._last_layout_edit_id, "layout_delta": {}}
    edit = figure._last_trace_edit_id if trace_edit is None else trace_edit
    figure._js2py_traceDeltas = {"trace_edit_id": edit, "trace_deltas": []}
