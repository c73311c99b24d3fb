"""Where models, problems, sweeps and notebooks lie: beside the package in a checkout, inside it once installed."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).parent
_INSTALLED = _PACKAGE / "_data"
_CHECKOUT = _PACKAGE.parent

MODELS = (_INSTALLED if _INSTALLED.exists() else _CHECKOUT / "data") / "models"
PROBLEMS = (_INSTALLED if _INSTALLED.exists() else _CHECKOUT / "data") / "problems"
RUNS = (_INSTALLED if _INSTALLED.exists() else _CHECKOUT / "data") / "runs"
NOTEBOOKS = (_INSTALLED if _INSTALLED.exists() else _CHECKOUT) / "notebooks"
