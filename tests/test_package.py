"""What `import workbench`, `import widgets` and the command line promise."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
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


def fetched(address, seconds=20):
    """The JSON at an address; a server listens a moment after it has said where."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            with urllib.request.urlopen(address, timeout=seconds) as page:
                return json.load(page)
        except urllib.error.URLError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def test_lab_prints_an_address_that_leads_to_the_start_notebook(tmp_path):
    script = Path(sys.executable).parent / "workbench"
    own = {f"JUPYTER_{name}_DIR": str(tmp_path / name) for name in ("CONFIG", "DATA", "RUNTIME")}
    server = subprocess.Popen(
        [script, "lab", tmp_path / "work", "--no-browser"],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env={**os.environ, **own}, start_new_session=True,
    )  # fmt: skip
    try:
        lines = iter(server.stdout.readline, "")
        address = next(found[0] for line in lines if (found := re.search(r"http://127\.0\.0\.1:\S+", line)))
        assert "/lab/tree/start_here.ipynb?token=" in address
        assert fetched(address.replace("/lab/tree/", "/api/contents/"))["name"] == "start_here.ipynb"
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(20)
        server.stdout.close()
