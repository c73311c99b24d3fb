"""Data whose answers are known."""

import numpy as np
import polars as pl


def golden():
    """300 points at 10 levels on a parabola whose bottom is at 4, with deterministic noise."""
    x = np.repeat(np.arange(1.0, 11.0), 30)
    j = np.tile(np.arange(30), 10)
    return x, 0.02 * (x - 4) ** 2 + 0.5 + 0.05 * (-1.0) ** j + 0.03 * np.sin(j + x)


def logarithm():
    """Monotone and concave: a parabola's extremum lies inside the range, and yet there is none."""
    x = np.linspace(1, 10, 300)
    return x, np.log(x) + 0.05 * np.sin(37 * np.arange(300))


def responses_table(mean, *, levels=8, problems=10, samples=3, seed=0, noise=0.05, tokens=None):
    """A row a response: entropy mean(level) + a problem's own shift + noise, accuracy falling with the level."""
    random = np.random.default_rng(seed)
    level = np.repeat(np.arange(1.0, levels + 1), problems * samples)
    problem = np.repeat(np.arange(levels * problems), samples)
    shift = random.normal(0, noise, levels * problems)[problem]
    entropy = np.vectorize(mean)(level) + shift + random.normal(0, noise, len(level))
    return pl.DataFrame(
        {
            "problem": [f"p{code}" for code in problem],
            "sample": np.tile(np.arange(samples), levels * problems),
            "difficulty": level,
            "correct": random.random(len(level)) < 1 - level / (levels + 1),
            "entropy": entropy,
            "tokens": random.integers(50, 150, len(level)) if tokens is None else tokens(level),
        }
    )
