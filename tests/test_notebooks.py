"""Every notebook runs from top to bottom, offline, in under a minute, and is stored clean and small."""

import time

import nbformat
import pytest
from nbclient import NotebookClient

from tests.notebooks_are_clean import NOTEBOOKS, faults

SECONDS = 60
LARGEST = 300_000  # bytes of an executed notebook without widget state
# A kernel without a way out: every connection beyond this machine fails at once.
OFFLINE = """
import socket

def refuse(self, address, connect=socket.socket.connect):
    if self.family in (socket.AF_INET, socket.AF_INET6) and address[0] not in ("127.0.0.1", "localhost", "::1"):
        raise OSError(f"no network in this test: {address}")
    return connect(self, address)

socket.socket.connect = refuse
"""


@pytest.mark.slow
@pytest.mark.parametrize("path", sorted(NOTEBOOKS.glob("*.ipynb")), ids=lambda path: path.stem)
def test_it_runs_offline_in_under_a_minute(path, tmp_path):
    notebook = nbformat.read(path, as_version=4)
    notebook.cells.insert(0, nbformat.v4.new_code_cell(OFFLINE))
    client = NotebookClient(
        notebook, timeout=SECONDS, kernel_name="python3", resources={"metadata": {"path": tmp_path}}
    )
    began = time.perf_counter()
    client.execute()
    assert time.perf_counter() - began < SECONDS
    printed = "".join(
        output.get("text", "") for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs
    )
    assert "Warning" not in printed
    assert "Traceback" not in printed
    notebook.metadata.pop("widgets", None)
    assert len(nbformat.writes(notebook)) < LARGEST, "outputs are no place for what widgets show"


@pytest.mark.parametrize("path", sorted(NOTEBOOKS.glob("*.ipynb")), ids=lambda path: path.stem)
def test_it_is_stored_without_outputs(path):
    assert faults(path) == []


def test_an_output_would_be_noticed(tmp_path):
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1", execution_count=1)])
    nbformat.write(notebook, tmp_path / "n.ipynb")
    assert len(faults(tmp_path / "n.ipynb")) == 2  # an execution count, and no kernelspec
