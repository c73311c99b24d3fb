"""The columns of a trace's token table: names, types, units and what each means."""

from __future__ import annotations

import polars as pl

COLUMNS: dict[str, tuple[pl.DataType, str]] = {
    "position": (pl.Int32(), "index of the token in the generated (or scored) span, from 0"),
    "token_id": (pl.Int32(), "vocabulary index of the realised token"),
    "text": (pl.String(), "what the token adds to the text"),
    "phase": (pl.String(), "think, answer, or marker for the think markers themselves"),
    "rank": (pl.Int32(), "how many tokens had a strictly larger raw logit; 0 is the argmax"),
    "logprob": (pl.Float64(), "raw log-probability of the realised token, nats"),
    "entropy": (pl.Float64(), "raw entropy of the distribution the token was drawn from, nats"),
    "varentropy": (pl.Float64(), "raw variance of the surprisal, nats squared"),
    "sampled_logprob": (pl.Float64(), "log-probability under the distribution really drawn from, nats"),
    "sampled_entropy": (pl.Float64(), "entropy of the distribution really drawn from, nats"),
    "kept": (pl.Int32(), "number of tokens the sampler left with a probability above zero"),
    "kept_mass": (pl.Float64(), "raw probability mass of the tokens the sampler kept"),
}
SCHEMA = pl.Schema({name: dtype for name, (dtype, _) in COLUMNS.items()})

# Where only the top k of a distribution is known its entropy lies in an interval (imported traces only).
INTERVAL = pl.Schema({"entropy_lower": pl.Float64(), "entropy_upper": pl.Float64()})

PHASES = ("think", "answer", "marker")
