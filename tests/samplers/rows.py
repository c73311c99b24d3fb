"""Rows of logits as samplers meet them, and the obvious float64 twins of what a sampler makes of one."""

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import workbench as wb


@st.composite
def rows(draw, smallest=2, largest=60):
    """One row of float32 logits: smooth, peaked, flat, tied, with -inf, or rounded to bfloat16."""
    size = draw(st.integers(smallest, largest))
    values = draw(hnp.arrays(np.float64, size, elements=st.floats(-1, 1, width=32)))
    values = np.round(values, 6)  # two logits 1e-25 apart are no case of a model's
    kind = draw(st.sampled_from(["smooth", "peaked", "flat", "tied", "cut", "bfloat16"]))
    if kind == "smooth":
        values = values * 5
    if kind == "peaked":
        values = values * 2
        values[draw(st.integers(0, size - 1))] += 12
    if kind == "flat":
        values = values * 1e-3
    if kind == "tied":
        values = np.round(values * 2)
    if kind == "cut":
        values = values * 4
        values[draw(hnp.arrays(np.bool_, size))] = -np.inf
        values[draw(st.integers(0, size - 1))] = 1.0
    logits = np.asarray(values, np.float32)
    if kind == "bfloat16":
        logits = np.asarray(values * 20, np.float32)
        bits = logits.view(np.int32) & np.int32(-65536)
        logits = bits.view(np.float32)
    return logits


def trace_of(row, token=None, top=None):
    """A trace of one token; the whole row is known singly unless `top` says otherwise."""
    token = int(np.argmax(row)) if token is None else token
    return wb.Trace.from_logits(np.asarray(row, np.float32)[None], [token], top=top or len(row))


def kept_mask(row, sampler, top=None):
    """(V,) which tokens of one row stay."""
    mask = np.zeros(len(row), bool)
    mask[wb.replay(trace_of(row, top=top), sampler).kept_ids(0)] = True
    return mask


def probabilities(row, temperature=1.0):
    z = np.asarray(row, np.float64) / temperature
    w = np.exp(z - z.max())
    return w / w.sum()


def entropy(p):
    p = p[p > 0]
    return float(-(p * np.log(p)).sum())
