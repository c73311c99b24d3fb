"""Every error a user's input can cause. Each says what was wrong, where, and what to do about it."""

from __future__ import annotations


class WorkbenchError(Exception):
    """Base of all errors raised by the workbench."""


class ModelError(WorkbenchError):
    """A model cannot be found, loaded or used as asked."""


class PromptError(WorkbenchError):
    """A prompt cannot be given to this model: no chat template, too long, empty, of the wrong kind."""


class LogitsError(WorkbenchError):
    """Logits that define no distribution: NaN, +inf, or nothing but -inf in a row."""


class ParameterError(WorkbenchError):
    """A parameter outside its range."""


class TraceError(WorkbenchError):
    """A trace file or folder that cannot be read, or a trace that lacks what was asked of it."""


class MissingPackageError(WorkbenchError):
    """An optional package is not installed; the text names the line that installs it."""


class ExportError(WorkbenchError):
    """A figure or its data could not be written."""


class ProblemError(WorkbenchError):
    """A problem set that cannot be read, or a problem without a prompt or an answer."""


class SweepError(WorkbenchError):
    """A sweep that cannot be started, continued or read."""


class DifficultyError(WorkbenchError):
    """Data that cannot answer a question about difficulty: too few levels, a column missing."""


class AttentionError(WorkbenchError):
    """A model whose attention cannot be observed, or a head, row or window it does not have."""
