"""Traces: record, score, import, read and write what one decode leaves behind."""

from workbench.traces.generating import generate
from workbench.traces.imports import read_trace, read_traces, write_jsonl
from workbench.traces.recording import record
from workbench.traces.scoring import score
from workbench.traces.sketch import LogitSketch
from workbench.traces.sketching import sketch_logits
from workbench.traces.store import Traces, open_traces
from workbench.traces.trace import Trace

__all__ = [
    "LogitSketch",
    "Trace",
    "Traces",
    "generate",
    "open_traces",
    "read_trace",
    "read_traces",
    "record",
    "score",
    "sketch_logits",
    "write_jsonl",
]
