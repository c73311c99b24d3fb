"""What `import workbench`, `import widgets` and the command line promise."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import widgets
import workbench


def test_importing_loads_nothing_heavy():
    heavy = ("torch", "transformers", "numba", "plotly", "ipywidgets", "polars", "scipy")
    code = f"import sys, workbench, widgets; print([name for name in {heavy} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=os.sep)
    assert found.stdout.strip() == "[]"


def test_every_public_name_is_there():
    for package in (workbench, widgets):
        for name in package.__all__:
            assert getattr(package, name) is not None
        with pytest.raises(AttributeError, match="no attribute"):
            package.nonsense  # noqa: B018


def test_the_command_line_says_what_it_can():
    script = Path(sys.executable).parent / "workbench"
    helped = subprocess.run([script, "lab", "--help"], check=True, capture_output=True, text=True)
    assert "notebook" in helped.stdout
    version = subprocess.run([script, "--version"], check=True, capture_output=True, text=True)
    assert version.stdout.strip() == workbench.__version__
