"""Documents that other engines wrote, for the tests of read_trace."""

import json
import math
from pathlib import Path

FIXTURES = Path(__file__).parent / "fixtures"
HALF, QUARTER, TENTH = math.log(0.5), math.log(0.25), math.log(0.1)


def fixture(name):
    return json.loads((FIXTURES / name).read_text())


def column(trace, name):
    return trace.tokens[name].to_list()


def chat(*tokens, **message):
    """A chat completion of (token, logprob, [(token, logprob), ...]) triples."""
    content = [
        {"token": t, "logprob": p, "bytes": None, "top_logprobs": [{"token": a, "logprob": q} for a, q in top]}
        for t, p, top in tokens
    ]
    return {"choices": [{"message": {"content": None, **message}, "logprobs": {"content": content}}]}


def entropy(*probabilities):
    return -sum(p * math.log(p) for p in probabilities)
