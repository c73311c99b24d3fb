"""Where a trace came from: what one must know to make it again."""

from __future__ import annotations

import platform
from datetime import UTC, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from workbench.models import LanguageModel

_PACKAGES = ("entropy-workbench", "torch", "transformers", "numpy")


def provenance(model: LanguageModel) -> dict[str, Any]:
    """Model, revision, dtype, device, library versions and the time, as JSON-able values."""
    markers = model.think_markers
    return {
        "model": model.name,
        "revision": model.revision,
        "dtype": str(model.dtype),
        "device": str(model.device),
        "vocabulary": model.vocabulary,
        "parameters": model.parameters,
        "think_markers": None if markers is None else [markers.open_text, markers.close_text],
        "versions": {"python": platform.python_version(), **{name: version(name) for name in _PACKAGES}},
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
    }
