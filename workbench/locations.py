"""Where the bundled models, problems and notebooks lie: beside the package in a checkout, inside it once installed."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).parent
_INSTALLED = _PACKAGE / "_data"
_CHECKOUT = _PACKAGE.parent

MODELS = (_INSTALLED if _INSTALLED.exists() else _CHECKOUT / "data") / "models"
PROBLEMS = (_INSTALLED if _INSTALLED.exists() else _CHECKOUT / "data") / "problems"
NOTEBOOKS = (_INSTALLED if _INSTALLED.exists() else _CHECKOUT) / "notebooks"
