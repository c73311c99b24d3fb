"""Small sweeps of the real demo model."""

import polars as pl

import workbench as wb

KEY = ["model", "sampler", "problem", "sample"]
SETTINGS = {"samples": 2, "max_new_tokens": 24, "batch_size": 4, "progress": False}


def few(n=4):
    return wb.problems.load("arithmetic", limit=n)


def rows(sweep):
    """The results in an order of their own."""
    return sweep.to_frame().sort(KEY)


def tokens(sweep):
    return sweep.traces.collect().sort([*KEY, "position"])


def same(one, other):
    assert rows(one).equals(rows(other))
    assert tokens(one).equals(tokens(other))


def nearly_same(one, other):
    """Equal but for the rounding of sums."""
    for read in (rows, tokens):
        a, b = read(one), read(other)
        floats = [name for name, dtype in a.schema.items() if dtype.is_float()]
        assert a.drop(floats).equals(b.drop(floats))
        for name in floats:
            assert a[name].is_null().equals(b[name].is_null())
            assert ((a[name] - b[name]).abs().max() or 0) < 1e-4, name


__all__ = ["KEY", "SETTINGS", "few", "nearly_same", "pl", "rows", "same", "tokens", "wb"]
