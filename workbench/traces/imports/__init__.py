"""Log-probabilities that other engines recorded, read as traces; and traces as JSONL."""

from workbench.traces.imports.jsonl import write_jsonl
from workbench.traces.imports.read import read_trace, read_traces

__all__ = ["read_trace", "read_traces", "write_jsonl"]
