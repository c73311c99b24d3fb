"""Entropy Workbench: see, compare and tune how language models decode.

Names are imported when first used, so that `import workbench` itself stays as light as numpy.
"""

from importlib import import_module

from workbench.errors import WorkbenchError

TYPE_CHECKING = False  # editors and type checkers take it for True; importing typing for it would cost time
if TYPE_CHECKING:
    from workbench import attention, difficulty, models, phases, problems, samplers, sweeps, traces
    from workbench.entropies import Entropies, entropy
    from workbench.models import LanguageModel, load, wrap
    from workbench.samplers import Sampler
    from workbench.samplers.replaying import Replay, Replayer, replay
    from workbench.traces import LogitSketch, Trace, generate, open_traces, read_trace, record, score, sketch_logits

__version__ = "0.1.0"

_HOME = {
    "LanguageModel": "workbench.models",
    "load": "workbench.models",
    "wrap": "workbench.models",
    "Entropies": "workbench.entropies",
    "entropy": "workbench.entropies",
    "LogitSketch": "workbench.traces",
    "Trace": "workbench.traces",
    "generate": "workbench.traces",
    "open_traces": "workbench.traces",
    "read_trace": "workbench.traces",
    "record": "workbench.traces",
    "score": "workbench.traces",
    "sketch_logits": "workbench.traces",
    "Sampler": "workbench.samplers",
    "Replay": "workbench.samplers.replaying",
    "Replayer": "workbench.samplers.replaying",
    "replay": "workbench.samplers.replaying",
}
_SUBPACKAGES = ("attention", "difficulty", "models", "phases", "problems", "samplers", "sweeps", "traces")

__all__ = [
    "Entropies",
    "LanguageModel",
    "LogitSketch",
    "Replay",
    "Replayer",
    "Sampler",
    "Trace",
    "WorkbenchError",
    "attention",
    "difficulty",
    "entropy",
    "generate",
    "load",
    "models",
    "open_traces",
    "phases",
    "problems",
    "read_trace",
    "record",
    "replay",
    "samplers",
    "score",
    "sketch_logits",
    "sweeps",
    "traces",
    "wrap",
]


def __getattr__(name: str) -> object:
    if name in _HOME:
        value = getattr(import_module(_HOME[name]), name)
    elif name in _SUBPACKAGES:
        value = import_module(f"workbench.{name}")
    else:
        raise AttributeError(f"module 'workbench' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
